"""The Python client against the served application: money in, and what customers read."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from uuid import uuid4

import pytest

from tollkeeper_client import (
    AsyncTollkeeper,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    Tollkeeper,
    Unauthenticated,
)
from whole import Answer, Customer, Whole


async def test_a_balance_is_exact(admin: AsyncTollkeeper) -> None:
    balance = await admin.balance()
    assert balance.available == Decimal(10)
    assert balance.balances == {"usd": Decimal(10)}
    assert balance.can_consume
    assert not balance.auto_top_up.enabled


async def test_credit_is_bought_once_by_one_key(admin: AsyncTollkeeper) -> None:
    assert (await admin.quote(Decimal("25.50"))).total == Decimal("25.5")
    key = str(uuid4())
    bought = await admin.create_purchase(Decimal("25.50"), idempotency_key=key)
    again = await admin.create_purchase(Decimal("25.50"), idempotency_key=key)
    assert again == bought
    assert (bought.status, bought.balance_after) == ("succeeded", Decimal("35.5"))
    assert bought.created_at.tzinfo is not None
    assert await admin.get_purchase(bought.id) == bought
    with pytest.raises(IdempotencyKeyReused):
        await admin.create_purchase(30, idempotency_key=key)
    (paid,) = (await admin.list_transactions(type="Purchase")).data
    assert (paid.amount, paid.purchase_id) == (Decimal("25.5"), bought.id)


async def test_purchases_come_in_pages(admin: AsyncTollkeeper) -> None:
    bought = [(await admin.create_purchase(amount)).id for amount in (10, 11, 12)]
    first = await admin.list_purchases(limit=2)
    rest = await admin.list_purchases(limit=2, cursor=first.next_cursor)
    assert [known.id for known in (*first.data, *rest.data)] == bought[::-1]
    assert rest.next_cursor is None


async def test_a_purchase_on_a_page_is_given_up(admin: AsyncTollkeeper) -> None:
    opened = await admin.create_purchase(10, checkout="hosted")
    assert opened.status == "requires_payment"
    assert opened.action_url is not None
    assert (await admin.cancel_purchase(opened.id)).status != "requires_payment"


async def test_a_declined_purchase_goes_on(
    admin: AsyncTollkeeper, whole: Whole, customer: Customer
) -> None:
    bad, good = [
        (await keep(whole, customer, token)).json["paymentMethod"]["id"]
        for token in ("pm_card_chargeCustomerFail", "pm_card_visa")
    ]
    declined = await admin.create_purchase(10, payment_method_id=bad)
    assert (declined.status, declined.failure_code) == ("failed", "card_declined")
    assert (await admin.resume_purchase(declined.id, payment_method_id=good)).status == "succeeded"


async def keep(whole: Whole, customer: Customer, token: str) -> Answer:
    key = customer.keys["test ADMIN"]
    return await whole.ask("POST", "/billing/payment-methods", key, {"token": token})


async def test_auto_top_up_is_set(admin: AsyncTollkeeper) -> None:
    await admin.create_purchase(10, save_payment_method=True)
    assert not (await admin.get_auto_top_up()).enabled
    (method, *_) = (await admin.list_payment_methods()).data
    saved = await admin.set_auto_top_up(
        enabled=True, threshold=5, amount=Decimal("20.50"), payment_method_id=method.id
    )
    assert (saved.enabled, saved.amount, saved.threshold) == (True, Decimal("20.5"), 5)
    assert saved == await admin.get_auto_top_up()


async def test_refusals_are_classes(admin: AsyncTollkeeper, whole: Whole) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await admin.create_purchase(Decimal(-1))
    assert (caught.value.status, "amount" in caught.value.details) == (400, True)
    with pytest.raises(NotFound):
        await admin.get_purchase(f"pur_{uuid4().hex}")
    async with AsyncTollkeeper("tk_test_wrong", whole.url) as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.balance()


async def test_the_other_client_does_the_same(whole: Whole, customer: Customer) -> None:
    def buy() -> Decimal:
        with Tollkeeper(customer.keys["test ADMIN"], whole.url) as client:
            client.create_purchase(15)
            return client.balance().available

    assert await asyncio.to_thread(buy) == 25
