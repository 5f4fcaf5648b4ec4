"""Money is an integer of nanos: 10⁻⁹ of one unit of its currency. No float touches it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

Nanos = NewType("Nanos", int)

NANOS_PER_UNIT = 1_000_000_000
# A wallet is a 64-bit integer; a quarter of its range leaves room for sums of a few such amounts.
MAX_NANOS = 2**61

_PLAIN = re.compile(r"(?P<sign>-?)(?P<whole>\d{1,12})(?:\.(?P<fraction>\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount on its way out: encoders write it as a plain decimal JSON number."""

    nanos: int

    def __str__(self) -> str:
        return format_nanos(self.nanos)


def parse_nanos(text: str) -> Nanos:
    """Read a plain decimal such as `0.000132`.

    Raises ValueError for exponents, more than 9 decimals, or amounts beyond `MAX_NANOS`.
    """
    found = _PLAIN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a plain decimal with at most 9 decimals")
    fraction = (found["fraction"] or "").ljust(9, "0")
    nanos = int(found["whole"]) * NANOS_PER_UNIT + int(fraction)
    if nanos > MAX_NANOS:
        raise ValueError(f"{text} is beyond the largest amount, {format_nanos(MAX_NANOS)}")
    return Nanos(-nanos if found["sign"] else nanos)


def format_nanos(nanos: int) -> str:
    """Write the shortest plain decimal: `0.000132`, `12.5`, `-3`, never in exponent form."""
    whole, fraction = divmod(abs(nanos), NANOS_PER_UNIT)
    sign = "-" if nanos < 0 else ""
    if fraction == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:09d}".rstrip("0")


def divide_half_up(numerator: int, denominator: int) -> int:
    """Round to the nearest integer, halves away from zero: the way every cost is rounded."""
    half_up = (2 * abs(numerator) + denominator) // (2 * denominator)
    return half_up if numerator >= 0 else -half_up


def divide_up(numerator: int, denominator: int) -> int:
    """Round up: the way every hold is rounded, so that it bounds the cost."""
    return -(-numerator // denominator)
