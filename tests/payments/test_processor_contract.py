"""One contract for every processor: methods and payments, and in `test_processor_returns` what goes
back and what it tells. Tests that ask for a `bank` need a hand on its pages."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from banks import RETURN, Account, Bank, FakeBank

from tollkeeper.base.ids import uuid7
from tollkeeper.payments.errors import ProcessorRefused
from tollkeeper.payments.model import (
    Absent,
    Declined,
    FailureCode,
    PageKind,
    Processing,
    RequiresAction,
    Succeeded,
    Unpaid,
)
from tollkeeper.payments.processors import (
    Address,
    CustomerDetails,
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
