"""Reads JSON bodies: what clients sent becomes faults that name the field, never a 500."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import Raw

from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.gateway.dialects.loose import members_of, with_numbers
from tollkeeper.gateway.dialects.model import ABSENT, Fields
from tollkeeper.gateway.dialects.normalising import normalised_bytes

T = TypeVar("T")

PREVIEW_CHARS: Final = 1_000
_MAX_METADATA: Final = 64
_MAX_LABEL_CHARS: Final = 512
_WHERE: Final = re.compile(r"^(?P<said>.*?) - at `\$\.?(?P<field>[^`]*)`$", re.DOTALL)
_MISSING: Final = re.compile(r"^Object missing required field `(?P<field>[^`]+)`")
_SPLIT: Final = msgspec.json.Decoder(dict[str, Raw])
# Numbers stay as they are written: no size of theirs is wrong here.
_TEXTS: Final = msgspec.json.Decoder(Any, float_hook=str)


class UnreadableAnswer(TollkeeperError):
    """The provider's answer could not be read"""

    code = "upstream_invalid_answer"
    status = 502
    retryable = True


def split(body: bytes) -> Fields:
    """Take a body's top level apart; the values stay the bytes they were.

    Raises InvalidRequest for what is not a JSON object in UTF-8.
    """
    try:
        if not body.isascii():
            body.decode()
        return _SPLIT.decode(body)
    except UnicodeDecodeError as why:
        raise _not_json(f"The body is not valid UTF-8 (byte {why.start})") from why
    except RecursionError as why:
        raise _not_json("The body is nested too deeply") from why
    except msgspec.ValidationError as why:
        raise _not_json("The body must be a JSON object") from why
    except msgspec.DecodeError as why:
        raise _not_json(f"The body is not valid JSON: {why}") from why


def shape(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read the fields we need. Raises InvalidRequest, naming the first that is wrong."""
    try:
        return decoder.decode(body)
    except RecursionError as why:
        raise _not_json("The body is nested too deeply") from why
    except msgspec.ValidationError as why:
        raise fault(*_place(str(why))) from why
    except ValueError as why:  # msgspec.DecodeError and UnicodeDecodeError
        raise _not_json(f"The body is not valid JSON: {why}") from why


def fault(field: str, said: str) -> InvalidRequest:
    detail = f"{field}: {said}" if field else said
    return InvalidRequest(detail, {field: [said]})


def check_model(model: str) -> None:
    if not model or len(model) > _MAX_LABEL_CHARS or not model.isprintable():
        raise fault("model", "must be the name of a model")


def check_spelling(fields: Iterable[str], ours: frozenset[str]) -> None:
    """Refuse fields that differ only in case from one we meter by.

    Some servers match names without regard to case: such a field would pass beside ours
    unseen and be obeyed.
    """
    for name in fields:
        if not name.islower() and name not in ours and name.lower() in ours:
            raise fault(name, f"is not a field; did you mean {name.lower()}?")


def text_bytes(body: bytes) -> int:
    """Bound the UTF-8 bytes of all text in a JSON body, however a tokenizer normalises it.

    An escape is never shorter than the bytes it stands for. NFKC, which some tokenizers apply
    first, can make text longer, so then the longer form counts (`normalising.py` bounds it).
    Raises InvalidRequest for an escape that is half a character.
    """
    if body.isascii() and b"\\u" not in body:
        return len(body)
    return max(len(body), normalised_bytes(_unescaped(body)))


def growth(body: bytes) -> int:
    """Bound by how many bytes all text in a JSON body grows when it is normalised."""
    text = _unescaped(body)
    return normalised_bytes(text) - len(text.encode())


def _unescaped(body: bytes) -> str:
    if b"\\u" in body:
        body = msgspec.json.encode(shape(_TEXTS, body))
    return body.decode()


def size(raw: Raw | None) -> int:
    return 0 if raw is None else memoryview(raw).nbytes


def clean(text: str, limit: int = PREVIEW_CHARS) -> str:
    """Cut text to what a log keeps; PostgreSQL stores no NUL."""
    return text[:limit].replace("\x00", "�")


def label(value: object) -> str | None:
    """Read an identifier for the log; what is no short text is ignored, not refused."""
    return clean(value, _MAX_LABEL_CHARS) or None if isinstance(value, str) else None


def labels(value: object) -> Mapping[str, str]:
    """Read a client's metadata for the log: its short texts, numbers and truths."""
    if not isinstance(value, dict):
        return {}
    kept: dict[str, str] = {}
    for name, said in list(cast("dict[str, Any]", value).items())[:_MAX_METADATA]:
        if isinstance(said, str):
            kept[clean(name, _MAX_LABEL_CHARS)] = clean(said, _MAX_LABEL_CHARS)
        elif isinstance(said, bool | int | float):
            kept[clean(name, _MAX_LABEL_CHARS)] = msgspec.json.encode(said).decode()
    return kept


def tier(name: str | None) -> str | None:
    """Name a service tier as the price book does; Groq calls the ordinary one on_demand."""
    return "default" if name == "on_demand" else name


def is_given(raw: Raw | None) -> bool:
    """Say whether a field holds something: not absent, null, false or empty."""
    return raw is not None and raw is not ABSENT and bytes(raw) not in _NOTHING


_NOTHING: Final = frozenset({b"null", b"false", b'""', b"[]", b"{}"})


def answer_fields(body: bytes) -> tuple[Fields, bytes]:
    """Take a provider's answer apart as it came, and give what it can be read from.

    The two differ where numbers are none of JSON's: whoever asked for them is given them, and it
    was an answer. Raises UnreadableAnswer.
    """
    try:
        return _SPLIT.decode(body), body
    except (ValueError, RecursionError) as why:
        fields, readable = members_of(body), with_numbers(body)
        if not fields:
            raise UnreadableAnswer("The provider's answer is not a JSON object") from why
        return fields, readable


def _not_json(said: str) -> InvalidRequest:
    return InvalidRequest(said, {"": [said]})


def _place(message: str) -> tuple[str, str]:
    """Turn msgspec's "Expected `int`, got `str` - at `$.messages[0].n`" into field and sentence."""
    found = _WHERE.match(message)
    inside, said = (found["field"], found["said"]) if found else ("", message)
    missing = _MISSING.match(said)
    if missing:
        field = missing["field"]
        return (f"{inside}.{field}" if inside else field), "is required"
    return inside, said[:1].lower() + said[1:]
