"""One contract for every processor. Tests that ask for a `bank` need a hand on its pages."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from banks import RETURN, Account, Bank, FakeBank, SandboxBank

from tollkeeper.base.ids import uuid7
from tollkeeper.payments.errors import ProcessorRefused, WebhookSignatureInvalid
from tollkeeper.payments.model import (
    Absent,
    Declined,
    DisputeStatus,
    FailureCode,
    PageKind,
    Processing,
    RefundStatus,
    RequiresAction,
    Succeeded,
    Unpaid,
)
from tollkeeper.payments.processors import (
    Address,
    CustomerDetails,
    DisputeTouched,
    MethodsTouched,
    MovementKind,
    PaymentTouched,
    RefundFact,
    RefundOrder,
    RefundRejected,
    RefundTouched,
    SetupDeclined,
    SetupPage,
    SetupRequiresAction,
    SetupSucceeded,
)

VISA = "pm_card_visa"
LATER_DECLINED = "pm_card_chargeCustomerFail"
ALWAYS_ASKS = "pm_card_authenticationRequired"
ASKS_UNLESS_SET_UP = "pm_card_authenticationRequiredOnSetup"
ASKS_AND_IS_POOR = "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"
BANK_ACCOUNT = "pm_usBankAccount_success"

DECLINED_AT_ONCE = {
    "pm_card_chargeDeclined": FailureCode.CARD_DECLINED,
    "pm_card_chargeDeclinedInsufficientFunds": FailureCode.INSUFFICIENT_FUNDS,
    "pm_card_chargeDeclinedExpiredCard": FailureCode.EXPIRED_CARD,
    "pm_card_chargeDeclinedIncorrectCvc": FailureCode.INCORRECT_CVC,
    "pm_card_chargeDeclinedProcessingError": FailureCode.PROCESSING_ERROR,
}
GOOD_NUMBER, BAD_NUMBER, ASKING_NUMBER = "4242424242424242", "4000000000000002", "4000002760003184"


# ── Keeping a card ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("token", "code"), DECLINED_AT_ONCE.items())
async def test_a_card_that_declines_is_not_kept(
    account: Account, token: str, code: FailureCode
) -> None:
    answer = await account.processor.set_up_method(account.setup(token))
    assert isinstance(answer, SetupDeclined)
    assert answer.failure.code is code
    assert answer.failure.retryable is code.retryable
    assert (await account.processor.list_methods(account.customer)).methods == []


async def test_a_token_that_is_made_up_is_declined(account: Account) -> None:
    answer = await account.processor.set_up_method(account.setup("pm_card_of_nobody"))
    assert isinstance(answer, SetupDeclined)
    assert answer.failure.code is FailureCode.METHOD_UNUSABLE


async def test_a_good_card_is_kept_once(account: Account) -> None:
    setup = account.setup(VISA)
    first = await account.processor.set_up_method(setup)
    assert isinstance(first, SetupSucceeded)
    assert await account.processor.set_up_method(setup) == first
    (kept,) = (await account.processor.list_methods(account.customer)).methods
    assert (kept.ref, kept.kind, kept.brand, kept.last4) == (
        first.method_ref,
        "card",
        "visa",
        "4242",
    )
    assert kept.exp_year is not None
    assert kept.exp_year > account.clock.now().year


@pytest.mark.parametrize("token", [ALWAYS_ASKS, ASKS_UNLESS_SET_UP])
@pytest.mark.parametrize("approves", [True, False])
async def test_a_card_whose_bank_asks_is_kept_if_it_agrees(
    bank: Bank, token: str, *, approves: bool
) -> None:
    answer = await bank.processor.set_up_method(bank.setup(token))
    assert isinstance(answer, SetupRequiresAction)
    assert (await bank.processor.list_methods(bank.customer)).methods == []
    led_to = await bank.answer_bank(answer.url, approves=approves)
    assert led_to.startswith(RETURN)
    kept = (await bank.processor.list_methods(bank.customer)).methods
    assert len(kept) == (1 if approves else 0)


@pytest.mark.parametrize("kind", PageKind)
async def test_a_page_keeps_a_card(bank: Bank, kind: PageKind) -> None:
    page = SetupPage(
        setup_id=uuid7(),
        org_id=bank.org_id,
        customer_ref=bank.customer,
        kind=kind,
        return_url=RETURN,
        cancel_url=None,
    )
    opened = await bank.processor.open_setup_page(page)
    assert (opened.secret is not None) == (kind is PageKind.EMBEDDED)
    url = opened.url or page_of(bank, opened.ref)
    status, _ = await bank.submit_page(url, BAD_NUMBER)
    assert status in (402, 422)
    status, led_to = await bank.submit_page(url, GOOD_NUMBER)
    assert (status, led_to.startswith(RETURN)) == (303, True)
    (kept,) = (await bank.processor.list_methods(bank.customer)).methods
    assert kept.last4 == "4242"
    assert (await bank.submit_page(url, GOOD_NUMBER))[0] == 410


def page_of(bank: Bank, ref: str) -> str:
    """Where an embedded page of the fake can be clicked; in a browser Stripe's script shows it."""
    assert isinstance(bank, FakeBank)
    return f"{bank.fake.base}/pay/{ref}"


