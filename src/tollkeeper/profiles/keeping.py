"""Keeping a profile: checked whole, written whole, and told to whoever needs to know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID

from tollkeeper import orgs
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.db import Connection
from tollkeeper.profiles import store
from tollkeeper.profiles.addresses import check_address
from tollkeeper.profiles.model import Address, BuyerKind, Profile, TaxId
from tollkeeper.profiles.tax_ids import check_tax_ids

# Hears of a profile in the transaction that keeps it.
Saved = Callable[[Connection, Profile], Awaitable[object]]


async def keep(
    tx: Connection,
    org_id: UUID,
    *,
    name: str,
    kind: BuyerKind,
    address: Address,
    tax_ids: Sequence[TaxId],
    emails: Sequence[str],
    now: datetime,
    saved: Saved | None,
) -> Profile:
    """Raises InvalidRequest, naming each field that is wrong."""
    checked = check_address(address)
    profile = Profile(
        org_id=org_id,
        name=name.strip(),
        kind=kind,
        address=checked,
        tax_ids=check_tax_ids(tax_ids, checked.country),
        emails=tuple(dict.fromkeys(emails)),
        updated_at=now,
    )
    await store.write_profile(tx, profile)
    if saved is not None:
        await saved(tx, profile)
    return profile


async def amend_profile(
    tx: Connection,
    org_id: UUID,
    address: Address | None,
    tax_id: TaxId | None,
    now: datetime,
    saved: Saved | None = None,
    *,
    name: str | None = None,
) -> Profile:
    """Keep what somebody says while buying, beside what is known. Raises InvalidRequest."""
    known = await store.read_profile(tx, org_id)
    if address is None and known is None:
        said = "is required with a tax id, while there is no billing profile"
        raise InvalidRequest(f"billingAddress: {said}", {"billingAddress": [said]})
    if address is None:
        address = known.address if known is not None else None
    assert address is not None  # noqa: S101 (one of the two)
    tax_ids = () if known is None or known.address.country != address.country else known.tax_ids
    if name is None:
        name = known.name if known is not None else (await orgs.get_org(tx, org_id)).name
    return await keep(
        tx,
        org_id,
        name=name,
        kind=BuyerKind.BUSINESS if known is None or tax_id is not None else known.kind,
        address=address,
        tax_ids=tax_ids if tax_id is None else (*tax_ids, tax_id),
        emails=() if known is None else known.emails,
        now=now,
        saved=saved,
    )
