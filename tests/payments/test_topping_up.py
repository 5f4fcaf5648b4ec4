"""Balances that buy, at the sandbox and at the fake Stripe: once per fall, within their caps, and
never on and on with a card that declines."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from banks import FakeBank
from selling import DOLLAR, Seller, open_seller
from shops import VISA, Shop

from tollkeeper import credits, payments  # noqa: A004 (the room's name)
from tollkeeper.base.settings import Settings
from tollkeeper.credits import PurchaseStatus, TopUps
from tollkeeper.credits.store import page
from tollkeeper.credits.topping_up import acts, store
from tollkeeper.credits.topping_up.model import LINK_VALID, TopUp
from tollkeeper.credits.topping_up.watching import look_at
from tollkeeper.db import Connection
from tollkeeper.http import Cursors
from tollkeeper.ledger import EntryKind
from tollkeeper.orgs import By
from tollkeeper.payments import PaymentMethodInUse, PaymentMethodNotFound
from tollkeeper.payments.methods import keeping

DECLINES = "pm_card_chargeCustomerFail"
CHALLENGED = "pm_card_authenticationRequired"


class Filler:
    """A seller whose wallet may buy by itself. `work` does what the server's jobs do."""

    def __init__(self, seller: Seller, top_ups: TopUps) -> None:
        self.seller = seller
        self.top_ups = top_ups

    async def turn_on(self, **more: Any) -> TopUp:
        given: dict[str, Any] = {
            "org_id": self.seller.org_id,
            "wallet_id": self.seller.wallet_id,
            "livemode": False,
            "currency": "USD",
            "enabled": True,
            "threshold_nanos": 10 * DOLLAR,
            "amount_nanos": 50 * DOLLAR,
            "target_nanos": None,
            "monthly_cap_nanos": 200 * DOLLAR,
            "method_id": None,
            "failures": 0,
            "suspended_reason": None,
            "not_before": None,
            "last_failure": None,
            "last_failure_at": None,
            **more,
        }
        async with self.seller.shop.database.transaction() as tx:
            return await acts.save(
                tx,
                self.top_ups,
                TopUp(**given),
                by=By(who="test"),
                said="I agree",
                now=self.seller.shop.clock.now(),
            )

    async def work(self) -> None:
        """Look at the balance, and charge what was begun."""
        wallet = (self.seller.org_id, self.seller.wallet_id)
        await look_at(self.top_ups, [wallet])
        for purchase in await self.bought():
            await acts.charge(self.top_ups, purchase.org_id, purchase.purchase_id)

    async def bought(self) -> list[credits.Purchase]:
        async with self.seller.shop.database.connection() as connection:
            return await page(
                connection, self.seller.org_id, livemode=False, below=None, limit=1000
            )

    async def setting(self) -> TopUp:
        async with self.seller.shop.database.connection() as connection:
            found = await store.read(connection, self.seller.org_id, self.seller.wallet_id)
        assert found is not None
        return found


async def filler_at(shop: Shop, settings: Settings | None = None) -> Filler:
    settings = settings or Settings()
    seller = await open_seller(shop, settings)
    cursors = Cursors(b"s" * 32)
    top_ups = credits.open_top_ups(settings, seller.desk, cursors, "https://toll.test")
    return Filler(seller, top_ups)


@pytest.fixture
async def filler(shop: Shop) -> Filler:
    return await filler_at(shop)


@pytest.fixture
async def fake_filler(fake_shop: Shop) -> Filler:
    return await filler_at(fake_shop)


async def test_a_balance_that_falls_buys_once(filler: Filler) -> None:
    seller = filler.seller
    await seller.card()
    await filler.turn_on()
    for _ in range(3):
        await filler.work()
    assert await seller.balance() == 50  # turned on below the threshold: at once, and once
    (entry,) = await seller.entries()
    assert entry.kind is EntryKind.AUTO_TOP_UP
    await seller.spend(40)
    await filler.work()
    assert await seller.balance() == 10  # not strictly below
    await seller.spend(0.01)
    await filler.work()
    assert await seller.balance() == 9.99  # it rests a minute after the first
    await seller.shop.wait(minutes=1)
    await filler.work()
    assert await seller.balance() == 59.99
    (first, second) = await filler.bought()
    for purchase in (first, second):
        assert await seller.bank.charged(purchase.purchase_id) == [5000]
    told = await seller.notices()
    assert told.count("credit_auto_recharge_triggered") == 2
    assert await seller.reconciled() == []


