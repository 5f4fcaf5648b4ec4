"""Auto top-up that is turned off charges nobody, also where it had begun."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shops import Shop
from test_topping_up import Filler, filler_at

from tollkeeper.credits import PurchaseStatus
from tollkeeper.credits.topping_up import acts
from tollkeeper.credits.topping_up.model import DISPUTED
from tollkeeper.credits.topping_up.store import write
from tollkeeper.credits.topping_up.watching import look_at


@pytest.fixture
async def filler(shop: Shop) -> Filler:
    filler = await filler_at(shop)
    await filler.seller.card()
    return filler


async def look(filler: Filler) -> None:
    await look_at(filler.top_ups, [(filler.seller.org_id, filler.seller.wallet_id)])


async def charge_all(filler: Filler) -> None:
    for purchase in await filler.bought():
        await acts.charge(filler.top_ups, purchase.org_id, purchase.purchase_id)


async def test_turned_off_before_the_charge_it_charges_nobody(filler: Filler) -> None:
    await filler.turn_on()
    await look(filler)
    await filler.turn_on(enabled=False)
    await charge_all(filler)
    (purchase,) = await filler.bought()
    assert purchase.status is PurchaseStatus.FAILED
    assert await filler.seller.bank.charged(purchase.purchase_id) == []
    setting = await filler.setting()
    assert (setting.failures, setting.last_failure) == (0, None)
    assert "credit_purchase_failed" not in await filler.seller.notices()
    await filler.turn_on()
    await filler.work()
    assert await filler.seller.balance() == 50


async def test_disputed_before_the_charge_it_charges_nobody(filler: Filler, shop: Shop) -> None:
    await filler.turn_on()
    await look(filler)
    async with shop.database.transaction() as tx:
        await write(tx, replace(await filler.setting(), suspended_reason=DISPUTED))
    await charge_all(filler)
    (purchase,) = await filler.bought()
    assert await filler.seller.bank.charged(purchase.purchase_id) == []
    setting = await filler.setting()
    assert (setting.failures, setting.suspended_reason) == (0, DISPUTED)


async def test_turned_off_after_the_charge_what_was_charged_is_credited(filler: Filler) -> None:
    await filler.turn_on()
    await look(filler)
    await charge_all(filler)
    await filler.turn_on(enabled=False)
    await charge_all(filler)
    assert await filler.seller.balance() == 50
