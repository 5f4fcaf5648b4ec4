"""How much may be used, of what, in which time: budgets and rates."""

from tollkeeper.limits.book import LimitBook
from tollkeeper.limits.errors import REFUSALS
from tollkeeper.limits.model import Counter, Enforcement, Facts, Kind, Limit, Measure
from tollkeeper.limits.operator_routes import operator_budget_routes
from tollkeeper.limits.periods import Period, Span, span_at, zone_of
from tollkeeper.limits.routes import budget_routes, page_of_budgets
from tollkeeper.limits.shapes import BudgetOut
from tollkeeper.limits.telling import limit_chores
from tollkeeper.limits.watch import Cycle

__all__ = [
    "REFUSALS",
    "BudgetOut",
    "Counter",
    "Cycle",
    "Enforcement",
    "Facts",
    "Kind",
    "Limit",
    "LimitBook",
    "Measure",
    "Period",
    "Span",
    "budget_routes",
    "limit_chores",
    "operator_budget_routes",
    "page_of_budgets",
    "span_at",
    "zone_of",
]