async def test_many_who_look_at_once_buy_once(filler: Filler) -> None:
    await filler.seller.card()
    await filler.turn_on()
    wallet = (filler.seller.org_id, filler.seller.wallet_id)
    await asyncio.gather(*(look_at(filler.top_ups, [wallet]) for _ in range(40)))
    assert len(await filler.bought()) == 1
    await filler.work()
    assert await filler.seller.balance() == 50


async def test_the_months_cap_holds_and_is_told_before(filler: Filler) -> None:
    seller = filler.seller
    await seller.card()
    await filler.turn_on(monthly_cap_nanos=100 * DOLLAR)
    for _ in range(5):
        await filler.work()
        if left := await seller.balance():
            await seller.spend(left)
        await seller.shop.wait(hours=1)
    assert len(await filler.bought()) == 2
    assert (await seller.notices()).count("usage_limit_reached") == 1  # 100 %, from 50
    now = seller.shop.clock.now()
    seller.shop.clock.advance(timedelta(days=32 - now.day))  # another month
    await seller.card()
    await filler.work()
    assert len(await filler.bought()) == 3


async def test_a_card_that_declines_is_left_alone_after_three_times(filler: Filler) -> None:
    seller = filler.seller
    await seller.card(DECLINES)
    await filler.turn_on()
    for _ in range(31 * 24 * 2):  # a month, looked at every half an hour
        await filler.work()
        await seller.shop.wait(minutes=30)
        if (await filler.setting()).suspended_reason is not None:
            break
    for _ in range(10):
        await seller.shop.wait(days=3)
        await filler.work()
    tried = await filler.bought()
    assert [purchase.status for purchase in tried] == [PurchaseStatus.FAILED] * 3
    waits = [after.created_at - before.created_at for after, before in pairwise(tried)]
    assert waits[1] >= timedelta(hours=1)
    assert waits[0] >= timedelta(hours=6)
    setting = await filler.setting()
    assert (setting.failures, setting.suspended_reason) == (3, "card_declined")
    told = await seller.notices()
    assert told.count("credit_auto_recharge_suspended") == 1
    assert told.count("credit_purchase_failed") == 3
    good = await seller.card(VISA)
    await filler.work()
    assert await seller.balance() == 50
    setting = await filler.setting()
    assert (setting.failures, setting.suspended_reason, setting.method_id) == (
        0,
        None,
        good.method_id,
    )


async def test_saving_again_is_a_new_beginning(filler: Filler) -> None:
    await filler.seller.card(DECLINES)
    setting = await filler.turn_on()
    for _ in range(3):
        await filler.work()
        await filler.seller.shop.wait(hours=7)
    assert (await filler.setting()).suspended_reason == "card_declined"
    await filler.turn_on()
    assert (await filler.setting()).failures == 0
    await filler.work()
    assert (len(await filler.bought()), setting.failures) == (4, 0)


async def test_a_bank_that_wants_its_customer_gets_them_by_a_link(filler: Filler) -> None:
    seller = filler.seller
    await seller.card(CHALLENGED)
    await filler.turn_on()
    await filler.work()
    (purchase,) = await filler.bought()
    assert purchase.status is PurchaseStatus.REQUIRES_ACTION
    assert await look_at(filler.top_ups, [(seller.org_id, seller.wallet_id)]) == 0
    assert len(await filler.bought()) == 1
    (notice,) = [data for type_, data in await _notices(seller) if "action_required" in type_]
    link = notice["actionUrl"]
    assert link.startswith("https://toll.test/recover/")
    org_id, purchase_id, expires_at = filler.top_ups.links.open(link.rpartition("/")[2])
    assert (org_id, purchase_id) == (seller.org_id, purchase.purchase_id)
    assert expires_at == purchase.created_at + LINK_VALID
    _, payment = await seller.resume(purchase)
    await seller.bank.answer_bank(payment.action_url or "", approves=True)
    await seller.hear()
    assert await seller.balance() == 50
    assert await seller.bank.charged(purchase.purchase_id) == [5000]


