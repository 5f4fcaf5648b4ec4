"""Comparing the processors' books with ours: every difference is named, with what to do."""

from tollkeeper.credits.reconciling.comparing import reconcile
from tollkeeper.credits.reconciling.daily import (
    compare_as_usual,
    reconciliation_chores,
    reconciliation_schedules,
    usual_window,
)
from tollkeeper.credits.reconciling.model import Difference, Reconciliation, Window
from tollkeeper.credits.reconciling.routes import ReconciliationOut, reconciliation_routes

__all__ = [
    "Difference",
    "Reconciliation",
    "ReconciliationOut",
    "Window",
    "compare_as_usual",
    "reconcile",
    "reconciliation_chores",
    "reconciliation_routes",
    "reconciliation_schedules",
    "usual_window",
]
