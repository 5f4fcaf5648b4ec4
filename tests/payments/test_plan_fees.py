"""Plans follow what is paid, at the sandbox and at the fake Stripe."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from selling import open_seller
from shops import Shop

from tollkeeper import payments, plans, subscriptions
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Settings
from tollkeeper.payments import (
    PaymentMethodInUse,
    PaymentMethodNotFound,
    Subscription,
    SubscriptionBusy,
    SubscriptionChanged,
    SubscriptionFixed,
    SubscriptionStatus,
)
from tollkeeper.payments.inbox.handling import catch_up
from tollkeeper.payments.methods import keeping
from tollkeeper.plans import AlreadySubscribed, By, PlanTerms, Source
from tollkeeper.subscriptions import FeeDesk, Wish
from tollkeeper.subscriptions.following import follow
from tollkeeper.subscriptions.model import Subscriber

BY = By(who="test", why="test")
FEES = {"free": 0, "solo": 1000, "pro": 2000, "team": 5000}
REFUSES_LATER = "pm_card_chargeCustomerFail"
ASKS_ALWAYS = "pm_card_authenticationRequired"


class Customer:
    """Somebody who has the plans of a shop to choose from."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.desk: FeeDesk = subscriptions.desk_of(Settings(), shop.till, "https://shop.test/b")
        self.who = Subscriber(org_id=shop.org_id, livemode=False)
        subscriptions.hear_of_subscriptions(self.desk)

    async def publish(self) -> None:
        now = self.shop.clock.now()
        for code, fee in FEES.items():
            async with self.shop.database.transaction() as tx:
                await plans.publish_plan(
                    tx,
                    code=code,
                    name=code.title(),
                    terms=PlanTerms(fee_minor=fee),
                    effective_from=None,
                    by=BY,
                    now=now,
                )

    def wish(self, plan: str, **more: Any) -> Wish:
        given: dict[str, Any] = {
            "subscriber": self.who,
            "plan": plan,
            "run_id": uuid7(),
            "method_id": None,
            "return_url": "https://shop.test/b",
            **more,
        }
        return Wish(**given)

    async def subscribe(self, plan: str = "pro", **more: Any) -> Subscription | None:
        return await subscriptions.subscribe(self.desk, self.wish(plan, **more))

    async def change(self, plan: str, **more: Any) -> Subscription | None:
        return await subscriptions.change(self.desk, self.wish(plan, **more))

    async def cancel(self, *, at_once: bool = False) -> Subscription | None:
        return await subscriptions.cancel(self.desk, self.who, at_once=at_once)

    async def default(self, card: str) -> None:
        method = await self.shop.on_file(card)
        await payments.make_default(self.shop.till, self.shop.owner, method.method_id)

    async def plan(self) -> str:
        """The plan that holds now, and `past_due` where it is."""
        book = plans.PlanBook(self.shop.database, "free")
        await book.refresh()
        terms = book.terms(self.shop.org_id, False, self.shop.clock.now())
        assert terms is not None
        held = book.subscription(self.shop.org_id, False)
        late = held is not None and held.status is plans.Status.PAST_DUE
        return f"{terms.plan} past_due" if late else terms.plan

    async def terms(self) -> plans.Terms:
        book = plans.PlanBook(self.shop.database, "free")
        await book.refresh()
        found = book.terms(self.shop.org_id, False, self.shop.clock.now())
        assert found is not None
        return found

    async def wait(self, **time: float) -> None:
        await self.shop.wait(**time)
        await self.shop.bank.bill()
        await self.hear()

    async def hear(self) -> None:
        await catch_up(self.shop.till)
        while await payments.handle_pending(self.shop.till):
            pass

    async def fees(self) -> list[int]:
        async with self.shop.database.connection() as connection:
            found = await connection.execute(
                "SELECT amount_minor FROM payment_subscription_fee ORDER BY paid_at, period_start"
            )
            return [row[0] for row in await found.fetchall()]


@pytest.fixture
async def customer(shop: Shop) -> Customer:
    made = Customer(shop)
    await made.publish()
    return made


