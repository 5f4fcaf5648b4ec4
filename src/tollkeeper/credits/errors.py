"""What can go wrong when credit is bought."""

from __future__ import annotations

from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.payments import PaymentsNotConfigured

__all__ = [
    "AmountOutOfRange",
    "AutoTopUpNeedsMethod",
    "PaymentsNotConfigured",
    "PurchaseInProgress",
]


class AmountOutOfRange(InvalidRequest):
    """This amount cannot be bought"""

    code = "amount_out_of_range"


class PurchaseInProgress(TollkeeperError):
    """There is another purchase that has to end first"""

    code = "purchase_in_progress"
    status = 409


class AutoTopUpNeedsMethod(TollkeeperError):
    """Auto top-up needs a payment method on file"""

    code = "auto_top_up_needs_method"
    status = 409
