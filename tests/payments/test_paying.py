"""Payments at the till: Y1 to Y6 of the room, at the sandbox and at the fake Stripe."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from banks import FakeBank
from fake_stripe import How
from shops import Shop

from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.payments import (
    PaymentsNotConfigured,
    ask,
    cancel,
    charge,
    get_payment,
    open_page,
    payments_of,
    resume,
    settle_unfinished,
)
from tollkeeper.payments import store as payments_store
from tollkeeper.payments.methods import keeping
from tollkeeper.payments.model import (
    Answer,
    Declined,
    Failure,
    FailureCode,
    PageKind,
    Payment,
    PaymentChanged,
    PaymentStatus,
    Processing,
    RequiresAction,
    Succeeded,
    Unknown,
)
from tollkeeper.payments.paying import Stale, record
from tollkeeper.payments.processors import Charge, Processors

VISA = "pm_card_visa"
CONFIRM = "/v1/payment_intents/[^/]+/confirm"
EVERYTHING = "/v1/.*"


async def read(shop: Shop, payment: Payment) -> Payment:
    async with shop.database.connection() as connection:
        return await get_payment(connection, payment.org_id, payment.payment_id)


async def intended(shop: Shop, card: str = VISA, **more: Any) -> Payment:
    method = await shop.on_file(card)
    return await shop.intend(method_id=method.method_id, off_session=True, **more)


# ── Written down before and after ────────────────────────────────────────────────────────────────


class Watched:
    """A processor that looks, when it is asked for money, at what is in our database."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._processor = shop.bank.processor
        self.found: list[Payment] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)

    async def pay(self, wanted: Charge) -> Answer:
        async with self._shop.database.connection() as connection:
            self.found.append(await get_payment(connection, wanted.org_id, wanted.payment_id))
        answer = await self._processor.pay(wanted)
        async with self._shop.database.connection() as connection:
            self.found.append(await get_payment(connection, wanted.org_id, wanted.payment_id))
        return answer


async def test_y1_the_intent_is_there_before_anybody_is_asked_for_money(shop: Shop) -> None:
    payment = await intended(shop)
    watched: Any = Watched(shop)
    shop.till = replace(shop.till, processors=Processors((watched,)))
    paid = await charge(shop.till, payment.org_id, payment.payment_id)
    assert [found.status for found in watched.found] == [PaymentStatus.REQUIRES_PAYMENT] * 2
    assert paid.status is PaymentStatus.SUCCEEDED
    assert paid == await read(shop, payment)
    assert paid.ref is not None
    assert paid.settled_at == shop.clock.now()


async def test_y2_what_follows_commits_with_the_outcome_or_not_at_all(shop: Shop) -> None:
    payment = await intended(shop)
    refuse = True

    async def refusing(_: Connection, change: PaymentChanged) -> None:
        if refuse and change.payment.status is PaymentStatus.SUCCEEDED:
            raise RuntimeError("no room in the ledger")

    shop.till.handlers.on(PaymentChanged, refusing)
    with pytest.raises(RuntimeError):
        await charge(shop.till, payment.org_id, payment.payment_id)
    assert (await read(shop, payment)).status is PaymentStatus.REQUIRES_PAYMENT
    assert await shop.heard("payment") == []
    refuse = False
    await shop.wait(31)
    assert await settle_unfinished(shop.till) == 1
    assert (await read(shop, payment)).status is PaymentStatus.SUCCEEDED
    assert [heard.now for heard in await shop.heard("payment")] == ["succeeded"]
    assert await shop.bank.charged(payment.payment_id) == [2500]


async def test_the_same_intent_is_written_once(shop: Shop) -> None:
    payment = await shop.intend(page=PageKind.HOSTED)
    again = await shop.intend(
        payment_id=payment.payment_id, page=PageKind.HOSTED, amount_minor=9900
    )
    assert again == payment
    async with shop.database.connection() as connection:
        found = await payments_of(connection, payment.org_id, payment.subject_id)
        assert found == [payment]
        with pytest.raises(NotFound):
            await get_payment(connection, payment.org_id, uuid7())


async def test_nobody_pays_where_nobody_takes_money(shop: Shop) -> None:
    with pytest.raises(PaymentsNotConfigured):
        await shop.intend(livemode=True, page=PageKind.HOSTED)


# ── Charging a method ────────────────────────────────────────────────────────────────────────────


