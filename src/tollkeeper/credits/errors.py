"""What can go wrong when credit is bought."""

from __future__ import annotations

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.payments import PaymentsNotConfigured

__all__ = ["AmountOutOfRange", "PaymentsNotConfigured"]


class AmountOutOfRange(InvalidRequest):
    """This amount cannot be bought"""

    code = "amount_out_of_range"
