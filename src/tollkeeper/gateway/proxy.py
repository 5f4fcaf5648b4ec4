"""The life of a call, in order: authenticate → limits → rate the worst case → hold → send
upstream → meter → settle → answer.

Until its body is read a request belongs to its connection. From then on the call is a task of the
server's own: whatever becomes of the client, it is brought to its end and settled.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from tollkeeper.base.errors import TollkeeperError, Unavailable
from tollkeeper.base.ids import uuid7
from tollkeeper.gateway.admission import admit, give_hold_back
from tollkeeper.gateway.call import JSON, Call, Ended, Parts, Request, Visit, answered
from tollkeeper.gateway.client import MAX_KEPT_BYTES, Client, as_bytes
from tollkeeper.gateway.dialects import Ask, Dialect
from tollkeeper.gateway.errors import AnswerNotKept, Stopping, UnsupportedMediaType
from tollkeeper.gateway.headers import CallHeaders, read_headers
from tollkeeper.gateway.metrics import Outcome
from tollkeeper.gateway.stream import answer_stream
from tollkeeper.gateway.upstream import now
from tollkeeper.gateway.whole import answer_whole
from tollkeeper.http.asgi import (
    App,
    Receive,
    Scope,
    Send,
    read_body,
    request_id_of,
    wait_until_gone,
)
from tollkeeper.http.idempotency import (
    REPLAYED,
    Answer,
    Idempotency,
    Run,
    hash_request,
    key_of,
)
from tollkeeper.http.problem import manner_headers, unexpected
from tollkeeper.orgs import Caller, KeyRing, bearer_token

_log = structlog.stdlib.get_logger(__name__)

_PAYMENT_REQUIRED: Final = 402
_SERVER_ERROR: Final = 500
_FORMS: Final = frozenset({"transcriptions"})
_FORM: Final = "multipart/form-data"
# Beyond the longest call: settling it, and storing its answer.
_LEASE_MARGIN: Final = 60


class Proxy:
    """Answers calls, by a `handler` for each dialect."""

    def __init__(self, parts: Parts, keys: KeyRing, idempotency: Idempotency) -> None:
        self._parts = parts
        self._keys = keys
        self._idempotency = idempotency
        gateway = parts.settings.gateway
        self._longest = gateway.total_timeout_seconds
        self._patience = gateway.idle_timeout_seconds
        self._lease = timedelta(seconds=self._longest + _LEASE_MARGIN)

    def handler(self, dialect: Dialect) -> App:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            request_id = request_id_of(scope)
            client = Client(send, patience=self._patience)
            try:
                await self._take(dialect, scope, receive, client)
            except TollkeeperError as error:
                await self._refuse(dialect, request_id, client, error)

        return handle

    async def _take(self, dialect: Dialect, scope: Scope, receive: Receive, client: Client) -> None:
        """Read a request, and have it carried out."""
        started = now()
        self._parts.flights.check_open()
        headers = read_headers(scope)
        caller = await self._keys.authenticate(bearer_token(scope["headers"]))
        body = await read_body(scope, receive, self._parts.settings.server.max_body_bytes)
        ask = read(dialect, body, headers)
        run = await self._claim(scope, caller, body)
        if isinstance(run, Answer):
            await self._replay(dialect, run, client)
            return
        await self._check_open(run)
        request = Request(
            dialect=dialect,
            ask=ask,
            caller=caller,
            headers=headers,
            request_id=request_id_of(scope),
            usage_id=uuid7() if run is None else run.run_id,
            started=started,
            deadline=started + self._longest,
            awaited=run is not None,
        )
        await self._fly(request, run, receive, client)

    async def welcome(self, visit: Visit, receive: Receive, send: Send) -> None:
        """Answer a call that comes without a key, as if it had come with one."""
        client = Client(send, patience=self._patience)
        try:
            await self._take_visit(visit, receive, client)
        except TollkeeperError as error:
            await self._refuse(visit.dialect, visit.request_id, client, error)

    async def _take_visit(self, visit: Visit, receive: Receive, client: Client) -> None:
        started = now()
        self._parts.flights.check_open()
        key = f"visit-{visit.usage_id}"
        run = await self._idempotency.begin(visit.guest.org_id, key, visit.hashed, self._lease)
        if isinstance(run, Answer):
            await self._replay(visit.dialect, run, client)
            return
        await self._check_open(run)
        request = Request(
            dialect=visit.dialect,
            ask=visit.ask,
            caller=visit.guest,
            headers=visit.headers,
            request_id=visit.request_id,
            usage_id=visit.usage_id,
            started=started,
            deadline=started + self._longest,
            # Whoever stops an answer does not want the rest of it.
            awaited=False,
        )
        await self._fly(request, run, receive, client)

    async def _replay(self, dialect: Dialect, known: Answer, client: Client) -> None:
        self._parts.metrics.note_end(dialect.name, Outcome.REPLAYED)
        headers = as_bytes([*known.headers, *REPLAYED.items()])
        await client.answer(known.status, known.body, headers)

    async def _fly(
        self, request: Request, run: Run | None, receive: Receive, client: Client
    ) -> None:
        flight = self._parts.flights.start(self._carry_out(request, client, run))
        if request.ask.stream:
            await follow(flight, receive, client)
        else:
            await asyncio.shield(flight)

    async def _claim(self, scope: Scope, caller: Caller, body: bytes) -> Run | Answer | None:
        """Claim the Idempotency-Key, or give the answer that it already has."""
        key = key_of(scope)
        if key is None:
            return None
        hashed = hash_request(scope, caller.key_id, body)
        return await self._idempotency.begin(caller.org_id, key, hashed, self._lease)

    async def _check_open(self, run: Run | None) -> None:
        """Raises Stopping when the server was told to stop while the request was being read."""
        try:
            self._parts.flights.check_open()
        except Stopping:
            if run is not None:
                await self._idempotency.release(run)
            raise

    async def _carry_out(self, request: Request, client: Client, run: Run | None) -> None:
        """Bring a call to its end. Nobody may be there any more to hear of a failure."""
        call: Call | None = None
        ended: Ended | None = None
        failure: TollkeeperError | None = None
        if run is not None:
            client.keep()
        try:
            call = await admit(self._parts, request)
            if request.ask.stream:
                ended = await answer_stream(self._parts, call, client)
            else:
                ended = await answer_whole(self._parts, call)
        except TollkeeperError as error:
            failure = error
        except Exception:  # noqa: BLE001 (the last place where the client can be told)
            _log.exception("call_failed", usage_id=str(request.usage_id))
            failure = unexpected()
            if call is not None:
                await give_hold_back(self._parts, call.metered)
        if run is not None:
            await self._remember(run, request, client, ended)
        if failure is not None:
            await self._refuse(request.dialect, request.request_id, client, failure)
        elif ended is not None:
            await _send_rest(client, ended)

    async def _remember(
        self, run: Run, request: Request, client: Client, ended: Ended | None
    ) -> None:
        """Keep the answer of a call that was charged; let any other be made again."""
        try:
            if ended is None or not ended.charged:
                await self._idempotency.release(run)
                return
            answer = ended.answer or client.kept(ended.last)
            if answer is None or len(answer.body) > MAX_KEPT_BYTES:
                answer = _not_kept(request)
            await self._idempotency.finish(run, answer)
        except Unavailable as outage:
            # The key stays taken until its lease ends, and its call charged once: by its id.
            _log.warning("answer_not_kept", reason=outage.detail)

    async def _refuse(
        self, dialect: Dialect, request_id: str, client: Client, error: TollkeeperError
    ) -> None:
        if error.status == _PAYMENT_REQUIRED:
            outcome = Outcome.OUT_OF_CREDIT
        else:
            outcome = Outcome.REFUSED if error.status < _SERVER_ERROR else Outcome.FAULT
        self._parts.metrics.note_end(dialect.name, outcome)
        if client.begun:
            await client.finish(dialect.stream_error(error, request_id))
            return
        headers = [*as_bytes([("content-type", JSON)]), *manner_headers(error)]
        await client.answer(error.status, dialect.error_body(error, request_id), headers)


def read(dialect: Dialect, body: bytes, headers: CallHeaders) -> Ask:
    """Read a body in a dialect. Raises UnsupportedMediaType, InvalidRequest."""
    if headers.content_type == JSON and dialect.name not in _FORMS:
        return dialect.read(body)
    said = headers.content_type.partition(";")[0].strip().lower()
    wanted = _FORM if dialect.name in _FORMS else JSON
    if said and said != wanted and not (wanted == JSON and said.endswith("+json")):
        raise UnsupportedMediaType(f"Send the body as {wanted}, not as {said[:100]}")
    return dialect.read(body, headers.content_type or JSON)


async def follow(flight: asyncio.Task[None], receive: Receive, client: Client) -> None:
    """Wait for the call, or for its client's leaving."""
    leaving = asyncio.create_task(wait_until_gone(receive))
    try:
        await client.watch(flight, leaving)
    finally:
        leaving.cancel()


async def _send_rest(client: Client, ended: Ended) -> None:
    if ended.answer is None:
        await client.finish(ended.last)
    else:
        answer = ended.answer
        await client.answer(answer.status, answer.body, as_bytes(answer.headers))


def _not_kept(request: Request) -> Answer:
    """Make what is kept in place of an answer that is too large to be kept."""
    error = AnswerNotKept("The call was made and charged; its answer cannot be sent again")
    return answered(error.status, request.dialect.error_body(error))
