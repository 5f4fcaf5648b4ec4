"""Hold, charge, void, expire: many items at a time, each with its own outcome.

Each runs on a connection that commits by itself, since it may have to run more than once; what
has been done stays done, and asking again with the same ids gives the same answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.ledger import expiry, store
from tollkeeper.ledger.model import (
    ChargeOutcome,
    ChargeResult,
    EndOutcome,
    HoldOutcome,
    HoldResult,
    NewCharge,
    NewHold,
)

Item = TypeVar("Item", NewHold, NewCharge)
Row = TypeVar("Row", bound=tuple[object, ...])

# Each round settles the fate of at least one item of every wallet, and nearly always of all.
_MAX_ROUNDS: Final = 1_000


async def hold(connection: Connection, items: Sequence[NewHold], now: datetime) -> list[HoldResult]:
    """Reserve. What the spendable balance does not cover is `insufficient` and changes nothing."""

    async def attempt(part: Sequence[NewHold]) -> list[tuple[str, int]]:
        return await store.hold(connection, part, now)

    rows = await _until_decided(connection, items, lambda item: item.hold_id, attempt, now)
    return [
        HoldResult(outcome=HoldOutcome(outcome), spendable=spendable) for outcome, spendable in rows
    ]


async def settle(
    connection: Connection, items: Sequence[NewCharge], now: datetime
) -> list[ChargeResult]:
    """Charge calls that have happened: always posts, past the hold and below zero if need be."""
    return await _charge(connection, items, now, must_fit=False)


async def charge(
    connection: Connection, items: Sequence[NewCharge], now: datetime
) -> list[ChargeResult]:
    """Hold and settle in one: what the spendable balance does not cover is refused."""
    return await _charge(connection, items, now, must_fit=True)


async def void(
    connection: Connection, holds: Sequence[tuple[UUID, UUID, UUID]], now: datetime
) -> list[EndOutcome]:
    """Give holds back. Each is (organization, wallet, hold); one that has ended stays as it is."""
    return await store.end_holds(connection, holds, now, expire=False)


async def expire_holds(connection: Connection, now: datetime, *, limit: int = 500) -> int:
    """End the holds whose time is over. Returns how many; call again while it equals `limit`."""
    due = await store.due_holds(connection, now, limit)
    if due:
        await store.end_holds(connection, due, now, expire=True)
    return len(due)


async def _charge(
    connection: Connection, items: Sequence[NewCharge], now: datetime, *, must_fit: bool
) -> list[ChargeResult]:
    async def attempt(part: Sequence[NewCharge]) -> list[tuple[str, int, int, int]]:
        return await store.charge(connection, part, now, must_fit=must_fit)

    rows = await _until_decided(connection, items, lambda item: item.usage_id, attempt, now)
    return [
        ChargeResult(
            outcome=ChargeOutcome(outcome),
            amount=amount,
            balance_after=balance_after,
            spendable=spendable,
        )
        for outcome, amount, balance_after, spendable in rows
    ]


async def _until_decided(
    connection: Connection,
    items: Sequence[Item],
    identity: Callable[[Item], UUID],
    attempt: Callable[[Sequence[Item]], Awaitable[list[Row]]],
    now: datetime,
) -> list[Row]:
    """Run `attempt` until every item has an outcome of its own.

    Sent again: an item whose id is in the batch twice (the second must see the first), one that
    did not fit beside its neighbours, one whose wallet has credit that must expire first.
    """
    decided: dict[int, Row] = {}
    pending = list(range(len(items)))
    for _ in range(_MAX_ROUNDS):
        if not pending:
            return [decided[place] for place in range(len(items))]
        batch, later = _once_each(items, pending, identity)
        rows = await attempt([items[place] for place in batch])
        for place, row in zip(batch, rows, strict=True):
            if row[0] == "expiry_due":
                item = items[place]
                await expiry.expire_lots(connection, item.org_id, item.wallet_id, now)
                later.append(place)
            elif row[0] == "again":
                later.append(place)
            else:
                decided[place] = row
        pending = sorted(later)
    raise RuntimeError(f"{len(pending)} items undecided after {_MAX_ROUNDS} rounds")


def _once_each(
    items: Sequence[Item],
    places: Sequence[int],
    identity: Callable[[Item], UUID],
) -> tuple[list[int], list[int]]:
    seen: set[tuple[UUID, UUID]] = set()
    first: list[int] = []
    repeated: list[int] = []
    for place in places:
        key = (items[place].org_id, identity(items[place]))
        (repeated if key in seen else first).append(place)
        seen.add(key)
    return first, repeated
