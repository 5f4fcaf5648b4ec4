"""Paid credit per second, through the imitation of Stripe that the tests use.

    ./dev bench purchases [--purchases N] [--together N]

Each one is meant and committed, charged over HTTP by Stripe's own SDK (created, then confirmed),
and credited in the transaction that writes down the outcome. The imitation runs in a process of its
own on the same machine and answers at once; Stripe takes about a second, which is not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

from _report import Row, show
from _stand import Customer, populate, postgres
from tollkeeper import ledger
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Secret, Stripe
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import EntryKind, LotKind, NewLot, Posting
from tollkeeper.payments import Owner, Till, charge, intend_payment, to_nanos
from tollkeeper.payments.methods import customers, keeping
from tollkeeper.payments.model import NewPayment, PaymentChanged, PaymentStatus
from tollkeeper.payments.processors import MethodSetup, Processors
from tollkeeper.payments.processors.stripe import open_stripe

_FAKE: Final = Path(__file__).parents[1] / "tests" / "payments"
_CUSTOMERS: Final = 50
_RETURN: Final = "https://shop.test/back"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--purchases", type=int, default=2_000)
    parser.add_argument("--together", type=int, default=32)
    options = parser.parse_args()
    rows: list[Row] = []
    for buyers in (_CUSTOMERS, 1):
        with postgres() as server, _fake_stripe() as stripe:
            made = populate(server.url, buyers)
            buying = _buy(server.url, stripe, made, options.purchases, options.together)
            rows.append(asyncio.run(buying))
    rate = float(str(rows[0]["purchases per second"]))
    show("purchases", rows, [("purchases/s, fifty customers", rate, "a figure")])


@contextmanager
def _fake_stripe() -> Generator[Stripe]:
    command = [sys.executable, "-m", "fake_stripe"]
    with subprocess.Popen(command, cwd=_FAKE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield Stripe(
                secret_key=Secret(said["secretKey"]), api_base=said["apiBase"], timeout_seconds=30
            )
        finally:
            process.terminate()


async def _buy(
    url: str, stripe: Stripe, buyers: Sequence[Customer], count: int, together: int
) -> Row:
    clock = SystemClock()
    async with (
        Database.open(url, max_size=together) as database,
        open_stripe(stripe, clock) as processor,
    ):
        till = Till(database=database, processors=Processors((processor,)), clock=clock)
        wallets = {buyer.org_id: buyer.wallet_id for buyer in buyers}
        till.handlers.on(PaymentChanged, _crediting(till, wallets))
        methods = {buyer.org_id: await _card(till, buyer.org_id) for buyer in buyers}
        gate, seconds = asyncio.Semaphore(together), list[float]()

        async def one(turn: int) -> None:
            buyer = buyers[turn % len(buyers)]
            async with gate:
                began = time.perf_counter()
                await _purchase(till, buyer.org_id, methods[buyer.org_id])
                seconds.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(one(turn) for turn in range(count)))
        whole = time.perf_counter() - began
        await _check(database, buyers, count)
    seconds.sort()
    return {
        "customers": len(buyers),
        "together": together,
        "purchases per second": count / whole,
        "p50 ms": seconds[count // 2] * 1000,
        "p95 ms": seconds[count * 95 // 100] * 1000,
    }


def _crediting(till: Till, wallets: dict[UUID, UUID]):  # noqa: ANN202 (a handler)
    async def credit(tx: Connection, change: PaymentChanged) -> None:
        payment = change.payment
        if payment.status is not PaymentStatus.SUCCEEDED:
            return
        posting = Posting(
            org_id=payment.org_id,
            wallet_id=wallets[payment.org_id],
            entry_id=payment.subject_id,
            kind=EntryKind.PURCHASE,
            amount=to_nanos(payment.amount_minor, payment.currency),
            lot=NewLot(kind=LotKind.PURCHASED),
            source=f"payment:{payment.payment_id}",
        )
        await ledger.post(tx, posting, till.clock.now())

    return credit


async def _card(till: Till, org_id: UUID) -> UUID:
    processor = till.processors.serving(livemode=False)
    customer_ref = await customers.ensure(till, org_id, livemode=False)
    await processor.set_up_method(
        MethodSetup(
            setup_id=uuid7(),
            customer_ref=customer_ref,
            token="pm_card_visa",  # noqa: S106 (a test card's public name)
            return_url=_RETURN,
        )
    )
    (method,) = await keeping.sync(till, Owner(org_id=org_id, livemode=False))
    return method.method_id


async def _purchase(till: Till, org_id: UUID, method_id: UUID) -> None:
    new = NewPayment(
        org_id=org_id,
        payment_id=uuid7(),
        livemode=False,
        subject_id=uuid7(),
        amount_minor=2_500,
        currency="USD",
        description="25 USD of credit",
        return_url=_RETURN,
        method_id=method_id,
        off_session=True,
    )
    async with till.database.transaction() as tx:
        await intend_payment(tx, till, new, till.clock.now())
    paid = await charge(till, org_id, new.payment_id)
    if paid.status is not PaymentStatus.SUCCEEDED:
        raise SystemExit(f"a payment is {paid.status}")


async def _check(database: Database, buyers: Sequence[Customer], count: int) -> None:
    async with database.connection() as connection:
        added = 0
        for buyer in buyers:
            wallet = await ledger.find_wallet(connection, buyer.org_id, buyer.wallet_id)
            added += wallet.added
    if added != count * to_nanos(2_500, "USD"):
        raise SystemExit(f"{added} nanos were credited for {count} purchases")


if __name__ == "__main__":
    main()