async def test_the_default_is_what_was_made_it(account: Account) -> None:
    first, second = await account.on_file(VISA), await account.on_file(VISA)
    for ref in (first, second):
        await account.processor.set_default_method(account.customer, ref)
        wallet = await account.processor.list_methods(account.customer)
        assert wallet.default_ref == ref
    assert {method.ref for method in wallet.methods} == {first, second}
    await account.processor.detach_method(second)
    wallet = await account.processor.list_methods(account.customer)
    assert ([method.ref for method in wallet.methods], wallet.default_ref) == ([first], None)
    with pytest.raises(ProcessorRefused):
        await account.processor.set_default_method(account.customer, second)


async def test_forgetting_a_method_twice_is_no_error(account: Account) -> None:
    ref = await account.on_file(VISA)
    await account.processor.detach_method(ref)
    await account.processor.detach_method(ref)
    await account.processor.detach_method("pm_never_was")
    answer = await account.processor.pay(account.charge(ref))
    assert isinstance(answer, Declined)
    assert answer.failure.code is FailureCode.METHOD_UNUSABLE


async def test_a_customer_is_made_once_and_can_be_described(account: Account) -> None:
    customer_id = uuid7()
    made = [
        await account.processor.create_customer(
            customer_id, account.org_id, CustomerDetails(name=name)
        )
        for name in ("Acme", "Acme, renamed")
    ]
    assert made[0] == made[1]
    address = Address(line1="1 Road", city="Berlin", postal_code="10115", country="DE")
    details = CustomerDetails(name="Acme", email="a@acme.test", address=address)
    await account.processor.update_customer(made[0], details)
    await account.processor.update_customer(made[0], CustomerDetails(name="Acme"))


async def test_an_unknown_customer_is_our_mistake(account: Account) -> None:
    with pytest.raises(ProcessorRefused):
        await account.processor.list_methods("cus_nobody")
    with pytest.raises(ProcessorRefused):
        await account.processor.portal_link("cus_nobody", RETURN)


async def test_tax_ids_are_added_once_listed_and_removed(account: Account) -> None:
    tax_id = uuid7()
    add = account.processor.add_tax_id
    made = await add(tax_id, account.customer, "eu_vat", "DE136695976")
    assert await add(tax_id, account.customer, "eu_vat", "DE136695976") == made
    (listed,) = await account.processor.list_tax_ids(account.customer)
    assert (listed.ref, listed.type, listed.value) == (made.ref, "eu_vat", "DE136695976")
    await account.processor.remove_tax_id(account.customer, made.ref)
    assert await account.processor.list_tax_ids(account.customer) == []


# ── Charging a method ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("off_session", [True, False])
async def test_a_good_card_pays(account: Account, *, off_session: bool) -> None:
    charge = account.charge(await account.on_file(VISA), off_session=off_session)
    answer = await account.processor.pay(charge)
    assert isinstance(answer, Succeeded)
    assert answer.method_ref == charge.method_ref
    assert await account.charged(charge.payment_id) == [2500]


@pytest.mark.parametrize("off_session", [True, False])
async def test_a_card_that_is_declined_later_is_declined(
    account: Account, *, off_session: bool
) -> None:
    charge = account.charge(await account.on_file(LATER_DECLINED), off_session=off_session)
    answer = await account.processor.pay(charge)
    assert isinstance(answer, Declined)
    assert answer.failure.code is FailureCode.CARD_DECLINED
    assert await account.processor.pay(charge) == answer
    assert await account.processor.find_payment(account.sought(charge.payment_id)) == answer
    assert await account.charged(charge.payment_id) == []


