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
from tollkeeper.operator.purchases import refund_purchase
from tollkeeper.operator.routes import credit_routes
from tollkeeper.operator.shapes import PriceOut

__all__ = [
    "Act",
    "Balance",
    "MarkupOut",
    "Opening",
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
