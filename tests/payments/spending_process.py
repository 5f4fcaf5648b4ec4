"""A process that spends and looks at the balance as the server does, beside others of its kind:

    python spending_process.py URL STRIPE ORG WALLET CALLS NANOS

It prints "ready", waits for a line, settles so many calls at once, and goes on looking at balances
and paying for what was begun until two seconds after the last call.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from uuid import UUID

from msgspec import Raw

from tollkeeper import credits  # noqa: A004 (the room's name)
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Secret, Settings, Stripe
from tollkeeper.credits.store import page
from tollkeeper.credits.topping_up import acts
from tollkeeper.credits.topping_up.acts import TopUps
from tollkeeper.credits.topping_up.watching import look_at
from tollkeeper.db import Database
from tollkeeper.http import Cursors
from tollkeeper.ledger import NewCharge
from tollkeeper.metering import Meter
from tollkeeper.payments import Till
from tollkeeper.payments.processors import Processors
from tollkeeper.payments.processors.stripe import open_stripe


async def main(
    url: str, api_base: str, org_id: UUID, wallet_id: UUID, calls: int, nanos: int
) -> None:
    stripe = Stripe(secret_key=Secret("sk_test_fake"), api_base=api_base, timeout_seconds=60)
    clock = SystemClock()
    async with (
        Database.open(url, max_size=4) as database,
        open_stripe(stripe, clock) as processor,
        Meter.open(database, clock) as meter,
    ):
        till = Till(database=database, processors=Processors((processor,)), clock=clock)
        shop = credits.open_shop(Settings(), till, "https://shop.test/billing")
        top_ups = credits.open_top_ups(Settings(), shop, Cursors(b"s" * 32), "https://toll.test")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        looking = asyncio.create_task(look(top_ups, meter, org_id))
        charges = (charge(org_id, wallet_id, nanos) for _ in range(calls))
        await asyncio.gather(*map(meter.settle, charges))
        await asyncio.sleep(2)
        looking.cancel()


async def look(top_ups: TopUps, meter: Meter, org_id: UUID) -> None:
    database = top_ups.shop.till.database
    while True:
        await look_at(top_ups, meter.take_moved())
        async with database.connection() as connection:
            bought = await page(connection, org_id, livemode=False, below=None, limit=100)
        for purchase in bought:
            if not purchase.status.credited:
                await acts.charge(top_ups, org_id, purchase.purchase_id)
        await asyncio.sleep(0.01)


def charge(org_id: UUID, wallet_id: UUID, nanos: int) -> NewCharge:
    return NewCharge(
        org_id=org_id,
        wallet_id=wallet_id,
        usage_id=uuid7(),
        amount=nanos,
        lines=0,
        started_at=datetime.now(UTC),
        status=200,
        source="provider",
        detail=Raw(b"{}"),
    )


if __name__ == "__main__":
    url, api_base, org, wallet, calls, nanos = sys.argv[1:]
    asyncio.run(main(url, api_base, UUID(org), UUID(wallet), int(calls), int(nanos)))