async def test_y3_however_often_it_is_asked_for_it_is_charged_once(shop: Shop) -> None:
    payment = await intended(shop)
    paid = await asyncio.gather(
        *(charge(shop.till, payment.org_id, payment.payment_id) for _ in range(10))
    )
    await charge(shop.till, payment.org_id, payment.payment_id)
    assert await shop.bank.charged(payment.payment_id) == [2500]
    assert {p.status for p in paid} <= {PaymentStatus.SUCCEEDED, PaymentStatus.PROCESSING}
    assert (await ask(shop.till, payment.org_id, payment.payment_id)).status == "succeeded"
    assert [heard.now for heard in await shop.heard("payment")].count("succeeded") == 1


async def test_a_decline_is_final_and_says_why(shop: Shop) -> None:
    payment = await intended(shop, "pm_card_chargeCustomerFail")
    failed = await charge(shop.till, payment.org_id, payment.payment_id)
    assert failed.status is PaymentStatus.FAILED
    assert failed.failure == Failure(FailureCode.CARD_DECLINED, False, failed.failure_detail or "")
    again = await charge(shop.till, payment.org_id, payment.payment_id)
    assert again == failed
    assert [heard.now for heard in await shop.heard("payment")] == ["failed"]
    await shop.wait(hours=1)
    assert await settle_unfinished(shop.till) == 0


async def test_off_session_the_bank_asks_and_the_customer_answers_later(shop: Shop) -> None:
    payment = await intended(shop, "pm_card_authenticationRequired")
    waiting = await charge(shop.till, payment.org_id, payment.payment_id)
    assert (waiting.status, waiting.action_url) == (PaymentStatus.REQUIRES_ACTION, None)
    await shop.wait(hours=23)
    await settle_unfinished(shop.till)
    assert (await read(shop, payment)).status is PaymentStatus.REQUIRES_ACTION
    link = "https://shop.test/recover"
    resumed = await resume(shop.till, payment.org_id, payment.payment_id, link)
    assert resumed.action_url is not None
    again = await resume(shop.till, payment.org_id, payment.payment_id, link)
    assert again.action_url == resumed.action_url
    led_to = await shop.bank.answer_bank(resumed.action_url, approves=True)
    assert led_to.startswith(link)
    paid = await ask(shop.till, payment.org_id, payment.payment_id)
    assert (paid.status, paid.action_url) == (PaymentStatus.SUCCEEDED, None)
    assert await shop.bank.charged(payment.payment_id) == [2500]
    assert [heard.now for heard in await shop.heard("payment")] == ["requires_action", "succeeded"]


async def test_a_failed_payment_can_be_paid_with_another_card(shop: Shop) -> None:
    payment = await intended(shop, "pm_card_chargeCustomerFail")
    await charge(shop.till, payment.org_id, payment.payment_id)
    good = await shop.on_file("pm_card_visa")
    paid = await resume(
        shop.till, payment.org_id, payment.payment_id, "https://a.test", good.method_id
    )
    assert (paid.status, paid.method_id, paid.failure) == (
        PaymentStatus.SUCCEEDED,
        good.method_id,
        None,
    )
    assert [heard[2:] for heard in await shop.heard("payment")] == [
        ("requires_payment", "failed"),
        ("failed", "processing"),
        ("processing", "succeeded"),
    ]


@pytest.mark.parametrize("succeeds", [True, False])
async def test_a_payment_that_takes_its_days_is_asked_about(shop: Shop, *, succeeds: bool) -> None:
    payment = await intended(shop, "pm_usBankAccount_success")
    waiting = await charge(shop.till, payment.org_id, payment.payment_id)
    assert waiting.status is PaymentStatus.PROCESSING
    for _ in range(5):
        await shop.wait(hours=12)
        assert await settle_unfinished(shop.till) == 1
    assert (await read(shop, payment)).status is PaymentStatus.PROCESSING
    await shop.bank.finish_processing(waiting.ref or "", succeeds=succeeds)
    await shop.wait(hours=1)
    await settle_unfinished(shop.till)
    wanted = PaymentStatus.SUCCEEDED if succeeds else PaymentStatus.FAILED
    assert (await read(shop, payment)).status is wanted


async def test_a_method_that_was_removed_is_not_charged(shop: Shop) -> None:
    payment = await intended(shop)
    assert payment.method_id is not None
    await keeping.remove(shop.till, shop.owner, payment.method_id)
    failed = await charge(shop.till, payment.org_id, payment.payment_id)
    assert failed.failure_code is FailureCode.METHOD_UNUSABLE
    assert await shop.bank.charged(payment.payment_id) == []


