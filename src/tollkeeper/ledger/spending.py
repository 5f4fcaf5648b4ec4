"""Hold, charge, void, expire: many items at a time, each with its own outcome.

Each runs on a connection that commits by itself, since it may have to run more than once; what
has been done stays done, and asking again with the same ids gives the same answer. Items of one
wallet are decided in their order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.ledger import counting, expiry, store
from tollkeeper.ledger.counting import Shorts
from tollkeeper.ledger.model import (
    ChargeOutcome,
    ChargeResult,
    EndOutcome,
    HoldOutcome,
    HoldResult,
    NewCharge,
    NewHold,
    Short,
)

Item = TypeVar("Item", NewHold, NewCharge)
Row = TypeVar("Row", bound=tuple[object, ...])
Name = tuple[UUID, UUID, UUID]  # organization, wallet, hold
HoldRow = tuple[str, int, Shorts, int]

_UNDECIDED: Final = ("expiry_due", "again", "tight", "uncounted")


async def hold(connection: Connection, items: Sequence[NewHold], now: datetime) -> list[HoldResult]:
    """Reserve. What the spendable balance does not cover is `insufficient` and changes nothing."""

    async def attempt(part: Sequence[NewHold], suppose: bool) -> list[HoldRow]:
        rows = await store.hold(connection, part, now, suppose=suppose)
        return await _take_back_charged(connection, part, rows, now)

    rows = await _until_decided(connection, items, attempt, now)
    return [
        HoldResult(
            outcome=HoldOutcome(outcome),
            spendable=spendable,
            amount=amount,
            limits=_shorts(limits),
        )
        for outcome, spendable, limits, amount in rows
    ]


async def settle(
    connection: Connection, items: Sequence[NewCharge], now: datetime
) -> list[ChargeResult]:
    """Charge calls that have happened: always posts, past the hold and below zero if need be.

    `insufficient` is what would sink the balance below -`MAX_NANOS`, and nothing else.
    """
    results = await _charge(connection, items, now, must_fit=False)
    late = [
        (item.org_id, item.wallet_id, item.hold_id)
        for item, result in zip(items, results, strict=True)
        if result.outcome is ChargeOutcome.POSTED_LATE and item.hold_id is not None
    ]
    if late:
        # A hold placed while the statement waited for its lock was not seen by it.
        await void(connection, late, now)
    return results


async def charge(
    connection: Connection, items: Sequence[NewCharge], now: datetime
) -> list[ChargeResult]:
    """Hold and settle in one: what the spendable balance does not cover is refused."""
    return await _charge(connection, items, now, must_fit=True)


async def void(connection: Connection, holds: Sequence[Name], now: datetime) -> list[EndOutcome]:
    """Give holds back. Each is (organization, wallet, hold); one that has ended stays as it is."""
    decided: dict[int, str] = {}
    pending = list(range(len(holds)))
    while pending:
        outcomes = await store.end_holds(
            connection, [holds[place] for place in pending], now, expire=False
        )
        decided.update(zip(pending, outcomes, strict=True))
        pending = [place for place in pending if decided[place] == "again"]
    return [EndOutcome(decided[place]) for place in range(len(holds))]


async def expire_holds(connection: Connection, now: datetime, *, limit: int = 500) -> int:
    """End the holds whose time is over. Returns how many; call again while it equals `limit`."""
    due = await store.due_holds(connection, now, limit)
    if due:
        await store.end_holds(connection, due, now, expire=True)
    return len(due)


async def _charge(
    connection: Connection, items: Sequence[NewCharge], now: datetime, *, must_fit: bool
) -> list[ChargeResult]:
    async def attempt(
        part: Sequence[NewCharge], suppose: bool
    ) -> list[tuple[str, int, int, int, Shorts]]:
        return await store.charge(connection, part, now, must_fit=must_fit, suppose=suppose)

    rows = await _until_decided(connection, items, attempt, now)
    return [
        ChargeResult(
            outcome=ChargeOutcome(outcome),
            amount=amount,
            balance_after=balance_after,
            spendable=spendable,
            limits=_shorts(limits),
        )
        for outcome, amount, balance_after, spendable, limits in rows
    ]


def _shorts(limits: Shorts) -> tuple[Short, ...]:
    return tuple(Short(UUID(limit), room, asked) for limit, room, asked in limits)


async def _until_decided(
    connection: Connection,
    items: Sequence[Item],
    attempt: Callable[[Sequence[Item], bool], Awaitable[list[Row]]],
    now: datetime,
) -> list[Row]:
    """Run `attempt` until every item has an outcome of its own.

    Sent again: the second of two with the same id (it must see the first), one that did not fit
    beside its neighbours, one whose wallet has credit that must expire first, one of whose
    organization a counter is gone. The first round
    supposes that what is counted has room, but not of who lately had none.
    """
    tight = counting.tight_orgs(connection, now)
    decided: dict[int, Row] = {}
    pending: list[int] = list(range(len(items)))
    # A round decides the first item of every wallet, unless its credit is due to expire or it
    # lost a race, so that a thousand more are never needed.
    for round_ in range(len(items) + 1_000):
        if not pending:
            return [decided[place] for place in range(len(items))]
        suppose = round_ == 0
        asked = [place for place in pending if not (suppose and items[place].org_id in tight)]
        rows = await attempt([items[place] for place in asked], suppose) if asked else []
        decided.update(zip(asked, rows, strict=True))
        due = {
            (items[place].org_id, items[place].wallet_id)
            for place in asked
            if decided[place][0] == "expiry_due"
        }
        for org_id, wallet_id in sorted(due):
            await expiry.expire_lots(connection, org_id, wallet_id, now)
        if any(decided[place][0] == "uncounted" for place in asked):
            counting.forget_counters(connection)
        for place in asked:
            if decided[place][0] == "tight":
                counting.keep_tight(tight, items[place].org_id, now)
        pending = [p for p in pending if p not in decided or decided[p][0] in _UNDECIDED]
    raise RuntimeError(f"{len(pending)} of {len(items)} items are still undecided")


async def _take_back_charged(
    connection: Connection,
    items: Sequence[NewHold],
    rows: list[HoldRow],
    now: datetime,
) -> list[HoldRow]:
    """Look again at holds whose wallet was charged while the statement waited for its lock.

    One of those charges may have been the call that the hold is for.
    """
    doubtful = [place for place, row in enumerate(rows) if row[0] == "placed_unless_charged"]
    if not doubtful:
        return rows
    names = [(items[p].org_id, items[p].wallet_id, items[p].hold_id) for p in doubtful]
    charged = set(await store.charged_among(connection, names))
    if charged:
        await void(connection, [name for name in names if name in charged], now)
    sure = list(rows)
    for place, name in zip(doubtful, names, strict=True):
        sure[place] = ("already_charged" if name in charged else "placed", *rows[place][1:])
    return sure
