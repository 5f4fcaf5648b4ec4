"""A fee each period, twice: at the sandbox and at the fake Stripe."""

from __future__ import annotations

import asyncio

import pytest
from banks import FakeBank
from fake_stripe import How
from shops import Shop
from subscribers import SOLO, TEAM, Subscriber, price

from tollkeeper import payments
from tollkeeper.payments import (
    SubscriptionAct,
    SubscriptionBusy,
    SubscriptionExists,
    SubscriptionFixed,
    SubscriptionStatus,
    Which,
)
from tollkeeper.payments.inbox.store import insert as keep_event
from tollkeeper.payments.model import FailureCode
from tollkeeper.payments.paying import Stale
from tollkeeper.payments.subscribing.acting import ask
from tollkeeper.payments.subscribing.recording import record

REFUSES_LATER = "pm_card_chargeCustomerFail"
ASKS_ALWAYS = "pm_card_authenticationRequired"
ACTIVE, PAST_DUE = SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE
CANCELLED = SubscriptionStatus.CANCELLED


@pytest.fixture
def subscriber(shop: Shop) -> Subscriber:
    return Subscriber(shop)


@pytest.fixture
def fake_subscriber(fake_shop: Shop) -> Subscriber:
    return Subscriber(fake_shop)


def minor(subscriber: Subscriber) -> list[int]:
    return [fee.amount_minor for fee in subscriber.fees]