# ── Pages ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_page_is_opened_once_paid_on_and_asked_about(shop: Shop) -> None:
    payment = await shop.intend(page=PageKind.HOSTED, save_method=True)
    opened = await open_page(shop.till, payment.org_id, payment.payment_id)
    assert await open_page(shop.till, payment.org_id, payment.payment_id) == opened
    assert opened.status is PaymentStatus.REQUIRES_PAYMENT
    await shop.bank.submit_page(opened.page_url or "", "4000000000000002")
    await shop.wait(60)
    await settle_unfinished(shop.till)
    assert (await read(shop, payment)).status is PaymentStatus.REQUIRES_PAYMENT
    await shop.bank.submit_page(opened.page_url or "", "4242424242424242")
    await shop.wait(60)
    await settle_unfinished(shop.till)
    paid = await read(shop, payment)
    assert paid.status is PaymentStatus.SUCCEEDED
    (kept,) = await keeping.sync(shop.till, shop.owner)
    assert kept.ref == paid.method_ref


async def test_a_page_that_nobody_fills_in_expires(shop: Shop) -> None:
    payment = await shop.intend(page=PageKind.EMBEDDED)
    opened = await open_page(shop.till, payment.org_id, payment.payment_id)
    assert opened.page_secret is not None
    for _ in range(30):
        await shop.wait(hours=1)
        await settle_unfinished(shop.till)
    expired = await read(shop, payment)
    assert expired.failure_code is FailureCode.PAGE_EXPIRED
    assert len(await shop.heard("payment")) == 1


async def test_a_page_that_was_closed_is_not_paid_on(shop: Shop) -> None:
    payment = await shop.intend(page=PageKind.HOSTED)
    opened = await open_page(shop.till, payment.org_id, payment.payment_id)
    canceled = await cancel(shop.till, payment.org_id, payment.payment_id)
    assert canceled.failure_code is FailureCode.CANCELED
    status, _ = await shop.bank.submit_page(opened.page_url or "", "4242424242424242")
    assert status == 410
    assert await cancel(shop.till, payment.org_id, payment.payment_id) == canceled


async def test_a_payment_given_up_before_it_was_sent_is_canceled(shop: Shop) -> None:
    payment = await intended(shop)
    canceled = await cancel(shop.till, payment.org_id, payment.payment_id)
    assert canceled.failure_code is FailureCode.CANCELED
    assert await charge(shop.till, payment.org_id, payment.payment_id) == canceled
    assert await shop.bank.charged(payment.payment_id) == []


async def test_what_is_paid_stays_paid_whoever_gives_it_up(shop: Shop) -> None:
    payment = await shop.intend(page=PageKind.HOSTED)
    opened = await open_page(shop.till, payment.org_id, payment.payment_id)
    await shop.bank.submit_page(opened.page_url or "", "4242424242424242")
    assert (await cancel(shop.till, payment.org_id, payment.payment_id)).status == "succeeded"


# ── What is heard late, twice, or not at all ─────────────────────────────────────────────────────


async def test_y4_money_that_arrives_after_all_is_believed(shop: Shop) -> None:
    payment = await intended(shop, "pm_card_chargeCustomerFail")
    failed = await charge(shop.till, payment.org_id, payment.payment_id)
    paid = Succeeded(ref=failed.ref or "", method_ref=None)
    async with shop.database.transaction() as tx:
        # As seen long ago: that it is paid holds whatever else was heard.
        after = await record(tx, shop.till, payment, paid)
    assert (after.status, after.failure) == (PaymentStatus.SUCCEEDED, None)


async def test_y4_what_is_paid_is_never_unpaid_by_what_is_heard_late(shop: Shop) -> None:
    payment = await intended(shop)
    paid = await charge(shop.till, payment.org_id, payment.payment_id)
    late: list[Answer] = [
        Processing(ref=paid.ref),
        RequiresAction(ref=paid.ref or "", url="https://late.test"),
        Declined(ref=paid.ref, failure=Failure.of(FailureCode.CARD_DECLINED)),
        Unknown("late"),
        Succeeded(ref="another", method_ref=None),
    ]
    for answer in late:
        async with shop.database.transaction() as tx:
            assert await record(tx, shop.till, paid, answer) == paid
    assert len(await shop.heard("payment")) == 1


async def test_y4_an_answer_about_how_it_was_is_asked_for_again(shop: Shop) -> None:
    payment = await intended(shop, "pm_card_authenticationRequired")
    waiting = await charge(shop.till, payment.org_id, payment.payment_id)
    with pytest.raises(Stale):
        async with shop.database.transaction() as tx:
            declined = Declined(ref=waiting.ref, failure=Failure.of(FailureCode.CARD_DECLINED))
            await record(tx, shop.till, payment, declined)
    assert await read(shop, payment) == waiting


