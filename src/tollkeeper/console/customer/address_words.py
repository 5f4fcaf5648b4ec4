"""What the fields of an address are called in its country, and which tax ids it has."""

from __future__ import annotations

from typing import Final

from tollkeeper import profiles
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.profiles import AddressForm, TaxIdType

SOMEWHERE: Final = "US"
"""Where somebody is of whom nothing is known."""


def address_form(country: str) -> AddressForm:
    try:
        return profiles.form_of(country or SOMEWHERE)
    except InvalidRequest:
        return profiles.form_of(SOMEWHERE)


def tax_types(country: str) -> list[TaxIdType]:
    """The country's own first, then those that are had anywhere."""
    return sorted(profiles.types_of(country), key=lambda one: not one.countries)