async def test_a_link_that_nobody_follows_ends_after_a_day(filler: Filler) -> None:
    seller = filler.seller
    await seller.card(CHALLENGED)
    await filler.turn_on()
    await filler.work()
    await seller.shop.wait(hours=23)
    assert await acts.give_up_waiting(filler.top_ups) == 0
    await seller.shop.wait(hours=2)
    assert await acts.give_up_waiting(filler.top_ups) == 1
    (purchase,) = await filler.bought()
    assert purchase.status is PurchaseStatus.FAILED
    assert (await filler.setting()).failures == 1
    assert await acts.give_up_waiting(filler.top_ups) == 0


async def test_a_method_it_needs_is_not_removed(filler: Filler) -> None:
    seller = filler.seller
    with pytest.raises(credits.AutoTopUpNeedsMethod):
        await filler.turn_on()
    first = await seller.card()
    await filler.turn_on()
    with pytest.raises(PaymentMethodInUse):
        await keeping.remove(seller.shop.till, seller.shop.owner, first.method_id)
    second = await seller.card("pm_card_mastercard")
    await filler.turn_on(method_id=second.method_id)
    await keeping.remove(seller.shop.till, seller.shop.owner, first.method_id)
    with pytest.raises(PaymentMethodInUse):
        await keeping.remove(seller.shop.till, seller.shop.owner, second.method_id)
    with pytest.raises(PaymentMethodNotFound):
        await filler.turn_on(method_id=first.method_id)
    await filler.turn_on(enabled=False)
    await keeping.remove(seller.shop.till, seller.shop.owner, second.method_id)


async def test_a_method_that_vanished_at_the_processor_suspends_it(filler: Filler) -> None:
    seller = filler.seller
    method = await seller.card()
    await filler.turn_on()
    await seller.bank.processor.detach_method(method.ref)
    await keeping.sync(seller.shop.till, seller.shop.owner)
    await filler.work()
    assert (await filler.setting()).suspended_reason == "no_payment_method"
    assert await filler.bought() == []
    await seller.card()
    await filler.work()
    assert await seller.balance() == 50


async def test_a_frozen_balance_buys_nothing(filler: Filler) -> None:
    from tollkeeper import ledger

    seller = filler.seller
    await seller.card()
    async with seller.shop.database.transaction() as tx:
        await ledger.freeze(tx, seller.org_id, seller.wallet_id, "dispute")
    await filler.turn_on()
    await filler.work()
    assert await filler.bought() == []


async def test_who_dies_before_the_charge_leaves_one_that_is_begun_anew(
    fake_filler: Filler, fake_bank: FakeBank
) -> None:
    seller = fake_filler.seller
    await seller.card()
    await fake_filler.turn_on()
    wallet = (seller.org_id, seller.wallet_id)
    await look_at(fake_filler.top_ups, [wallet])  # and dies; the job would be run by another
    (purchase,) = await fake_filler.bought()
    for _ in range(4):
        await seller.shop.wait(minutes=4)
        await payments.settle_unfinished(seller.shop.till)
    assert (await seller.read(purchase)).status is PurchaseStatus.FAILED
    assert (await fake_filler.setting()).failures == 0
    await fake_filler.work()
    assert await seller.balance() == 50
    assert sum(charge["amount"] for charge in fake_bank.fake.charges()) == 5000


async def test_opting_in_is_written_down(filler: Filler) -> None:
    await filler.seller.card()
    await filler.turn_on()
    async with filler.seller.shop.database.connection() as connection:
        found = await connection.execute("SELECT who, said FROM auto_top_up_consent")
        assert await found.fetchall() == [("test", "I agree")]


