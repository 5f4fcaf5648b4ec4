"""Nanos to what processors take, and back: never rounded, refused where it is not whole."""

from __future__ import annotations

from typing import Final

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.money import NANOS_PER_UNIT, Money

# How many of its smallest units one unit of a currency has. Only currencies that a payment can be
# made in; credit may be kept in others.
_MINOR_PER_UNIT: Final = {
    "USD": 100,
    "EUR": 100,
    "GBP": 100,
    "CHF": 100,
    "CAD": 100,
    "AUD": 100,
    "SEK": 100,
    "NOK": 100,
    "DKK": 100,
    "PLN": 100,
    "INR": 100,
    "BRL": 100,
    "JPY": 1,
}


class AmountNotPayable(InvalidRequest):
    """This amount cannot be paid"""

    code = "amount_not_payable"


def to_minor(nanos: int, currency: str) -> int:
    """Return the amount in the smallest unit, such as cents.

    Raises AmountNotPayable when that is not a whole number above 0, or nobody pays in `currency`.
    """
    minor, rest = divmod(nanos, _nanos_per_minor(currency))
    if rest:
        least = Money(_nanos_per_minor(currency))
        raise _refused(f"must be a multiple of {least} {currency}, and {Money(nanos)} is not")
    if minor <= 0:
        raise _refused("must be above 0")
    return minor


def to_nanos(minor: int, currency: str) -> int:
    """Raises AmountNotPayable when nobody pays in `currency`."""
    return minor * _nanos_per_minor(currency)


def show_minor(minor: int, currency: str) -> str:
    """Write an amount for people: `25.00 USD`, `1200 JPY`."""
    per_unit = _MINOR_PER_UNIT[currency]
    whole, rest = divmod(abs(minor), per_unit)
    sign = "-" if minor < 0 else ""
    digits = len(str(per_unit)) - 1
    return f"{sign}{whole}{f'.{rest:0{digits}}' if digits else ''} {currency}"


def _nanos_per_minor(currency: str) -> int:
    per_unit = _MINOR_PER_UNIT.get(currency)
    if per_unit is None:
        payable = ", ".join(_MINOR_PER_UNIT)
        raise _refused(f"cannot be paid in {currency}, only in {payable}")
    return NANOS_PER_UNIT // per_unit


def _refused(said: str) -> AmountNotPayable:
    return AmountNotPayable(f"amount: {said}", {"amount": [said]})
