"""Bringing a webhook to its endpoint: signed, tried again for three days, then given up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
from standardwebhooks import Webhook

from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection, Database
from tollkeeper.notifications import store
from tollkeeper.notifications.events import WebhookEndpointDisabled
from tollkeeper.notifications.model import Delivery, DeliveryState, Due
from tollkeeper.notifications.outbox import enqueue_delivery, notify
from tollkeeper.notifications.targets import GuardedResolver, TargetRefused, url_fault
from tollkeeper.notifications.turns import Turns

PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=20),
)
# An endpoint that has answered nothing well for as long as one delivery is tried is switched off.
LONG_FAILURE: Final = sum(PAUSES, timedelta())
TIMEOUT_SECONDS: Final = 15.0

_GONE: Final = 410
_AT_ONCE: Final = 32
_LOOK_UP_SECONDS: Final = 3.0
_BYTES_KEPT: Final = 2_000
_READ_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to. No `failure` is a success."""

    status: int | None
    failure: str | None
    duration_ms: int
    answered: str | None = None
    """The beginning of the answer's body."""


class Courier:
    """Sends webhooks out of this process."""

    def __init__(self, session: aiohttp.ClientSession, *, allow_private: bool) -> None:
        self._session = session
        self.allow_private = allow_private
        self.turns = Turns()
        self._resolver = GuardedResolver(allow_private=allow_private)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, allow_private: bool = False, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> AsyncGenerator[Courier]:
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(allow_private=allow_private),
            use_dns_cache=False,
            force_close=True,
            limit=_AT_ONCE,
        )
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        ) as session:
            yield cls(session, allow_private=allow_private)

    async def fault_of(self, url: str) -> str | None:
        """Say why webhooks cannot go there. A name that is not known yet is no fault."""
        fault = url_fault(url, allow_private=self.allow_private)
        if fault is not None:
            return fault
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                await self._resolver.resolve(urlsplit(url).hostname or "")
        except TargetRefused:
            return "must not be an address inside a network"
        except (OSError, UnicodeError):
            return None
        return None

    async def post(self, due: Due, now: datetime) -> Outcome:
        began = time.monotonic()
        with self.turns.taken(due.delivery.org_id):
            status, failure, answered = await self._post(due, now)
        return Outcome(status, failure, round((time.monotonic() - began) * 1000), answered)

    async def _post(self, due: Due, now: datetime) -> tuple[int | None, str | None, str | None]:
        # The URL was checked when it was saved; the setting may have changed since.
        fault = url_fault(due.url, allow_private=self.allow_private)
        if fault is not None:
            return None, f"the URL {fault}", None
        try:
            async with self._session.post(
                due.url,
                data=due.delivery.body.encode(),
                headers=signed_headers(due, now),
                allow_redirects=False,
            ) as answer:
                good = 200 <= answer.status < 300  # noqa: PLR2004 (the class of success)
                failure = None if good else f"answered {answer.status}"
                return answer.status, failure, await _beginning_of(answer)
        except TimeoutError:
            return None, "did not answer in time", None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return None, str(error) or type(error).__name__, None


async def _beginning_of(answer: aiohttp.ClientResponse) -> str:
    """What there is of the body within a moment. The status has come: nothing is wrong with a body
    that does not."""
    read = b""
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_READ_SECONDS):
            while len(read) < _BYTES_KEPT and (
                more := await answer.content.read(_BYTES_KEPT - len(read))
            ):
                read += more
    return read.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def signed_headers(due: Due, now: datetime) -> dict[str, str]:
    """Sign with each secret in force, so that one can be exchanged without a gap."""
    message_id = due.delivery.message_id
    signatures = [
        Webhook(secret).sign(message_id, now, due.delivery.body) for secret in due.secrets
    ]
    return {
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": "Tollkeeper-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


async def deliver(
    database: Database,
    courier: Courier,
    clock: Clock,
    *,
    org_id: UUID,
    delivery_id: UUID,
    attempt: int,
) -> None:
    """Make the attempt of this number, unless it was made before, or later if the organization's
    receivers keep us busy."""
    async with database.connection() as connection:
        due = await store.read_due(connection, org_id, delivery_id, clock.now())
    if due is None or due.delivery.state is not DeliveryState.PENDING:
        return
    if due.delivery.attempts != attempt - 1:
        return
    if due.enabled and not courier.turns.has_room(org_id):
        at = clock.now() + courier.turns.wait(org_id)
        async with database.transaction() as tx:
            await enqueue_delivery(tx, org_id, delivery_id, attempt=attempt, at=at)
        return
    if due.enabled:
        outcome = await courier.post(due, clock.now())
    else:
        outcome = Outcome(None, "the webhook is switched off", 0)
    async with database.transaction() as tx:
        await record(tx, due, outcome, clock.now())


async def record(tx: Connection, due: Due, outcome: Outcome, now: datetime) -> None:
    """Write down what an attempt came to, and what follows from it."""
    delivery, attempts = due.delivery, due.delivery.attempts + 1
    over = outcome.failure is not None and (
        not due.enabled or outcome.status == _GONE or attempts > len(PAUSES)
    )
    again_at = None if outcome.failure is None or over else now + PAUSES[attempts - 1]
    state = DeliveryState.PENDING
    if over or outcome.failure is None:
        state = DeliveryState.FAILED if over else DeliveryState.DELIVERED
    written = await store.write_attempt(
        tx,
        delivery,
        state=state,
        status=outcome.status,
        failure=outcome.failure,
        duration_ms=outcome.duration_ms,
        answered=outcome.answered,
        again_at=again_at,
        now=now,
    )
    if not written:
        return  # another worker made the same attempt
    if again_at is not None:
        await enqueue_delivery(
            tx, delivery.org_id, delivery.delivery_id, attempt=attempts + 1, at=again_at
        )
    if due.enabled:
        await _judge_endpoint(tx, delivery, outcome, now, over=over)


async def _judge_endpoint(
    tx: Connection, delivery: Delivery, outcome: Outcome, now: datetime, *, over: bool
) -> None:
    if outcome.failure is None:
        await store.endpoint_works(tx, delivery.org_id, delivery.endpoint_id)
        return
    since = await store.endpoint_fails(tx, delivery.org_id, delivery.endpoint_id, now)
    gone = outcome.status == _GONE
    if since is None or not (gone or (over and now - since >= LONG_FAILURE)):
        return
    reason = f"answered {_GONE} (gone)" if gone else f"failed for days: {outcome.failure}"
    switched = await store.switch_off(tx, delivery.org_id, delivery.endpoint_id, reason)
    if switched is None:
        return
    url, livemode = switched
    event = WebhookEndpointDisabled(
        webhook_id=show_id("whk", delivery.endpoint_id),
        url=url,
        failing_since=since,
        failure=outcome.failure,
    )
    await notify(tx, delivery.org_id, event, livemode=livemode, now=now)