async def test_off_session_a_bank_that_asks_is_told_that_nobody_is_there(account: Account) -> None:
    charge = account.charge(await account.on_file(ALWAYS_ASKS))
    answer = await account.processor.pay(charge)
    assert isinstance(answer, RequiresAction)
    assert answer.url is None
    assert await account.processor.find_payment(account.sought(charge.payment_id)) == answer
    assert await account.charged(charge.payment_id) == []


@pytest.mark.parametrize("token", [ALWAYS_ASKS, ASKS_UNLESS_SET_UP])
async def test_on_session_the_customer_is_led_to_the_bank(bank: Bank, token: str) -> None:
    charge = bank.charge(await bank.on_file(token), off_session=False)
    answer = await bank.processor.pay(charge)
    assert isinstance(answer, RequiresAction)
    assert answer.url is not None
    assert await bank.charged(charge.payment_id) == []
    led_to = await bank.answer_bank(answer.url, approves=True)
    assert led_to.startswith(RETURN)
    assert isinstance(await bank.processor.pay(charge), Succeeded)
    assert await bank.charged(charge.payment_id) == [2500]


async def test_a_card_kept_with_its_banks_consent_pays_off_session(bank: Bank) -> None:
    charge = bank.charge(await bank.on_file(ASKS_UNLESS_SET_UP))
    assert isinstance(await bank.processor.pay(charge), Succeeded)


async def test_a_bank_that_asks_can_still_find_no_funds(bank: Bank) -> None:
    charge = bank.charge(await bank.on_file(ASKS_AND_IS_POOR), off_session=False)
    answer = await bank.processor.pay(charge)
    assert isinstance(answer, RequiresAction)
    await bank.answer_bank(answer.url or "", approves=True)
    answer = await bank.processor.find_payment(bank.sought(charge.payment_id))
    assert isinstance(answer, Declined)
    assert answer.failure.code is FailureCode.INSUFFICIENT_FUNDS
    assert answer.failure.retryable


@pytest.mark.parametrize("succeeds", [True, False])
async def test_a_bank_account_takes_its_days(bank: Bank, *, succeeds: bool) -> None:
    method = await bank.on_file(BANK_ACCOUNT)
    charge = bank.charge(method, method_kind="us_bank_account")
    answer = await bank.processor.pay(charge)
    assert isinstance(answer, Processing)
    assert answer.ref is not None
    await bank.finish_processing(answer.ref, succeeds=succeeds)
    answer = await bank.processor.find_payment(bank.sought(charge.payment_id))
    assert isinstance(answer, Succeeded if succeeds else Declined)


async def test_the_same_id_is_charged_once(account: Account) -> None:
    charge = account.charge(await account.on_file(VISA))
    first = await account.processor.pay(charge)
    assert await account.processor.pay(charge) == first
    assert await account.charged(charge.payment_id) == [2500]


async def test_the_same_id_at_once_from_everywhere_is_charged_once(bank: Bank) -> None:
    if isinstance(bank, FakeBank):
        bank.fake.seconds = 0.02
    charge = bank.charge(await bank.on_file(VISA))
    answers = await asyncio.gather(*(bank.processor.pay(charge) for _ in range(10)))
    assert await bank.charged(charge.payment_id) == [2500]
    # Whoever was told nothing certain learns it by asking.
    assert {type(answer) for answer in answers} >= {Succeeded}
    found = await bank.processor.find_payment(bank.sought(charge.payment_id))
    assert isinstance(found, Succeeded)


async def test_the_same_id_days_later_is_still_the_same_payment(bank: Bank) -> None:
    charge = bank.charge(await bank.on_file(VISA))
    first = await bank.processor.pay(charge)
    bank.clock.advance(timedelta(days=3))
    if isinstance(bank, FakeBank):
        bank.fake.forget_keys()
    assert await bank.processor.pay(charge) == first
    assert await bank.charged(charge.payment_id) == [2500]


async def test_what_was_never_asked_for_is_absent(account: Account) -> None:
    for paged in (True, False):
        sought = account.sought(uuid7(), paged=paged)
        assert await account.processor.find_payment(sought) == Absent()
        assert await account.processor.cancel_payment(sought) == Absent()


