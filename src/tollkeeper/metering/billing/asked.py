"""What the billing endpoints are asked with: whose wallets, when, in which form."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from litestar import Request
from litestar.datastructures import State

from tollkeeper.base.check import Faults
from tollkeeper.http import invalid

AnyRequest = Request[Any, Any, State]

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_LONGEST: Final = 40
_DAY: Final = len("2026-01-31")


def read_start(text: str | None, name: str, faults: Faults) -> datetime | None:
    """Read an ISO 8601 date or date and time; without a time zone it is UTC."""
    return None if text is None else _read(text, name, faults)


def read_end(text: str | None, name: str, faults: Faults) -> datetime | None:
    """Read the inclusive end of a window, and return the exclusive one behind it.

    A date includes its whole day.
    """
    if text is None:
        return None
    found = _read(text, name, faults)
    if found is None:
        return None
    is_day = len(text) <= _DAY and "T" not in text.upper()
    return found + (timedelta(days=1) if is_day else timedelta(microseconds=1))


def check_currency(currency: str | None, known: Collection[str], faults: Faults) -> None:
    if currency is not None and currency not in known:
        faults["currency"] = [f"must be one of {', '.join(known)}"]


def check(faults: Faults) -> None:
    if faults:
        raise invalid(faults)


def _read(text: str, name: str, faults: Faults) -> datetime | None:
    said = "must be a date or a date and time of ISO 8601, such as 2026-01-31T08:00:00Z"
    try:
        found = datetime.fromisoformat(text) if len(text) <= _LONGEST else None
    except ValueError:
        found = None
    if found is None:
        faults[name] = [said]
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    if not _EARLIEST <= found < _LATEST:
        faults[name] = ["must be between 1970 and 2200"]
        return None
    return found.astimezone(UTC)
