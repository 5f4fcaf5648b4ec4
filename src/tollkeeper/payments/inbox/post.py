"""The sandbox's postman: its webhooks come without a network, and are checked all the same."""

from __future__ import annotations

from typing import Final

from tollkeeper.payments.inbox import store
from tollkeeper.payments.inbox.handling import handle_new
from tollkeeper.payments.processors.sandbox import SandboxProcessor
from tollkeeper.payments.till import Till

_BATCH: Final = 50


async def deliver_sandbox(till: Till, sandbox: SandboxProcessor) -> int:
    """Deliver what is due; the body of a background job. Returns how many deliveries that were."""
    delivered = 0
    for delivery in await sandbox.take_deliveries(_BATCH):
        for _ in range(delivery.times):
            now = till.clock.now()
            raw = sandbox.verify(delivery.headers, delivery.body, now)
            async with till.database.connection() as connection:
                new = await store.insert(connection, raw, now, livemode=sandbox.livemode)
            if new:
                await handle_new(till, sandbox.name, raw.event_id)
            delivered += 1
    return delivered
