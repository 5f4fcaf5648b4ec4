"""Balances whose payments are disputed buy nothing by themselves, at the sandbox and at the fake
Stripe, until somebody says that they shall."""

from __future__ import annotations

from typing import Literal

import pytest
from shops import Shop
from test_topping_up import Filler, filler_at

from tollkeeper import payments
from tollkeeper.base.settings import Payments, Settings
from tollkeeper.credits import Purchase, PurchaseStatus
from tollkeeper.credits.topping_up.model import DISPUTED
from tollkeeper.payments.model import DisputeStatus, Payment

SUSPENDED = "credit_auto_recharge_suspended"


async def topped_up(shop: Shop, on_dispute: Literal["hold", "freeze"] = "hold") -> Filler:
    """A balance that has bought once, an hour ago."""
    filler = await filler_at(shop, Settings(payments=Payments(on_dispute=on_dispute)))
    await filler.seller.card()
    await filler.turn_on()
    await filler.work()
    assert await filler.seller.balance() == 50
    await shop.wait(hours=1)
    return filler


async def read_payment(filler: Filler, purchase: Purchase) -> Payment:
    async with filler.seller.shop.database.connection() as connection:
        return await payments.get_payment(connection, purchase.org_id, purchase.purchase_id)


async def dispute(filler: Filler, purchase: Purchase, *, inquiry: bool = False) -> str:
    paid = await read_payment(filler, purchase)
    ref = await filler.seller.bank.open_dispute(paid.ref or "", inquiry=inquiry)
    await filler.seller.hear()
    return ref


@pytest.mark.parametrize("on_dispute", ["hold", "freeze"])
async def test_a_disputed_card_is_not_charged_again(
    shop: Shop, on_dispute: Literal["hold", "freeze"]
) -> None:
    filler = await topped_up(shop, on_dispute)
    (purchase,) = await filler.bought()
    ref = await dispute(filler, purchase)
    await filler.work()
    assert (await filler.seller.balance(), len(await filler.bought())) == (0, 1)
    await filler.seller.bank.move_dispute(ref, DisputeStatus.LOST)
    await filler.seller.hear()
    for _ in range(3):
        await filler.work()
        await shop.wait(days=1)
    assert len(await filler.bought()) == 1
    assert (await filler.setting()).suspended_reason == DISPUTED
    assert (await filler.seller.notices()).count(SUSPENDED) == 1


async def test_an_inquiry_takes_nothing_and_stops_nothing(shop: Shop) -> None:
    filler = await topped_up(shop)
    (purchase,) = await filler.bought()
    await dispute(filler, purchase, inquiry=True)
    assert (await filler.setting()).suspended_reason is None
    await filler.seller.spend(45)
    await filler.work()
    assert len(await filler.bought()) == 2


async def test_after_a_dispute_saving_again_goes_on_and_a_loss_stops_it_again(shop: Shop) -> None:
    filler = await topped_up(shop)
    (purchase,) = await filler.bought()
    ref = await dispute(filler, purchase)
    await filler.turn_on()
    await filler.work()
    assert await filler.seller.balance() == 50
    await filler.seller.bank.move_dispute(ref, DisputeStatus.LOST)
    await filler.seller.hear()
    assert (await filler.setting()).suspended_reason == DISPUTED
    assert (await filler.seller.notices()).count(SUSPENDED) == 2


async def test_after_a_dispute_a_new_card_goes_on(shop: Shop) -> None:
    filler = await topped_up(shop)
    (purchase,) = await filler.bought()
    await dispute(filler, purchase)
    assert (await filler.setting()).failures == 0
    card = await filler.seller.card("pm_card_mastercard")
    await filler.work()
    assert await filler.seller.balance() == 50
    setting = await filler.setting()
    assert (setting.suspended_reason, setting.method_id) == (None, card.method_id)


async def test_a_bought_purchase_that_is_disputed_stops_it_too(shop: Shop) -> None:
    filler = await topped_up(shop)
    await dispute(filler, await filler.seller.bought(20))
    await filler.turn_on()
    by_hand = await filler.seller.bought(20)
    await dispute(filler, by_hand)
    assert (await filler.setting()).suspended_reason == DISPUTED


async def test_what_was_under_way_does_not_take_a_dispute_back(shop: Shop) -> None:
    filler = await topped_up(shop)
    (purchase,) = await filler.bought()
    account = await filler.seller.card("pm_usBankAccount_success")
    await filler.turn_on(method_id=account.method_id)
    await filler.seller.spend(45)
    await filler.work()
    (takes_days, _) = await filler.bought()
    assert takes_days.status is PurchaseStatus.PROCESSING
    await dispute(filler, purchase)
    paid = await read_payment(filler, takes_days)
    await filler.seller.bank.finish_processing(paid.ref or "", succeeds=True)
    await filler.seller.hear()
    assert (await filler.seller.read(takes_days)).status is PurchaseStatus.SUCCEEDED
    assert (await filler.setting()).suspended_reason == DISPUTED
