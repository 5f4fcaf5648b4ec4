"""Amounts as clients see them, read exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def nanos(shown: Any) -> int:
    """Read a cost: a float that a client made of our decimal, or the text of a header."""
    amount = Decimal(str(shown)) * 1_000_000_000
    assert amount == int(amount)
    return int(amount)
