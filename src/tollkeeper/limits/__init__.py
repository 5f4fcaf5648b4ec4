"""How much may be used, of what, in which time: budgets and rates."""

from tollkeeper.limits.acts import change as change_budget
from tollkeeper.limits.acts import create as create_budget
from tollkeeper.limits.acts import get as get_budget
from tollkeeper.limits.acts import remove as remove_budget
from tollkeeper.limits.acts import reset as reset_budget
from tollkeeper.limits.book import LimitBook
from tollkeeper.limits.errors import REFUSALS
from tollkeeper.limits.model import Counter, Enforcement, Facts, Kind, Limit, Measure
from tollkeeper.limits.operator_routes import operator_budget_routes
from tollkeeper.limits.periods import Period, Span, span_at, zone_of
from tollkeeper.limits.routes import budget_routes, page_of_budgets
from tollkeeper.limits.routes import show as show_budgets
from tollkeeper.limits.shapes import BudgetChange, BudgetIn, BudgetOut
from tollkeeper.limits.store import limits_of_keys as budgets_of_keys
from tollkeeper.limits.telling import limit_chores
from tollkeeper.limits.watch import Cycle

__all__ = [
    "REFUSALS",
    "BudgetChange",
    "BudgetIn",
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
    "budgets_of_keys",
    "change_budget",
    "create_budget",
    "get_budget",
    "limit_chores",
    "operator_budget_routes",
    "page_of_budgets",
    "remove_budget",
    "reset_budget",
    "show_budgets",
    "span_at",
    "zone_of",
]
