"""Subscriptions over time: what holds when, as every process knows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from planned import consumable

from tollkeeper import orgs, plans
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.plans import (
    AlreadySubscribed,
    By,
    CapacityExceeded,
    Interval,
    NewSubscription,
    PlanBook,
    PlanNotFound,
    PlanRetired,
    PlanTerms,
    PlanVersionConflict,
    Source,
    Status,
    Subscription,
    SubscriptionNotFound,
    Terms,
    When,
)

BEGUN = datetime(2027, 1, 31, 8, tzinfo=UTC)
BY = By(who="test", why="because")
DAY = timedelta(days=1)


class Town:
    """A database with plans, and a book that is asked after each act."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.book = PlanBook(database, "free")

    async def publish(
        self,
        code: str,
        tokens: int,
        fee: int,
        *,
        since: datetime = BEGUN - 100 * DAY,
        interval: Interval = Interval.MONTH,
        seats: int = 3,
    ) -> None:
        terms = PlanTerms(
            interval=interval,
            fee_minor=fee,
            consumables=(consumable("llm_tokens", tokens),),
            capacities={"seats": seats},
        )
        async with self.database.transaction() as tx:
            await plans.publish_plan(
                tx,
                code=code,
                name=code.title(),
                terms=terms,
                effective_from=since,
                by=BY,
                now=min(since, BEGUN - 90 * DAY),
            )

    async def org(self) -> UUID:
        async with self.database.transaction() as tx:
            return (await orgs.create_org(tx, org_id=uuid7(), name="o", now=BEGUN)).org_id

    async def subscribe(self, org_id: UUID, plan: str, now: datetime = BEGUN) -> Subscription:
        new = NewSubscription(org_id=org_id, livemode=True, plan=plan)
        async with self.database.transaction() as tx:
            return await plans.subscribe(tx, new, now=now, by=BY)

    async def change(
        self, made: Subscription, plan: str, now: datetime, when: When | None = None
    ) -> Subscription:
        async with self.database.transaction() as tx:
            return await plans.change(
                tx, made.org_id, made.subscription_id, plan, now=now, when=when, by=BY
            )

    async def cancel(
        self, made: Subscription, now: datetime, when: When = When.CYCLE_END
    ) -> Subscription:
        async with self.database.transaction() as tx:
            return await plans.cancel(
                tx, made.org_id, made.subscription_id, now=now, when=when, by=BY
            )

    async def terms(self, org_id: UUID, at: datetime) -> Terms:
        await self.book.refresh()
        found = self.book.terms(org_id, True, at)
        assert found is not None
        return found


@pytest.fixture
async def town(database: Database) -> Town:
    made = Town(database)
    await made.publish("free", 10, 0)
    await made.publish("pro", 1000, 4900)
    await made.publish("max", 5000, 19900, seats=50)
    await made.publish("max-yearly", 60000, 199000, interval=Interval.YEAR)
    return made


def tokens(terms: Terms) -> tuple[str, int, str, str]:
    cycle = f"{terms.cycle_start:%m-%d %H}", f"{terms.cycle_end:%m-%d %H}"
    return terms.plan, terms.consumables[0].included, *cycle


async def audited(connection: Connection, org_id: UUID) -> list[str]:
    return [entry.what for entry in await orgs.list_audit(connection, org_id, None, 50)][::-1]


