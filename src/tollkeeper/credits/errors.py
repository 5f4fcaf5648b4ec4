"""What can go wrong when credit is bought."""

from __future__ import annotations

from tollkeeper.base.errors import InvalidRequest, TollkeeperError


class AmountOutOfRange(InvalidRequest):
    """This amount cannot be bought"""

    code = "amount_out_of_range"


class PaymentsNotConfigured(TollkeeperError):
    """No payment processor is configured here"""

    code = "payments_not_configured"
    status = 422
