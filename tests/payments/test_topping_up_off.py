"""Auto top-up that is turned off charges nobody, also where it had begun, and nothing keeps anybody
from turning it off."""

from __future__ import annotations

from dataclasses import replace

import pytest
from selling import DOLLAR
from shops import Shop
from test_topping_up import Filler, filler_at

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.money import PositiveMoneyIn
from tollkeeper.credits import NewAutoTopUp, PurchaseStatus, set_top_up
from tollkeeper.credits.topping_up import acts
from tollkeeper.credits.topping_up.model import DISPUTED
from tollkeeper.credits.topping_up.store import write
from tollkeeper.credits.topping_up.watching import look_at
from tollkeeper.orgs import By


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


@pytest.mark.parametrize(
    "narrower",
    [
        {"amount_min": 60 * DOLLAR},
        {"amount_max": 40 * DOLLAR},
        {"threshold_min": 15 * DOLLAR},
        {"threshold_max": 5 * DOLLAR},
    ],
)
async def test_what_fits_the_limits_no_more_can_be_turned_off(
    filler: Filler, narrower: dict[str, int]
) -> None:
    kept = await filler.turn_on()
    top_ups = replace(filler.top_ups, rules=replace(filler.top_ups.rules, **narrower))
    owner, by = filler.seller.shop.owner, By(who="test")
    with pytest.raises(InvalidRequest):
        await set_top_up(top_ups, owner, NewAutoTopUp(enabled=True), by)
    shown = await set_top_up(top_ups, owner, NewAutoTopUp(enabled=False), by)
    assert not shown.enabled
    assert await filler.setting() == replace(kept, enabled=False)


async def test_what_could_not_be_kept_is_not_kept_when_it_is_turned_off(filler: Filler) -> None:
    kept = await filler.turn_on()
    owner, by = filler.seller.shop.owner, By(who="test")
    for amount in (DOLLAR, 25 * DOLLAR + 1):
        off = NewAutoTopUp(enabled=False, amount=PositiveMoneyIn(amount))
        await set_top_up(filler.top_ups, owner, off, by)
        assert await filler.setting() == replace(kept, enabled=False)
    off = NewAutoTopUp(enabled=False, amount=PositiveMoneyIn(25 * DOLLAR))
    await set_top_up(filler.top_ups, owner, off, by)
    assert (await filler.setting()).amount_nanos == 25 * DOLLAR
