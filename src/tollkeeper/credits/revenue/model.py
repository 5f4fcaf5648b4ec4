"""Credit as an accountant sees it: what is deferred, what was earned of it, and what lapsed.

For each month and currency

    opening + purchased - refunded - disputed + granted - earned - breakage + adjusted = closing

and closing is what all balances were, together, when the month ended. Amounts are nanos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from tollkeeper.ledger import Account, Drawn, Entry, Lot, LotKind, replay

_MONTHS = 12


class Funding(StrEnum):
    """What credit is: bought, given away, or neither.

    `other` is spending that no lot covers yet (below zero), and corrections that belong to none.
    """

    PURCHASED = "purchased"
    PROMOTIONAL = "promotional"
    OTHER = "other"


def next_month(month: datetime) -> datetime:
    years, before = divmod(month.month, _MONTHS)
    return month.replace(year=month.year + years, month=before + 1)


def months_of(first: datetime, last: datetime) -> list[datetime]:
    """The beginnings, in UTC, of all months from one to another, and of the one after them."""
    found = [first.astimezone(UTC)]
    while found[-1] <= last:
        found.append(next_month(found[-1]))
    return found


Flows = dict[Account, dict[Funding, int]]


def _no_flows() -> Flows:
    return {account: dict.fromkeys(Funding, 0) for account in Account}


@dataclass(slots=True)
class Month:
    """What there was at its beginning, and what moved it, by counter-account and by funding."""

    opening: dict[Funding, int] = field(default_factory=lambda: dict.fromkeys(Funding, 0))
    flows: Flows = field(default_factory=_no_flows)

    def add(self, other: Month) -> None:
        for funding, nanos in other.opening.items():
            self.opening[funding] += nanos
        for account, parts in other.flows.items():
            for funding, nanos in parts.items():
                self.flows[account][funding] += nanos

    def moved(self, account: Account) -> int:
        """By how much an account has raised the balances."""
        return sum(self.flows[account].values())

    @property
    def closing(self) -> dict[Funding, int]:
        return {
            funding: nanos + sum(parts[funding] for parts in self.flows.values())
            for funding, nanos in self.opening.items()
        }


@dataclass(frozen=True, slots=True)
class Reached:
    """The entries before a moment, by their number, and the balance that they led to."""

    seq: int
    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Of one wallet: its lots, its entries other than consumption, and where each month began."""

    org_id: UUID
    wallet_id: UUID
    currency: str
    lots: Sequence[Lot]
    movements: Sequence[Entry]
    reached: Sequence[Reached]


def months_in(book: Book) -> list[Month]:
    """A month for each moment that the book has but the last, which ends the last one."""
    months: list[Month] = []
    walk = _Walk(lots={lot.lot_id: lot for lot in book.lots})
    for step in replay(walk.drawn, book.lots, _steps(book)):
        if step is None or isinstance(step, Entry):
            walk.take(step)
        else:
            months.append(walk.begin())
    return months[:-1]


def _steps(book: Book) -> Iterator[Entry | int]:
    """The movements in their order, and the balance of each moment where it lies among them."""
    movements = iter(book.movements)
    following = next(movements, None)
    for reached in book.reached:
        while following is not None and following.seq <= reached.seq:
            yield following
            following = next(movements, None)
        yield reached.balance


@dataclass(slots=True)
class _Walk:
    lots: dict[UUID, Lot]
    drawn: Drawn = field(default_factory=Drawn)
    month: Month = field(default_factory=Month)
    before: dict[Funding, int] = field(default_factory=lambda: dict.fromkeys(Funding, 0))
    # How much of the debt is calls that were answered: earned, but not yet out of any credit. It
    # is what is paid first.
    owed: int = 0

    def begin(self) -> Month:
        self.month = Month(opening=dict(self.before))
        return self.month

    def take(self, entry: Entry | None) -> None:
        account = Account.REVENUE if entry is None else entry.account
        now = _left(self.drawn)
        parts = self.month.flows[account]
        debt, debt_before = max(-now[Funding.OTHER], 0), max(-self.before[Funding.OTHER], 0)
        for funding, nanos in now.items():
            parts[funding] += nanos - self.before[funding]
        if entry is None:
            self.owed += debt - debt_before
        else:
            self._pay(entry, min(max(debt_before - debt, 0), self.owed))
        self.before = now

    def _pay(self, entry: Entry, nanos: int) -> None:
        """Credit that pays for earlier calls was that kind of credit, and has been earned."""
        self.owed -= nanos
        lot = None if entry.lot_id is None else self.lots.get(entry.lot_id)
        if lot is None or entry.account is Account.REVENUE:
            return
        funding = _funding(lot.kind)
        for account, paid in ((entry.account, nanos), (Account.REVENUE, -nanos)):
            self.month.flows[account][funding] += paid
            self.month.flows[account][Funding.OTHER] -= paid


def _left(drawn: Drawn) -> dict[Funding, int]:
    left = dict.fromkeys(Funding, 0)
    for kind, nanos in drawn.left_of.items():
        left[_funding(kind)] += nanos
    left[Funding.OTHER] = -drawn.debt
    return left


def _funding(kind: LotKind) -> Funding:
    return Funding.PURCHASED if kind is LotKind.PURCHASED else Funding.PROMOTIONAL
