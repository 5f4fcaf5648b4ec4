"""`Idempotency-Key`: the first answer again, instead of a second act.

A request claims its key, runs, and leaves its answer; until then others with the key are told to
wait. Success is remembered, and so are refusals that lie in the request itself. Server errors and
the statuses in `_MAY_CHANGE` are not: the same request may succeed later, and is run again. So is
one that was left behind when its process died, once its lease has ended. A request that is run
again keeps its `run_id`: acts that must never happen twice are named after it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import (
    IdempotencyKeyReused,
    InvalidRequest,
    RequestInProgress,
    TollkeeperError,
)
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Database
from tollkeeper.http import store
from tollkeeper.http.asgi import Message, Scope, Send, header, respond
from tollkeeper.http.encoding import encode_json
from tollkeeper.http.problem import problem_body, problem_headers

KEY_PATTERN: Final = "^[!-~]{1,255}$"
LEASE: Final = timedelta(seconds=60)
KEPT: Final = timedelta(hours=24)

_MAY_CHANGE: Final = frozenset({401, 402, 403, 408, 409, 425, 429})
_SERVER_ERROR: Final = 500
_KEY: Final = re.compile(KEY_PATTERN)
# Headers that belong to one sending, not to the answer.
_NOT_KEPT: Final = frozenset({"content-length", "date", "server", "x-request-id", "connection"})
REPLAYED: Final = {"idempotent-replayed": "true"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, as it is stored and sent again."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Run:
    """The right to run a request; `run_id` stays the same when another process takes over."""

    org_id: UUID
    key: str
    run_id: UUID
    leased_until: datetime


class Idempotency:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(
        self, org_id: UUID, key: str, request_hash: bytes, lease: timedelta = LEASE
    ) -> Run | Answer:
        """Claim the key, or return the answer it already has.

        Raises IdempotencyKeyReused when the key belongs to another request, RequestInProgress
        while the first one still runs.
        """
        now = self._clock.now()
        leased_until = now + lease
        async with self._database.connection() as connection:
            run_id = await store.claim(
                connection,
                org_id=org_id,
                key=key,
                request_hash=request_hash,
                run_id=uuid7(),
                leased_until=leased_until,
                expires_at=now + KEPT,
                now=now,
            )
            if run_id is not None:
                return Run(org_id, key, run_id, leased_until)
            row = await store.read(connection, org_id, key)
        if row is not None and row.request_hash != request_hash:
            raise IdempotencyKeyReused("Use a new Idempotency-Key for a new request")
        if row is None or row.status is None:
            raise RequestInProgress("The first request with this Idempotency-Key still runs")
        headers = [(name, value) for name, value in row.headers or ()]
        return Answer(row.status, headers, row.body or b"")

    async def finish(self, run: Run, answer: Answer) -> None:
        """Leave the answer for whoever comes with the key, or let the request be run again."""
        if answer.status >= _SERVER_ERROR or answer.status in _MAY_CHANGE:
            await self.release(run)
            return
        async with self._database.connection() as connection:
            await store.finish(
                connection,
                org_id=run.org_id,
                key=run.key,
                run_id=run.run_id,
                leased_until=run.leased_until,
                status=answer.status,
                headers=answer.headers,
                body=answer.body,
            )

    async def release(self, run: Run) -> None:
        """Let the same request be run again at once, under the same `run_id`."""
        async with self._database.connection() as connection:
            await store.release(
                connection,
                org_id=run.org_id,
                key=run.key,
                run_id=run.run_id,
                leased_until=run.leased_until,
                now=self._clock.now(),
            )

    async def sweep(self, most: int = 1000) -> int:
        """Delete up to `most` expired keys; return how many. A worker calls this now and then."""
        async with self._database.connection() as connection:
            return await store.sweep(connection, self._clock.now(), most)


def key_of(scope: Scope) -> str | None:
    """Return the request's Idempotency-Key. Raises InvalidRequest when it cannot be one."""
    key = header(scope, b"idempotency-key")
    if key is not None and _KEY.fullmatch(key) is None:
        sentence = "must be 1 to 255 printable ASCII characters without spaces"
        raise InvalidRequest(f"Idempotency-Key {sentence}", {"Idempotency-Key": [sentence]})
    return key


def hash_request(scope: Scope, caller_key_id: UUID, body: bytes) -> bytes:
    """Hash what makes two requests the same: who asks, what for, and the body to the byte."""
    digest = hashlib.sha256()
    for part in (
        caller_key_id.bytes,
        scope["method"].encode(),
        scope["path"].encode(),
        scope["query_string"],
        body,
    ):
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.digest()


async def send_again(send: Send, answer: Answer) -> None:
    named = [*answer.headers, *REPLAYED.items()]
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named]
    await respond(send, answer.status, answer.body, headers)


class Recorder:
    """Stands before `send`: keeps an answer to store it, and only then lets it go.

    `shown_once` names members of the JSON body that are not kept: a stored answer has null there.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._kept: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self._kept.append(message)

    def answer(self, shown_once: Iterable[str] = ()) -> Answer | None:
        """Return the answer if it is complete."""
        if not self._kept or self._kept[-1].get("more_body", False):
            return None
        start, *chunks = self._kept
        headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in start["headers"]
        ]
        body = b"".join(chunk.get("body", b"") for chunk in chunks)
        kept = [(name, value) for name, value in headers if name not in _NOT_KEPT]
        return Answer(start["status"], kept, _without(body, shown_once))

    async def let_go(self) -> None:
        for message in self._kept:
            await self._send(message)


def _without(body: bytes, shown_once: Iterable[str]) -> bytes:
    names = set(shown_once)
    if not names:
        return body
    members = cast("dict[str, Any]", msgspec.json.decode(body))
    return encode_json({name: None if name in names else value for name, value in members.items()})


async def answer_once(
    idempotency: Idempotency,
    scope: Scope,
    send: Send,
    claim: tuple[UUID, UUID, bytes],
    act: Callable[[Send, UUID | None], Awaitable[None]],
    lease: timedelta = LEASE,
) -> None:
    """Run a plain ASGI handler's `act(send, run_id)`, or send the answer it gave before.

    `claim` is the organization, the caller's key id and the body. Without an Idempotency-Key the
    act simply runs, with None for the run's id.
    """
    key = key_of(scope)
    if key is None:
        await act(send, None)
        return
    org_id, caller_key_id, body = claim
    begun = await idempotency.begin(org_id, key, hash_request(scope, caller_key_id, body), lease)
    if isinstance(begun, Answer):
        await send_again(send, begun)
        return
    recorder = Recorder(send)
    try:
        await act(recorder, begun.run_id)
    except TollkeeperError as error:
        await respond(recorder, error.status, problem_body(error), problem_headers(error))
    except Exception:
        await idempotency.release(begun)
        raise
    await leave(idempotency, begun, recorder)


async def leave(
    idempotency: Idempotency, run: Run, recorder: Recorder, shown_once: Iterable[str] = ()
) -> None:
    """Store what was recorded, then send it."""
    answer = recorder.answer(shown_once)
    if answer is None:
        await idempotency.release(run)
    else:
        await idempotency.finish(run, answer)
    await recorder.let_go()
