"""A toll in front of an ASGI application: held before a request, settled before its last byte."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from tollkeeper_client.charging import Charge
from tollkeeper_client.client_async import AsyncTollkeeper
from tollkeeper_client.errors import PaymentRequired, TollkeeperError
from tollkeeper_client.tolling import (
    CHARGE,
    FAILED,
    NO_KEY,
    Toll,
    key_in,
    refusal_of,
    story_of,
)

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_log: Final = logging.getLogger(__name__)


def bearer_of(scope: Scope) -> str | None:
    """Return the customer's key: of `Authorization: Bearer`, or of `x-api-key`."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return key_in(headers.get(b"authorization", ""), headers.get(b"x-api-key"))


class TollMiddleware:
    """Answers 402 (no credit) and 401 (a key that is none) as problem JSON, before any work.

    `toll` says what a request costs, None for one that is free. An answer of 400 and above is free,
    and so is one that breaks off before `used` was said.
    """

    def __init__(
        self,
        app: App,
        *,
        client: AsyncTollkeeper,
        toll: Callable[[Scope], Toll | None],
        customer_key: Callable[[Scope], str | None] = bearer_of,
    ) -> None:
        self._app = app
        self._client = client
        self._toll = toll
        self._customer_key = customer_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        toll = self._toll(scope) if scope["type"] == "http" else None
        if toll is None:
            await self._app(scope, receive, send)
            return
        key = self._customer_key(scope)
        if key is None:
            await _refuse(send, NO_KEY)
            return
        try:
            hold = await self._client.hold(estimate=toll.estimate, customer_key=key, **toll.what)
        except TollkeeperError as error:
            await _refuse(send, error)
            return
        scope[CHARGE] = charge = Charge(hold, toll.estimate)
        gate = _Gate(self._client, charge, send)
        try:
            await self._app(scope, receive, gate.send)
        except PaymentRequired as error:
            if gate.status is not None:
                raise
            await _refuse(send, error)
        finally:
            await gate.close()


class _Gate:
    """Lets the last part of an answer through when the charge has ended."""

    def __init__(self, client: AsyncTollkeeper, charge: Charge, send: Send) -> None:
        self._client = client
        self._charge = charge
        self._send = send
        self._ended = False
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            await self._end(charged=self._went_well())
        await self._send(message)

    async def close(self) -> None:
        """End what broke off: the customer who left pays for what is known to be used by then."""
        await self._end(charged=self._went_well() and self._charge.told)

    def _went_well(self) -> bool:
        return self.status is not None and self.status < FAILED

    async def _end(self, *, charged: bool) -> None:
        if self._ended:
            return
        self._ended = True
        hold_id = self._charge.hold.id
        try:
            if charged:
                story = story_of(self._charge, self.status)
                usage = self._charge.known_usage()
                self._charge.receipt = await self._client.settle(hold_id, usage, **story)
            else:
                await self._client.void(hold_id)
        except TollkeeperError:
            # The work is done and its answer half sent: the customer gets it. The hold ends itself.
            _log.exception("%s could not be ended", hold_id)


async def _refuse(send: Send, error: TollkeeperError) -> None:
    refusal = refusal_of(error)
    headers = [(name.encode(), value.encode()) for name, value in refusal.headers]
    start = {"type": "http.response.start", "status": refusal.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": refusal.body})
