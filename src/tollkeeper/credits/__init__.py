"""Money becomes credit."""

from tollkeeper.credits.errors import AmountOutOfRange, PaymentsNotConfigured
from tollkeeper.credits.purchases import Limits
from tollkeeper.credits.reconciling import (
    Difference,
    Reconciliation,
    ReconciliationOut,
    Window,
    reconcile,
    reconciliation_chores,
    reconciliation_routes,
    reconciliation_schedules,
    usual_window,
)
from tollkeeper.credits.routes import purchase_routes

__all__ = [
    "AmountOutOfRange",
    "Difference",
    "Limits",
    "PaymentsNotConfigured",
    "Reconciliation",
    "ReconciliationOut",
    "Window",
    "purchase_routes",
    "reconcile",
    "reconciliation_chores",
    "reconciliation_routes",
    "reconciliation_schedules",
    "usual_window",
]
