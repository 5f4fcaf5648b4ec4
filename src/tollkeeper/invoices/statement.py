"""A month of one balance: what was there, what came and went, what is there. It adds up, or raises.

Amounts are nanos of the balance's currency.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from tollkeeper.base.money import format_nanos
from tollkeeper.invoices.errors import StatementWrong
from tollkeeper.ledger import EntryKind

_MONTHS: Final = 12
_MONTH: Final = re.compile(r"[0-9]{4}-[0-9]{2}")
_SAID: Final = "must be a month such as 2026-11"


@dataclass(frozen=True, slots=True)
class Month:
    """A month of UTC: [start, until)."""

    start: datetime
    until: datetime

    @classmethod
    def read(cls, text: str) -> Month:
        """Read `2026-11`. Raises ValueError."""
        if _MONTH.fullmatch(text) is None:
            raise ValueError(_SAID)
        try:
            start = datetime(int(text[:4]), int(text[5:]), 1, tzinfo=UTC)
            years, month = divmod(start.month, _MONTHS)
            return cls(start, start.replace(year=start.year + years, month=month + 1))
        except ValueError:
            raise ValueError(_SAID) from None

    def __str__(self) -> str:
        return f"{self.start:%Y-%m}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """An entry other than consumption."""

    kind: str
    amount_nanos: int
    at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkuCost:
    """What was consumed of one SKU; `sku` is None for cost that no line of a record explains."""

    sku: str | None
    unit: str | None
    quantity: Decimal | None
    amount_nanos: int


class Bounds(NamedTuple):
    """Where a month lies in a wallet: (above, up to) of its entries and of its usage records."""

    opening_nanos: int
    closing_nanos: int
    entries: tuple[int, int]
    records: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """`complete` says whether the month was over. Consumption is positive: it is taken off."""

    org_id: UUID
    wallet_id: UUID
    livemode: bool
    currency: str
    month: Month
    made_at: datetime
    opening_nanos: int
    closing_nanos: int
    movements: tuple[Movement, ...]
    consumption: tuple[SkuCost, ...]
    consumed_nanos: int

    @property
    def complete(self) -> bool:
        return self.made_at >= self.month.until

    def total_of(self, *kinds: EntryKind) -> int:
        return sum(moved.amount_nanos for moved in self.movements if moved.kind in kinds)

    @property
    def purchased_nanos(self) -> int:
        return self.total_of(EntryKind.PURCHASE, EntryKind.AUTO_TOP_UP)

    @property
    def refunded_nanos(self) -> int:
        return self.total_of(EntryKind.REFUND, EntryKind.DISPUTE)

    @property
    def other_nanos(self) -> int:
        known = self.purchased_nanos + self.refunded_nanos
        return sum(moved.amount_nanos for moved in self.movements) - known


def check(statement: Statement) -> Statement:
    """Give the statement back if it adds up to the nano. Raises StatementWrong."""
    by_sku = sum(cost.amount_nanos for cost in statement.consumption)
    if by_sku != statement.consumed_nanos:
        raise StatementWrong(
            f"{statement.month}: usage records say that {format_nanos(by_sku)} was consumed,"
            f" entries say {format_nanos(statement.consumed_nanos)}"
        )
    moved = statement.purchased_nanos + statement.refunded_nanos + statement.other_nanos
    closing = statement.opening_nanos + moved - statement.consumed_nanos
    if closing != statement.closing_nanos:
        raise StatementWrong(
            f"{statement.month}: the movements lead to {format_nanos(closing)}, the ledger's"
            f" balance is {format_nanos(statement.closing_nanos)}"
        )
    return statement