async def test_a_payment_is_found_by_our_id_alone(account: Account) -> None:
    charge = account.charge(await account.on_file(VISA))
    paid = await account.processor.pay(charge)
    assert await account.processor.find_payment(account.sought(charge.payment_id)) == paid
    assert await account.processor.cancel_payment(account.sought(charge.payment_id)) == paid


# ── Trying again with the customer there ─────────────────────────────────────────────────────────


async def test_a_payment_that_needs_its_customer_is_finished_by_them(bank: Bank) -> None:
    charge = bank.charge(await bank.on_file(ALWAYS_ASKS))
    answer = await bank.processor.pay(charge)
    assert isinstance(answer, RequiresAction)
    sought = bank.sought(charge.payment_id, ref=answer.ref)
    resumed = [
        await bank.processor.resume(sought, charge.method_ref, RETURN, attempt=1) for _ in range(2)
    ]
    assert isinstance(resumed[0], RequiresAction)
    assert resumed[0] == resumed[1]
    await bank.answer_bank(resumed[0].url or "", approves=False)
    answer = await bank.processor.find_payment(sought)
    assert isinstance(answer, Declined)
    assert answer.failure.code is FailureCode.AUTHENTICATION_FAILED
    again = await bank.processor.resume(sought, charge.method_ref, RETURN, attempt=2)
    assert isinstance(again, RequiresAction)
    await bank.answer_bank(again.url or "", approves=True)
    assert isinstance(await bank.processor.find_payment(sought), Succeeded)
    paid = await bank.processor.resume(sought, charge.method_ref, RETURN, attempt=3)
    assert isinstance(paid, Succeeded)
    assert await bank.charged(charge.payment_id) == [2500]


async def test_a_declined_payment_can_be_paid_with_another_card(account: Account) -> None:
    bad, good = await account.on_file(LATER_DECLINED), await account.on_file(VISA)
    charge = account.charge(bad)
    answer = await account.processor.pay(charge)
    assert isinstance(answer, Declined)
    sought = account.sought(charge.payment_id, ref=answer.ref)
    resumed = await account.processor.resume(sought, good, RETURN, attempt=1)
    assert isinstance(resumed, Succeeded)
    assert resumed.method_ref == good
    assert await account.charged(charge.payment_id) == [2500]


async def test_what_was_canceled_cannot_be_paid(bank: Bank) -> None:
    charge = bank.charge(await bank.on_file(ALWAYS_ASKS), off_session=False)
    answer = await bank.processor.pay(charge)
    assert isinstance(answer, RequiresAction)
    canceled = await bank.processor.cancel_payment(bank.sought(charge.payment_id))
    assert isinstance(canceled, Declined)
    assert canceled.failure.code is FailureCode.CANCELED
    assert (await bank.click(answer.url or "", **bank.bank_form(approves=True)))[0] == 410
    sought = bank.sought(charge.payment_id, ref=answer.ref)
    resumed = await bank.processor.resume(sought, charge.method_ref, RETURN, attempt=9)
    assert isinstance(resumed, Declined)
    assert await bank.charged(charge.payment_id) == []


# ── Paying on a page ─────────────────────────────────────────────────────────────────────────────


async def test_a_page_is_opened_once(account: Account) -> None:
    page = account.page()
    opened = await account.processor.open_page(page)
    assert await account.processor.open_page(page) == opened
    assert opened.url is not None
    assert opened.expires_at > account.clock.now()
    sought = account.sought(page.payment_id, paged=True, page_ref=opened.ref)
    assert isinstance(await account.processor.find_payment(sought), Unpaid)


async def test_on_a_page_a_declined_card_is_not_the_last_one(bank: Bank) -> None:
    page = bank.page(save_method=True)
    opened = await bank.processor.open_page(page)
    url, sought = opened.url or "", bank.sought(page.payment_id, paged=True)
    status, _ = await bank.submit_page(url, BAD_NUMBER)
    assert status in (402, 422)
    assert isinstance(await bank.processor.find_payment(sought), Unpaid)
    status, led_to = await bank.submit_page(url, GOOD_NUMBER)
    assert (status, led_to.startswith(RETURN)) == (303, True)
    found = await bank.processor.find_payment(sought)
    assert isinstance(found, Succeeded)
    assert await bank.charged(page.payment_id) == [2500]
    (kept,) = (await bank.processor.list_methods(bank.customer)).methods
    assert kept.ref == found.method_ref
    assert (await bank.submit_page(url, GOOD_NUMBER))[0] == 410
    assert await bank.charged(page.payment_id) == [2500]


async def test_a_card_that_is_not_to_be_kept_is_not(bank: Bank) -> None:
    page = bank.page()
    opened = await bank.processor.open_page(page)
    await bank.submit_page(opened.url or "", GOOD_NUMBER)
    assert (await bank.processor.list_methods(bank.customer)).methods == []


async def test_a_page_can_lead_over_the_bank(bank: Bank) -> None:
    page = bank.page()
    opened = await bank.processor.open_page(page)
    status, to_bank = await bank.submit_page(opened.url or "", ASKING_NUMBER)
    assert status == 303
    sought = bank.sought(page.payment_id, paged=True, page_ref=opened.ref)
    assert isinstance(await bank.processor.find_payment(sought), Unpaid)
    await bank.answer_bank(to_bank, approves=True)
    assert isinstance(await bank.processor.find_payment(sought), Succeeded)


async def test_a_page_that_expires_ends_its_payment(bank: Bank) -> None:
    page = bank.page()
    opened = await bank.processor.open_page(page)
    bank.clock.advance(timedelta(hours=25))
    sought = bank.sought(page.payment_id, paged=True, page_ref=opened.ref)
    found = await bank.processor.find_payment(sought)
    assert isinstance(found, Declined)
    assert found.failure.code is FailureCode.PAGE_EXPIRED
    assert (await bank.submit_page(opened.url or "", GOOD_NUMBER))[0] == 410


async def test_a_page_that_is_closed_cannot_be_paid_on(bank: Bank) -> None:
    page = bank.page()
    opened = await bank.processor.open_page(page)
    await bank.submit_page(opened.url or "", BAD_NUMBER)
    canceled = await bank.processor.cancel_payment(bank.sought(page.payment_id, paged=True))
    assert isinstance(canceled, Declined)
    assert canceled.failure.code is FailureCode.CANCELED
    assert (await bank.submit_page(opened.url or "", GOOD_NUMBER))[0] == 410
    assert await bank.charged(page.payment_id) == []


async def test_a_portal_has_an_address(bank: Bank) -> None:
    assert (await bank.processor.portal_link(bank.customer, RETURN)).startswith("http://127.0.0.1")


# ── Refunds ──────────────────────────────────────────────────────────────────────────────────────


async def paid(account: Account, token: str = VISA, amount: int = 2500) -> str:
    charge = account.charge(await account.on_file(token), amount_minor=amount)
    answer = await account.processor.pay(charge)
    assert isinstance(answer, Succeeded)
    return answer.ref


def order(account: Account, payment_ref: str, amount: int) -> RefundOrder:
    return RefundOrder(
        org_id=account.org_id,
        refund_id=uuid7(),
        payment_ref=payment_ref,
        amount_minor=amount,
        intended_at=account.clock.now(),
    )


async def test_a_refund_is_made_once_and_never_beyond_what_was_paid(account: Account) -> None:
    ref = await paid(account)
    part = order(account, ref, 1000)
    first = await account.processor.refund(part)
    assert isinstance(first, RefundFact)
    assert (first.status, first.amount_minor, first.payment_ref, first.refund_id) == (
        RefundStatus.SUCCEEDED,
        1000,
        ref,
        part.refund_id,
    )
    again = await account.processor.refund(part)
    assert isinstance(again, RefundFact)
    assert again.ref == first.ref
    found = await account.processor.find_refund(part)
    assert isinstance(found, RefundFact)
    assert found.ref == first.ref
    assert (await account.processor.read_refund(first.ref)).org_id == account.org_id
    assert isinstance(await account.processor.refund(order(account, ref, 1501)), RefundRejected)
    rest = await account.processor.refund(order(account, ref, 1500))
    assert isinstance(rest, RefundFact)
    assert isinstance(await account.processor.refund(order(account, ref, 1)), RefundRejected)


async def test_a_refund_days_later_is_still_the_same_refund(bank: Bank) -> None:
    part = order(bank, await paid(bank), 1000)
    first = await bank.processor.refund(part)
    bank.clock.advance(timedelta(days=3))
    if isinstance(bank, FakeBank):
        bank.fake.forget_keys()
    again = await bank.processor.refund(part)
    assert isinstance(first, RefundFact)
    assert isinstance(again, RefundFact)
    assert again.ref == first.ref


