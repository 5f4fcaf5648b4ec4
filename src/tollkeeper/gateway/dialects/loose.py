"""Reads what a provider wrote, whatever it wrote: what cannot be read is nothing."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
from msgspec import Raw

from tollkeeper.gateway.dialects.model import Fields


def _no_number(_: str) -> None:
    """Fractions and exponents are no text and no count; some are no number either."""


_VALUE: Final = msgspec.json.Decoder(Any, float_hook=_no_number)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])

# Members that say what a part is, not what the model wrote.
_LABELS: Final = frozenset({"role", "type", "id", "call_id", "index", "finish_reason", "object"})


def value_of(raw: Raw | bytes) -> Any:
    """Read a value, its fractions left out."""
    try:
        return _VALUE.decode(raw)
    except (ValueError, RecursionError):
        return None


def members_of(raw: Raw | bytes) -> Fields:
    """Take an object's top level apart; the values stay the bytes they were."""
    try:
        return _MEMBERS.decode(raw)
    except (ValueError, RecursionError):
        return {}


def is_text(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def count_texts(raw: Raw | bytes) -> int:
    """Count the UTF-8 bytes of all text in a value of unknown shape."""
    pending: list[Any] = [value_of(raw)]
    total = 0
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            total += len(one.encode())
        elif isinstance(one, dict):
            members = cast("dict[str, Any]", one).items()
            pending.extend(inner for name, inner in members if name not in _LABELS)
        elif isinstance(one, list):
            pending.extend(cast("list[Any]", one))
    return total
