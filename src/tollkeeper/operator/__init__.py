"""What the team that runs Tollkeeper does, each act with its audit row."""

from tollkeeper.operator.acts import (
    Act,
    Balance,
    Opening,
    adjust,
    check_currency,
    create_organization,
    find_balance,
    freeze,
    grant,
    note,
    open_balances,
    opening_of,
    refund,
    set_overdraft,
    unfreeze,
)
from tollkeeper.operator.markups import MarkupOut, markup_of, set_markup
from tollkeeper.operator.prices import compare_with_library, publish_prices
from tollkeeper.operator.proving import (
    Verification,
    last_verification,
    verification_schedules,
    verify,
    verify_all,
)
from tollkeeper.operator.purchases import NewPurchaseRefund, refund_purchase
from tollkeeper.operator.routes import credit_routes
from tollkeeper.operator.shapes import Adjustment, Grant, OnBalance, Overdraft, PriceOut

__all__ = [
    "Act",
    "Adjustment",
    "Balance",
    "Grant",
    "MarkupOut",
    "NewPurchaseRefund",
    "OnBalance",
    "Opening",
    "Overdraft",
    "PriceOut",
    "Verification",
    "adjust",
    "check_currency",
    "compare_with_library",
    "create_organization",
    "credit_routes",
    "find_balance",
    "freeze",
    "grant",
    "last_verification",
    "markup_of",
    "note",
    "open_balances",
    "opening_of",
    "publish_prices",
    "refund",
    "refund_purchase",
    "set_markup",
    "set_overdraft",
    "unfreeze",
    "verification_schedules",
    "verify",
    "verify_all",
]
