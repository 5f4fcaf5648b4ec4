"""Keyset cursors: where a list goes on, sealed so that only we can have said so."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Generic, TypeVar
from uuid import UUID

import msgspec
from litestar.params import FromQuery
from msgspec import Meta, Struct

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.http.encoding import encode_json

T = TypeVar("T")
R = TypeVar("R")

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500

Limit = Annotated[FromQuery[int], Meta(ge=1, le=MAX_LIMIT, description="How many to return.")]
CursorText = Annotated[
    FromQuery[str | None],
    Meta(description="`nextCursor` of the page before; with the same filters."),
]

_MAC_BYTES: Final = 16
_NOT_OURS: Final = "is not a cursor of this list with these filters"


class Page(Struct, Generic[T], frozen=True, kw_only=True, rename="camel"):
    """One page of a list; `nextCursor` is null on the last one."""

    data: list[T]
    next_cursor: str | None


class Cursors:
    """Seals and opens cursors. `bound` is what a cursor belongs to: the list's name, the
    organization, and every filter; with anything else it does not open."""

    def __init__(self, instance_secret: bytes) -> None:
        self._key = hmac.digest(instance_secret, b"cursors", "sha256")

    def seal(self, bound: Sequence[object], position: Sequence[object]) -> str:
        """`position` is the last row's place in the order: text, numbers, UUIDs, datetimes."""
        payload = encode_json(list(position))
        return urlsafe_b64encode(self._mac(bound, payload) + payload).rstrip(b"=").decode()

    def open(self, bound: Sequence[object], cursor: str, kinds: type[T]) -> T:
        """Return the position as `kinds`, a tuple type such as `tuple[datetime, UUID]`.

        Raises InvalidRequest for anything that `seal` did not make for `bound`.
        """
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            sealed = urlsafe_b64decode(padded)
        except ValueError:
            raise _invalid() from None
        if urlsafe_b64encode(sealed).rstrip(b"=").decode() != cursor:
            raise _invalid()  # the decoder skips what does not belong
        mac, payload = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(bound, payload)):
            raise _invalid()
        return msgspec.json.decode(payload, type=kinds)

    def after(self, bound: Sequence[object], cursor: str | None) -> UUID | None:
        """Return where a list that is ordered by one id goes on; None is its beginning."""
        return None if cursor is None else self.open(bound, cursor, tuple[UUID])[0]

    def _mac(self, bound: Sequence[object], payload: bytes) -> bytes:
        context = encode_json(list(bound))
        text = len(context).to_bytes(4) + context + payload
        return hmac.digest(self._key, text, "sha256")[:_MAC_BYTES]


def page_of(
    rows: Sequence[R], limit: int, show: Callable[[R], T], seal: Callable[[R], str]
) -> Page[T]:
    """Make a page of the rows of a query that asked for one more than `limit`."""
    more = len(rows) > limit
    shown = rows[:limit]
    return Page(data=[show(row) for row in shown], next_cursor=seal(shown[-1]) if more else None)


def _invalid() -> InvalidRequest:
    return InvalidRequest(f"cursor: {_NOT_OURS}", {"cursor": [_NOT_OURS]})