async def test_a_plan_holds_from_when_it_is_paid_in_the_processors_cycles(
    customer: Customer,
) -> None:
    assert await customer.plan() == "free"
    with pytest.raises(PaymentMethodNotFound):
        await customer.subscribe()
    await customer.shop.on_file()
    billed = await customer.subscribe()
    assert billed is not None
    assert billed.status is SubscriptionStatus.ACTIVE
    terms = await customer.terms()
    assert (terms.plan, terms.cycle_start, terms.cycle_end) == (
        "pro",
        billed.period_start,
        billed.period_end,
    )
    await customer.wait(days=31)
    assert await customer.plan() == "pro"
    assert (await customer.terms()).cycle_start == billed.period_end
    assert await customer.fees() == [2000, 2000]


async def test_where_the_processors_period_moves_the_cycle_moves(customer: Customer) -> None:
    await customer.shop.on_file()
    billed = await customer.subscribe()
    assert billed is not None
    moved = customer.shop.clock.now() - timedelta(days=3)
    change = SubscriptionChanged(replace(billed, period_start=moved), billed)
    async with customer.shop.database.transaction() as tx:
        await follow(tx, change, customer.shop.clock.now())
    assert (await customer.terms()).cycle_start == moved


async def test_a_plan_that_the_bank_has_not_agreed_to_does_not_hold(customer: Customer) -> None:
    await customer.default(ASKS_ALWAYS)
    asked = await customer.subscribe()
    assert asked is not None
    assert await customer.plan() == "free"
    again = await customer.subscribe()  # the way to the bank, once more
    assert again is not None
    assert again.action_url == asked.action_url
    await customer.shop.bank.answer_bank(again.action_url or "", approves=True)
    await customer.hear()
    assert (await customer.plan(), await customer.fees()) == ("pro", [2000])


async def test_purchases_and_plans_are_charged_to_one_method(customer: Customer) -> None:
    """S2: the default method serves both; one that is chosen for a plan becomes it."""
    await customer.shop.on_file()
    chosen = await customer.shop.on_file("pm_card_mastercard")
    await customer.subscribe(method_id=chosen.method_id)
    async with customer.shop.database.connection() as connection:
        default = await payments.default_method(connection, customer.shop.till, customer.shop.owner)
    assert default is not None
    assert default.method_id == chosen.method_id
    for method in await keeping.sync(customer.shop.till, customer.shop.owner):
        if method.method_id != chosen.method_id:
            await keeping.remove(customer.shop.till, customer.shop.owner, method.method_id)
    with pytest.raises(PaymentMethodInUse):
        await keeping.remove(customer.shop.till, customer.shop.owner, chosen.method_id)
    await customer.wait(days=31)
    assert await customer.fees() == [2000, 2000]


async def test_a_purchase_and_a_fee_are_charged_to_the_same_card(customer: Customer) -> None:
    """S2, as the processor has it; and its books hold nothing that ours do not explain."""
    seller = await open_seller(customer.shop)
    method = await customer.shop.on_file("pm_card_mastercard")
    await payments.make_default(customer.shop.till, customer.shop.owner, method.method_id)
    bought, _ = await seller.buy(method_id=method.method_id)
    await customer.subscribe()
    assert await customer.shop.bank.methods_charged() == [method.ref, method.ref]
    assert (await seller.balance(), await customer.fees()) == (25, [2000])
    assert await seller.reconciled() == []
    assert bought.status.credited


async def test_past_due_keeps_the_plan_for_a_week_and_a_new_card_saves_it(
    customer: Customer,
) -> None:
    await customer.shop.on_file()
    await customer.subscribe()
    await customer.default(REFUSES_LATER)
    await customer.wait(days=31)
    assert await customer.plan() == "pro past_due"
    assert await subscriptions.end_overdue(customer.desk) == 0
    with pytest.raises(SubscriptionBusy):
        await customer.change("team")
    card = await customer.shop.on_file("pm_card_mastercard")
    paid = await customer.subscribe(method_id=card.method_id)
    assert paid is not None
    assert (await customer.plan(), await customer.fees()) == ("pro", [2000, 2000])


async def test_after_the_grace_the_default_plan_holds(shop: Shop) -> None:
    customer = Customer(shop)
    await customer.publish()
    await customer.shop.on_file()
    await customer.subscribe()
    await customer.default(REFUSES_LATER)
    await customer.wait(days=31)
    await customer.shop.wait(days=7, minutes=1)  # the processor is still trying
    assert await customer.plan() == "pro past_due"
    assert await subscriptions.end_overdue(customer.desk) == 1
    assert await customer.plan() == "free"
    await customer.hear()
    assert await subscriptions.end_overdue(customer.desk) == 0
    async with customer.shop.database.connection() as connection:
        assert await payments.open_subscription(connection, shop.org_id, livemode=False) is None
    await customer.default("pm_card_visa")
    await customer.subscribe("solo")
    assert await customer.plan() == "solo"


