"""`kill -9` at each step of a charge: it ends, cleanly, and the card is charged at most once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from banks import FakeBank
from fake_stripe import How
from selling import open_seller, verified
from shops import Shop

from tollkeeper.credits import PurchaseInProgress, PurchaseStatus, begin_purchase
from tollkeeper.payments import charge, get_payment, settle_unfinished
from tollkeeper.payments.model import FailureCode, Payment, PaymentStatus

PAYER = Path(__file__).with_name("paying_process.py")
CREATE, CONFIRM = "/v1/payment_intents", "/v1/payment_intents/[^/]+/confirm"

STEPS: dict[str, tuple[str, How]] = {
    "before the intent reached Stripe": (CREATE, How.HANGS_BEFORE),
    "after Stripe made the intent": (CREATE, How.HANGS_AFTER),
    "before Stripe was told to charge": (CONFIRM, How.HANGS_BEFORE),
    "after Stripe charged": (CONFIRM, How.HANGS_AFTER),
}


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 (another process makes it true)
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_payer_leaves_a_payment_that_ends(
    fake_shop: Shop, fake_bank: FakeBank, database_url: str, step: str
) -> None:
    path, how = STEPS[step]
    method = await fake_shop.on_file()
    payment = await fake_shop.intend(method_id=method.method_id, off_session=True)
    fake_bank.fake.fail(path, how, times=-1)
    before = len(fake_bank.fake.requests)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PAYER),
        database_url,
        fake_bank.fake.base,
        str(payment.org_id),
        str(payment.payment_id),
    )
    wanted = CREATE if path == CREATE else "/confirm"
    await until(lambda: any(wanted in line for line in fake_bank.fake.requests[before:]))
    await asyncio.sleep(0.1)
    process.kill()
    await process.wait()
    fake_bank.fake.heal()
    assert (await read(fake_shop, payment)).status is PaymentStatus.REQUIRES_PAYMENT

    for _ in range(4):
        await fake_shop.wait(minutes=4)
        await settle_unfinished(fake_shop.till)
    ended = await read(fake_shop, payment)
    charged = await fake_bank.charged(payment.payment_id)
    if step == "after Stripe charged":
        assert (ended.status, charged) == (PaymentStatus.SUCCEEDED, [2500])
    else:
        assert (ended.status, ended.failure_code) == (
            PaymentStatus.FAILED,
            FailureCode.NEVER_SENT,
        )
        assert charged == []
    assert len(await fake_shop.heard("payment")) == 1
    # And whoever takes it up again after all changes nothing.
    assert await charge(fake_shop.till, payment.org_id, payment.payment_id) == ended
    assert await fake_bank.charged(payment.payment_id) == charged


@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_process_leaves_a_purchase_that_ends(
    fake_shop: Shop, fake_bank: FakeBank, database_url: str, step: str
) -> None:
    """What was charged is credited by whoever looks after it, and nothing else is."""
    path, how = STEPS[step]
    seller = await open_seller(fake_shop)
    method = await seller.card()
    order = seller.order(25, method_id=method.method_id)
    async with fake_shop.database.transaction() as tx:
        await begin_purchase(tx, seller.desk, order, fake_shop.clock.now())
    fake_bank.fake.fail(path, how, times=-1)
    before = len(fake_bank.fake.requests)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PAYER),
        database_url,
        fake_bank.fake.base,
        str(order.org_id),
        str(order.purchase_id),
    )
    wanted = CREATE if path == CREATE else "/confirm"
    await until(lambda: any(wanted in line for line in fake_bank.fake.requests[before:]))
    await asyncio.sleep(0.1)
    process.kill()
    await process.wait()
    fake_bank.fake.heal()
    with pytest.raises(PurchaseInProgress):
        await seller.buy(method_id=method.method_id)  # nothing is stuck for longer than that
    await seller.settle()
    charged = await fake_bank.charged(order.purchase_id)
    assert charged == ([2500] if step == "after Stripe charged" else [])
    assert await seller.balance() * 100 == sum(charged)
    assert (await seller.reconciled(), await verified(seller)) == ([], [])
    another, _ = await seller.buy(method_id=method.method_id)
    assert another.status is PurchaseStatus.SUCCEEDED


async def test_a_payer_killed_and_started_again_pays_once(
    fake_shop: Shop, fake_bank: FakeBank, database_url: str
) -> None:
    method = await fake_shop.on_file()
    payment = await fake_shop.intend(method_id=method.method_id, off_session=True)
    for path, how in STEPS.values():
        fake_bank.fake.fail(path, how, times=1)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PAYER),
            database_url,
            fake_bank.fake.base,
            str(payment.org_id),
            str(payment.payment_id),
        )
        await until(lambda: all(plan.times == 0 for plan in fake_bank.fake.plans))
        await asyncio.sleep(0.1)
        process.kill()
        await process.wait()
    paid = await charge(fake_shop.till, payment.org_id, payment.payment_id)
    assert paid.status is PaymentStatus.SUCCEEDED
    assert await fake_bank.charged(payment.payment_id) == [2500]


async def read(shop: Shop, payment: Payment) -> Payment:
    async with shop.database.connection() as connection:
        return await get_payment(connection, payment.org_id, payment.payment_id)