async def test_y5_an_intent_whose_process_died_ends_and_was_never_charged(shop: Shop) -> None:
    payment = await intended(shop)
    await shop.wait(60)
    assert await settle_unfinished(shop.till) == 1
    assert (await read(shop, payment)).status is PaymentStatus.REQUIRES_PAYMENT
    await shop.wait(minutes=6)
    await settle_unfinished(shop.till)
    ended = await read(shop, payment)
    assert (ended.status, ended.failure_code) == (PaymentStatus.FAILED, FailureCode.NEVER_SENT)
    # Should that process only have been asleep, it finds the payment ended.
    assert await charge(shop.till, payment.org_id, payment.payment_id) == ended
    assert await shop.bank.charged(payment.payment_id) == []


async def test_each_unfinished_payment_is_asked_about_by_one_process_ever_more_rarely(
    shop: Shop,
) -> None:
    for _ in range(3):
        await intended(shop, "pm_card_authenticationRequired")
    async with shop.database.connection() as connection:
        found = await connection.execute("SELECT org_id, payment_id FROM payment")
        for org_id, payment_id in await found.fetchall():
            await charge(shop.till, org_id, payment_id)
    await shop.wait(31)
    asked = await asyncio.gather(*(settle_unfinished(shop.till) for _ in range(4)))
    assert sum(asked) == 3
    times = 0
    for _ in range(24 * 60):
        await shop.wait(60)
        times += await settle_unfinished(shop.till)
    assert 3 * 24 <= times <= 3 * 40


async def test_what_another_processor_began_is_left_to_it(shop: Shop) -> None:
    payment = await intended(shop)
    shop.till = replace(shop.till, processors=Processors())
    await shop.wait(minutes=10)
    assert await settle_unfinished(shop.till) == 0
    with pytest.raises(PaymentsNotConfigured):
        await charge(shop.till, payment.org_id, payment.payment_id)


@pytest.mark.parametrize("how", [how for how in How if how is not How.WELL])
@pytest.mark.parametrize("path", ["/v1/payment_intents", CONFIRM])
async def test_y6_without_an_answer_it_is_found_out_and_charged_at_most_once(
    fake_shop: Shop, fake_bank: FakeBank, path: str, how: How
) -> None:
    payment = await intended(fake_shop)
    fake_bank.fake.fail(path, how, times=-1)
    fake_bank.fake.fail("/v1/payment_intents.*", how, method="GET", times=-1)
    waiting = await charge(fake_shop.till, payment.org_id, payment.payment_id)
    assert waiting.status is PaymentStatus.PROCESSING
    await fake_shop.wait(10)
    await settle_unfinished(fake_shop.till)
    assert (await read(fake_shop, payment)).status is PaymentStatus.PROCESSING
    fake_bank.fake.heal()
    for _ in range(4):
        await fake_shop.wait(minutes=4)
        await settle_unfinished(fake_shop.till)
    ended = await read(fake_shop, payment)
    assert ended.status.final
    charged = await fake_bank.charged(payment.payment_id)
    assert charged == ([2500] if ended.status is PaymentStatus.SUCCEEDED else [])
    assert [heard.now for heard in await fake_shop.heard("payment")] == [
        "processing",
        ended.status.value,
    ]


async def test_a_processor_that_is_away_before_the_charge_leaves_it_to_be_charged(
    fake_shop: Shop, fake_bank: FakeBank
) -> None:
    payment = await intended(fake_shop)
    fake_bank.fake.fail(EVERYTHING, How.LOST_BEFORE, times=-1)
    waiting = await charge(fake_shop.till, payment.org_id, payment.payment_id)
    assert waiting.status is PaymentStatus.PROCESSING
    fake_bank.fake.heal()
    assert await fake_bank.charged(payment.payment_id) == []


async def test_payments_are_streamed_by_the_time_they_were_settled(shop: Shop) -> None:
    paid = []
    for _ in range(3):
        payment = await intended(shop)
        paid.append(await charge(shop.till, payment.org_id, payment.payment_id))
        await shop.wait(hours=1)
    async with shop.database.connection() as connection:
        found = [
            payment
            async for payment in payments_store.payments_settled(
                connection,
                shop.bank.processor.name,
                paid[1].settled_at or shop.clock.now(),
                shop.clock.now(),
                livemode=False,
            )
        ]
    assert found == paid[1:]