async def test_a_dearer_plan_holds_at_once_and_a_cheaper_one_from_the_next_period(
    customer: Customer,
) -> None:
    await customer.shop.on_file()
    begun = await customer.subscribe("solo")
    assert begun is not None
    with pytest.raises(AlreadySubscribed):
        await customer.subscribe("team")
    await customer.change("team")
    assert (await customer.plan(), await customer.fees()) == ("team", [1000, 4000])
    assert (await customer.terms()).cycle_start == begun.period_start
    await customer.change("pro")
    assert await customer.plan() == "team"
    with pytest.raises(SubscriptionBusy):
        await customer.change("solo")
    await customer.wait(days=31)
    assert (await customer.plan(), await customer.fees()) == ("pro", [1000, 4000, 2000])


async def test_a_cheaper_plan_taken_back_in_time_is_not_paid_twice(customer: Customer) -> None:
    await customer.shop.on_file()
    await customer.subscribe("team")
    await customer.change("solo")
    await customer.change("team")
    assert (await customer.plan(), await customer.fees()) == ("team", [5000])
    await customer.wait(days=31)
    assert (await customer.plan(), await customer.fees()) == ("team", [5000, 5000])


async def test_an_upgrade_that_is_declined_leaves_the_plan(customer: Customer) -> None:
    await customer.shop.on_file()
    await customer.subscribe()
    await customer.default(REFUSES_LATER)
    still = await customer.change("team")
    assert still is not None
    assert still.failure_code is not None
    assert (await customer.plan(), await customer.fees()) == ("pro", [2000])


async def test_cancelled_with_the_period_kept_after_all_or_at_once(customer: Customer) -> None:
    await customer.shop.on_file()
    await customer.subscribe()
    await customer.cancel()
    assert await customer.plan() == "pro"
    await customer.subscribe()  # kept after all
    await customer.wait(days=31)
    assert await customer.plan() == "pro"
    await customer.change("free")  # the same as to cancel
    await customer.wait(days=31)
    assert (await customer.plan(), await customer.fees()) == ("free", [2000, 2000])
    await customer.subscribe()
    await customer.cancel(at_once=True)
    assert await customer.plan() == "free"


async def test_a_plan_without_a_fee_needs_no_method(customer: Customer) -> None:
    assert await customer.subscribe("free") is None
    assert await customer.plan() == "free"
    await customer.shop.on_file()
    await customer.change("pro")  # takes over, once it is paid
    assert await customer.plan() == "pro"
    with pytest.raises(AlreadySubscribed):
        await customer.subscribe("free")
    await customer.cancel(at_once=True)
    assert await customer.subscribe("free") is None


async def test_a_plan_of_the_operators_is_not_bought_over(customer: Customer) -> None:
    await customer.shop.on_file()
    async with customer.shop.database.transaction() as tx:
        given = plans.NewSubscription(
            org_id=customer.shop.org_id, livemode=False, plan="team", source=Source.OPERATOR
        )
        await plans.subscribe(tx, given, now=customer.shop.clock.now(), by=BY)
    with pytest.raises(AlreadySubscribed):
        await customer.subscribe("pro")
    with pytest.raises(payments.NoPaidSubscription):
        await customer.cancel()


async def test_what_was_not_paid_is_not_gone_on_with_over_a_plan_of_the_operators(
    customer: Customer,
) -> None:
    await customer.default(ASKS_ALWAYS)
    await customer.subscribe("pro")
    async with customer.shop.database.transaction() as tx:
        who = (customer.shop.org_id, False)
        await plans.set_plan(tx, who, "team", now=customer.shop.clock.now(), by=BY)
    with pytest.raises(AlreadySubscribed):
        await customer.subscribe("pro")
    assert await customer.fees() == []


async def test_another_plan_without_a_fee_is_not_changed_to(customer: Customer) -> None:
    await customer.shop.on_file()
    await customer.subscribe()
    customer.desk = subscriptions.FeeDesk(
        till=customer.desk.till, billing_page="", grace=timedelta(days=7), default_plan=None
    )
    with pytest.raises(SubscriptionFixed):
        await customer.change("free")
