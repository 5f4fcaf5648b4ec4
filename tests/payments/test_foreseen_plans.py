"""What choosing a plan would do is said before: as it is then done, or refused."""

from __future__ import annotations

import pytest
from shops import Shop
from test_plan_fees import BY, FEES, Customer

from tollkeeper import plans, subscriptions
from tollkeeper.payments import SubscriptionFixed
from tollkeeper.plans import Interval, PlanTerms, Source
from tollkeeper.subscriptions.model import sold_plan

ARRANGED = "This organization's plan is arranged with the operator"
YEARLY = (
    "What is paid for now is billed in USD each month: cancel that, and subscribe anew when it has"
    " ended"
)
DEFAULT_ONLY = "Cancel first, and subscribe to that plan when it has ended"
TAKE_BACK = "A cheaper plan begins when this period ends; take that back first"


@pytest.fixture
async def customer(fake_shop: Shop) -> Customer:
    made = Customer(fake_shop)
    await made.publish()
    for code, terms in {
        "yearly": PlanTerms(fee_minor=30_000, interval=Interval.YEAR),
        "hobby": PlanTerms(),
    }.items():
        async with fake_shop.database.transaction() as tx:
            await plans.publish_plan(
                tx,
                code=code,
                name=code.title(),
                terms=terms,
                effective_from=None,
                by=BY,
                now=fake_shop.clock.now(),
            )
    await fake_shop.on_file()
    return made


async def foreseen(customer: Customer) -> dict[str, str]:
    now = customer.shop.clock.now()
    async with customer.shop.database.connection() as connection:
        wanted = [await sold_plan(connection, code, now) for code in (*FEES, "yearly", "hobby")]
        found = await subscriptions.foresee(connection, customer.desk, customer.who, wanted, now)
    return {one.version.code: str(one.effect or one.refused) for one in found}


async def test_each_plan_says_what_choosing_it_does(customer: Customer) -> None:
    bought = dict.fromkeys(("solo", "pro", "team", "yearly"), "bought")
    assert await foreseen(customer) == {**bought, "free": "free", "hobby": "free"}
    await customer.subscribe("pro")
    billed = {"free": "later", "yearly": YEARLY, "hobby": DEFAULT_ONLY}
    assert await foreseen(customer) == {
        **billed,
        "solo": "later",
        "pro": "kept",
        "team": "at_once",
    }
    await customer.change("solo")
    assert await foreseen(customer) == {
        **billed,
        "solo": "kept",
        "pro": "taken_back",
        "team": TAKE_BACK,
    }


async def test_a_plan_of_the_operators_is_said_to_be_arranged(customer: Customer) -> None:
    given = plans.NewSubscription(
        org_id=customer.who.org_id, livemode=False, plan="team", source=Source.OPERATOR
    )
    async with customer.shop.database.transaction() as tx:
        await plans.subscribe(tx, given, now=customer.shop.clock.now(), by=BY)
    assert set((await foreseen(customer)).values()) == {ARRANGED}


@pytest.mark.parametrize("refused", ["yearly", "hobby"])
async def test_what_is_refused_takes_no_cancellation_back(customer: Customer, refused: str) -> None:
    """Or who cancels to subscribe anew would be billed on."""
    await customer.subscribe("pro")
    await customer.cancel()
    with pytest.raises(SubscriptionFixed):
        await customer.change(refused)
    await customer.wait(days=32)
    assert (await customer.plan(), await customer.fees()) == ("free", [2000])
