"""Knows every key that is in use, so that a call is authenticated without a query.

A process keeps the keys it has met, and asks several times a second which keys changed. When the
newest answer is older than `_TRUSTED_SECONDS`, memory is worth nothing: every call asks the
database until answers come again. So a revoked key is refused by every process within that time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import structlog

from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import Unauthenticated
from tollkeeper.base.tasks import end_tasks
from tollkeeper.db import Connection, Database
from tollkeeper.orgs import store
from tollkeeper.orgs.model import Caller, OperatorCaller
from tollkeeper.orgs.secrets import has_form, hash_secret

_POLL_SECONDS: Final = 0.3
_TRUSTED_SECONDS: Final = 1.0
# A change is visible later than the moment it notes. Polls look back this far; the review catches
# what a transaction that stayed open for longer hid from them.
_OVERLAP_SECONDS: Final = 10
_REVIEW_SECONDS: Final = 30.0
_REVIEWED: Final = 200
_FLUSH_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 0.1
# A wrong key is remembered this long, and this many of them: enough to make hammering cheap.
_REFUSED_SECONDS: Final = 2.0
_MOST_REFUSED: Final = 10_000
_MOST_KNOWN: Final = 200_000

_UNKNOWN: Final = "There is no such API key"
_NO_KEY: Final = "Send an API key as `Authorization: Bearer tk_…` or `x-api-key: tk_…`"

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Refused:
    reason: str
    until: float


class KeyRing:
    """One per process. `KeyRing.open` also runs its polling."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[bytes, Caller | OperatorCaller] = {}
        self._refused: dict[bytes, _Refused] = {}
        self._pending: dict[bytes, asyncio.Future[Caller | OperatorCaller | str]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._used: dict[bytes, Caller | OperatorCaller] = {}
        self._trusted_until = 0.0
        self._polled_at: datetime | None = None
        self._reviewed_at = 0.0
        self._to_review: list[bytes] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, database: Database, clock: Clock) -> AsyncGenerator[Self]:
        ring = cls(database, clock)
        loops = [asyncio.create_task(ring._watch()), asyncio.create_task(ring._flush_regularly())]
        try:
            yield ring
        finally:
            await end_tasks(*loops)
            await ring.flush_last_used()

    async def authenticate(self, token: str | None) -> Caller:
        """Return who holds this API key. Raises Unauthenticated with the reason."""
        found = await self._find(token)
        if not isinstance(found, Caller):
            raise Unauthenticated("This is an operator key; this endpoint takes an API key")
        return found

    async def recognize(self, token: str) -> Caller:
        """Return whose API key this is, or was: expired and revoked ones too, which let nobody in.

        Raises Unauthenticated for what never was one.
        """
        try:
            return await self.authenticate(token)
        except Unauthenticated:
            if not has_form(token):
                raise
            async with self._database.connection() as connection:
                rows = await store.find_keys(connection, [hash_secret(token)])
            known = [row.caller for row in rows if isinstance(row.caller, Caller)]
            if not known:
                raise
            return known[0]

    async def authenticate_operator(self, token: str | None) -> OperatorCaller:
        """Return which operator holds this key. Raises Unauthenticated with the reason."""
        found = await self._find(token)
        if not isinstance(found, OperatorCaller):
            raise Unauthenticated("This endpoint takes an operator key (tk_op_…)")
        return found

    async def _find(self, token: str | None) -> Caller | OperatorCaller:
        if not token:
            raise Unauthenticated(_NO_KEY)
        hashed = hash_secret(token)
        found: Caller | OperatorCaller | str | None = None
        if time.monotonic() < self._trusted_until:
            found = self._known.get(hashed) or self._reason_to_refuse(hashed)
        if found is None:
            found = await self._ask(hashed) if has_form(token) else _UNKNOWN
        if isinstance(found, str):
            raise Unauthenticated(found)
        if found.expires_at is not None and found.expires_at <= self._clock.now():
            raise Unauthenticated("This API key has expired")
        self._used[hashed] = found
        return found

    def _reason_to_refuse(self, hashed: bytes) -> str | None:
        refused = self._refused.get(hashed)
        if refused is None or refused.until < time.monotonic():
            return None
        return refused.reason

    async def _ask(self, hashed: bytes) -> Caller | OperatorCaller | str:
        """Wait for a look-up that begins from now on; calls that wait together share it."""
        future = self._pending.get(hashed)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._pending[hashed] = future
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_while_pending())
        return await asyncio.shield(future)

    async def _ask_while_pending(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending, {}
                try:
                    async with self._database.connection() as connection:
                        rows = await store.find_keys(connection, list(batch))
                except Exception as error:  # noqa: BLE001 (each caller gets it)
                    for future in batch.values():
                        future.set_exception(error)
                        future.exception()  # The caller may have left; then nobody else looks.
                    continue
                found = {row.secret_hash: row for row in rows}
                for hashed, future in batch.items():
                    future.set_result(self._learn(hashed, found.get(hashed)))
        finally:
            self._asking = None

    def _learn(self, hashed: bytes, row: store.KeyRow | None) -> Caller | OperatorCaller | str:
        if row is not None and row.revoked_at is None:
            _make_room(self._known, _MOST_KNOWN)
            self._refused.pop(hashed, None)
            self._known[hashed] = row.caller
            return row.caller
        reason = _UNKNOWN if row is None else "This API key was revoked"
        _make_room(self._refused, _MOST_REFUSED)
        self._known.pop(hashed, None)
        self._refused[hashed] = _Refused(reason, time.monotonic() + _REFUSED_SECONDS)
        return reason

    async def _watch(self) -> None:
        """Poll on one connection for ever, opening another when it is lost."""
        while True:
            try:
                async with asyncio.timeout(_TRUSTED_SECONDS):
                    connection = await self._database.dedicated()
                try:
                    await self._poll_until_lost(connection)
                finally:
                    await connection.close()
            except Exception as error:  # noqa: BLE001 (whatever it was, the next try may succeed)
                _log.warning("key_poll_failed", reason=str(error) or type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _poll_until_lost(self, connection: Connection) -> None:
        while True:
            started = time.monotonic()
            async with asyncio.timeout(_TRUSTED_SECONDS):
                await self._poll(connection, started)
                await self._review(connection, started)
            await asyncio.sleep(max(0.0, started + _POLL_SECONDS - time.monotonic()))

    async def _poll(self, connection: Connection, started: float) -> None:
        asked_at, rows = await store.keys_changed_since(
            connection, self._polled_at, _OVERLAP_SECONDS
        )
        for row in rows:
            if row.secret_hash in self._known or row.secret_hash in self._refused:
                self._learn(row.secret_hash, row)
        self._polled_at = asked_at
        # Everything that was committed before the question was asked is known now.
        self._trusted_until = started + _TRUSTED_SECONDS

    async def _review(self, connection: Connection, started: float) -> None:
        """Look at known keys again, a few with each poll, each after half a minute."""
        if not self._to_review and started > self._reviewed_at + _REVIEW_SECONDS:
            self._reviewed_at = started
            self._to_review = list(self._known)
        if not self._to_review:
            return
        batch, self._to_review = self._to_review[:_REVIEWED], self._to_review[_REVIEWED:]
        found = {row.secret_hash: row for row in await store.find_keys(connection, batch)}
        for hashed in batch:
            self._learn(hashed, found.get(hashed))

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush_last_used()

    async def flush_last_used(self) -> None:
        """Write down which keys were used since the last time, to within a few seconds."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            async with self._database.connection() as connection:
                await store.note_used(connection, list(used.values()), self._clock.now())
        except Exception as error:  # noqa: BLE001 (a date nobody decides by is not worth a failure)
            _log.warning("last_used_not_written", keys=len(used), reason=str(error))


def _make_room(remembered: dict[bytes, Any], most: int) -> None:
    """Forget the one learnt first when there are too many."""
    if len(remembered) >= most:
        del remembered[next(iter(remembered))]
