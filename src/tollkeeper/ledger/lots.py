"""Which credit paid for what: a pure function of the entries, computed when somebody asks.

Consumption between two other entries is one draw, and its size is the difference of the running
balances, so that no consumption entry is read however many calls there were.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from uuid import UUID

from tollkeeper.ledger.model import Entry, EntryKind, Lot, LotKind

_NEVER = datetime.max.replace(tzinfo=UTC)


def drawing_order(lot: Lot) -> tuple[int, datetime, bool, int, UUID]:
    """Priority, then expiry, then promotional first, then age, then id."""
    return (
        lot.priority,
        lot.expires_at or _NEVER,
        lot.kind is LotKind.PURCHASED,
        lot.entry_seq,
        lot.lot_id,
    )


@dataclass(slots=True)
class Drawn:
    """What is left of each lot. `remaining - debt = posted`, always.

    `debt` is spending that no lot covers yet (the next credit pays it first); below zero it is
    credit given back that belongs to no lot: it does not expire, and is spent first.
    """

    lots: dict[UUID, Lot] = field(default_factory=dict[UUID, Lot])
    remaining: dict[UUID, int] = field(default_factory=dict[UUID, int])
    spent: dict[UUID, int] = field(default_factory=dict[UUID, int])
    expired: dict[UUID, int] = field(default_factory=dict[UUID, int])
    taken_back: dict[UUID, int] = field(default_factory=dict[UUID, int])
    debt: int = 0
    # The expiries, by sequence, that took more than their lot had left, and what that was: never.
    expired_beyond: dict[int, int] = field(default_factory=dict[int, int])
    # In drawing order: all lots, and those that have something left, so that a year of top-ups
    # is not walked through at every step. The last is what is left of each kind of lot.
    order: list[Lot] = field(default_factory=list[Lot])
    left: list[Lot] = field(default_factory=list[Lot])
    left_of: dict[LotKind, int] = field(default_factory=lambda: dict.fromkeys(LotKind, 0))


def draw(lots: Iterable[Lot], movements: Iterable[Entry], posted: int) -> Drawn:
    """Assign every debit to lots. `movements` are the entries but consumption, by sequence."""
    drawn = Drawn()
    for _ in replay(drawn, lots, chain(movements, [posted])):
        pass
    return drawn


def replay(
    drawn: Drawn, lots: Iterable[Lot], steps: Iterable[Entry | int]
) -> Iterator[Entry | int | None]:
    """Fill `drawn` step by step. A number among the steps is a balance that was reached there.

    Yields None when consumption has been assigned, and each step when it has been taken.
    """
    by_id = {lot.lot_id: lot for lot in lots}
    balance = 0
    for step in steps:
        before = step if isinstance(step, int) else step.balance_after - step.amount
        if before != balance:
            _spend(drawn, balance - before)
            yield None
        balance = before
        if not isinstance(step, int):
            _apply(drawn, step, by_id)
            balance = step.balance_after
        yield step


def _apply(drawn: Drawn, entry: Entry, lots: Mapping[UUID, Lot]) -> None:
    if entry.lot_id == entry.entry_id and entry.entry_id in lots:
        _arrive(drawn, lots[entry.entry_id])
    elif entry.amount > 0:
        _give_back(drawn, entry)
    elif entry.lot_id is None:
        _spend(drawn, -entry.amount)
    else:
        _take_from(drawn, entry, entry.lot_id)


def _arrive(drawn: Drawn, lot: Lot) -> None:
    pays_debt = min(max(drawn.debt, 0), lot.amount)
    drawn.lots[lot.lot_id] = lot
    drawn.remaining[lot.lot_id] = 0
    drawn.spent[lot.lot_id] = pays_debt
    drawn.expired[lot.lot_id] = drawn.taken_back[lot.lot_id] = 0
    drawn.debt -= pays_debt
    insort(drawn.order, lot, key=drawing_order)
    _refill(drawn, lot, lot.amount - pays_debt)


def _spend(drawn: Drawn, amount: int) -> None:
    loose = min(max(-drawn.debt, 0), amount)
    drawn.debt += loose
    amount -= loose
    while amount and drawn.left:
        lot = drawn.left[0]
        part = min(drawn.remaining[lot.lot_id], amount)
        drawn.spent[lot.lot_id] += part
        _empty(drawn, lot, part)
        amount -= part
    drawn.debt += amount


def _take_from(drawn: Drawn, entry: Entry, lot_id: UUID) -> None:
    left = drawn.remaining.get(lot_id, 0)
    part = min(left, -entry.amount)
    expires = entry.kind is EntryKind.EXPIRY
    if expires and part < -entry.amount:
        drawn.expired_beyond[entry.seq] = left
    if part:
        (drawn.expired if expires else drawn.taken_back)[lot_id] += part
        _empty(drawn, drawn.lots[lot_id], part)
    _spend(drawn, -entry.amount - part)


def _give_back(drawn: Drawn, entry: Entry) -> None:
    """Return credit: what was taken from a lot to that lot, then a debt, then what was spent last.

    While there is a debt no lot keeps anything. A lot whose day has passed gets nothing back: it
    would only expire again.
    """
    amount = entry.amount
    lot = None if entry.lot_id is None else drawn.lots.get(entry.lot_id)
    if lot is not None and _is_good(lot, entry):
        part = min(drawn.taken_back[lot.lot_id], amount)
        drawn.taken_back[lot.lot_id] -= part
        _refill(drawn, lot, part)
        amount -= part
        owed = max(drawn.debt, 0)
        drawn.debt -= owed
        _spend(drawn, owed)
    pays_debt = min(max(drawn.debt, 0), amount)
    drawn.debt -= pays_debt
    amount -= pays_debt
    for spent in reversed(drawn.order):
        if amount == 0:
            return
        if _is_good(spent, entry):
            part = min(drawn.spent[spent.lot_id], amount)
            drawn.spent[spent.lot_id] -= part
            _refill(drawn, spent, part)
            amount -= part
    drawn.debt -= amount


def _is_good(lot: Lot, entry: Entry) -> bool:
    return lot.expires_at is None or lot.expires_at > entry.posted_at


def _refill(drawn: Drawn, lot: Lot, amount: int) -> None:
    if amount and not drawn.remaining[lot.lot_id]:
        insort(drawn.left, lot, key=drawing_order)
    drawn.remaining[lot.lot_id] += amount
    drawn.left_of[lot.kind] += amount


def _empty(drawn: Drawn, lot: Lot, amount: int) -> None:
    drawn.remaining[lot.lot_id] -= amount
    drawn.left_of[lot.kind] -= amount
    if not drawn.remaining[lot.lot_id]:
        drawn.left.remove(lot)
