"""Paid credit per second, through the imitation of Stripe that the tests use.

    ./dev bench purchases [--purchases N] [--together N]

Each one is ordered and committed, charged over HTTP by Stripe's own SDK (created, then confirmed),
and credited, invoiced and told in the transaction that writes down the outcome. The imitation runs
in a process of its own on the same machine and answers at once; Stripe takes about a second, which
is not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from typing import Final

from _report import Row, show
from _shop import RETURN, fake_stripe, keep_card, open_shop
from _stand import Customer, populate, postgres
from tollkeeper import credits, ledger  # noqa: A004 (the room's name)
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Stripe
from tollkeeper.credits import Order, PurchaseInProgress, PurchaseStatus, Shop
from tollkeeper.db import Database

_CUSTOMERS: Final = 50
_PRICE: Final = 25_000_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--purchases", type=int, default=2_000)
    parser.add_argument("--together", type=int, default=32)
    options = parser.parse_args()
    with postgres() as server, fake_stripe() as stripe:
        made = populate(server.url, _CUSTOMERS)
        buying = _buy(server.url, stripe, made, options.purchases, options.together)
        row = asyncio.run(buying)
    show(
        "purchases",
        [row],
        [("purchases/s, fifty customers", float(str(row["purchases per second"])), "a figure")],
    )


async def _buy(
    url: str, stripe: Stripe, buyers: Sequence[Customer], count: int, together: int
) -> Row:
    async with open_shop(url, stripe, together) as top_ups:
        shop = top_ups.shop
        for buyer in buyers:
            await keep_card(shop.till, buyer.org_id)
        seconds = list[float]()
        # A balance buys one thing at a time, so each customer's orders follow one another.
        queues = [list(range(place, count, len(buyers))) for place in range(len(buyers))]
        gate = asyncio.Semaphore(together)

        async def customer(buyer: Customer, orders: Sequence[int]) -> None:
            for _ in orders:
                async with gate:
                    began = time.perf_counter()
                    await _purchase(shop, buyer)
                    seconds.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*map(customer, buyers, queues))
        whole = time.perf_counter() - began
        await _check(shop.till.database, buyers, count)
    seconds.sort()
    return {
        "customers": len(buyers),
        "together": together,
        "purchases per second": count / whole,
        "p50 ms": seconds[count // 2] * 1000,
        "p95 ms": seconds[count * 95 // 100] * 1000,
    }


async def _purchase(shop: Shop, buyer: Customer) -> None:
    order = Order(
        org_id=buyer.org_id,
        purchase_id=uuid7(),
        wallet_id=buyer.wallet_id,
        livemode=False,
        amount=_PRICE,
        currency="USD",
        actor="bench",
        return_url=RETURN,
    )
    try:
        bought, _ = await credits.buy(shop, order)
    except PurchaseInProgress as error:
        raise SystemExit("one balance bought twice at once") from error
    if bought.status is not PurchaseStatus.SUCCEEDED:
        raise SystemExit(f"a purchase is {bought.status}")


async def _check(database: Database, buyers: Sequence[Customer], count: int) -> None:
    async with database.connection() as connection:
        added = 0
        for buyer in buyers:
            wallet = await ledger.find_wallet(connection, buyer.org_id, buyer.wallet_id)
            added += wallet.added
    if added != count * _PRICE:
        raise SystemExit(f"{added} nanos were credited for {count} purchases")


if __name__ == "__main__":
    main()
