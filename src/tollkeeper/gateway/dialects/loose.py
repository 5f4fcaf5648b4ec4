"""Reads what a provider wrote, whatever it wrote: what cannot be read is nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import msgspec
from msgspec import Raw, Struct

from tollkeeper.gateway.dialects.model import Fields


def _no_number(_: str) -> None:
    """Fractions and exponents are no text and no count; some are no number either."""


_VALUE: Final = msgspec.json.Decoder(Any, float_hook=_no_number)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])

# Members that say what a part is, or say it again, not what the model wrote.
_LABELS: Final = frozenset(
    {"role", "type", "id", "call_id", "index", "finish_reason", "object"}
    | {"logprobs", "encrypted_content", "signature"}
)
# And by the type of what they are in.
_OPAQUE: Final = {"redacted_thinking": "data", "image_generation_call": "result"}
_ARGUMENTS: Final = "input"
_SOUND: Final = "audio data"
# Python's JSON writes these; JSON has no such numbers.
_NO_NUMBERS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|-?Infinity|NaN', re.DOTALL)
# What is read in their place: numbers that count nothing, as nobody writes them.
_STAND_INS: Final = {
    b"-Infinity": b"-1.01e000",
    b"Infinity": b"-1.02e000",
    b"NaN": b"-1.03e000",
}
_STOOD_IN: Final = {stand_in: was for was, stand_in in _STAND_INS.items()}
_ANY_STAND_IN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|-1\.0[123]e000', re.DOTALL)


def value_of(raw: Raw | bytes) -> Any:
    """Read a value, its fractions left out."""
    try:
        return _VALUE.decode(raw)
    except (ValueError, RecursionError):
        pass
    try:
        return _VALUE.decode(with_numbers(raw))
    except (ValueError, RecursionError):
        return None


def with_numbers(raw: Raw | bytes) -> bytes:
    """Write numbers in the place of what is none in JSON: `-Infinity`, the logarithm of nothing."""
    return _NO_NUMBERS.sub(lambda found: _STAND_INS.get(found[0], found[0]), bytes(raw))


def as_it_came(raw: Raw | bytes) -> Raw:
    """Undo `with_numbers`."""
    return Raw(_ANY_STAND_IN.sub(lambda found: _STOOD_IN.get(found[0], found[0]), bytes(raw)))


def members_of(raw: Raw | bytes) -> Fields:
    """Take an object's top level apart; the values stay the bytes they were."""
    try:
        return _MEMBERS.decode(raw)
    except (ValueError, RecursionError):
        pass
    try:
        members = _MEMBERS.decode(with_numbers(raw))
    except (ValueError, RecursionError):
        return {}
    return {name: as_it_came(value) for name, value in members.items()}


def is_text(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class Written(Struct):
    """What a model wrote: text in bytes of UTF-8, sound in bytes, pictures by their number."""

    text_bytes: int = 0
    sound_bytes: int = 0
    pictures: int = 0


def count_texts(raw: Raw | bytes) -> int:
    """Count the UTF-8 bytes of all text in a value of unknown shape."""
    return count_written(raw).text_bytes


def count_written(raw: Raw | bytes) -> Written:
    """Count what a value of unknown shape holds. What is beside it, or no text, is no text."""
    written = Written()
    pending: list[tuple[str, Any]] = [("", value_of(raw))]
    while pending:
        name, one = pending.pop()
        if isinstance(one, str):
            _count_text(written, name, one)
        elif isinstance(one, list):
            pending.extend((name, inner) for inner in cast("list[Any]", one))
        elif isinstance(one, dict):
            members = cast("dict[str, Any]", one)
            pending.extend(_inside(name, members))
    return written


def _inside(name: str, members: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name what is in an object. All of what a tool is called with was written."""
    if name == _ARGUMENTS:
        yield from ((_ARGUMENTS, inner) for inner in members.values())
        return
    opaque = _OPAQUE.get(str(members.get("type")))
    for key, inner in members.items():
        if key not in _LABELS and key != opaque:
            yield (_SOUND if name == "audio" and key == "data" else key), inner


def _count_text(written: Written, name: str, text: str) -> None:
    if name == _SOUND or text.startswith("data:audio/"):
        written.sound_bytes += len(text) * 3 // 4
    elif text.startswith("data:image/") or name == "b64_json":
        written.pictures += 1
    else:
        written.text_bytes += len(text) if text.isascii() else len(text.encode())
