"""Who did what to cards, payments and plans, where the processor is slow, away, or was first."""

from __future__ import annotations

import pytest
from banks import FakeBank
from fake_stripe import How
from shops import VISA, Shop
from test_plan_fees import Customer

from tollkeeper import orgs, payments, subscriptions
from tollkeeper.orgs import By
from tollkeeper.payments.methods import keeping
from tollkeeper.payments.model import Answer, FailureCode, PageKind
from tollkeeper.payments.processors import Sought

ADA = By(who="mem_ada")
PROGRAM = By(who="key_1", program=True)


async def noted(shop: Shop) -> list[tuple[str, str]]:
    async with shop.database.connection() as connection:
        rows = await orgs.list_audit(connection, shop.org_id, None, 50)
    return [(row.what, row.who) for row in reversed(rows)]


async def test_what_the_processor_tells_of_cards_is_noted_as_its_own(shop: Shop) -> None:
    name = shop.bank.processor.name
    first, second = await shop.on_file(), await shop.on_file()
    await keeping.sync(shop.till, shop.owner)
    await shop.bank.processor.detach_method(first.ref)
    await keeping.sync(shop.till, shop.owner)
    assert await noted(shop) == [
        ("payment_method.added", name),
        ("payment_method.added", name),
        ("payment_method.removed", name),
    ]
    await keeping.remove(shop.till, shop.owner, second.method_id, PROGRAM)
    assert len(await noted(shop)) == 3


async def test_a_card_is_made_the_default_and_removed_once(shop: Shop) -> None:
    first, second = await shop.on_file(), await shop.on_file(VISA)
    for _ in range(2):
        await keeping.make_default(shop.till, shop.owner, second.method_id, ADA)
    for _ in range(2):
        await keeping.remove(shop.till, shop.owner, first.method_id, ADA)
    assert [what for what, who in await noted(shop) if who == ADA.who] == [
        "payment_method.default",
        "payment_method.remove",
    ]


async def test_who_gives_a_payment_up_is_noted_though_its_webhook_was_first(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor, payment = shop.bank.processor, await shop.intend(page=PageKind.HOSTED)
    cancel_payment = processor.cancel_payment

    async def heard_meanwhile(sought: Sought) -> Answer:
        monkeypatch.setattr(processor, "cancel_payment", cancel_payment)
        heard = await payments.cancel(shop.till, payment.org_id, payment.payment_id)
        assert heard.failure_code is FailureCode.CANCELED
        return await cancel_payment(sought)

    monkeypatch.setattr(processor, "cancel_payment", heard_meanwhile)
    await payments.cancel(shop.till, payment.org_id, payment.payment_id, ADA)
    assert await noted(shop) == [("payment.cancel", ADA.who)]


async def test_a_plan_is_noted_as_it_is_meant_whenever_it_begins(
    fake_shop: Shop, fake_bank: FakeBank
) -> None:
    customer = Customer(fake_shop)
    await customer.publish()
    with pytest.raises(payments.PaymentMethodNotFound):
        await customer.subscribe(by=ADA)
    await fake_shop.on_file()
    fake_bank.fake.fail("/v1/subscriptions", How.LOST_BEFORE, times=-1)
    await customer.subscribe(by=ADA)
    assert (await noted(fake_shop))[1:] == [("plan.subscribe", ADA.who)]
    assert await customer.plan() == "free"
    fake_bank.fake.heal()
    await customer.wait(minutes=1)
    await payments.settle_unfinished(fake_shop.till)
    assert await customer.plan() == "pro"
    await customer.change("pro", by=ADA)
    await subscriptions.cancel(customer.desk, customer.who, at_once=True, by=ADA)
    assert (await noted(fake_shop))[1:] == [
        ("plan.subscribe", ADA.who),
        ("plan.cancel", ADA.who),
    ]
