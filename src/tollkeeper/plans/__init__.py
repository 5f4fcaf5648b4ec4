"""What customers get for a monthly or yearly fee: allowances, their cycles, their overage."""

from tollkeeper.orgs import By
from tollkeeper.plans.book import PlanBook
from tollkeeper.plans.covering import Coverage
from tollkeeper.plans.cycles import Cycle, Interval, cycle_at
from tollkeeper.plans.drawing import (
    allowance_exhausted,
    bound_draws,
    consumable_of,
    draws_of,
    overage_of,
)
from tollkeeper.plans.errors import (
    AllowanceExhausted,
    AlreadySubscribed,
    CapacityExceeded,
    PlanBilled,
    PlanNotFound,
    PlanRetired,
    PlanVersionConflict,
    SubscriptionNotFound,
)
from tollkeeper.plans.levels import LevelHour, Reported, emit_due, list_levels, report_level
from tollkeeper.plans.model import (
    Consumable,
    Matcher,
    NewSubscription,
    PlanTerms,
    PlanVersion,
    Source,
    Status,
    Subscription,
    When,
)
from tollkeeper.plans.operator_routes import operator_plan_routes
from tollkeeper.plans.plan_file import (
    PlanIn,
    check_plan,
    read_plan_file,
    terms_in,
    write_plan_file,
)
from tollkeeper.plans.publishing import bring_back_plan, publish_plan, retire_plan
from tollkeeper.plans.routes import plan_routes
from tollkeeper.plans.shapes import BillingPlanOut, CancelPlan, PlanVersionOut, SetPlan
from tollkeeper.plans.showing import show_allowances, show_plan
from tollkeeper.plans.store import read_plans, read_subscription, subscription_by_ref
from tollkeeper.plans.subscribing import (
    cancel,
    cancel_plan,
    change,
    current_subscription,
    set_cycle,
    set_plan,
    set_status,
    subscribe,
)
from tollkeeper.plans.telling import allowance_chores
from tollkeeper.plans.terms import Terms

__all__ = [
    "AllowanceExhausted",
    "AlreadySubscribed",
    "BillingPlanOut",
    "By",
    "CancelPlan",
    "CapacityExceeded",
    "Consumable",
    "Coverage",
    "Cycle",
    "Interval",
    "LevelHour",
    "Matcher",
    "NewSubscription",
    "PlanBilled",
    "PlanBook",
    "PlanIn",
    "PlanNotFound",
    "PlanRetired",
    "PlanTerms",
    "PlanVersion",
    "PlanVersionConflict",
    "PlanVersionOut",
    "Reported",
    "SetPlan",
    "Source",
    "Status",
    "Subscription",
    "SubscriptionNotFound",
    "Terms",
    "When",
    "allowance_chores",
    "allowance_exhausted",
    "bound_draws",
    "bring_back_plan",
    "cancel",
    "cancel_plan",
    "change",
    "check_plan",
    "consumable_of",
    "current_subscription",
    "cycle_at",
    "draws_of",
    "emit_due",
    "list_levels",
    "operator_plan_routes",
    "overage_of",
    "plan_routes",
    "publish_plan",
    "read_plan_file",
    "read_plans",
    "read_subscription",
    "report_level",
    "retire_plan",
    "set_cycle",
    "set_plan",
    "set_status",
    "show_allowances",
    "show_plan",
    "subscribe",
    "subscription_by_ref",
    "terms_in",
    "write_plan_file",
]
