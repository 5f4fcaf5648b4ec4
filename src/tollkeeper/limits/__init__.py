"""How much may be used, of what, in which time: budgets and rates."""

from tollkeeper.limits.book import LimitBook
from tollkeeper.limits.model import Counter, Enforcement, Facts, Kind, Limit, Measure
from tollkeeper.limits.periods import Period, Span, span_at, zone_of
from tollkeeper.limits.watch import CycleStart

__all__ = [
    "Counter",
    "CycleStart",
    "Enforcement",
    "Facts",
    "Kind",
    "Limit",
    "LimitBook",
    "Measure",
    "Period",
    "Span",
    "span_at",
    "zone_of",
]
