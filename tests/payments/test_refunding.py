"""Refunds and disputes at the till: Y7 and Y8 of the room."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from banks import FakeBank
from fake_stripe import How
from shops import Shop

from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import uuid7
from tollkeeper.payments import (
    NewRefund,
    RefundRefused,
    ask_refund,
    charge,
    disputes_of,
    get_refund,
    handle_pending,
    intend_refund,
    refund,
    refunds_of,
    settle_unfinished,
)
from tollkeeper.payments.disputes import record_dispute
from tollkeeper.payments.inbox.handling import catch_up
from tollkeeper.payments.model import (
    Dispute,
    DisputeStatus,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from tollkeeper.payments.refunding import record_refund


async def paid(shop: Shop, card: str = "pm_card_visa") -> Payment:
    method = await shop.on_file(card)
    payment = await shop.intend(method_id=method.method_id, off_session=True)
    paid_now = await charge(shop.till, payment.org_id, payment.payment_id)
    assert paid_now.status is PaymentStatus.SUCCEEDED
    return paid_now


async def intend(shop: Shop, payment: Payment, amount: int) -> Refund:
    new = NewRefund(
        org_id=payment.org_id,
        refund_id=uuid7(),
        payment_id=payment.payment_id,
        amount_minor=amount,
        reason="asked for it",
    )
    async with shop.database.transaction() as tx:
        return await intend_refund(tx, new, shop.clock.now())


async def give_back(shop: Shop, payment: Payment, amount: int) -> Refund:
    made = await intend(shop, payment, amount)
    return await refund(shop.till, made.org_id, made.refund_id)


async def disputes(shop: Shop, payment: Payment) -> list[Dispute]:
    async with shop.database.connection() as connection:
        return await disputes_of(connection, payment.org_id, payment.payment_id)


async def hear(shop: Shop) -> None:
    """Hear from the processor, by asking for its events."""
    await shop.wait(1)
    await catch_up(shop.till)
    while await handle_pending(shop.till):
        pass


async def test_y7_a_refund_is_written_down_sent_once_and_written_down_again(shop: Shop) -> None:
    payment = await paid(shop)
    made = await intend(shop, payment, 1000)
    assert (made.status, made.ref) == (RefundStatus.REQUESTED, None)
    assert await shop.heard("refund") == []
    sent = await asyncio.gather(*(refund(shop.till, made.org_id, made.refund_id) for _ in range(5)))
    assert {one.status for one in sent} == {RefundStatus.SUCCEEDED}
    assert [heard[1:] for heard in await shop.heard("refund")] == [
        (made.refund_id, "requested", "succeeded")
    ]
    async with shop.database.connection() as connection:
        (kept,) = await refunds_of(connection, payment.org_id, payment.payment_id)
    assert kept == sent[0]


async def test_y7_never_more_is_given_back_than_was_paid(shop: Shop) -> None:
    payment = await paid(shop)
    tried = await asyncio.gather(
        *(intend(shop, payment, 600) for _ in range(10)), return_exceptions=True
    )
    assert len([one for one in tried if isinstance(one, Refund)]) == 4
    refused = [one for one in tried if isinstance(one, RefundRefused)]
    assert len(refused) == 6
    assert refused[0].detail == "At most 1.00 USD of this payment can be refunded"
    with pytest.raises(RefundRefused):
        await intend(shop, payment, 0)
    assert (await intend(shop, payment, 100)).status is RefundStatus.REQUESTED


async def test_a_refund_intended_again_is_the_same_refund(shop: Shop) -> None:
    payment = await paid(shop)
    made = await intend(shop, payment, 2500)
    again = NewRefund(
        org_id=made.org_id,
        refund_id=made.refund_id,
        payment_id=made.payment_id,
        amount_minor=2500,
        reason="a retry",
    )
    async with shop.database.transaction() as tx:
        assert await intend_refund(tx, again, shop.clock.now()) == made
    with pytest.raises(RefundRefused):
        async with shop.database.transaction() as tx:
            other = NewRefund(
                org_id=made.org_id,
                refund_id=made.refund_id,
                payment_id=made.payment_id,
                amount_minor=1,
                reason="another",
            )
            await intend_refund(tx, other, shop.clock.now())
    with pytest.raises(NotFound):
        async with shop.database.connection() as connection:
            await get_refund(connection, made.org_id, uuid7())


async def test_what_is_not_paid_is_not_given_back(shop: Shop) -> None:
    method = await shop.on_file()
    payment = await shop.intend(method_id=method.method_id)
    with pytest.raises(RefundRefused):
        await intend(shop, payment, 1)


@pytest.mark.parametrize("succeeds", [True, False])
async def test_a_refund_that_takes_its_days_is_asked_about(shop: Shop, *, succeeds: bool) -> None:
    payment = await paid(shop, "pm_card_pendingRefund")
    made = await give_back(shop, payment, 1000)
    assert made.status is RefundStatus.PENDING
    await shop.wait(hours=1)
    await settle_unfinished(shop.till)
    await shop.bank.finish_refund(made.ref or "", succeeds=succeeds)
    await shop.wait(hours=2)
    await settle_unfinished(shop.till)
    async with shop.database.connection() as connection:
        ended = await get_refund(connection, made.org_id, made.refund_id)
    assert ended.status is (RefundStatus.SUCCEEDED if succeeds else RefundStatus.FAILED)
    assert len(await shop.heard("refund")) == 2
    assert (await intend(shop, payment, 1500)).amount_minor == 1500
    if not succeeds:
        assert (await intend(shop, payment, 1000)).amount_minor == 1000


async def test_a_refund_that_comes_back_weeks_later_is_heard_of(shop: Shop) -> None:
    payment = await paid(shop, "pm_card_refundFail")
    made = await give_back(shop, payment, 2500)
    await hear(shop)
    async with shop.database.connection() as connection:
        ended = await get_refund(connection, made.org_id, made.refund_id)
    assert ended.status is RefundStatus.FAILED
    assert ended.failure_detail


async def test_a_refund_never_goes_back_to_what_it_was(shop: Shop) -> None:
    payment = await paid(shop)
    made = await give_back(shop, payment, 1000)
    fact = await shop.bank.processor.read_refund(made.ref or "")
    for status in (RefundStatus.REQUESTED, RefundStatus.PENDING, RefundStatus.SUCCEEDED):
        late = replace(fact, status=status)
        async with shop.database.transaction() as tx:
            assert await record_refund(tx, shop.till, payment, late) == made
    assert len(await shop.heard("refund")) == 1


async def test_a_refund_made_at_the_processor_is_heard_of(shop: Shop) -> None:
    payment = await paid(shop)
    await shop.bank.refund_by_hand(payment.ref or "")
    await hear(shop)
    async with shop.database.connection() as connection:
        (found,) = await refunds_of(connection, payment.org_id, payment.payment_id)
    assert (found.ours, found.status, found.amount_minor) == (False, RefundStatus.SUCCEEDED, 2500)
    assert [heard[2:] for heard in await shop.heard("refund")] == [(None, "succeeded")]
    with pytest.raises(RefundRefused):
        await intend(shop, payment, 1)
    await hear(shop)
    assert len(await shop.heard("refund")) == 1


async def test_a_refund_that_the_processor_refuses_has_failed(shop: Shop) -> None:
    payment = await paid(shop)
    made = await intend(shop, payment, 2000)
    await shop.bank.refund_by_hand(payment.ref or "")
    failed = await refund(shop.till, made.org_id, made.refund_id)
    assert failed.status is RefundStatus.FAILED
    assert failed.failure_detail


@pytest.mark.parametrize("how", [how for how in How if how is not How.WELL])
async def test_y7_without_an_answer_a_refund_is_sent_again_and_made_once(
    fake_shop: Shop, fake_bank: FakeBank, how: How
) -> None:
    payment = await paid(fake_shop)
    fake_bank.fake.fail("/v1/refunds", how, times=-1)
    made = await give_back(fake_shop, payment, 1000)
    assert made.status is RefundStatus.REQUESTED
    fake_bank.fake.heal()
    if how is How.ERROR_AFTER:
        # Stripe keeps saying 500 under this key; its event tells what it did.
        await hear(fake_shop)
    else:
        await fake_shop.wait(minutes=1)
        await settle_unfinished(fake_shop.till)
    ended = await ask_refund(fake_shop.till, made.org_id, made.refund_id)
    assert ended.status is RefundStatus.SUCCEEDED
    assert fake_bank.fake.refunded == 1000
    assert len(await fake_shop.heard("refund")) == 1


# ── Disputes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", [DisputeStatus.WON, DisputeStatus.LOST])
async def test_y8_a_dispute_is_heard_of_once_at_each_step(shop: Shop, end: DisputeStatus) -> None:
    payment = await paid(shop)
    ref = await shop.bank.open_dispute(payment.ref or "")
    await hear(shop)
    (opened,) = await disputes(shop, payment)
    assert (opened.status, opened.amount_minor, opened.reason) == (
        DisputeStatus.OPEN,
        2500,
        "fraudulent",
    )
    with pytest.raises(RefundRefused):
        await intend(shop, payment, 1)
    await shop.bank.move_dispute(ref, end)
    for _ in range(3):
        await hear(shop)
    (ended,) = await disputes(shop, payment)
    assert (ended.dispute_id, ended.status) == (opened.dispute_id, end)
    assert ended.settled_at is not None
    assert [heard[2:] for heard in await shop.heard("dispute")] == [
        (None, "open"),
        ("open", end.value),
    ]


async def test_y8_what_is_heard_late_of_a_dispute_takes_nothing_back(shop: Shop) -> None:
    payment = await paid(shop)
    ref = await shop.bank.open_dispute(payment.ref or "")
    opened = await shop.bank.processor.read_dispute(ref)
    await shop.bank.move_dispute(ref, DisputeStatus.LOST)
    await hear(shop)
    (lost,) = await disputes(shop, payment)
    for status in (DisputeStatus.INQUIRY, DisputeStatus.OPEN, DisputeStatus.LOST):
        async with shop.database.transaction() as tx:
            late = replace(opened, status=status)
            assert await record_dispute(tx, shop.till, payment, late) == lost
    # A bank can change its mind in our favour.
    async with shop.database.transaction() as tx:
        won = replace(opened, status=DisputeStatus.WON)
        assert (await record_dispute(tx, shop.till, payment, won)).status is DisputeStatus.WON
    assert [heard.now for heard in await shop.heard("dispute")] == ["lost", "won"]


async def test_an_inquiry_can_become_a_dispute_or_nothing(shop: Shop) -> None:
    payment = await paid(shop)
    ref = await shop.bank.open_dispute(payment.ref or "", inquiry=True)
    await hear(shop)
    assert (await intend(shop, payment, 1)).status is RefundStatus.REQUESTED
    await shop.bank.move_dispute(ref, DisputeStatus.OPEN)
    await hear(shop)
    assert [heard.now for heard in await shop.heard("dispute")] == ["inquiry", "open"]
    other = await paid(shop)
    ref = await shop.bank.open_dispute(other.ref or "", inquiry=True)
    await shop.bank.move_dispute(ref, DisputeStatus.CLOSED)
    await hear(shop)
    (closed,) = await disputes(shop, other)
    assert closed.status is DisputeStatus.CLOSED
