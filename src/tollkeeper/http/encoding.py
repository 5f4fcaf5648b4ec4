"""JSON in and out: money as exact plain decimals, times as RFC 3339, every fault at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import msgspec

from tollkeeper.base.check import Faults, faults_in
from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.base.ids import read_id
from tollkeeper.base.money import (
    Money,
    MoneyIn,
    NonNegativeMoneyIn,
    NumberText,
    PositiveMoneyIn,
    format_nanos,
)

__all__ = [
    "JsonReader",
    "Money",
    "MoneyIn",
    "NonNegativeMoneyIn",
    "PositiveMoneyIn",
    "encode_json",
    "invalid",
    "read_custom",
    "read_moment",
    "read_path_id",
    "write_custom",
]

T = TypeVar("T")

_NUL: Final = rb"\u0000"
_INSIDE: Final = re.compile(r" - at `[^`]*`$")
_MOST_NAMED: Final = 50
_LONGEST_NAME: Final = 100
# What PostgreSQL and Python both can hold in every time zone.
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)


def write_custom(value: object) -> Any:
    """Encoder hook: what msgspec does not know how to write."""
    if isinstance(value, Money):
        return msgspec.Raw(format_nanos(value.nanos).encode())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def read_custom(type_: type, value: object) -> Any:
    """Decoder hook: what msgspec does not know how to read."""
    if issubclass(type_, MoneyIn):
        return type_.read(value)
    # Not a TypeError: msgspec would report our mistake as the customer's.
    raise RuntimeError(f"{type_.__name__} is not read from JSON")


encode_json: Final = msgspec.json.Encoder(enc_hook=write_custom).encode
_decode_any: Final = msgspec.json.Decoder(float_hook=NumberText).decode
_split: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class JsonReader(Generic[T]):
    """Reads bodies of one type, strictly. Make one per type, once.

    Raises InvalidRequest with every fault of the body, not only the first.
    """

    def __init__(self, type_: type[T]) -> None:
        self._type = type_
        self._decode = msgspec.json.Decoder(
            type_, dec_hook=read_custom, float_hook=NumberText
        ).decode

    def __call__(self, body: bytes) -> T:
        try:
            value = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise invalid(self.faults_of(body)) from None
        if _NUL in body and (faults := self.faults_of(body)):
            raise invalid(faults)
        return value

    def faults_of(self, body: bytes) -> Faults:
        """Return every fault of the body; none when it is valid."""
        if not body:
            return {"": ["A JSON body is required"]}
        try:
            value = _decode_any(body)
        except msgspec.DecodeError as fault:
            return _unreadable_members(body) or {"": [str(fault)]}
        except UnicodeDecodeError:
            return {"": ["The body is not valid UTF-8"]}
        except RecursionError:
            return {"": ["JSON is nested too deeply"]}
        return faults_in(value, self._type, read_custom)


def _unreadable_members(body: bytes) -> Faults:
    """Name the members that cannot be read, such as numbers beyond all bounds, where it can."""
    try:
        members = _split(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    found: Faults = {}
    for name, raw in members.items():
        try:
            _decode_any(raw)
        except msgspec.DecodeError as fault:
            reason = _INSIDE.sub("", str(fault))
            found[name[:_LONGEST_NAME]] = [f"cannot be read: {reason[:1].lower()}{reason[1:]}"]
            if len(found) == _MOST_NAMED:
                break
    return found


def invalid(faults: Faults) -> InvalidRequest:
    """Make the one error that carries all these faults."""
    named = [
        f"{path or 'body'}: {sentence}" for path, found in faults.items() for sentence in found
    ]
    return InvalidRequest("; ".join(named[:3]) + ("; …" if len(named) > 3 else ""), faults)  # noqa: PLR2004 (a sentence, not a page)


def read_moment(moment: datetime, name: str) -> datetime:
    """Return a customer's date and time in UTC. Raises InvalidRequest when it is out of range."""
    if moment.tzinfo is None or not _EARLIEST <= moment < _LATEST:
        raise invalid({name: ["must be between 1970 and 9000, with a time zone"]})
    return moment.astimezone(UTC)


def read_path_id(prefix: str, text: str) -> UUID:
    """Read an id from a path. Raises NotFound: an id that cannot exist names nothing."""
    try:
        return read_id(prefix, text)
    except ValueError as fault:
        raise NotFound(str(fault)) from None
