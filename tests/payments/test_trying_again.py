"""A payment that failed and is tried again: under way while it is, and asked about until it has an
end, at the sandbox and at the fake Stripe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from banks import RETURN, FakeBank
from fake_stripe import How
from selling import Seller, open_seller
from shops import Shop

from tollkeeper.credits import Purchase, PurchaseStatus
from tollkeeper.payments import get_payment, settle_unfinished
from tollkeeper.payments import resume as resume_payment
from tollkeeper.payments.model import Absent, Answer, FailureCode, Payment, PaymentStatus
from tollkeeper.payments.processors import Processors

DECLINES = "pm_card_chargeCustomerFail"
CONFIRM = "/v1/payment_intents/[^/]+/confirm"


@dataclass
class DeadlyWay:
    """A processor that is reached by who then dies."""

    processor: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.processor, name)

    async def resume(self, *wanted: Any) -> Answer:
        await self.processor.resume(*wanted)
        raise ZeroDivisionError


class ForgetfulWay(DeadlyWay):
    """A processor that has lost what it is asked about."""

    async def resume(self, *wanted: Any) -> Answer:
        del wanted
        return Absent()


async def read(shop: Shop, purchase: Purchase) -> Payment:
    async with shop.database.connection() as connection:
        return await get_payment(connection, purchase.org_id, purchase.purchase_id)


async def declined_at(shop: Shop) -> tuple[Seller, Purchase]:
    seller = await open_seller(shop)
    bad = await seller.card(DECLINES)
    purchase, _ = await seller.buy(25, method_id=bad.method_id)
    assert purchase.status is PurchaseStatus.FAILED
    return seller, purchase


async def look_after(shop: Shop) -> None:
    """Nobody tells what became of it: only asking does."""
    for _ in range(3):
        await shop.wait(minutes=4)
        await settle_unfinished(shop.till)


@pytest.mark.parametrize("how", [how for how in How if how is not How.WELL])
async def test_y6_without_an_answer_it_is_under_way_until_it_has_an_end(
    fake_shop: Shop, fake_bank: FakeBank, how: How
) -> None:
    seller, purchase = await declined_at(fake_shop)
    good = await seller.card()
    fake_bank.fake.fail(CONFIRM, how, times=-1)
    again, payment = await seller.resume(purchase, good.method_id)
    assert (again.status, payment.status, payment.failure) == (
        PurchaseStatus.PROCESSING,
        PaymentStatus.PROCESSING,
        None,
    )
    fake_bank.fake.heal()
    await look_after(fake_shop)
    charged = await fake_bank.charged(purchase.purchase_id)
    ended = await seller.read(purchase)
    assert (ended.status, await seller.balance()) == (
        (PurchaseStatus.SUCCEEDED, 25) if charged else (PurchaseStatus.FAILED, 0)
    )
    assert charged in ([], [2500])


async def test_y6_who_dies_after_the_charge_leaves_it_under_way(shop: Shop) -> None:
    seller, purchase = await declined_at(shop)
    good = await seller.card()
    way: Any = DeadlyWay(shop.bank.processor)
    till = replace(shop.till, processors=Processors((way,)))
    with pytest.raises(ZeroDivisionError):
        await resume_payment(till, purchase.org_id, purchase.purchase_id, RETURN, good.method_id)
    assert (await seller.read(purchase)).status is PurchaseStatus.PROCESSING
    await look_after(shop)
    assert (await seller.read(purchase)).status is PurchaseStatus.SUCCEEDED
    assert await seller.balance() == 25
    assert await shop.bank.charged(purchase.purchase_id) == [2500]


async def test_what_its_holder_refuses_in_the_end_has_failed_for_the_later_reason(
    shop: Shop,
) -> None:
    seller, purchase = await declined_at(shop)
    asks = await seller.card("pm_card_authenticationRequired")
    again, payment = await seller.resume(purchase, asks.method_id)
    assert again.status is PurchaseStatus.REQUIRES_ACTION
    await shop.bank.answer_bank(payment.action_url or "", approves=False)
    await seller.hear()
    refused = await read(shop, purchase)
    assert refused.failure_code is FailureCode.AUTHENTICATION_FAILED
    assert (await seller.read(purchase)).status is PurchaseStatus.FAILED


async def test_where_nothing_could_be_tried_it_has_failed_as_before(shop: Shop) -> None:
    seller, purchase = await declined_at(shop)
    before = await read(shop, purchase)
    good = await seller.card()
    way: Any = ForgetfulWay(shop.bank.processor)
    till = replace(shop.till, processors=Processors((way,)))
    after = await resume_payment(
        till, purchase.org_id, purchase.purchase_id, RETURN, good.method_id
    )
    assert (after.status, after.failure) == (PaymentStatus.FAILED, before.failure)
    assert (await seller.read(purchase)).status is PurchaseStatus.FAILED
