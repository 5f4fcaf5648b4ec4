"""`GET /models` and `GET /models/{id}`, in the shape of whoever asks."""

from __future__ import annotations

from typing import Final, Protocol

from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.gateway.dialects import CHAT, DIALECTS, MESSAGES
from tollkeeper.gateway.errors import ModelNotFound, NotOffered
from tollkeeper.gateway.headers import read_headers
from tollkeeper.gateway.listing import Listing, one
from tollkeeper.gateway.models import Models, Sale
from tollkeeper.http.asgi import Receive, Scope, Send, request_id_of, respond_json
from tollkeeper.http.problem import manner_headers
from tollkeeper.orgs import Caller, KeyRing, bearer_token
from tollkeeper.pricing import BookKeeper

_OK: Final = 200


class Answering(Protocol):
    async def __call__(self, caller: Caller, *, anthropic: bool) -> bytes: ...


class Shelf:
    def __init__(self, models: Models, books: BookKeeper, keys: KeyRing, clock: Clock) -> None:
        self._models = models
        self._books = books
        self._keys = keys
        self._clock = clock
        self._listing = Listing(models)

    async def all(self, scope: Scope, _receive: Receive, send: Send) -> None:
        async def answer(caller: Caller, *, anthropic: bool) -> bytes:
            return await self._listing.all(
                self._books.book,
                self._clock.now(),
                livemode=caller.livemode,
                anthropic=anthropic,
            )

        await self._answer(scope, send, answer)

    async def one(self, scope: Scope, _receive: Receive, send: Send) -> None:
        name = scope["path_params"]["id"]

        async def answer(caller: Caller, *, anthropic: bool) -> bytes:
            return one(name, self._find(name, caller), anthropic=anthropic)

        await self._answer(scope, send, answer)

    def _find(self, name: str, caller: Caller) -> Sale:
        """Find a model through whichever endpoint offers it."""
        refused: TollkeeperError | None = None
        for dialect in DIALECTS.values():
            try:
                return self._models.sell(
                    name,
                    dialect.name,
                    self._books.book,
                    self._clock.now(),
                    livemode=caller.livemode,
                )
            except NotOffered as error:
                refused = error
        raise refused or ModelNotFound(f"There is no model {name} here", model=name)

    async def _answer(self, scope: Scope, send: Send, answer: Answering) -> None:
        anthropic = False
        try:
            headers = read_headers(scope)
            anthropic = "anthropic-version" in headers.passed
            caller = await self._keys.authenticate(bearer_token(scope["headers"]))
            body = await answer(caller, anthropic=anthropic)
        except TollkeeperError as error:
            dialect = MESSAGES if anthropic else CHAT
            body = dialect.error_body(error, request_id_of(scope))
            await respond_json(send, error.status, body, manner_headers(error))
            return
        await respond_json(send, _OK, body)
