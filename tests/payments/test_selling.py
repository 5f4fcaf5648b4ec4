"""Purchases at the sandbox and at the fake Stripe: what is paid is credited, once, whoever hears of
it first, and nothing else is."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest
from banks import FakeBank
from fake_stripe import How
from selling import DOLLAR, Seller, open_seller
from shops import Shop

from tollkeeper import credits, payments  # noqa: A004 (the room's name)
from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.ids import uuid7
from tollkeeper.base.money import NonNegativeMoneyIn
from tollkeeper.base.settings import Credits, Payments, Percent, Settings
from tollkeeper.credits import AmountOutOfRange, Origin, PurchaseInProgress, PurchaseStatus
from tollkeeper.credits.purchases import cancel
from tollkeeper.ledger import EntryKind, InsufficientCredits
from tollkeeper.payments import AmountNotPayable, RefundRefused
from tollkeeper.payments.model import DisputeStatus, FailureCode, PageKind, RefundStatus

CHALLENGED = "pm_card_authenticationRequired"
DECLINED = "pm_card_chargeCustomerFail"


@pytest.fixture
async def seller(shop: Shop) -> Seller:
    return await open_seller(shop)


@pytest.fixture
async def fake_seller(fake_shop: Shop) -> Seller:
    return await open_seller(fake_shop)


async def test_a_purchase_is_paid_credited_and_told_in_one_go(seller: Seller) -> None:
    bought = await seller.bought(25)
    assert (bought.credit_nanos, bought.total_minor) == (25 * DOLLAR, 2500)
    assert await seller.bank.charged(bought.purchase_id) == [2500]
    (entry,) = await seller.entries()
    assert (entry.kind, entry.entry_id, entry.lot_id) == (
        EntryKind.PURCHASE,
        bought.purchase_id,
        bought.purchase_id,
    )
    assert entry.balance_after == bought.balance_after == 25 * DOLLAR
    assert seller.told == [bought.purchase_id]
    assert await seller.notices() == ["credit_purchased"]
    assert await seller.reconciled() == []


async def test_the_default_method_pays_where_none_is_named(seller: Seller) -> None:
    method = await seller.card()
    _, payment = await seller.buy()
    assert payment.method_id == method.method_id


async def test_without_anything_on_file_only_the_sandbox_pays(seller: Seller) -> None:
    if isinstance(seller.bank, FakeBank):
        with pytest.raises(InvalidRequest, match="paymentMethodId: is required, or checkout"):
            await seller.buy()
    else:
        bought, _ = await seller.buy()
        assert bought.status is PurchaseStatus.SUCCEEDED


async def test_a_bank_that_wants_to_see_its_customer(seller: Seller) -> None:
    method = await seller.card(CHALLENGED)
    asked, payment = await seller.buy(method_id=method.method_id)
    assert asked.status is PurchaseStatus.REQUIRES_ACTION
    assert payment.action_url is not None
    assert await seller.balance() == 0
    await seller.bank.answer_bank(payment.action_url, approves=True)
    await seller.hear()
    assert (await seller.read(asked)).status is PurchaseStatus.SUCCEEDED
    assert await seller.balance() == 25
    assert await seller.bank.charged(asked.purchase_id) == [2500]


async def test_a_bank_that_is_refused_and_asked_again_charges_once(seller: Seller) -> None:
    method = await seller.card(CHALLENGED)
    asked, payment = await seller.buy(method_id=method.method_id)
    assert payment.action_url is not None
    await seller.bank.answer_bank(payment.action_url, approves=False)
    await seller.hear()
    failed = await seller.read(asked)
    assert failed.status is PurchaseStatus.FAILED
    again, payment = await seller.resume(failed)
    assert (again.status, payment.action_url is not None) == (PurchaseStatus.REQUIRES_ACTION, True)
    await seller.bank.answer_bank(payment.action_url or "", approves=True)
    await seller.hear()
    assert await seller.balance() == 25
    assert await seller.bank.charged(asked.purchase_id) == [2500]


async def test_a_declined_card_says_why_and_another_one_pays(seller: Seller) -> None:
    method = await seller.card(DECLINED)
    failed, payment = await seller.buy(method_id=method.method_id)
    assert (failed.status, payment.failure_code) == (
        PurchaseStatus.FAILED,
        FailureCode.CARD_DECLINED,
    )
    assert (await seller.balance(), seller.told) == (0, [])
    assert await seller.notices() == ["credit_purchase_failed"]
    good = await seller.card()
    paid, _ = await seller.resume(failed, good.method_id)
    assert (paid.status, await seller.balance()) == (PurchaseStatus.SUCCEEDED, 25)
    assert await seller.bank.charged(failed.purchase_id) == [2500]


async def test_a_page_of_the_processor_is_paid_or_left(seller: Seller) -> None:
    opened, payment = await seller.buy(page=PageKind.HOSTED)
    assert opened.status is PurchaseStatus.REQUIRES_PAYMENT
    left, _ = await seller.buy(page=PageKind.HOSTED)  # begun anew before the first is paid
    await seller.bank.submit_page(payment.page_url or "", "4242424242424242")
    await seller.hear()
    assert await seller.balance() == 25
    canceled, _ = await cancel(seller.desk, left)
    assert canceled.status is PurchaseStatus.FAILED
    paid, _ = await cancel(seller.desk, await seller.read(opened))
    assert paid.status is PurchaseStatus.SUCCEEDED
    assert await seller.notices() == ["credit_purchased"]  # and none of what was canceled


async def test_a_double_click_is_one_purchase(fake_seller: Seller, fake_bank: FakeBank) -> None:
    method = await fake_seller.card()
    done = await asyncio.gather(
        *(fake_seller.buy(method_id=method.method_id) for _ in range(10)), return_exceptions=True
    )
    bought = [made[0] for made in done if not isinstance(made, BaseException)]
    refused = [made for made in done if isinstance(made, BaseException)]
    assert bought
    assert all(isinstance(why, PurchaseInProgress) for why in refused)
    assert await fake_seller.balance() == 25 * len(bought)
    assert sum(charge["amount"] for charge in fake_bank.fake.charges()) == 2500 * len(bought)


async def test_one_id_is_one_purchase_however_many_ask_at_once(seller: Seller) -> None:
    method, purchase_id = await seller.card(), uuid7()

    async def once() -> object:
        bought = await seller.buy(purchase_id=purchase_id, method_id=method.method_id)
        return bought[0].purchase_id

    assert set(await asyncio.gather(*(once() for _ in range(20)))) == {purchase_id}
    assert await seller.balance() == 25
    assert await seller.bank.charged(purchase_id) == [2500]
    with pytest.raises(InvalidRequest, match="another purchase with this id"):
        async with seller.shop.database.transaction() as tx:
            other = seller.order(26, purchase_id=purchase_id, method_id=method.method_id)
            await credits.begin_purchase(tx, seller.desk, other, seller.shop.clock.now())


async def test_amounts_that_cannot_be_paid_leave_nothing(seller: Seller) -> None:
    await seller.card()
    with pytest.raises(AmountOutOfRange):
        await seller.buy(4)
    with pytest.raises(AmountNotPayable):
        await seller.buy(amount=25 * DOLLAR + 1)
    async with seller.shop.database.connection() as connection:
        found = await connection.execute(
            "SELECT (SELECT count(*) FROM purchase) + (SELECT count(*) FROM payment)"
        )
        assert await found.fetchone() == (0,)


async def test_fees_are_paid_and_not_credited(shop: Shop) -> None:
    fees = Credits(
        fee_percent=Percent(55_000),
        fee_fixed_nanos=NonNegativeMoneyIn(DOLLAR // 10),
        fee_min_nanos=NonNegativeMoneyIn(8 * DOLLAR // 10),
    )
    seller = await open_seller(shop, Settings(credits=fees))
    small = await seller.bought(5)
    assert (small.price_minor, small.fee_minor, small.total_minor) == (500, 80, 580)
    large = await seller.bought(100)
    assert (large.price_minor, large.fee_minor, large.total_minor) == (10_000, 560, 10_560)
    assert await seller.balance() == 105
    assert await seller.bank.charged(large.purchase_id) == [10_560]
    assert await seller.reconciled() == []


async def test_only_one_auto_top_up_of_a_balance_is_open(seller: Seller) -> None:
    method = await seller.card()
    orders = [
        seller.order(
            origin=Origin.AUTO_TOP_UP, method_id=method.method_id, off_session=True, amount=n
        )
        for n in (25 * DOLLAR, 100_000 * DOLLAR)  # purchases' limits are not theirs
    ]
    async with seller.shop.database.transaction() as tx:
        await credits.begin_purchase(tx, seller.desk, orders[0], seller.shop.clock.now())
    with pytest.raises(PurchaseInProgress):
        async with seller.shop.database.transaction() as tx:
            await credits.begin_purchase(tx, seller.desk, orders[1], seller.shop.clock.now())
    await payments.charge(seller.shop.till, seller.org_id, orders[0].purchase_id)
    (entry,) = await seller.entries()
    assert entry.kind is EntryKind.AUTO_TOP_UP
    async with seller.shop.database.transaction() as tx:
        await credits.begin_purchase(tx, seller.desk, orders[1], seller.shop.clock.now())


# ── Money back ───────────────────────────────────────────────────────────────────────────────────


async def test_parts_of_a_refund_are_the_whole_credit(seller: Seller) -> None:
    bought = await seller.bought(10)
    for minor in (333, 333, None):
        refund = await seller.refund(bought, minor)
        assert refund.status is RefundStatus.SUCCEEDED
        await seller.shop.wait(1)
    assert (await seller.balance(), refund.amount_minor) == (0, 334)
    assert (await seller.read(bought)).status is PurchaseStatus.REFUNDED
    assert (await seller.notices()).count("credit_refunded") == 3
    with pytest.raises(RefundRefused):
        await seller.refund(bought, 1)
    assert await seller.reconciled() == []


async def test_what_is_spent_is_refunded_only_by_force(seller: Seller) -> None:
    bought = await seller.bought(10)
    await seller.spend(4)
    with pytest.raises(InsufficientCredits, match="Only 6 USD of this purchase is unspent"):
        await seller.refund(bought)
    assert await seller.balance() == 6
    await seller.refund(bought, 600)
    assert await seller.balance() == 0
    await seller.refund(bought, 400, force=True)
    assert await seller.balance() == -4


async def test_a_refund_that_fails_gives_the_credit_back(seller: Seller) -> None:
    bought = await seller.bought(10, "pm_card_refundFail")
    await seller.refund(bought)
    await seller.settle()
    assert await seller.balance() == 10
    assert (await seller.read(bought)).status is PurchaseStatus.SUCCEEDED
    assert await seller.reconciled() == []


async def test_a_refund_in_the_processors_dashboard_takes_the_credit_too(seller: Seller) -> None:
    bought = await seller.bought(10)
    await seller.spend(4)
    async with seller.shop.database.connection() as connection:
        payment = await payments.get_payment(connection, seller.org_id, bought.purchase_id)
    await seller.bank.refund_by_hand(payment.ref or "")
    await seller.hear()
    await seller.hear()
    assert await seller.balance() == -4
    assert (await seller.read(bought)).status is PurchaseStatus.REFUNDED
    assert await seller.reconciled() == []


@pytest.mark.parametrize("on_dispute", ["hold", "freeze"])
@pytest.mark.parametrize("outcome", [DisputeStatus.WON, DisputeStatus.LOST])
async def test_a_dispute_takes_the_credit_until_it_is_won(
    shop: Shop, on_dispute: Literal["hold", "freeze"], outcome: DisputeStatus
) -> None:
    seller = await open_seller(shop, Settings(payments=Payments(on_dispute=on_dispute)))
    bought = await seller.bought(10)
    await seller.bought(5)
    async with shop.database.connection() as connection:
        payment = await payments.get_payment(connection, seller.org_id, bought.purchase_id)
    ref = await seller.bank.open_dispute(payment.ref or "")
    for _ in range(2):
        await seller.hear()
        wallet = await seller.wallet()
        assert (wallet.posted, wallet.frozen_reason is not None) == (
            5 * DOLLAR,
            on_dispute == "freeze",
        )
    assert (await seller.read(bought)).status is PurchaseStatus.DISPUTED
    assert (await seller.notices()).count("dispute_opened") == 1
    with pytest.raises(TollkeeperError):
        await seller.refund(bought)
    await seller.bank.move_dispute(ref, outcome)
    for _ in range(2):
        await seller.hear()
    wallet = await seller.wallet()
    won = outcome is DisputeStatus.WON
    assert (wallet.posted, wallet.frozen_reason is not None) == ((15 if won else 5) * DOLLAR, False)
    stands = PurchaseStatus.SUCCEEDED if won else PurchaseStatus.DISPUTED
    assert (await seller.read(bought)).status is stands
    assert await seller.reconciled() == []


# ── When Stripe's answers are lost ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", [how for how in How if how is not How.WELL])
@pytest.mark.parametrize("path", ["/v1/payment_intents", "/v1/payment_intents/[^/]+/confirm"])
async def test_whatever_stripe_does_what_it_charged_is_what_is_credited(
    fake_seller: Seller, fake_bank: FakeBank, path: str, how: How
) -> None:
    method = await fake_seller.card()
    fake_bank.fake.fail(path, how, times=-1)
    begun, _ = await fake_seller.buy(method_id=method.method_id)
    fake_bank.fake.heal()
    await fake_seller.settle()
    charged = await fake_bank.charged(begun.purchase_id)
    assert len(charged) <= 1
    assert await fake_seller.balance() * 100 == sum(charged)
    ended = (await fake_seller.read(begun)).status
    assert ended is (PurchaseStatus.SUCCEEDED if charged else PurchaseStatus.FAILED)
    assert await fake_seller.reconciled() == []
