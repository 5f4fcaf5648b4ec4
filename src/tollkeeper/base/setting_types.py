"""What settings are made of: sections, and values that are not plain text or numbers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Self

from msgspec import Meta, Struct

from tollkeeper.base.money import (
    NumberText,
    parse_nanos,
)

_WHOLE_PRICE_OFF: Final = -1_000_000  # in parts per million
_NANOS_PER_PPM_OF_PERCENT: Final = 100_000  # 0.0001 % is one part per million


class Secret:
    """Text that is used and never shown."""

    __slots__ = ("_text",)
    allowed: ClassVar[str] = "text"

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "(secret)"


class Percent(int):
    """A percentage, kept as parts per million: 12.5 is 125,000."""

    allowed: ClassVar[str] = "a percentage above -100 such as 12.5, with at most 4 decimals"

    @classmethod
    def read(cls, number: object) -> Self:
        if isinstance(number, bool) or not isinstance(number, int | NumberText):
            raise ValueError(f"must be {cls.allowed}")  # noqa: TRY004 (msgspec reports ValueError)
        try:
            ppm, rest = divmod(parse_nanos(str(number)), _NANOS_PER_PPM_OF_PERCENT)
        except ValueError:
            raise ValueError(f"must be {cls.allowed}") from None
        if rest or ppm <= _WHOLE_PRICE_OFF:
            raise ValueError(f"must be {cls.allowed}")
        return cls(ppm)


Seconds = Annotated[int, Meta(ge=1, le=86_400)]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass
