"""Free credit by rule: each period, each code and each welcome is given once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper import ledger, operator
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import NonNegativeMoneyIn
from tollkeeper.base.settings import Currency, Grants, Settings
from tollkeeper.credits.granting.model import Every, period_of
from tollkeeper.credits.granting.recurring import give_due
from tollkeeper.ledger import Wallet
from tollkeeper.operator import Act, Opening
from whole import DOLLAR, Answer, Customer, Whole, whole_served

# After any machine's time: organizations made by the tests' own means are made at that.
NOW = datetime(2091, 1, 30, 22, 30, tzinfo=UTC)
BERLIN = "Europe/Berlin"
ZONES = ("UTC", BERLIN, "America/Havana", "Asia/Kathmandu", "Pacific/Apia", "Asia/Beirut")
WELCOME = 5


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(NOW)


@pytest.fixture
async def whole(database_url: str, clock: MovableClock) -> AsyncIterator[Whole]:
    settings = Settings(
        currencies={"USD": Currency(), "DIEM": Currency()},
        grants=Grants(welcome_nanos=NonNegativeMoneyIn(WELCOME * DOLLAR), welcome_days=14),
    )
    async with whole_served(database_url, settings, clock) as served:
        yield served


async def newcomer(whole: Whole) -> dict[str, Any]:
    made = await whole.operate("POST", "/organizations", {"name": "new", "reason": "signed"})
    assert made.status == 201, made.text
    return made.json


async def define(whole: Whole, **said: Any) -> Answer:
    body = {"amount": 10, "every": "month", "reason": "plan", **said}
    return await whole.operate("POST", "/recurring-grants", body)


async def campaign(whole: Whole, **said: Any) -> Answer:
    body = {"code": "LAUNCH", "amount": 20, "reason": "launch", **said}
    return await whole.operate("POST", "/campaigns", body)


async def redeem(whole: Whole, key: str, code: str = "launch", **headers: str) -> Answer:
    return await whole.ask("POST", "/billing/redemptions", key, {"code": code}, **headers)


def admin(customer: Customer) -> str:
    return customer.keys["live ADMIN"]


async def lots(whole: Whole, key: str, currency: str = "USD") -> list[dict[str, Any]]:
    answer = await whole.ask("GET", f"/billing/lots?currency={currency}", key)
    assert answer.status == 200, answer.text
    return answer.json["data"]


async def give(whole: Whole, processes: int = 3) -> None:
    """Have several processes look for what is due at once, and what is over lapse."""
    clock = whole.app.rooms.clock
    await asyncio.gather(*(give_due(whole.database, clock) for _ in range(processes)))
    async with whole.database.connection() as connection:
        await ledger.expire_due_lots(connection, clock.now())


async def balance(whole: Whole, customer: Customer, currency: str = "USD") -> int:
    async with whole.database.connection() as connection:
        wallets = await ledger.wallets_of(connection, customer.org_id)
    return next(w.posted for w in wallets if w.livemode and w.currency == currency) // DOLLAR


async def entries(whole: Whole, wallet: Wallet) -> int:
    async with whole.database.connection() as connection:
        found = await ledger.entries(connection, wallet.org_id, wallet.wallet_id, limit=100)
    return len(found)


@given(
    every=st.sampled_from(Every),
    zone=st.sampled_from(ZONES),
    seconds=st.integers(0, 30 * 366 * 86_400),
)
def test_periods_follow_each_other_without_a_gap(every: Every, zone: str, seconds: int) -> None:
    at = datetime(2005, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    period = period_of(every, zone, at)
    assert period.start <= at < period.end
    assert period_of(every, zone, period.start) == period
    assert period_of(every, zone, period.end).start == period.end
    assert period_of(every, zone, period.end - timedelta(microseconds=1)) == period


def test_periods_begin_at_the_zones_midnight() -> None:
    assert period_of(Every.MONTH, BERLIN, NOW).end == datetime(2091, 1, 31, 23, tzinfo=UTC)
    spring = period_of(Every.DAY, BERLIN, datetime(2026, 3, 29, 12, tzinfo=UTC))
    assert spring.end - spring.start == timedelta(hours=23)
    week = period_of(Every.WEEK, "UTC", datetime(2026, 1, 30, tzinfo=UTC))
    assert week.start == datetime(2026, 1, 26, tzinfo=UTC)


async def test_a_recurring_grant_comes_once_a_month_and_lapses_with_it(
    whole: Whole, clock: MovableClock
) -> None:
    customer, other = await whole.customer(), await whole.customer()
    made = await define(whole, organizationId=customer.id, timeZone=BERLIN, label="Plan credit")
    assert made.status == 201, made.text
    await give(whole)
    await give(whole)
    assert (await balance(whole, customer), await balance(whole, other)) == (10, 0)
    (lot,) = await lots(whole, admin(customer))
    assert (lot["expiresAt"], lot["label"]) == ("2091-01-31T23:00:00Z", "Plan credit")
    assert lot["priority"] < 100  # what is bought is spent after it
    clock.advance(timedelta(days=1, minutes=31))
    await give(whole)
    assert await balance(whole, customer) == 10  # the old one lapsed, the new one arrived
    first, second = await lots(whole, admin(customer))
    assert (first["expired"], first["left"], second["left"]) == (10, 0, 10)
    clock.advance(timedelta(days=100))  # nobody was there: what is over is not given any more
    await give(whole)
    assert await balance(whole, customer) == 10
    assert len(await lots(whole, admin(customer))) == 3


async def test_a_recurring_grant_that_is_ended_comes_no_more(
    whole: Whole, clock: MovableClock
) -> None:
    customer = await whole.customer()
    made = (await define(whole, organizationId=customer.id)).json
    await give(whole)
    path = f"/recurring-grants/{made['id']}"
    ended = await whole.operate("POST", f"{path}/end", {"reason": "left the plan"})
    assert (ended.status, ended.json["nextAt"]) == (200, None)
    clock.advance(timedelta(days=31))
    await give(whole)
    assert await balance(whole, customer) == 0
    (listed,) = (await whole.operate("GET", "/recurring-grants")).json["data"]
    assert listed["endedAt"] == ended.json["endedAt"]
    assert (await whole.operate("GET", path)).json == listed
    noted = (await whole.operate("GET", "/audit-log")).json["data"]
    acts = [row["what"] for row in noted if row["what"].startswith("recurring_grant")]
    assert acts == ["recurring_grant.end", "recurring_grant.create"]


async def test_a_grant_that_starts_later_waits(whole: Whole, clock: MovableClock) -> None:
    customer = await whole.customer()
    await define(whole, startAt="2091-02-01T00:00:00Z")
    await give(whole)
    late = await newcomer(whole)
    assert await balance(whole, customer) == 0
    clock.advance(timedelta(days=2))
    await give(whole)
    assert await balance(whole, customer) == 10
    assert sorted(lot["granted"] for lot in await lots(whole, late["secret"])) == [WELCOME, 10]


async def test_an_epoch_for_all_opens_its_balance_and_resets(
    whole: Whole, clock: MovableClock
) -> None:
    customers = [await whole.customer() for _ in range(5)]
    await define(whole, every="day", currency="DIEM")
    await give(whole, processes=6)
    assert [await balance(whole, one, "DIEM") for one in customers] == [10] * 5
    late = await newcomer(whole)
    (lot,) = await lots(whole, late["secret"], "DIEM")
    assert (lot["left"], lot["expiresAt"]) == (10, "2091-01-31T00:00:00Z")
    clock.advance(timedelta(days=1))
    await give(whole, processes=6)
    assert [await balance(whole, one, "DIEM") for one in customers] == [10] * 5
    assert len(await lots(whole, late["secret"], "DIEM")) == 2
    async with whole.database.connection() as connection:
        (wallet,) = [
            one
            for one in await ledger.wallets_of(connection, customers[0].org_id)
            if one.currency == "DIEM"
        ]
    assert await entries(whole, wallet) == 3


async def test_organizations_made_while_a_grant_is_given_get_it_once(whole: Whole) -> None:
    await define(whole, every="day", currency="DIEM")
    made = await asyncio.gather(
        *(newcomer(whole) for _ in range(8)),
        *(give_due(whole.database, whole.app.rooms.clock) for _ in range(4)),
    )
    for one in made[:8]:
        assert isinstance(one, dict)
        (lot,) = await lots(whole, one["secret"], "DIEM")
        assert lot["granted"] == 10


async def test_a_grant_for_all_waits_for_who_is_just_being_made(whole: Whole) -> None:
    """It would not see them, nor they it."""
    org_id = uuid7()
    async with whole.database.transaction() as tx:
        act = Act(who="test", why="test", at=NOW)
        opening = Opening(overdraft=0, sandbox_credit=0)
        await operator.create_organization(tx, act, org_id=org_id, name="new", opening=opening)
        defined = asyncio.create_task(define(whole))
        assert (await asyncio.wait({defined}, timeout=0.5))[0] == set()
    assert (await defined).status == 201
    await give(whole)
    (lot,) = (await whole.operate("GET", f"/organizations/{show_id('org', org_id)}/lots")).json[
        "data"
    ]
    assert lot["left"] == 10


async def test_a_grant_that_was_left_half_given_is_taken_up(
    whole: Whole, clock: MovableClock
) -> None:
    """A process died after the third: the others leave it alone for a minute, and then go on."""
    customers = [await whole.customer() for _ in range(4)]
    made = (await define(whole)).json
    async with whole.database.transaction() as tx:
        await tx.execute(
            "UPDATE recurring_grant SET leased_until = %s, period_start = %s",
            (NOW + timedelta(seconds=60), datetime(2091, 1, 1, tzinfo=UTC)),
        )
    await give(whole)
    assert [await balance(whole, one) for one in customers] == [0] * 4
    clock.advance(timedelta(seconds=61))
    await give(whole)
    assert [await balance(whole, one) for one in customers] == [10] * 4
    found = (await whole.operate("GET", f"/recurring-grants/{made['id']}")).json
    assert (found["periodStart"], found["nextAt"]) == (
        "2091-01-01T00:00:00Z",
        "2091-02-01T00:00:00Z",
    )


async def test_what_cannot_be_granted_is_refused(whole: Whole) -> None:
    for said in (
        {"currency": "EUR"},
        {"timeZone": "Mars/Olympus"},
        {"amount": 0},
        {"every": "hour"},
        {"organizationId": "org_" + "0" * 32},
    ):
        answer = await define(whole, **said)
        assert answer.status in (400, 404, 422), (said, answer.text)


async def test_a_new_organization_is_welcomed_once(whole: Whole, clock: MovableClock) -> None:
    made = await newcomer(whole)
    (lot,) = await lots(whole, made["secret"])
    assert (lot["granted"], lot["label"]) == (WELCOME, "Welcome credit")
    assert lot["expiresAt"] == "2091-02-13T22:30:00Z"
    clock.advance(timedelta(days=14))
    await give(whole)
    (lot,) = await lots(whole, made["secret"])
    assert (lot["left"], lot["expired"]) == (0, WELCOME)


async def test_a_code_brings_credit_once_to_each_organization(whole: Whole) -> None:
    assert (await campaign(whole, lotDays=30, label="Launch offer")).status == 201
    one, two = await whole.customer(), await whole.customer()
    answers = await asyncio.gather(*(redeem(whole, admin(one), " Launch ") for _ in range(6)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [201, 409, 409, 409, 409, 409]
    assert {a.json["code"] for a in answers if a.status == 409} == {"code_already_redeemed"}
    (first,) = [answer.json for answer in answers if answer.status == 201]
    assert (first["amount"], first["balanceAfter"], first["code"]) == (20, 20, "LAUNCH")
    assert first["expiresAt"] == "2091-03-01T22:30:00Z"
    again = [await redeem(whole, admin(two), idempotency_key="k1") for _ in range(2)]
    assert [answer.status for answer in again] == [201, 201]
    (lot,) = await lots(whole, admin(one))
    assert (lot["id"], lot["label"]) == (first["lotId"], "Launch offer")
    assert (await balance(whole, one), await balance(whole, two)) == (20, 20)
    (listed,) = (await whole.operate("GET", "/campaigns")).json["data"]
    assert listed["redemptions"] == 2
    redeemed = await whole.operate("GET", f"/campaigns/{listed['id']}/redemptions")
    assert {row["organizationId"] for row in redeemed.json["data"]} == {one.id, two.id}


async def test_the_cap_of_a_code_is_exact(whole: Whole) -> None:
    await campaign(whole, mostRedemptions=3)
    customers = [await whole.customer() for _ in range(8)]
    answers = await asyncio.gather(*(redeem(whole, admin(one)) for one in customers))
    assert sorted(answer.status for answer in answers) == [201] * 3 + [409] * 5
    assert {a.json["code"] for a in answers if a.status == 409} == {"code_used_up"}
    assert sum([await balance(whole, one) for one in customers]) == 60


async def test_a_code_says_why_it_brings_nothing(whole: Whole, clock: MovableClock) -> None:
    customer = await whole.customer()
    key = admin(customer)
    begins, ends = "2091-02-01T00:00:00Z", "2091-02-03T00:00:00Z"
    made = (await campaign(whole, validFrom=begins, validUntil=ends)).json
    assert (await campaign(whole)).json["code"] == "code_taken"
    await campaign(whole, code="newcomers", newDays=7)
    assert (await redeem(whole, key, "nothing")).json["code"] == "code_unknown"
    test_key = customer.keys["test ADMIN"]
    assert (await redeem(whole, test_key)).json["code"] == "code_unknown"
    early = await redeem(whole, key)
    assert (early.status, early.json["code"]) == (409, "code_not_yet_valid")
    assert "2091-02-01 00:00 UTC" in early.json["detail"]
    clock.advance(timedelta(days=5))
    assert (await redeem(whole, key)).json["code"] == "code_expired"
    assert (await redeem(whole, customer.keys["live INFERENCE"])).status == 401
    path = f"/campaigns/{made['id']}"
    assert (await whole.operate("POST", f"{path}/end", {"reason": "over"})).status == 200
    assert (await whole.operate("GET", path)).json["endedAt"] is not None
    clock.advance(timedelta(days=5))
    old = await redeem(whole, key, "NEWCOMERS")
    assert old.json["code"] == "code_for_new_organizations"
    assert await balance(whole, customer) == 0


async def test_a_code_that_was_ended_brings_nothing(whole: Whole) -> None:
    made = (await campaign(whole)).json
    await whole.operate("POST", f"/campaigns/{made['id']}/end", {"reason": "abused"})
    answer = await redeem(whole, admin(await whole.customer()))
    assert answer.json["code"] == "code_expired"
    noted = (await whole.operate("GET", "/audit-log")).json["data"]
    acts = [row["what"] for row in noted if row["what"].startswith("campaign")]
    assert acts == ["campaign.end", "campaign.create"]
