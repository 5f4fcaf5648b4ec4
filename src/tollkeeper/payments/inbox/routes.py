"""`POST /processors/<name>/events`: who it is from is checked, it is kept, it is answered; then it
is handled. Whatever goes wrong after that, the processor need not send it again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

import structlog
from msgspec import Struct

from tollkeeper.http import HotRoute, Operation, Receive, Scope, Send, read_body, respond_json
from tollkeeper.payments.errors import WebhookSignatureInvalid
from tollkeeper.payments.inbox import store
from tollkeeper.payments.inbox.handling import handle_new
from tollkeeper.payments.processors import Processor
from tollkeeper.payments.till import Till

_LARGEST_BODY: Final = 1024 * 1024
# As many are handled at once when they come in; the background job takes the rest.
_AT_ONCE: Final = 4
_ANSWER: Final = b'{"received":true}'

_log = structlog.stdlib.get_logger(__name__)


class Received(Struct, frozen=True, kw_only=True):
    received: bool


def webhook_route(till: Till, processor: Processor, *, signed_with: str | None) -> HotRoute:
    """Raises ValueError without a secret: then anybody could say that they have paid."""
    if not signed_with:
        raise ValueError(f"Webhooks of {processor.name} are not taken without their secret")
    gate = asyncio.Semaphore(_AT_ONCE)

    async def receive_event(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, _LARGEST_BODY)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        raw = processor.verify(headers, body, till.clock.now())
        async with till.database.connection() as connection:
            new = await store.insert(connection, raw, till.clock.now(), livemode=processor.livemode)
        await respond_json(send, 200, _ANSWER)
        if new and not gate.locked():
            async with gate:
                # The answer is out; the event is safe in any case.
                with suppress(Exception):
                    await handle_new(till, processor.name, raw.event_id)

    return HotRoute(
        method="POST",
        path=f"/processors/{processor.name}/events",
        handler=receive_event,
        operation=Operation(
            summary=f"Receive an event from {processor.name}",
            tag="Payment processors",
            request=dict[str, Any],
            response=Received,
            errors=(WebhookSignatureInvalid,),
            security=None,
            takes_idempotency_key=False,
            description="For the payment processor alone: the body is signed by it.",
        ),
    )