async def test_a_refund_nobody_asked_for_is_absent(account: Account) -> None:
    assert await account.processor.find_refund(order(account, await paid(account), 1)) == Absent()


@pytest.mark.parametrize("succeeds", [True, False])
async def test_a_refund_can_take_its_days(bank: Bank, *, succeeds: bool) -> None:
    made = await bank.processor.refund(order(bank, await paid(bank, "pm_card_pendingRefund"), 700))
    assert isinstance(made, RefundFact)
    assert made.status is RefundStatus.PENDING
    await bank.finish_refund(made.ref, succeeds=succeeds)
    wanted = RefundStatus.SUCCEEDED if succeeds else RefundStatus.FAILED
    assert (await bank.processor.read_refund(made.ref)).status is wanted


async def test_a_refund_that_fails_later_leaves_its_money_with_us(bank: Bank) -> None:
    ref = await paid(bank, "pm_card_refundFail")
    made = await bank.processor.refund(order(bank, ref, 2500))
    assert isinstance(made, RefundFact)
    fact = await bank.processor.read_refund(made.ref)
    assert fact.status is RefundStatus.FAILED
    assert fact.detail
    assert isinstance(await bank.processor.refund(order(bank, ref, 2500)), RefundFact)


# ── Disputes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", [DisputeStatus.WON, DisputeStatus.LOST])
async def test_a_dispute_is_open_until_it_is_decided(bank: Bank, end: DisputeStatus) -> None:
    ref = await paid(bank)
    dispute = await bank.open_dispute(ref)
    fact = await bank.processor.read_dispute(dispute)
    assert (fact.status, fact.payment_ref, fact.amount_minor, fact.currency, fact.org_id) == (
        DisputeStatus.OPEN,
        ref,
        2500,
        "USD",
        bank.org_id,
    )
    assert fact.evidence_due_at is not None
    assert isinstance(await bank.processor.refund(order(bank, ref, 100)), RefundRejected)
    await bank.move_dispute(dispute, end)
    assert (await bank.processor.read_dispute(dispute)).status is end


async def test_an_inquiry_moves_no_money_until_it_is_a_dispute(bank: Bank) -> None:
    dispute = await bank.open_dispute(await paid(bank), inquiry=True)
    assert (await bank.processor.read_dispute(dispute)).status is DisputeStatus.INQUIRY
    assert await moved(bank) == {MovementKind.PAYMENT: 2500}
    await bank.move_dispute(dispute, DisputeStatus.OPEN)
    assert (await bank.processor.read_dispute(dispute)).status is DisputeStatus.OPEN
    assert (await moved(bank))[MovementKind.DISPUTE] == -2500


async def test_an_inquiry_can_come_to_nothing(bank: Bank) -> None:
    dispute = await bank.open_dispute(await paid(bank), inquiry=True)
    await bank.move_dispute(dispute, DisputeStatus.CLOSED)
    assert (await bank.processor.read_dispute(dispute)).status is DisputeStatus.CLOSED


async def test_some_cards_dispute_by_themselves(sandbox_bank: SandboxBank) -> None:
    await paid(sandbox_bank, "pm_card_createDispute")
    assert (await moved(sandbox_bank))[MovementKind.DISPUTE] == -2500


# ── The processor's books and events ─────────────────────────────────────────────────────────────


async def moved(account: Account) -> Counter[MovementKind]:
    now = account.clock.now()
    sums: Counter[MovementKind] = Counter()
    async for line in account.processor.movements(
        now - timedelta(minutes=1), now + timedelta(minutes=1)
    ):
        if line.org_id in (None, account.org_id):
            sums[line.kind] += line.amount_minor
    return sums


