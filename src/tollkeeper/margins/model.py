"""The words of this room. Amounts of money are nanos of USD."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from msgspec import Struct

Grouping = Literal["organization", "model", "provider", "day"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Calls that began in [since, until)."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What calls came to. `cost` is of those whose cost is known, `charged` of all."""

    org_id: UUID
    provider: str
    model: str
    day: date
    calls: int
    charged: int
    cost: int
    unknown_calls: int
    unknown_charged: int
    tokens: int


@dataclass(slots=True)
class Margin:
    """Sums of parts under one key."""

    calls: int = 0
    charged: int = 0
    cost: int = 0
    unknown_calls: int = 0
    unknown_charged: int = 0
    tokens: int = 0

    @property
    def margin(self) -> int:
        """Of the calls whose cost is known."""
        return self.charged - self.unknown_charged - self.cost

    def add(self, part: Part) -> None:
        self.calls += part.calls
        self.charged += part.charged
        self.cost += part.cost
        self.unknown_calls += part.unknown_calls
        self.unknown_charged += part.unknown_charged
        self.tokens += part.tokens


class Measure(StrEnum):
    COST = "cost"
    TOKENS = "tokens"


class Bucket(Struct, frozen=True, kw_only=True):
    """What a provider says of one of its days (UTC) and models: nanos of USD, or tokens.

    `model` is in the provider's words, '' where it names none.
    """

    provider: str
    day: date
    measure: Measure
    model: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One day of a model: what its calls cost by the price book, and by the provider."""

    day: date
    provider: str
    model: str
    ours: int
    theirs: int
    tokens_ours: int
    tokens_theirs: int | None
    beyond: bool

    @property
    def difference(self) -> int:
        return self.theirs - self.ours
