"""Who buys, and what taxes that means, at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from tollkeeper import orgs, profiles
from tollkeeper.base.settings import TaxRule
from tollkeeper.credits.model import Buyer, Tax
from tollkeeper.db import Connection
from tollkeeper.profiles import TaxId


async def buyer_of(
    connection: Connection, org_id: UUID, taxes: Mapping[str, TaxRule]
) -> tuple[Buyer, tuple[Tax, ...]]:
    """Return an organization as its invoices name it, and the taxes it pays.

    Without a billing profile that is its name, and the tax of nowhere in particular.
    """
    profile = await profiles.read_profile(connection, org_id)
    decided = profiles.decide_taxes(taxes, profile)
    if profile is None:
        org = await orgs.get_org(connection, org_id)
        return Buyer(name=org.name), decided
    buyer = Buyer(
        name=profile.name,
        address=profiles.address_lines(profile.address),
        country=profile.address.country,
        tax_ids=tuple(_shown(tax_id) for tax_id in profile.tax_ids),
        email=profile.emails[0] if profile.emails else None,
    )
    return buyer, decided


def _shown(tax_id: TaxId) -> str:
    """As invoices name it: VAT ID IE6433435F, ABN 83 914 571 673."""
    kind = tax_id.type.partition("_")[2].upper().replace("_", "/")
    return f"{'VAT ID' if kind == 'VAT' else kind} {tax_id.value}"
