"""A process that pays until it is killed: `python paying_process.py URL STRIPE ORG PAYMENT`.

It takes one step of a payment: `charge`, then prints what came of it. What is bought is credited.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID

from tollkeeper import credits  # noqa: A004 (the room's name)
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.settings import Secret, Settings, Stripe
from tollkeeper.db import Database
from tollkeeper.payments import Till, charge
from tollkeeper.payments.processors import Processors
from tollkeeper.payments.processors.stripe import open_stripe


async def main(url: str, api_base: str, org_id: UUID, payment_id: UUID) -> None:
    settings = Stripe(secret_key=Secret("sk_test_fake"), api_base=api_base, timeout_seconds=60)
    clock = SystemClock()
    async with Database.open(url) as database, open_stripe(settings, clock) as processor:
        till = Till(database=database, processors=Processors((processor,)), clock=clock)
        credits.open_shop(Settings(), till, "https://shop.test/billing")
        paid = await charge(till, org_id, payment_id)
    sys.stdout.write(f"{paid.status}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], UUID(sys.argv[3]), UUID(sys.argv[4])))