async def test_a_year_of_a_customer(town: Town) -> None:
    org = await town.org()
    assert tokens(await town.terms(org, BEGUN)) == ("free", 10, "01-01 00", "02-01 00")
    pro = await town.subscribe(org, "pro")
    first = await town.terms(org, BEGUN)
    assert tokens(first) == ("pro", 1000, "01-31 08", "02-28 08")
    # A new cycle begins by itself, with the same counters.
    second = await town.terms(org, BEGUN + 40 * DAY)
    assert tokens(second) == ("pro", 1000, "02-28 08", "03-31 08")
    assert second.limit_ids == first.limit_ids

    # Up: at once, in the same cycle, with the same counters.
    up = await town.change(pro, "max", BEGUN + 40 * DAY)
    dearer = await town.terms(org, BEGUN + 40 * DAY)
    assert tokens(dearer) == ("max", 5000, "02-28 08", "03-31 08")
    assert dearer.limit_ids == first.limit_ids
    assert await town.change(pro, "max", BEGUN + 40 * DAY) == up

    # Down: when the cycle ends.
    down = await town.change(pro, "pro", BEGUN + 41 * DAY)
    assert await town.change(pro, "pro", BEGUN + 42 * DAY) == down
    assert tokens(await town.terms(org, BEGUN + 58 * DAY))[0] == "max"
    assert tokens(await town.terms(org, BEGUN + 60 * DAY)) == ("pro", 1000, "03-31 08", "04-30 08")

    # To a yearly plan: cycles begin anew, with counters of their own.
    await town.change(pro, "max-yearly", BEGUN + 61 * DAY)
    yearly = await town.terms(org, BEGUN + 61 * DAY)
    assert tokens(yearly) == ("max-yearly", 60000, "04-02 08", "04-02 08")
    assert yearly.limit_ids != first.limit_ids

    # Cancelled for the end of the cycle, taken back, and cancelled at once.
    assert (await town.cancel(pro, BEGUN + 62 * DAY)).cancel_at == yearly.cycle_end
    assert tokens(await town.terms(org, yearly.cycle_end))[0] == "free"
    assert (await town.change(pro, "max-yearly", BEGUN + 63 * DAY)).cancel_at is None
    assert tokens(await town.terms(org, yearly.cycle_end))[0] == "max-yearly"
    ended = await town.cancel(pro, BEGUN + 64 * DAY, When.NOW)
    assert ended.status is Status.CANCELLED
    assert await town.cancel(pro, BEGUN + 65 * DAY) == ended
    assert tokens(await town.terms(org, BEGUN + 64 * DAY))[0] == "free"
    with pytest.raises(SubscriptionNotFound):
        await town.change(pro, "max", BEGUN + 65 * DAY)

    async with town.database.connection() as connection:
        assert await audited(connection, org) == [
            "plan.subscribe",
            "plan.change",
            "plan.change",
            "plan.change",
            "plan.cancel",
            "plan.change",
            "plan.cancel",
        ]


async def test_one_plan_at_a_time(town: Town) -> None:
    org = await town.org()
    made = await town.subscribe(org, "pro")
    with pytest.raises(AlreadySubscribed):
        await town.subscribe(org, "max")
    await town.cancel(made, BEGUN)
    with pytest.raises(AlreadySubscribed):
        await town.subscribe(org, "max", BEGUN + DAY)
    again = await town.subscribe(org, "max", BEGUN + 30 * DAY)
    assert tokens(await town.terms(org, BEGUN + 30 * DAY)) == ("max", 5000, "03-02 08", "04-02 08")
    async with town.database.transaction() as tx:
        assert await plans.current_subscription(tx, org, True) == again


async def test_a_processor_tells_everything_twice(town: Town) -> None:
    org = await town.org()
    await town.subscribe(org, "pro")
    new = NewSubscription(
        org_id=org,
        livemode=True,
        plan="max",
        anchor=BEGUN + DAY,
        source=Source.PROCESSOR,
        ref="sub_1",
    )
    async with town.database.transaction() as tx:
        made = await plans.subscribe(tx, new, now=BEGUN + DAY, takes_over=True)
        assert await plans.subscribe(tx, new, now=BEGUN + 2 * DAY, takes_over=True) == made
    assert tokens(await town.terms(org, BEGUN + 2 * DAY)) == ("max", 5000, "02-01 08", "03-01 08")
    of = (org, made.subscription_id)
    async with town.database.transaction() as tx:
        await plans.set_status(tx, *of, Status.PAST_DUE, now=BEGUN + 3 * DAY)
        moved = await plans.set_cycle(tx, *of, BEGUN + 3 * DAY, now=BEGUN + 3 * DAY)
        assert (moved.status, moved.anchor) == (Status.PAST_DUE, BEGUN + 3 * DAY)
        assert await plans.set_status(tx, *of, Status.PAST_DUE, now=BEGUN + 4 * DAY) == moved
        assert await plans.set_cycle(tx, *of, BEGUN + 3 * DAY, now=BEGUN + 4 * DAY) == moved
        assert await plans.subscription_by_ref(tx, org, Source.PROCESSOR, "sub_1") == moved
    after = await town.terms(org, BEGUN + 4 * DAY)
    assert tokens(after) == ("max", 5000, "02-03 08", "03-03 08")
    async with town.database.transaction() as tx:
        await plans.set_status(tx, *of, Status.CANCELLED, now=BEGUN + 5 * DAY)
        assert await audited(tx, org) == ["plan.subscribe"]
    assert (await town.terms(org, BEGUN + 5 * DAY)).plan == "free"
    assert (await plans_known(town, org)).status is Status.CANCELLED


