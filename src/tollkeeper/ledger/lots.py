"""Which credit paid for what: a pure function of the entries, computed when somebody asks.

Consumption between two other entries is one draw, and its size is the difference of the running
balances, so that no consumption entry is read however many calls there were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
    credit given back that fits in no lot.
    """

    lots: dict[UUID, Lot] = field(default_factory=dict[UUID, Lot])
    remaining: dict[UUID, int] = field(default_factory=dict[UUID, int])
    spent: dict[UUID, int] = field(default_factory=dict[UUID, int])
    expired: dict[UUID, int] = field(default_factory=dict[UUID, int])
    taken_back: dict[UUID, int] = field(default_factory=dict[UUID, int])
    debt: int = 0


def draw(lots: Iterable[Lot], movements: Iterable[Entry], posted: int) -> Drawn:
    """Assign every debit to lots. `movements` are the entries but consumption, by sequence."""
    by_id = {lot.lot_id: lot for lot in lots}
    drawn = Drawn()
    balance = 0
    for entry in movements:
        _spend(drawn, balance - (entry.balance_after - entry.amount))
        _apply(drawn, entry, by_id)
        balance = entry.balance_after
    _spend(drawn, balance - posted)
    return drawn


def _apply(drawn: Drawn, entry: Entry, lots: dict[UUID, Lot]) -> None:
    if entry.lot_id == entry.entry_id and entry.entry_id in lots:
        _arrive(drawn, lots[entry.entry_id])
    elif entry.amount > 0:
        _give_back(drawn, entry.amount, entry.lot_id)
    elif entry.lot_id is None:
        _spend(drawn, -entry.amount)
    else:
        _take_from(drawn, entry.lot_id, -entry.amount, expiry=entry.kind is EntryKind.EXPIRY)


def _arrive(drawn: Drawn, lot: Lot) -> None:
    pays_debt = min(max(drawn.debt, 0), lot.amount)
    drawn.lots[lot.lot_id] = lot
    drawn.remaining[lot.lot_id] = lot.amount - pays_debt
    drawn.spent[lot.lot_id] = pays_debt
    drawn.expired[lot.lot_id] = drawn.taken_back[lot.lot_id] = 0
    drawn.debt -= pays_debt


def _spend(drawn: Drawn, amount: int) -> None:
    loose = min(max(-drawn.debt, 0), amount)
    drawn.debt += loose
    amount -= loose
    for lot in _ordered(drawn):
        if amount == 0:
            return
        part = min(drawn.remaining[lot.lot_id], amount)
        drawn.remaining[lot.lot_id] -= part
        drawn.spent[lot.lot_id] += part
        amount -= part
    drawn.debt += amount


def _take_from(drawn: Drawn, lot_id: UUID, amount: int, *, expiry: bool) -> None:
    part = min(drawn.remaining.get(lot_id, 0), amount)
    if part:
        drawn.remaining[lot_id] -= part
        (drawn.expired if expiry else drawn.taken_back)[lot_id] += part
    _spend(drawn, amount - part)


def _give_back(drawn: Drawn, amount: int, lot_id: UUID | None) -> None:
    """Return credit: to the lot it was taken from, else in the reverse of the drawing order."""
    if lot_id is not None and lot_id in drawn.lots:
        part = min(drawn.taken_back[lot_id], amount)
        drawn.taken_back[lot_id] -= part
        drawn.remaining[lot_id] += part
        amount -= part
    pays_debt = min(max(drawn.debt, 0), amount)
    drawn.debt -= pays_debt
    amount -= pays_debt
    for lot in reversed(list(_ordered(drawn))):
        part = min(drawn.spent[lot.lot_id], amount)
        drawn.spent[lot.lot_id] -= part
        drawn.remaining[lot.lot_id] += part
        amount -= part
    drawn.debt -= amount


def _ordered(drawn: Drawn) -> Iterator[Lot]:
    yield from sorted(drawn.lots.values(), key=drawing_order)
