"""Somebody is on their way to the processor, which knows nothing of the payment yet: nobody takes
that for an end, at the sandbox and at the fake Stripe."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest
from selling import open_seller
from shops import Shop
from test_topping_up import filler_at

from tollkeeper.credits import PurchaseStatus, begin_purchase, buy
from tollkeeper.credits.topping_up import acts
from tollkeeper.credits.topping_up.watching import look_at
from tollkeeper.payments import cancel, charge, get_payment, settle_unfinished
from tollkeeper.payments.methods import keeping
from tollkeeper.payments.model import Answer, FailureCode, Payment, PaymentStatus
from tollkeeper.payments.processors import Charge, Processors


@dataclass
class LongWay:
    """A processor that is reached once `arrives` is set; who `dies` does not come back."""

    processor: Any
    left: asyncio.Event
    arrives: asyncio.Event
    dies: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.processor, name)

    async def pay(self, wanted: Charge) -> Answer:
        self.left.set()
        await self.arrives.wait()
        answer = await self.processor.pay(wanted)
        if self.dies:
            raise ZeroDivisionError
        return answer


def far_away(shop: Shop) -> LongWay:
    way = LongWay(shop.bank.processor, asyncio.Event(), asyncio.Event())
    processor: Any = way
    shop.till = replace(shop.till, processors=Processors((processor,)))
    return way


async def look_after(shop: Shop) -> None:
    """Let the poller ask, as long as an act can be on its way."""
    for _ in range(9):
        await shop.wait(31)
        await settle_unfinished(shop.till)


async def read(shop: Shop, payment: Payment) -> Payment:
    async with shop.database.connection() as connection:
        return await get_payment(connection, payment.org_id, payment.payment_id)


async def test_y5_what_was_meant_long_ago_and_is_asked_for_now_was_not_never_sent(
    shop: Shop,
) -> None:
    method = await shop.on_file()
    way = far_away(shop)
    payment = await shop.intend(method_id=method.method_id, off_session=True)
    await shop.wait(minutes=6)
    charging = asyncio.create_task(charge(shop.till, payment.org_id, payment.payment_id))
    await way.left.wait()
    await look_after(shop)
    assert (await read(shop, payment)).status is PaymentStatus.REQUIRES_PAYMENT
    way.arrives.set()
    assert (await charging).status is PaymentStatus.SUCCEEDED
    assert await shop.bank.charged(payment.payment_id) == [2500]
    assert [heard.now for heard in await shop.heard("payment")] == ["succeeded"]


async def test_giving_up_what_is_on_its_way_ends_nothing(shop: Shop) -> None:
    method = await shop.on_file()
    way = far_away(shop)
    seller = await open_seller(shop)
    order = seller.order(25, method_id=method.method_id)
    buying = asyncio.create_task(buy(seller.desk, order))
    await way.left.wait()
    given_up = await cancel(shop.till, order.org_id, order.purchase_id)
    assert given_up.status is PaymentStatus.REQUIRES_PAYMENT
    way.arrives.set()
    purchase, _ = await buying
    assert (purchase.status, await seller.balance()) == (PurchaseStatus.SUCCEEDED, 25)
    assert await shop.bank.charged(order.purchase_id) == [2500]
    assert "credit_purchase_failed" not in await seller.notices()


async def test_what_died_on_its_way_can_be_given_up_when_it_cannot_arrive(shop: Shop) -> None:
    method = await shop.on_file()
    way = far_away(shop)
    payment = await shop.intend(method_id=method.method_id, off_session=True)
    charging = asyncio.create_task(charge(shop.till, payment.org_id, payment.payment_id))
    await way.left.wait()
    charging.cancel()
    waiting = await cancel(shop.till, payment.org_id, payment.payment_id)
    assert waiting.status is PaymentStatus.REQUIRES_PAYMENT
    await shop.wait(minutes=5)
    ended = await cancel(shop.till, payment.org_id, payment.payment_id)
    assert ended.failure_code is FailureCode.CANCELED
    assert await shop.bank.charged(payment.payment_id) == []


async def test_what_a_removed_method_has_paid_already_is_paid(shop: Shop) -> None:
    method = await shop.on_file()
    seller = await open_seller(shop)
    way = far_away(shop)
    way.arrives.set()
    order = seller.order(25, method_id=method.method_id)
    async with shop.database.transaction() as tx:
        await begin_purchase(tx, seller.desk, order, shop.clock.now())
    way.dies = True
    with pytest.raises(ZeroDivisionError):
        await charge(shop.till, order.org_id, order.purchase_id)
    await keeping.remove(shop.till, shop.owner, method.method_id)
    paid = await charge(shop.till, order.org_id, order.purchase_id)
    assert (paid.status, paid.failure) == (PaymentStatus.SUCCEEDED, None)
    assert await seller.balance() == 25
    assert await shop.bank.charged(order.purchase_id) == [2500]


async def test_an_auto_top_up_whose_job_is_late_is_charged_once(shop: Shop) -> None:
    way = far_away(shop)
    filler = await filler_at(shop)
    await filler.seller.card()
    await filler.turn_on()
    wallet = (filler.seller.org_id, filler.seller.wallet_id)
    await look_at(filler.top_ups, [wallet])
    (purchase,) = await filler.bought()
    await shop.wait(minutes=6)
    job = asyncio.create_task(acts.charge(filler.top_ups, purchase.org_id, purchase.purchase_id))
    await way.left.wait()
    await look_after(shop)
    await look_at(filler.top_ups, [wallet])
    way.arrives.set()
    await job
    await filler.work()
    assert [one.status for one in await filler.bought()] == [PurchaseStatus.SUCCEEDED]
    assert await filler.seller.bank.charged(purchase.purchase_id) == [5000]
    assert await filler.seller.balance() == 50
