"""Money is an integer of nanos: 10⁻⁹ of one unit of its currency. No float touches it."""

from __future__ import annotations

import re
from typing import ClassVar, NewType, Self

Nanos = NewType("Nanos", int)

NANOS_PER_UNIT = 1_000_000_000
# A wallet is a 64-bit integer; a quarter of its range leaves room for sums of a few such amounts.
MAX_NANOS = 2**61

_LONGEST_REASON = 120
_CENT = NANOS_PER_UNIT // 100
_CENTS, _MILLIONTHS = 2, 6
_MINUS = "\N{MINUS SIGN}"
_PLAIN = re.compile(r"(?P<sign>-?)(?P<whole>[0-9]{1,12})(?:\.(?P<fraction>[0-9]{1,9}))?")


class Money:
    """An amount on its way out: encoders write it as a plain decimal JSON number."""

    # Not a dataclass: msgspec would write one as an object and never ask the encoder's hook.
    __slots__ = ("nanos",)

    def __init__(self, nanos: int) -> None:
        self.nanos = nanos

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.nanos == self.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __repr__(self) -> str:
        return f"Money({self})"

    def __str__(self) -> str:
        return format_nanos(self.nanos)


class NumberText(str):
    """The digits of a JSON or TOML number exactly as they were written."""

    __slots__ = ()


class MoneyIn(int):
    """An amount on its way in: a whole number of nanos, read exactly from a plain decimal.

    To msgspec it is a type of its own, read by `MoneyIn.read` from the decoder's hook. On the
    way out it would be written as nanos, so answers hold `Money`.
    """

    allowed: ClassVar[str] = "an amount such as 12.50, with at most 9 decimals"
    minimum: ClassVar[int | None] = None

    @classmethod
    def read(cls, number: object) -> Self:
        """Read an int or a NumberText. Raises ValueError with a sentence for the customer."""
        if isinstance(number, bool) or not isinstance(number, int | NumberText):
            raise ValueError(f"must be {cls.allowed}")  # noqa: TRY004 (msgspec reports ValueError)
        try:
            nanos = parse_nanos(str(number))
        except ValueError as fault:
            # A number of a thousand digits is not said back.
            reason = f": {fault}" if len(str(fault)) < _LONGEST_REASON else ""
            raise ValueError(f"must be {cls.allowed}{reason}") from None
        if cls.minimum is not None and nanos < cls.minimum:
            raise ValueError(f"must be {cls.allowed}")
        return cls(nanos)


class PositiveMoneyIn(MoneyIn):
    """An amount above zero."""

    allowed = "an amount above 0 such as 12.50, with at most 9 decimals"
    minimum = 1


class NonNegativeMoneyIn(MoneyIn):
    """An amount of zero or more."""

    allowed = "an amount of 0 or more such as 12.50, with at most 9 decimals"
    minimum = 0


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


def say_nanos(nanos: int, currency: str, decimals: int | None = None) -> str:
    """Write an amount as people do: `$1,234.50`, `12.50 DIEM`. Unless said, it is rounded to the
    cent, and to the millionth where it is less than a cent; what is less still is not called zero.
    """
    small = 0 < abs(nanos) < _CENT
    places = (_MILLIONTHS if small else _CENTS) if decimals is None else decimals
    parts = 10**places
    rounded = divide_half_up(abs(nanos) * parts, NANOS_PER_UNIT)
    less = "<" if nanos and not rounded else ""
    whole, rest = divmod(rounded or bool(nanos), parts)
    figures = f"{whole:,}.{rest:0{places}d}"
    shown = f"${figures}" if currency == "USD" else f"{figures} {currency}"
    return f"{less}{_MINUS if nanos < 0 else ''}{shown}"


def say_exactly(nanos: int, currency: str) -> str:
    """The same to the last digit, for prices and for what people chose; cents at least."""
    fraction = f"{abs(nanos) % NANOS_PER_UNIT:09d}".rstrip("0")
    return say_nanos(nanos, currency, max(len(fraction), _CENTS))


def divide_half_up(numerator: int, denominator: int) -> int:
    """Round to the nearest integer, halves away from zero: the way every cost is rounded."""
    half_up = (2 * abs(numerator) + denominator) // (2 * denominator)
    return half_up if numerator >= 0 else -half_up


def divide_up(numerator: int, denominator: int) -> int:
    """Round up: the way every hold is rounded, so that it bounds the cost."""
    return -(-numerator // denominator)
