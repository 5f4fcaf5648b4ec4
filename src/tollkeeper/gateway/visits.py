"""Chat for somebody who is signed in and has no key at hand: the same call, on the same path."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money
from tollkeeper.gateway.admission import foresee
from tollkeeper.gateway.call import JSON, Parts, Request, Visit
from tollkeeper.gateway.dialects import CHAT, Ask
from tollkeeper.gateway.errors import ModelNotFound, NotOffered
from tollkeeper.gateway.headers import CallHeaders
from tollkeeper.gateway.listing import UnitPrice, prices_of
from tollkeeper.gateway.proxy import Proxy, read
from tollkeeper.http.asgi import Receive, Send
from tollkeeper.orgs import Guest
from tollkeeper.pricing import Book, ModelNotPriced

_KEPT_SECONDS: Final = 60
_MILLION: Final = 1_000_000


class ChatModel(Struct, frozen=True, kw_only=True):
    """A model that chats, with its prices for a million tokens read and written."""

    name: str
    seller: str
    read: Money
    written: Money


class Foreseen(Struct, frozen=True, kw_only=True):
    """What a call would cost at most, and how many tokens it may read and write for that."""

    most: Money
    read: int
    written: int


class Visits:
    """One per process."""

    def __init__(self, parts: Parts, proxy: Proxy) -> None:
        self._parts = parts
        self._proxy = proxy
        self._listed: dict[bool, tuple[Book, datetime, Sequence[ChatModel]]] = {}

    async def models(self, *, livemode: bool) -> Sequence[ChatModel]:
        """List what can be chatted with, by seller and name."""
        book, at = self._parts.books.book, self._parts.clock.now()
        kept = self._listed.get(livemode)
        if kept and kept[0] is book and (at - kept[1]).total_seconds() < _KEPT_SECONDS:
            return kept[2]
        found = await asyncio.to_thread(self._list, book, at, livemode)
        self._listed[livemode] = (book, at, found)
        return found

    def foresee(self, guest: Guest, body: bytes, most_tokens: int) -> Foreseen:
        """Say what a call would cost at most. Raises what would refuse it, but for its money."""
        request = Request(
            dialect=CHAT,
            ask=_read(body, most_tokens),
            caller=guest,
            headers=_headers({}),
            request_id="",
            usage_id=uuid7(),
            started=0,
            deadline=0,
            awaited=False,
        )
        quote = foresee(self._parts, request)
        return Foreseen(
            most=Money(quote.amount_nanos),
            read=quote.bounds.get("input", 0),
            written=quote.bounds.get("output", 0),
        )

    async def answer(
        self,
        guest: Guest,
        body: bytes,
        receive: Receive,
        send: Send,
        *,
        most_tokens: int,
        usage_id: UUID,
        tags: Mapping[str, str],
    ) -> None:
        """Answer as `POST /chat/completions` does, streaming or not, refusals included.

        The usage record has this id: what comes again with it is answered again, not made again.
        Raises InvalidRequest for a body that is no chat.
        """
        visit = Visit(
            dialect=CHAT,
            ask=_read(body, most_tokens),
            guest=guest,
            headers=_headers(tags),
            request_id=show_id("req", uuid7()),
            usage_id=usage_id,
            hashed=hashlib.sha256(guest.project_id.bytes + b"%d " % most_tokens + body).digest(),
        )
        await self._proxy.welcome(visit, receive, send)

    def _list(self, book: Book, at: datetime, livemode: bool) -> Sequence[ChatModel]:
        models = self._parts.models
        found: list[ChatModel] = []
        for name, _ in models.offered(book, at, livemode=livemode):
            try:
                sale = models.sell(name, CHAT.name, book, at, livemode=livemode)
            except (NotOffered, ModelNotPriced, ModelNotFound):
                continue
            units = {one.unit: one for one in prices_of(sale.version, sale.markup).units}
            if "input" in units and "output" in units:
                read, written = _per_million(units["input"]), _per_million(units["output"])
                found.append(
                    ChatModel(name=name, seller=sale.version.provider, read=read, written=written)
                )
        return sorted(found, key=lambda one: (one.seller, one.name))


def _read(body: bytes, most_tokens: int) -> Ask:
    # Not in the body: providers know the limit by different names, and each gets its own.
    return replace(read(CHAT, body, _headers({})), max_output_tokens=most_tokens)


def _headers(tags: Mapping[str, str]) -> CallHeaders:
    return CallHeaders(content_type=JSON, tags=tags)


def _per_million(price: UnitPrice) -> Money:
    return Money(price.price.nanos * _MILLION // price.per)
