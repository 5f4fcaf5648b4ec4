"""One process among several that spend from the same wallets under the same names.

    python spender.py DATABASE_URL ORG WALLET SEED

Holds, settles, voids and charges calls named `call-0` to `call-99`, each from several tasks at
once, while its connections are cut; prints how many charges it was told are posted.
"""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

from msgspec import Raw

from tollkeeper.base.clock import SystemClock
from tollkeeper.base.errors import Unavailable
from tollkeeper.db import Database
from tollkeeper.ledger import ChargeOutcome, HoldOutcome, NewCharge, NewHold
from tollkeeper.metering import Meter, usage_id_of

CALLS = 100
COST = 7


async def main(url: str, org_id: UUID, wallet_id: UUID, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 (no secret)
    posted = 0

    def charge(name: str, hold_id: UUID | None) -> NewCharge:
        return NewCharge(
            org_id=org_id,
            wallet_id=wallet_id,
            usage_id=usage_id_of(org_id, name, livemode=False),
            hold_id=hold_id,
            fingerprint=1,
            amount=COST,
            lines=1,
            started_at=datetime.now(UTC),
            status=200,
            source="reported",
            detail=Raw(b"{}"),
        )

    async def call(meter: Meter, number: int) -> None:
        nonlocal posted
        await asyncio.sleep(chance.random())
        name = f"call-{number}"
        usage_id = usage_id_of(org_id, name, livemode=False)
        hold_id = None
        if number % 2:
            new = NewHold(
                org_id=org_id,
                wallet_id=wallet_id,
                hold_id=usage_id,
                amount=10,
                expires_at=datetime.now(UTC) + timedelta(minutes=5),
            )
            result = await again(meter, new)
            if result.outcome in (HoldOutcome.PLACED, HoldOutcome.EXISTS):
                hold_id = usage_id
        result = await meter.settle(charge(name, hold_id))
        posted += result.outcome in (ChargeOutcome.POSTED, ChargeOutcome.POSTED_LATE)

    async def again(meter: Meter, new: NewHold):
        while True:
            try:
                return await meter.hold(new)
            except Unavailable:
                await asyncio.sleep(0.1)

    async with Database.open(url) as database, Meter.open(database, SystemClock()) as meter:
        await asyncio.gather(*(call(meter, n % CALLS) for n in range(2 * CALLS)))
    print(posted)  # noqa: T201 (its answer)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], UUID(sys.argv[2]), UUID(sys.argv[3]), int(sys.argv[4])))
