"""What people do with budgets. Each act runs in the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper import orgs
from tollkeeper.base.check import Faults
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection
from tollkeeper.http import invalid
from tollkeeper.limits import store
from tollkeeper.limits.errors import BudgetNotFound, TooManyBudgets
from tollkeeper.limits.model import Enforcement, Limit
from tollkeeper.limits.periods import zone_of

MOST: Final = 1_000


class Change(Struct, frozen=True, kw_only=True):
    """What a budget is to become: None leaves a thing as it is."""

    name: str | None = None
    amount: int | None = None
    enforcement: Enforcement | None = None
    tolerance_percent: int | None = None
    alert_percents: tuple[int, ...] | None = None


async def create(tx: Connection, new: Limit) -> Limit:
    """Raises TooManyBudgets, and InvalidRequest with each thing that is named and not there."""
    await _check(tx, new)
    if await store.insert_limit(tx, new):
        if await store.count_limits(tx, new.org_id) > MOST:
            raise TooManyBudgets(
                f"There are {MOST} budgets already; remove one, or count apart with `each`"
            )
        return new
    return await get(tx, new.org_id, new.limit_id)  # the request ran before, and is run again


async def get(tx: Connection, org_id: UUID, limit_id: UUID) -> Limit:
    """Raises BudgetNotFound."""
    return _there(await store.read_limit(tx, org_id, limit_id), limit_id)


async def change(tx: Connection, org_id: UUID, limit_id: UUID, change: Change) -> Limit:
    """Raises BudgetNotFound. What has been used stays used."""
    known = _there(await store.lock_limit(tx, org_id, limit_id), limit_id)
    given = {
        name: value
        for name in change.__struct_fields__
        if (value := getattr(change, name)) is not None
    }
    return _there(await store.change_limit(tx, replace(known, **given)), limit_id)


async def remove(tx: Connection, org_id: UUID, limit_id: UUID, now: datetime) -> None:
    """Raises BudgetNotFound."""
    if not await store.delete_limit(tx, org_id, limit_id, now):
        raise not_found(limit_id)


async def reset(
    tx: Connection,
    org_id: UUID,
    limit_id: UUID,
    subject: str | None,
    *,
    livemode: bool,
    now: datetime,
) -> Limit:
    """Count anew from now on: all of it, or what is counted apart for one subject.

    Raises BudgetNotFound, and NotFound for a subject of which nothing has been counted.
    """
    if subject is None:
        begun = await store.reset_limit(tx, org_id, limit_id, livemode=livemode, now=now)
        return _there(begun, limit_id)
    known = await get(tx, org_id, limit_id)
    if known.each is None:
        raise invalid({"subject": ["is for a budget with `each`; this one counts all together"]})
    if not await store.reset_subject(tx, known, subject, livemode=livemode, now=now):
        raise NotFound(f"Nothing has been counted for {subject[:200]!r}")
    return known


async def _check(tx: Connection, new: Limit) -> None:
    faults: Faults = {}
    try:
        zone_of(new.time_zone)
    except ValueError as fault:
        faults["timeZone"] = [str(fault)]
    readers = [
        ("projectId", "project", new.project_id, orgs.get_project),
        ("apiKeyId", "API key", new.key_id, orgs.get_key),
        ("memberId", "member", new.member_id, orgs.get_member),
    ]
    for field, noun, named, read in readers:
        if named is None:
            continue
        try:
            await read(tx, new.org_id, named)
        except NotFound:
            faults[field] = [f"names no {noun} of this organization"]
    if faults:
        raise invalid(faults)


def _there(found: Limit | None, limit_id: UUID) -> Limit:
    if found is None:
        raise not_found(limit_id)
    return found


def not_found(limit_id: UUID) -> BudgetNotFound:
    return BudgetNotFound(f"There is no budget {show_id('bud', limit_id)}")
