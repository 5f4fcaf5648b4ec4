"""What has ended here and runs at the processor all the same is ended there too."""

from __future__ import annotations

from banks import RETURN, FakeBank
from shops import Shop
from subscribers import Subscriber

from tollkeeper import payments
from tollkeeper.payments import SubscriptionAct, SubscriptionStatus
from tollkeeper.payments.inbox.store import EventState
from tollkeeper.payments.model import Failure, FailureCode
from tollkeeper.payments.subscribing.recording import record
from tollkeeper.payments.subscription import (
    PaymentWay,
    SubscriptionFact,
    SubscriptionRefused,
    SubscriptionSought,
)

CANCELLED = SubscriptionStatus.CANCELLED


async def begin_too_late(subscriber: Subscriber) -> None:
    """The processor begins it when it has just been given up as never sent."""
    shop = subscriber.shop
    method = await shop.on_file()
    seen = await subscriber.intend()
    never_sent = SubscriptionRefused(failure=Failure.of(FailureCode.NEVER_SENT))
    async with shop.database.transaction() as tx:
        await record(tx, shop.till, seen, never_sent, told=seen.act)
    sought = SubscriptionSought(
        org_id=seen.org_id,
        subscription_id=seen.subscription_id,
        customer_ref=await payments.customer_ref(shop.till, seen.org_id, livemode=False),
        ref=None,
        intended_at=seen.intended_at,
    )
    way = PaymentWay(method_ref=method.ref, return_url=RETURN, attempt=1)
    begun = await shop.bank.processor.start_subscription(sought, seen.price, way)
    assert isinstance(begun, SubscriptionFact)


async def test_a_subscription_that_ended_here_is_ended_at_the_processor(
    fake_shop: Shop, fake_bank: FakeBank
) -> None:
    subscriber = Subscriber(fake_shop)
    await begin_too_late(subscriber)
    told = await subscriber.hear()
    assert (told.status, told.act) == (CANCELLED, SubscriptionAct.END)
    assert [fee.amount_minor for fee in subscriber.fees] == [2000]  # paid, and told of
    async with fake_shop.database.connection() as connection:
        left = await payments.newest_events(connection, "stripe", EventState.PENDING, 100)
    assert left == []
    await fake_shop.wait(6)
    await payments.settle_unfinished(fake_shop.till)
    ended = await subscriber.read()
    assert (ended.status, ended.act) == (CANCELLED, None)
    for _ in range(2):
        assert (await subscriber.wait(days=32)).status is CANCELLED
    assert len(fake_bank.fake.charges()) == 1


async def test_who_is_late_does_not_set_out_any_more(fake_shop: Shop, fake_bank: FakeBank) -> None:
    """They could still be on their way when it is given up."""
    subscriber = Subscriber(fake_shop)
    await fake_shop.on_file()
    await subscriber.intend()
    await fake_shop.wait(minutes=4)
    waiting = await subscriber.pursue()
    assert (waiting.status, waiting.act) == (
        SubscriptionStatus.REQUIRES_PAYMENT,
        SubscriptionAct.START,
    )
    assert fake_bank.fake.state.all("subscription") == []
    await fake_shop.wait(minutes=2)
    assert (await subscriber.pursue()).failure_code is FailureCode.NEVER_SENT
    assert fake_bank.fake.charges() == []
