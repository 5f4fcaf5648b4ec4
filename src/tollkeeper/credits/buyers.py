"""Who buys, and what taxes that means, at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from msgspec.structs import replace

from tollkeeper import orgs, profiles
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.settings import TaxRule
from tollkeeper.credits.introducing import introduce_later
from tollkeeper.credits.model import Buyer, Shop, Tax
from tollkeeper.db import Connection
from tollkeeper.orgs import By
from tollkeeper.profiles import Address, TaxId


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


async def keep_buyer(
    shop: Shop,
    org_id: UUID,
    address: Address | None,
    tax_id: TaxId | None,
    name: str | None = None,
    *,
    by: By | None = None,
) -> None:
    """Keep who buys in the billing profile, before the order that it is part of.

    Raises InvalidRequest; its faults name the fields of an order (`billingAddress.city`).
    """
    try:
        async with shop.till.database.transaction() as tx:
            now = shop.till.clock.now()
            before = await profiles.read_profile(tx, org_id)
            after = await profiles.amend_profile(
                tx, org_id, address, tax_id, now, introduce_later, name=name
            )
            if before is None or replace(before, updated_at=now) != after:
                country = after.address.country
                await orgs.note(tx, by, "billing_profile.update", org_id, now, country=country)
    except InvalidRequest as error:
        raise as_ordered(error) from None


def as_ordered(error: InvalidRequest) -> InvalidRequest:
    """Name fields of a profile as an order has them: the tax id that came last is the order's."""
    faults = {_ordered_name(name): said for name, said in error.faults.items()}
    name, said = next(iter(faults.items()))
    return InvalidRequest(f"{name}: {said[0]}", faults)


def _ordered_name(name: str) -> str:
    if name.startswith("address."):
        return f"billingAddress.{name.removeprefix('address.')}"
    return f"taxId.{name.rpartition('.')[2]}" if name.startswith("taxIds.") else name


def _shown(tax_id: TaxId) -> str:
    """As invoices name it: VAT ID IE6433435F, ABN 83 914 571 673."""
    kind = tax_id.type.partition("_")[2].upper().replace("_", "/")
    return f"{'VAT ID' if kind == 'VAT' else kind} {tax_id.value}"
