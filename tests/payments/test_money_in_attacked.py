"""What somebody tries who wants credit for nothing, to be charged twice, or to have money lost."""

from __future__ import annotations

from typing import Any

import pytest
from banks import FakeBank
from selling import DOLLAR, Seller, open_seller, verified
from shops import VISA, Shop

from tollkeeper import ledger, payments
from tollkeeper.base.settings import Payments, Settings
from tollkeeper.credits import Purchase, PurchaseStatus
from tollkeeper.credits.purchases import cancel
from tollkeeper.payments.model import DisputeStatus, PageKind

DECLINED = "pm_card_chargeCustomerFail"


@pytest.fixture
async def seller(shop: Shop) -> Seller:
    return await open_seller(shop)


@pytest.fixture
async def fake_seller(fake_shop: Shop) -> Seller:
    return await open_seller(fake_shop)


@pytest.fixture
async def freezing(shop: Shop) -> Seller:
    return await open_seller(shop, Settings(payments=Payments(on_dispute="freeze")))


async def test_a_third_card_pays_what_two_have_declined(seller: Seller) -> None:
    first = await seller.card(DECLINED)
    failed, _ = await seller.buy(method_id=first.method_id)
    second = await seller.card(DECLINED)
    for _ in range(2):
        failed, payment = await seller.resume(failed, second.method_id)
        assert (failed.status, payment.method_id) == (PurchaseStatus.FAILED, second.method_id)
    third = await seller.card(VISA)
    paid, _ = await seller.resume(failed, third.method_id)
    assert (paid.status, await seller.balance()) == (PurchaseStatus.SUCCEEDED, 25)
    assert await seller.bank.charged(paid.purchase_id) == [2500]


async def test_a_page_that_is_given_up_is_not_paid_by_a_card(seller: Seller) -> None:
    card = await seller.card()
    opened, _ = await seller.buy(page=PageKind.HOSTED)
    await seller.shop.wait(days=2)
    await seller.settle()
    given_up, _ = await cancel(seller.desk, opened)
    again, _ = await seller.resume(given_up, card.method_id)
    assert again.status is PurchaseStatus.FAILED
    assert await seller.bank.charged(opened.purchase_id) == []
    await seller.settle()
    assert await seller.balance() == 0


async def _ref(seller: Seller, bought: Purchase) -> str:
    async with seller.shop.database.connection() as connection:
        payment = await payments.get_payment(connection, seller.org_id, bought.purchase_id)
    return payment.ref or ""


@pytest.mark.parametrize(("amount", "currency"), [(17_000, "mxn"), (900, "eur")])
async def test_a_dispute_in_a_banks_own_money_is_about_the_whole_payment(
    fake_seller: Seller, fake_bank: FakeBank, amount: int, currency: str
) -> None:
    bought = await fake_seller.bought(10)
    made = fake_bank.fake.dispute(await _ref(fake_seller, bought))
    made.update(amount=amount, currency=currency)
    await fake_seller.hear()
    assert await fake_seller.balance() == 0
    assert (await fake_seller.read(bought)).status is PurchaseStatus.DISPUTED
    fake_bank.fake.close_dispute(made, "won")
    await fake_seller.hear()
    assert await fake_seller.balance() == 10
    assert await verified(fake_seller) == []


@pytest.mark.parametrize("end", [DisputeStatus.LOST, DisputeStatus.WON])
async def test_a_dispute_takes_what_it_took_when_it_was_opened(
    fake_seller: Seller, fake_bank: FakeBank, end: DisputeStatus
) -> None:
    bought = await fake_seller.bought(10)
    made = fake_bank.fake.dispute(await _ref(fake_seller, bought), 400)
    await fake_seller.hear()
    assert await fake_seller.balance() == 6
    made["amount"] = 1000
    fake_bank.fake.close_dispute(made, end.value)
    await fake_seller.hear()
    assert await fake_seller.balance() == (6 if end is DisputeStatus.LOST else 10)
    async with fake_seller.shop.database.connection() as connection:
        told = await payments.disputes_of(connection, fake_seller.org_id, bought.purchase_id)
    assert [(one.status, one.amount_minor) for one in told] == [(end, 400)]
    assert await verified(fake_seller) == []


async def test_an_operators_freeze_outlives_a_dispute_that_is_won(freezing: Seller) -> None:
    bought = await freezing.bought(10)
    async with freezing.shop.database.transaction() as tx:
        await ledger.freeze(tx, freezing.org_id, freezing.wallet_id, "fraud")
    ref = await freezing.bank.open_dispute(await _ref(freezing, bought))
    await freezing.hear()
    await freezing.bank.move_dispute(ref, DisputeStatus.WON)
    await freezing.hear()
    assert (await freezing.wallet()).frozen_reason == "fraud"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_balance_is_frozen_until_the_last_dispute_is_over(
    freezing: Seller, order: tuple[int, int]
) -> None:
    refs: list[Any] = []
    for _ in range(2):
        bought = await freezing.bought(10)
        refs.append(await freezing.bank.open_dispute(await _ref(freezing, bought)))
        await freezing.hear()
    await freezing.bank.move_dispute(refs[order[0]], DisputeStatus.WON)
    await freezing.hear()
    assert (await freezing.wallet()).frozen_reason is not None
    await freezing.bank.move_dispute(refs[order[1]], DisputeStatus.LOST)
    await freezing.hear()
    wallet = await freezing.wallet()
    assert (wallet.posted, wallet.frozen_reason) == (10 * DOLLAR, None)