async def test_a_fee_is_paid_at_once_and_then_each_month(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    begun = await subscriber.start()
    assert (begun.status, begun.act, begun.failure) == (ACTIVE, None, None)
    assert begun.period_start == subscriber.shop.clock.now()
    assert minor(subscriber) == [2000]
    for month in (2, 3):
        assert begun.period_end is not None
        until = (begun.period_end - subscriber.shop.clock.now()).total_seconds()
        begun = await subscriber.wait(seconds=until + 60)
        assert minor(subscriber) == [2000] * month
        assert subscriber.fees[-1].period_start == begun.period_start
        assert subscriber.fees[-1].period_end == begun.period_end
    # The same fees, however often it is asked.
    await subscriber.pursue()
    assert minor(subscriber) == [2000] * 3
    async with subscriber.shop.database.connection() as connection:
        written = await payments.subscription_fees(
            connection, subscriber.shop.org_id, subscriber.subscription_id
        )
        entries = await connection.execute("SELECT count(*) FROM entry")
        assert await entries.fetchone() == (0,)  # a fee is no credit
    assert written == subscriber.fees


async def test_without_a_method_nothing_begins(subscriber: Subscriber) -> None:
    ended = await subscriber.start()
    assert (ended.status, ended.failure_code) == (CANCELLED, FailureCode.METHOD_UNUSABLE)
    assert (subscriber.fees, ended.ref) == ([], None)


async def test_there_is_one_subscription_at_a_time(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    await subscriber.start()
    await subscriber.start()  # the same one
    with pytest.raises(SubscriptionExists):
        await Subscriber(subscriber.shop).start(TEAM)
    assert minor(subscriber) == [2000]
    ended = await subscriber.act(SubscriptionAct.END)
    assert ended.status is CANCELLED
    another = await Subscriber(subscriber.shop).start(TEAM)
    assert another.status is ACTIVE


async def test_the_bank_wants_to_see_who_subscribes(subscriber: Subscriber) -> None:
    await subscriber.make_default(ASKS_ALWAYS)
    asked = await subscriber.start()
    assert (asked.status, subscriber.fees) == (SubscriptionStatus.REQUIRES_ACTION, [])
    assert asked.action_url is not None
    await subscriber.shop.bank.answer_bank(asked.action_url, approves=True)
    begun = await subscriber.hear()
    assert (begun.status, begun.action_url, minor(subscriber)) == (ACTIVE, None, [2000])


async def test_what_is_never_confirmed_ends_by_itself(subscriber: Subscriber) -> None:
    await subscriber.make_default(ASKS_ALWAYS)
    await subscriber.start()
    ended = await subscriber.wait(hours=24)
    assert (ended.status, subscriber.fees) == (CANCELLED, [])


async def test_a_first_fee_that_is_declined_can_be_paid_with_another_card(
    subscriber: Subscriber,
) -> None:
    await subscriber.make_default(REFUSES_LATER)
    declined = await subscriber.start()
    assert declined.status is SubscriptionStatus.REQUIRES_PAYMENT
    assert declined.failure_code is FailureCode.CARD_DECLINED
    await subscriber.make_default("pm_card_visa")
    paid = await subscriber.act(SubscriptionAct.PAY)
    assert (paid.status, paid.failure, minor(subscriber)) == (ACTIVE, None, [2000])


async def test_past_due_and_well_again_with_a_new_card(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    await subscriber.start()
    await subscriber.make_default(REFUSES_LATER)
    late = await subscriber.wait(days=31, minutes=1)
    assert (late.status, late.past_due_since) == (PAST_DUE, subscriber.shop.clock.now())
    assert late.failure_code is FailureCode.CARD_DECLINED
    await subscriber.make_default("pm_card_visa")
    well = await subscriber.act(SubscriptionAct.PAY)
    assert (well.status, well.past_due_since, well.failure) == (ACTIVE, None, None)
    assert minor(subscriber) == [2000, 2000]


async def test_the_processor_tries_again_and_then_gives_up(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    await subscriber.start()
    await subscriber.make_default(REFUSES_LATER)
    await subscriber.wait(days=31, minutes=1)
    await subscriber.make_default("pm_card_visa")
    assert (await subscriber.wait(days=1)).status is ACTIVE  # tried again by itself
    await subscriber.make_default(REFUSES_LATER)
    assert (await subscriber.wait(days=31)).status is PAST_DUE
    assert (await subscriber.wait(days=3)).status is CANCELLED
    assert minor(subscriber) == [2000, 2000]


async def test_an_upgrade_is_paid_for_what_is_left_of_the_period(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    begun = await subscriber.start()
    assert begun.period_end is not None
    half = (begun.period_end - subscriber.shop.clock.now()).total_seconds() / 2
    await subscriber.shop.wait(half)
    now = await subscriber.change(TEAM)
    assert (now.product_name, now.fee_minor, now.next_product_id) == ("Team", 5000, None)
    assert now.product_from == subscriber.shop.clock.now()
    assert minor(subscriber) == [2000, 1500]
    await subscriber.wait(seconds=half + 60)
    assert minor(subscriber) == [2000, 1500, 5000]


async def test_an_upgrade_that_is_declined_changes_nothing(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    await subscriber.start()
    await subscriber.make_default(REFUSES_LATER)
    still = await subscriber.change(TEAM)
    assert (still.status, still.product_name, still.next_product_id) == (ACTIVE, "Pro", None)
    assert still.failure_code is FailureCode.CARD_DECLINED
    await subscriber.make_default("pm_card_visa")
    assert (await subscriber.change(TEAM)).product_name == "Team"


async def test_an_upgrade_holds_once_the_bank_has_agreed(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    await subscriber.start()
    await subscriber.make_default(ASKS_ALWAYS)
    asked = await subscriber.change(TEAM)
    assert (asked.product_name, asked.next_product_name) == ("Pro", "Team")
    assert asked.action_url is not None
    with pytest.raises(SubscriptionBusy):
        await subscriber.change(SOLO)
    await subscriber.shop.bank.answer_bank(asked.action_url, approves=True)
    now = await subscriber.hear()
    assert (now.product_name, now.next_product_name, now.action_url) == ("Team", None, None)
    assert len(subscriber.fees) == 2


async def test_a_downgrade_waits_for_the_periods_end(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    begun = await subscriber.start(TEAM)
    lower = await subscriber.change(SOLO, at_period_end=True)
    assert (lower.product_name, lower.product_from) == ("Solo", begun.period_end)
    assert minor(subscriber) == [5000]
    await subscriber.wait(days=31, minutes=1)
    assert minor(subscriber) == [5000, 1000]


async def test_another_interval_or_currency_is_another_subscription(
    subscriber: Subscriber,
) -> None:
    await subscriber.shop.on_file()
    await subscriber.start()
    for other in (price(interval="year"), price(currency="EUR")):
        with pytest.raises(SubscriptionFixed):
            await subscriber.change(other)


async def test_cancelled_at_the_periods_end_or_kept_after_all(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    await subscriber.start()
    assert (await subscriber.act(SubscriptionAct.CANCEL)).cancels_at_period_end
    assert not (await subscriber.act(SubscriptionAct.KEEP)).cancels_at_period_end
    await subscriber.act(SubscriptionAct.CANCEL)
    assert (await subscriber.read()).status is ACTIVE
    ended = await subscriber.wait(days=31, minutes=1)
    assert (ended.status, minor(subscriber)) == (CANCELLED, [2000])
    assert ended.ended_at == subscriber.shop.clock.now()


async def test_events_twice_and_in_any_order_change_nothing(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    await subscriber.start()
    await subscriber.change(TEAM)
    await subscriber.wait(days=31, minutes=1)
    await subscriber.act(SubscriptionAct.CANCEL)
    stands, fees = await subscriber.hear(), list(subscriber.fees)
    told = len(subscriber.changes)
    bank, till = subscriber.shop.bank, subscriber.shop.till
    for _ in range(2):
        for headers, body in reversed(await bank.event_bodies()):
            now = subscriber.shop.clock.now()
            raw = bank.processor.verify(headers, body, now)
            async with subscriber.shop.database.connection() as connection:
                await keep_event(connection, raw, now, livemode=False)
        assert await payments.replay(till, bank.processor.name, Which()) > 5
        while await payments.handle_pending(till):
            pass
    assert (await subscriber.read(), subscriber.fees) == (stands, fees)
    assert len(subscriber.changes) == told


async def test_what_was_meant_and_never_asked_for_is_done_by_the_sweep(
    subscriber: Subscriber,
) -> None:
    """The process died between the intent and the call."""
    await subscriber.shop.on_file()
    await subscriber.intend()
    await subscriber.shop.wait(31)
    await payments.settle_unfinished(subscriber.shop.till)
    assert (await subscriber.read()).status is ACTIVE
    await subscriber.intend_change(TEAM)
    await subscriber.shop.wait(31)
    await payments.settle_unfinished(subscriber.shop.till)
    assert (await subscriber.read()).product_name == "Team"
    assert len(subscriber.fees) == 2


async def test_nobody_is_charged_for_a_start_that_is_long_past(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    await subscriber.intend()
    await subscriber.shop.wait(minutes=6)
    await payments.settle_unfinished(subscriber.shop.till)
    ended = await subscriber.read()
    assert (ended.status, ended.failure_code) == (CANCELLED, FailureCode.NEVER_SENT)
    assert subscriber.fees == []


async def test_many_who_pursue_at_once_charge_once(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    await subscriber.intend()
    await asyncio.gather(*(subscriber.pursue() for _ in range(8)))
    assert (await subscriber.pursue()).status is ACTIVE
    assert minor(subscriber) == [2000]


async def test_an_answer_from_before_a_change_is_thrown_away(subscriber: Subscriber) -> None:
    await subscriber.shop.on_file()
    seen = await subscriber.start()
    old = await ask(subscriber.shop.till, seen)
    now = await subscriber.change(TEAM)
    with pytest.raises(Stale):
        async with subscriber.shop.database.transaction() as tx:
            await record(tx, subscriber.shop.till, seen, old)
    assert await subscriber.read() == now


@pytest.mark.parametrize("how", [how for how in How if how is not How.WELL])
@pytest.mark.parametrize("path", ["/v1/subscriptions", "/v1/payment_intents/[^/]+/confirm"])
async def test_whatever_stripe_does_it_is_started_and_charged_once(
    fake_subscriber: Subscriber, fake_bank: FakeBank, path: str, how: How
) -> None:
    await fake_subscriber.shop.on_file()
    fake_bank.fake.fail(path, how, times=-1)
    await fake_subscriber.start()
    fake_bank.fake.heal()
    fake_bank.fake.forget_keys()
    for _ in range(3):
        await fake_subscriber.shop.wait(minutes=4)
        await payments.settle_unfinished(fake_subscriber.shop.till)
    await fake_subscriber.hear()
    assert len(fake_bank.fake.state.all("subscription")) <= 1
    assert sum(minor(fake_subscriber)) == fake_bank.fake.charged
    begun = (await fake_subscriber.read()).status.begun
    assert begun == (fake_bank.fake.charged == 2000)