async def test_its_books_say_what_came_and_what_went(bank: Bank) -> None:
    first, second = await paid(bank), await paid(bank, amount=4000)
    await paid(bank, "pm_card_refundFail", 900)
    made = await bank.processor.refund(order(bank, first, 1000))
    failing = [m async for m in movements(bank) if m.amount_minor == 900]
    failed = await bank.processor.refund(order(bank, failing[0].payment_ref or "", 900))
    won = await bank.open_dispute(second)
    await bank.move_dispute(won, DisputeStatus.WON)
    assert await moved(bank) == {
        MovementKind.PAYMENT: 7400,
        MovementKind.REFUND: -1900,
        MovementKind.REFUND_FAILED: 900,
        MovementKind.DISPUTE: -4000,
        MovementKind.DISPUTE_REVERSED: 4000,
    }
    lines = [line async for line in movements(bank)]
    assert len({line.ref for line in lines}) == len(lines)
    payments = [line for line in lines if line.kind is MovementKind.PAYMENT]
    assert sorted(line.fee_minor for line in payments) == [56, 103, 146]
    assert all(line.payment_id is not None and line.currency == "USD" for line in payments)
    refunds = {line.refund_id for line in lines if line.kind is MovementKind.REFUND}
    assert isinstance(made, RefundFact)
    assert isinstance(failed, RefundFact)
    assert refunds == {made.refund_id, failed.refund_id}


async def movements(bank: Bank):
    now = bank.clock.now()
    async for line in bank.processor.movements(
        now - timedelta(minutes=1), now + timedelta(minutes=1)
    ):
        yield line


async def test_its_books_are_read_by_time(bank: Bank) -> None:
    for _ in range(3):
        await paid(bank)
        bank.clock.advance(timedelta(hours=1))
    now = bank.clock.now()
    lines = [
        line
        async for line in bank.processor.movements(
            now - timedelta(hours=2), now - timedelta(hours=1)
        )
    ]
    assert len(lines) == 1
    assert now - timedelta(hours=2) <= lines[0].created_at < now - timedelta(hours=1)


async def test_its_events_say_what_to_ask_about(bank: Bank) -> None:
    ref = await paid(bank)
    refund = await bank.refund_by_hand(ref)
    dispute = await bank.open_dispute(await paid(bank))
    gone = await bank.on_file(VISA)
    await bank.processor.detach_method(gone)
    since = bank.clock.now() - timedelta(minutes=1)
    raws = [raw async for raw in bank.processor.events(since)]
    assert len({raw.event_id for raw in raws}) == len(raws)
    about = [bank.processor.understand(raw) for raw in raws]
    payments = [said for said in about if isinstance(said, PaymentTouched)]
    assert {said.ref for said in payments} >= {ref}
    assert all(said.org_id == bank.org_id for said in payments)
    assert all(said.payment_id is not None for said in payments)
    assert RefundTouched(ref=refund) in about
    assert DisputeTouched(ref=dispute) in about
    assert about.count(MethodsTouched(customer_ref=bank.customer)) >= 2
    bank.clock.advance(timedelta(hours=1))
    later = [raw async for raw in bank.processor.events(bank.clock.now() - timedelta(minutes=1))]
    assert later == []


async def test_a_refund_made_by_hand_names_its_payment(bank: Bank) -> None:
    charge = bank.charge(await bank.on_file(VISA))
    answer = await bank.processor.pay(charge)
    assert isinstance(answer, Succeeded)
    fact = await bank.processor.read_refund(await bank.refund_by_hand(answer.ref))
    assert (fact.org_id, fact.payment_id, fact.refund_id) == (
        bank.org_id,
        charge.payment_id,
        None,
    )


async def test_only_its_own_events_are_believed(bank: Bank) -> None:
    await paid(bank)
    headers, body = (await bank.event_bodies())[-1]
    now = bank.clock.now()
    raw = bank.processor.verify(headers, body, now)
    assert raw.body == body
    (name,) = [name for name in headers if "signature" in name]
    stamp, signature = headers[name].split(",")
    old = now + timedelta(minutes=6)
    for given, said, at in [
        ({}, body, now),
        ({name: ""}, body, now),
        ({name: "nonsense"}, body, now),
        ({name: stamp}, body, now),
        ({name: f"t=x,{signature}"}, body, now),
        ({name: f"t=1,{signature}"}, body, now),
        ({name: f"{stamp},v1={'0' * 64}"}, body, now),
        (headers, body + b" ", now),
        (headers, body.replace(b"2500", b"9900"), now) if b"2500" in body else ({}, body, now),
        (headers, b"\xff\xfe", now),
        (headers, body, old),
        (headers, body, now - timedelta(minutes=6)),
    ]:
        with pytest.raises(WebhookSignatureInvalid):
            bank.processor.verify(given, said, at)
