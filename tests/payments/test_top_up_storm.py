"""Five hundred calls from four processes cross the threshold at once: one top-up, one charge."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from banks import FakeBank
from selling import DOLLAR
from shops import Shop
from test_topping_up import filler_at

SPENDER = Path(__file__).with_name("spending_process.py")
PROCESSES, CALLS = 4, 125
PRICE = 9 * DOLLAR // 100


async def test_a_storm_of_settlements_buys_once(
    fake_shop: Shop, fake_bank: FakeBank, database_url: str
) -> None:
    filler = await filler_at(fake_shop)
    seller = filler.seller
    await seller.bought(50)
    await filler.turn_on(threshold_nanos=25 * DOLLAR, amount_nanos=100 * DOLLAR)
    spenders = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(SPENDER),
            *(database_url, fake_bank.fake.base, str(seller.org_id), str(seller.wallet_id)),
            *(str(CALLS), str(PRICE)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]
    for spender in spenders:
        assert spender.stdout is not None
        assert await spender.stdout.readline() == b"ready\n"
    for spender in spenders:
        assert spender.stdin is not None
        spender.stdin.write(b"go\n")
        await spender.stdin.drain()
    async with asyncio.timeout(60):
        assert [await spender.wait() for spender in spenders] == [0] * PROCESSES
    automatic = [p for p in await filler.bought() if p.origin.value == "auto_top_up"]
    assert len(automatic) == 1
    assert await fake_bank.charged(automatic[0].purchase_id) == [10_000]
    assert (await seller.wallet()).posted == 150 * DOLLAR - PROCESSES * CALLS * PRICE
