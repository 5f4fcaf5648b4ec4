"""Money becomes credit."""

from tollkeeper.credits.errors import AmountOutOfRange, PaymentsNotConfigured, PurchaseInProgress
from tollkeeper.credits.model import (
    Buyer,
    Order,
    Origin,
    Purchase,
    PurchaseRules,
    PurchaseStatus,
    PurchaseSucceeded,
    Shop,
    tax_on,
)
from tollkeeper.credits.opening import open_shop
from tollkeeper.credits.purchases import begin_purchase, buy, find_purchase
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
from tollkeeper.credits.returning import RefundOrder, begin_refund
from tollkeeper.credits.routes import list_purchases, purchase_routes
from tollkeeper.credits.shapes import PurchaseOut
from tollkeeper.credits.store import page as newest_purchases

__all__ = [
    "AmountOutOfRange",
    "Buyer",
    "Difference",
    "Order",
    "Origin",
    "PaymentsNotConfigured",
    "Purchase",
    "PurchaseInProgress",
    "PurchaseOut",
    "PurchaseRules",
    "PurchaseStatus",
    "PurchaseSucceeded",
    "Reconciliation",
    "ReconciliationOut",
    "RefundOrder",
    "Shop",
    "Window",
    "begin_purchase",
    "begin_refund",
    "buy",
    "find_purchase",
    "list_purchases",
    "newest_purchases",
    "open_shop",
    "purchase_routes",
    "reconcile",
    "reconciliation_chores",
    "reconciliation_routes",
    "reconciliation_schedules",
    "tax_on",
    "usual_window",
]
