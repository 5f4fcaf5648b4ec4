"""When Stripe does not answer, or answers strangely: nobody is charged twice, and nobody is told
something that is not so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
import stripe
from banks import RETURN, FakeBank, fake_settings, no_pause
from fake_stripe import FakeStripe, How

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Secret, Stripe
from tollkeeper.payments.errors import ProcessorRefused, ProcessorUnavailable
from tollkeeper.payments.model import (
    Absent,
    Declined,
    FailureCode,
    RequiresAction,
    Succeeded,
    Unknown,
    Unpaid,
)
from tollkeeper.payments.processors import CustomerDetails, RefundFact, RefundOrder
from tollkeeper.payments.processors.stripe import open_stripe
from tollkeeper.payments.processors.stripe.failures import failure_of

CREATE = "/v1/payment_intents"
CONFIRM = "/v1/payment_intents/[^/]+/confirm"
BAD = [how for how in How if how is not How.WELL]
DONE_ALL_THE_SAME = {How.HANGS_AFTER, How.LOST_AFTER, How.CUT_SHORT, How.ERROR_AFTER}


@pytest.mark.parametrize("how", BAD)
@pytest.mark.parametrize("path", [CREATE, CONFIRM])
async def test_one_fault_is_overcome_by_asking_again(
    fake_bank: FakeBank, path: str, how: How
) -> None:
    charge = fake_bank.charge(await fake_bank.on_file("pm_card_visa"))
    fake_bank.fake.fail(path, how)
    answer = await fake_bank.processor.pay(charge)
    if how not in (How.ERROR_AFTER, How.GARBAGE):
        assert isinstance(answer, Succeeded)
    found = await fake_bank.processor.pay(charge)
    if (path, how) == (CREATE, How.ERROR_AFTER):
        # Stripe repeats its 500 to the same key for a day; asking tells the truth.
        assert isinstance(found, Unknown)
        found = await fake_bank.processor.find_payment(fake_bank.sought(charge.payment_id))
        assert isinstance(found, Unpaid)
        assert await fake_bank.charged(charge.payment_id) == []
    else:
        assert isinstance(found, Succeeded)
        assert await fake_bank.charged(charge.payment_id) == [2500]


@pytest.mark.parametrize("how", BAD)
async def test_a_stripe_that_stays_away_leaves_it_unknown_and_asking_settles_it(
    fake_bank: FakeBank, how: How
) -> None:
    charge = fake_bank.charge(await fake_bank.on_file("pm_card_visa"))
    sought = fake_bank.sought(charge.payment_id)
    fake_bank.fake.fail(CONFIRM, how, times=-1)
    assert isinstance(await fake_bank.processor.pay(charge), Unknown)
    fake_bank.fake.heal()
    done = how in DONE_ALL_THE_SAME
    found = await fake_bank.processor.find_payment(sought)
    assert isinstance(found, Succeeded if done else Unpaid)
    # What was not done can be made sure never to be.
    canceled = await fake_bank.processor.cancel_payment(sought)
    assert isinstance(canceled, Succeeded if done else Declined)
    assert isinstance(await fake_bank.processor.pay(charge), Succeeded if done else Declined)
    assert await fake_bank.charged(charge.payment_id) == ([2500] if done else [])


@pytest.mark.parametrize("how", BAD)
async def test_a_creation_whose_answer_is_lost_charges_nobody(
    fake_bank: FakeBank, how: How
) -> None:
    charge = fake_bank.charge(await fake_bank.on_file("pm_card_visa"))
    fake_bank.fake.fail(CREATE, how, times=-1)
    assert isinstance(await fake_bank.processor.pay(charge), Unknown)
    fake_bank.fake.heal()
    found = await fake_bank.processor.find_payment(fake_bank.sought(charge.payment_id))
    assert isinstance(found, Absent | Unpaid)
    assert await fake_bank.charged(charge.payment_id) == []


@pytest.mark.parametrize("how", [How.LOST_BEFORE, How.ERROR_BEFORE, How.HANGS_BEFORE])
async def test_asking_without_an_answer_leaves_it_unknown(fake_bank: FakeBank, how: How) -> None:
    charge = fake_bank.charge(await fake_bank.on_file("pm_card_visa"))
    await fake_bank.processor.pay(charge)
    fake_bank.fake.fail("/v1/.*", how, method="GET", times=-1)
    fake_bank.fake.fail("/v1/.*", how, times=-1)
    sought = fake_bank.sought(charge.payment_id)
    assert isinstance(await fake_bank.processor.find_payment(sought), Unknown)
    assert isinstance(await fake_bank.processor.cancel_payment(sought), Unknown)
    resumed = await fake_bank.processor.resume(sought, charge.method_ref, RETURN, attempt=1)
    assert isinstance(resumed, Unknown)
    with pytest.raises(ProcessorUnavailable):
        await fake_bank.processor.list_methods(fake_bank.customer)
    with pytest.raises(ProcessorUnavailable):
        await fake_bank.processor.open_page(fake_bank.page())


async def test_too_many_requests_are_sent_again_later(fake_bank: FakeBank) -> None:
    charge = fake_bank.charge(await fake_bank.on_file("pm_card_visa"))
    fake_bank.fake.fail(CONFIRM, How.TOO_MANY, times=3)
    assert isinstance(await fake_bank.processor.pay(charge), Succeeded)


@pytest.mark.parametrize("how", BAD)
async def test_a_refund_without_an_answer_is_made_once(fake_bank: FakeBank, how: How) -> None:
    charge = fake_bank.charge(await fake_bank.on_file("pm_card_visa"))
    paid = await fake_bank.processor.pay(charge)
    assert isinstance(paid, Succeeded)
    order = RefundOrder(
        org_id=fake_bank.org_id,
        refund_id=uuid7(),
        payment_ref=paid.ref,
        amount_minor=1000,
        intended_at=fake_bank.clock.now(),
    )
    fake_bank.fake.fail("/v1/refunds", how, times=-1)
    assert isinstance(await fake_bank.processor.refund(order), Unknown)
    fake_bank.fake.heal()
    found = await fake_bank.processor.find_refund(order)
    assert isinstance(found, RefundFact if how in DONE_ALL_THE_SAME else Absent)
    again = await fake_bank.processor.refund(order)
    assert isinstance(again, Unknown if how is How.ERROR_AFTER else RefundFact)
    assert fake_bank.fake.refunded == 1000


async def test_a_wrong_key_is_no_decline(fake: FakeStripe, clock: MovableClock) -> None:
    settings = Stripe(secret_key=Secret("sk_test_wrong"), api_base=fake.base, timeout_seconds=1)
    async with open_stripe(settings, clock, no_pause) as processor:
        bank = FakeBank(processor, fake, clock)
        with pytest.raises(ProcessorRefused):
            await processor.create_customer(uuid7(), uuid7(), CustomerDetails(name="Acme"))
        bank.org_id, bank.customer = uuid7(), "cus_any"
        assert isinstance(await processor.pay(bank.charge("pm_any")), Unknown)


async def test_a_stripe_that_is_not_there_is_unavailable(clock: MovableClock) -> None:
    settings = Stripe(
        secret_key=Secret("sk_test_x"), api_base="http://127.0.0.1:1", timeout_seconds=1
    )
    async with open_stripe(settings, clock, no_pause) as processor:
        with pytest.raises(ProcessorUnavailable):
            await processor.create_customer(uuid7(), uuid7(), CustomerDetails(name="Acme"))


async def test_the_pauses_between_attempts_grow(fake: FakeStripe, clock: MovableClock) -> None:
    pauses: list[float] = []

    async def noted(seconds: float) -> None:
        pauses.append(seconds)

    async with open_stripe(fake_settings(fake), clock, noted) as processor:
        fake.fail("/v1/customers", How.LOST_BEFORE, times=-1)
        with pytest.raises(ProcessorUnavailable):
            await processor.create_customer(uuid7(), uuid7(), CustomerDetails(name="Acme"))
        assert [0.25 <= pause <= 5 for pause in pauses] == [True, True]
        fake.heal()
        pauses.clear()
        fake.fail("/v1/customers", How.TOO_MANY, times=-1)
        with pytest.raises(ProcessorUnavailable):
            await processor.create_customer(uuid7(), uuid7(), CustomerDetails(name="Acme"))
        assert pauses == sorted(pauses)


async def test_whoever_asks_at_the_same_time_meets_one_payment(fake_bank: FakeBank) -> None:
    fake_bank.fake.seconds = 0.05
    charge = fake_bank.charge(await fake_bank.on_file("pm_card_authenticationRequired"))
    answer = await fake_bank.processor.pay(charge)
    assert isinstance(answer, RequiresAction)
    sought = fake_bank.sought(charge.payment_id, ref=answer.ref)
    resumed = await asyncio.gather(
        *(
            fake_bank.processor.resume(sought, charge.method_ref, RETURN, attempt=1)
            for _ in range(5)
        )
    )
    urls = {answer.url for answer in resumed if isinstance(answer, RequiresAction)}
    assert len(urls) == 1
    confirms = [line for line in fake_bank.fake.requests if line.endswith("/confirm")]
    assert len(fake_bank.fake.state.all("payment_intent")) == 1
    assert len(confirms) >= 2


@dataclass
class Refused:
    """What Stripe says when it says no."""

    code: str | None = None
    decline_code: str | None = None
    advice_code: str | None = None
    message: str | None = None


@pytest.mark.parametrize(
    ("said", "code", "retryable"),
    [
        ({"code": "card_declined", "decline_code": "generic_decline"}, "card_declined", False),
        ({"code": "card_declined", "decline_code": "stolen_card"}, "card_declined", False),
        ({"code": "card_declined", "decline_code": "fraudulent"}, "card_declined", False),
        ({"code": "card_declined", "decline_code": "unheard_of"}, "card_declined", False),
        ({"code": "card_declined"}, "card_declined", False),
        ({}, "card_declined", False),
        (
            {"code": "card_declined", "decline_code": "insufficient_funds"},
            "insufficient_funds",
            True,
        ),
        (
            {"code": "card_declined", "decline_code": "card_velocity_exceeded"},
            "limit_exceeded",
            True,
        ),
        ({"code": "card_declined", "decline_code": "try_again_later"}, "processing_error", True),
        ({"code": "card_declined", "decline_code": "expired_card"}, "expired_card", False),
        ({"code": "expired_card"}, "expired_card", False),
        ({"code": "incorrect_cvc"}, "incorrect_cvc", False),
        ({"code": "processing_error"}, "processing_error", True),
        ({"code": "amount_too_small"}, "amount_refused", False),
        ({"code": "payment_intent_authentication_failure"}, "authentication_failed", False),
        (
            {
                "code": "card_declined",
                "decline_code": "insufficient_funds",
                "advice_code": "do_not_try_again",
            },
            "insufficient_funds",
            False,
        ),
        ({"code": "card_declined", "advice_code": "try_again_later"}, "card_declined", True),
    ],
)
def test_stripes_many_words_become_ours(
    said: dict[str, str], code: str, *, retryable: bool
) -> None:
    failure = failure_of(Refused(**said))
    assert (failure.code.value, failure.retryable) == (code, retryable)


async def test_an_amount_that_stripe_does_not_take_is_refused(fake_bank: FakeBank) -> None:
    method = await fake_bank.on_file("pm_card_visa")
    for amount in (49, 100_000_000):
        answer = await fake_bank.processor.pay(fake_bank.charge(method, amount_minor=amount))
        assert isinstance(answer, Declined)
        assert answer.failure.code is FailureCode.AMOUNT_REFUSED


async def test_a_customer_that_is_gone_is_our_mistake_and_no_decline_of_the_card(
    fake_bank: FakeBank,
) -> None:
    method = await fake_bank.on_file("pm_card_visa")
    answer = await fake_bank.processor.pay(fake_bank.charge(method, customer_ref="cus_gone"))
    assert isinstance(answer, Declined)
    assert answer.failure.code is FailureCode.REFUSED


async def test_whatever_must_happen_once_carries_an_id_of_ours(fake_bank: FakeBank) -> None:
    asking = await fake_bank.on_file("pm_card_authenticationRequired")
    charge = fake_bank.charge(asking)
    waiting = await fake_bank.processor.pay(charge)
    assert isinstance(waiting, RequiresAction)
    sought = fake_bank.sought(charge.payment_id, ref=waiting.ref)
    await fake_bank.processor.resume(sought, asking, RETURN, attempt=7)
    page = fake_bank.page()
    await fake_bank.processor.open_page(page)
    paid = await fake_bank.processor.pay(fake_bank.charge(await fake_bank.on_file("pm_card_visa")))
    assert isinstance(paid, Succeeded)
    refund_id = uuid7()
    await fake_bank.processor.refund(
        RefundOrder(
            org_id=fake_bank.org_id,
            refund_id=refund_id,
            payment_ref=paid.ref,
            amount_minor=1,
            intended_at=fake_bank.clock.now(),
        )
    )
    keys = dict(fake_bank.fake.keys)
    ours = f"pay_{charge.payment_id.hex}"
    assert ("/v1/payment_intents", ours) in fake_bank.fake.keys
    confirm = f"/v1/payment_intents/{waiting.ref}/confirm"
    assert [key for path, key in fake_bank.fake.keys if path == confirm] == [
        f"{ours}/confirm",
        f"{ours}/resume/7",
    ]
    assert keys["/v1/checkout/sessions"] == f"pay_{page.payment_id.hex}/page"
    assert keys["/v1/refunds"] == f"ref_{refund_id.hex}"
    assert (keys["/v1/customers"] or "").startswith("cus_")
    assert (keys["/v1/setup_intents"] or "").startswith("set_")


async def test_the_version_of_the_api_is_pinned(fake_bank: FakeBank) -> None:
    """The fake refuses every other version."""
    client = stripe.StripeClient(
        "sk_test_fake",
        base_addresses={"api": fake_bank.fake.base},
        stripe_version="2025-01-01.other",
        http_client=stripe.AIOHTTPClient(),
    )
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.customers.create_async({"name": "Acme"})
    await client._requestor._get_http_client().close_async()