async def test_balances_are_called_low_and_used_up_once_per_crossing(filler: Filler) -> None:
    seller = filler.seller
    await seller.card()
    filler.top_ups = replace(filler.top_ups, low_balance=5 * DOLLAR)
    await seller.bought(20)
    wallet = (seller.org_id, seller.wallet_id)

    async def said() -> list[str]:
        await look_at(filler.top_ups, [wallet])
        return [told for told in await seller.notices() if told.startswith("credit_balance")]

    assert await said() == []
    await seller.spend(15)
    assert await said() == ["credit_balance_low"]
    await seller.spend(1)
    assert await said() == ["credit_balance_low"]
    await seller.spend(4)
    assert await said() == ["credit_balance_low", "credit_balance_depleted"]
    await seller.bought(20)
    await look_at(filler.top_ups, None)  # the sweep arms it again
    await seller.spend(16)
    assert (await said())[2:] == ["credit_balance_low"]


async def test_the_sweep_finds_what_fell_without_a_call(filler: Filler) -> None:
    seller = filler.seller
    filler.top_ups = replace(filler.top_ups, low_balance=5 * DOLLAR)

    async def swept() -> list[str]:
        await look_at(filler.top_ups, None)
        return [told for told in await seller.notices() if told.startswith("credit_balance")]

    assert await swept() == []  # a balance that never had anything did not fall
    await look_at(filler.top_ups, [(seller.org_id, seller.wallet_id)])  # an allowance paid a call
    assert await swept() == []
    await seller.bought(20)
    assert await swept() == []
    await seller.spend(16)  # an adjustment, an expiry, or a process that died with its memory
    assert await swept() == ["credit_balance_low"]
    assert await swept() == ["credit_balance_low"]
    await seller.spend(4)
    assert await swept() == ["credit_balance_low", "credit_balance_depleted"]


async def test_a_ripple_above_the_line_is_no_work(filler: Filler) -> None:
    seller = filler.seller
    low = 5 * DOLLAR
    filler.top_ups = replace(filler.top_ups, low_balance=low)
    await seller.bought(20)
    await seller.spend(15)
    assert await look_at(filler.top_ups, None) == 1
    await seller.bought(5)
    await seller.spend(4.5)
    assert await look_at(filler.top_ups, None) == 0  # above, but not clearly: not armed again
    await seller.bought(5)
    assert await look_at(filler.top_ups, None) == 1


async def test_a_fault_in_one_is_no_reason_to_leave_out_what_comes_after(
    filler: Filler, owner: Connection
) -> None:
    seller = filler.seller
    await seller.bought(20)
    await filler.turn_on()
    await owner.execute(
        "ALTER TABLE purchase ADD CONSTRAINT broken CHECK (origin <> 'auto_top_up') NOT VALID"
    )
    await seller.spend(16)
    await filler.work()
    assert (await seller.notices())[-1] == "credit_balance_low"
    assert len(await filler.bought()) == 1
    await owner.execute("ALTER TABLE purchase DROP CONSTRAINT broken")
    await filler.work()
    assert await seller.balance() == 54


async def _notices(seller: Seller) -> list[tuple[str, Any]]:
    async with seller.shop.database.connection() as connection:
        found = await connection.execute("SELECT type, data FROM notice ORDER BY notice_id")
        return [(row[0], row[1]) for row in await found.fetchall()]


async def test_one_that_cannot_be_given_up_keeps_no_other_waiting(
    filler: Filler, owner: Connection
) -> None:
    seller = filler.seller
    await seller.card(CHALLENGED)
    await filler.turn_on()
    await filler.work()
    (stuck,) = await filler.bought()
    # Another balance's, at a processor that was taken out of the settings.
    await owner.execute("UPDATE payment SET processor = 'gone'")
    await owner.execute("UPDATE purchase SET wallet_id = gen_random_uuid()")
    await filler.work()
    (waiting,) = [one for one in await filler.bought() if one.purchase_id != stuck.purchase_id]
    assert waiting.status is PurchaseStatus.REQUIRES_ACTION
    await seller.shop.wait(hours=25)
    await acts.give_up_waiting(filler.top_ups)
    assert (await seller.read(waiting)).status is PurchaseStatus.FAILED
    assert (await seller.read(stuck)).status is PurchaseStatus.REQUIRES_ACTION