async def plans_known(town: Town, org: UUID) -> Subscription:
    async with town.database.connection() as connection:
        found = await plans.read_subscription(connection, org, True)
    assert found is not None
    return found


async def test_versions_are_dated_and_kept(town: Town) -> None:
    org, other = await town.org(), await town.org()
    await town.subscribe(org, "pro")
    await town.publish("pro", 2000, 5900, since=BEGUN + 10 * DAY)
    await town.publish("pro", 2000, 5900, since=BEGUN + 10 * DAY)
    await town.publish("free", 20, 0, since=BEGUN + 5 * DAY)
    assert (await town.terms(org, BEGUN + 11 * DAY)).consumables[0].included == 1000
    made = await town.subscribe(other, "pro", BEGUN + 11 * DAY)
    assert (await town.terms(other, BEGUN + 11 * DAY)).consumables[0].included == 2000
    await town.cancel(made, BEGUN + 12 * DAY, When.NOW)
    # The default plan's newest holds for all, from its moment on.
    assert [
        (await town.terms(other, BEGUN + days * DAY)).consumables[0].included for days in (4, 5)
    ] == [10, 20]
    with pytest.raises(PlanVersionConflict):
        await town.publish("pro", 3000, 5900, since=BEGUN + 9 * DAY)
    with pytest.raises(InvalidRequest):
        async with town.database.transaction() as tx:
            await plans.publish_plan(
                tx,
                code="new",
                name="New",
                terms=PlanTerms(),
                effective_from=BEGUN,
                by=BY,
                now=BEGUN + DAY,
            )


async def test_a_retired_plan_is_kept_by_who_has_it(town: Town) -> None:
    org = await town.org()
    made = await town.subscribe(org, "pro")
    async with town.database.transaction() as tx:
        await plans.retire_plan(tx, "pro", by=BY, now=BEGUN)
    with pytest.raises(PlanRetired):
        await town.subscribe(await town.org(), "pro")
    assert (await town.terms(org, BEGUN)).plan == "pro"
    assert [one.code for one in town.book.sold(BEGUN)] == ["free", "max-yearly", "max"]
    terms = await town.terms(org, BEGUN)
    assert town.book.upgrades(terms, "llm_tokens", BEGUN) == ["max-yearly", "max"]
    with pytest.raises(PlanNotFound):
        await town.change(made, "gold", BEGUN)


async def test_capacities_never_bill_and_stop(town: Town) -> None:
    org = await town.org()
    await town.subscribe(org, "pro")
    await town.book.refresh()
    town.book.check_capacity(org, "seats", 3, at=BEGUN)
    town.book.check_capacity(org, "projects", 1000, at=BEGUN)
    with pytest.raises(CapacityExceeded) as refused:
        town.book.check_capacity(org, "seats", 4, at=BEGUN)
    assert refused.value.members["upgradePlans"] == ["max"]


async def test_without_a_default_plan_there_are_no_terms(database: Database) -> None:
    book = PlanBook(database, "free")
    await book.refresh()
    assert book.terms(uuid7(), True, BEGUN) is None
    assert book.cycle_start(uuid7(), True, BEGUN) == datetime(2027, 1, 1, tzinfo=UTC)


async def test_what_was_before_a_change_at_once_is_known_while_calls_last(town: Town) -> None:
    """Settlements ask for the moment of their beginning."""
    clock = MovableClock(BEGUN + DAY)
    town.book = PlanBook(town.database, "free", clock)
    org = await town.org()
    pro = await town.subscribe(org, "pro")
    before = await town.terms(org, BEGUN)
    bigger = await town.change(pro, "max", BEGUN + DAY)
    assert (await town.terms(org, BEGUN)).plan == "pro"
    assert (await town.terms(org, BEGUN + DAY)).plan == "max"
    clock.advance(DAY / 2)
    await town.cancel(bigger, clock.now(), When.NOW)
    assert (await town.terms(org, clock.now())).plan == "free"
    assert (await town.terms(org, clock.now() - DAY / 4)).plan == "max"
    again = await town.terms(org, BEGUN + DAY / 2)
    assert (again.plan, again.limit_ids, again.until) == ("pro", before.limit_ids, BEGUN + DAY)
    # After a day no call can be under way that began before it: another's change forgets it.
    clock.advance(2 * DAY)
    other = await town.subscribe(await town.org(), "pro", BEGUN)
    await town.book.refresh()
    await town.cancel(other, clock.now(), When.NOW)
    assert (await town.terms(org, BEGUN)).plan == "free"
