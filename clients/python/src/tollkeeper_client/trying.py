"""What is sent, and when it is sent again. Nothing here waits or talks."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import NoneType
from typing import Any, Final, TypeAlias, TypeVar, cast
from urllib.parse import quote
from uuid import uuid4

import httpx

from tollkeeper_client.errors import ConnectionFailed, TollkeeperError, error_of
from tollkeeper_client.wire import in_camel_case, read_json, write_json

T = TypeVar("T")
Outcome: TypeAlias = httpx.Response | httpx.TransportError

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 8.0
_LONGEST_ASKED: Final = 60.0
_RATE_LIMITED: Final = 429
_BROKEN: Final = 500


def below(folder: str, name: str, act: str = "") -> str:
    """Make the path of one thing. Its id may come from anybody, and leads nowhere else."""
    if name in ("", ".", ".."):
        raise ValueError(f"{name!r} is no id")
    return f"{folder}/{quote(name, safe='')}{act}"


def headers_of(method: str, key: str | None = None) -> dict[str, str]:
    """Give what changes something its Idempotency-Key: made once, sent with every try."""
    if method == "GET":
        return {}
    return {"idempotency-key": key or str(uuid4()), "content-type": "application/json"}


def body_of(said: Mapping[str, Any] | None) -> bytes | None:
    return None if said is None else write_json(in_camel_case(said)).encode()


def query_of(asked: Mapping[str, Any] | None) -> dict[str, str | list[str]]:
    """Several values of one name are each sent under it."""
    known = in_camel_case(asked or {}).items()
    return {
        name: [_in_query(one) for one in cast("list[Any]", value)]
        if isinstance(value, (list, tuple))
        else _in_query(value)
        for name, value in known
        if value is not None
    }


def _in_query(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def may_retry(outcome: Outcome) -> bool:
    if isinstance(outcome, httpx.TransportError):
        return True
    asked = outcome.headers.get("x-should-retry")
    if asked in ("true", "false"):
        return asked == "true"
    return outcome.status_code == _RATE_LIMITED or outcome.status_code >= _BROKEN


def pause_before(attempt: int, outcome: Outcome) -> float:
    """Say how many seconds to wait before the next try: twice as long each time, with jitter."""
    if isinstance(outcome, httpx.Response):
        asked = outcome.headers.get("retry-after", "")
        if asked.isdigit():
            return min(float(asked), _LONGEST_ASKED)
    longest = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1)  # noqa: S311 (spreads load, guards nothing)


def succeeded(outcome: Outcome) -> httpx.Response:
    """Raises TollkeeperError."""
    if isinstance(outcome, httpx.TransportError):
        raise ConnectionFailed(f"{type(outcome).__name__}: {outcome}") from outcome
    if not outcome.is_success:
        raise error_of(outcome.status_code, outcome.content)
    return outcome


def answer_of(kind: type[T], outcome: Outcome) -> T:
    """Raises TollkeeperError."""
    outcome = succeeded(outcome)
    if kind is bytes:
        return cast("T", outcome.content)
    if kind is NoneType:
        return cast("T", None)
    try:
        return read_json(kind, outcome.content)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        said = {"code": "unreadable_answer", "detail": "This is no answer of Tollkeeper's"}
        raise TollkeeperError(outcome.status_code, said) from error
