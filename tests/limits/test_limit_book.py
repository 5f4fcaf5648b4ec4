"""Which limits concern a call, what it takes of them, and how a refusal names them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tollkeeper import orgs
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money
from tollkeeper.db import Database
from tollkeeper.http import manner_headers, problem_body
from tollkeeper.ledger import Draw
from tollkeeper.limits import Enforcement, Facts, Kind, Limit, LimitBook, Measure, Period, store
from tollkeeper.limits.watch import Watch

NOW = datetime(2026, 11, 21, 10, 20, 30, tzinfo=UTC)
ORG, KEY, PROJECT, MEMBER = (UUID(int=number) for number in (1, 2, 3, 4))
DOLLAR = 1_000_000_000
CALL = Facts(
    org_id=ORG,
    livemode=True,
    project_id=PROJECT,
    key_id=KEY,
    member_id=MEMBER,
    end_user="ada",
    provider="openai",
    model="gpt-5-mini",
    tags={"team": "search"},
)


def limit(**said: Any) -> Limit:
    plain: dict[str, Any] = {
        "org_id": ORG,
        "limit_id": uuid7(),
        "name": "Budget",
        "measure": Measure.COST,
        "amount": 10 * DOLLAR,
        "period": Period.DAY,
        "created_at": NOW,
    }
    return Limit(**{**plain, **said})


def draw(made: Limit, call: Facts = CALL, at: datetime = NOW, tokens: int = 7) -> Draw | None:
    return Watch(made).draw(call, at, tokens)


def but(**other: Any) -> Facts:
    return msgspec.structs.replace(CALL, **other)


@pytest.mark.parametrize(
    ("scope", "others"),
    [
        ({"project_id": PROJECT}, [but(project_id=uuid7()), but(project_id=None)]),
        ({"key_id": KEY}, [but(key_id=uuid7()), but(key_id=None)]),
        ({"member_id": MEMBER}, [but(member_id=None)]),
        ({"end_user": "ada"}, [but(end_user="Ada"), but(end_user=None)]),
        ({"provider": "openai"}, [but(provider="anthropic")]),
        ({"model": "gpt-5-mini"}, [but(model="gpt-5"), but(model=None)]),
        ({"model": "gpt-*"}, [but(model="claude-gpt-5"), but(model=None)]),
        ({"model": "*-mini"}, [but(model="gpt-5-mini-2026")]),
        ({"tag_name": "team", "tag_value": "search"}, [but(tags=None), but(tags={"team": "x"})]),
        ({"key_id": KEY, "model": "gpt-*"}, [but(key_id=uuid7()), but(model="o5")]),
        ({"each": "endUser"}, [but(end_user=None), but(end_user="")]),
        ({"each": "tag:team"}, [but(tags={}), but(tags=None)]),
        ({"each": "member"}, [but(member_id=None)]),
    ],
)
def test_4_all_that_is_named_must_match(scope: dict[str, Any], others: list[Facts]) -> None:
    assert draw(limit(**scope)) is not None
    assert [draw(limit(**scope), other) for other in others] == [None] * len(others)


def test_a_pattern_is_a_name_with_stars_and_nothing_else() -> None:
    assert draw(limit(model="gpt-5.mini")) is None
    assert draw(limit(model="[a-z]*")) is None
    assert draw(limit(model="*")) is not None


def test_what_is_taken_is_in_units_of_the_limit() -> None:
    cost = draw(limit(tolerance_percent=5))
    assert cost is not None
    assert (cost.amount, cost.ceiling, cost.subject) == (None, 10_500_000_000, "")
    tokens = draw(limit(measure=Measure.TOKENS, amount=999, tolerance_percent=10))
    assert tokens is not None
    assert (tokens.amount, tokens.ceiling) == (7, 1098)
    requests = draw(limit(measure=Measure.REQUESTS, amount=3, enforcement=Enforcement.SOFT))
    assert requests is not None
    assert (requests.amount, requests.ceiling) == (1, None)


@pytest.mark.parametrize(
    ("each", "subject"),
    [
        ("apiKey", show_id("key", KEY)),
        ("project", show_id("prj", PROJECT)),
        ("member", show_id("mem", MEMBER)),
        ("endUser", "ada"),
        ("model", "gpt-5-mini"),
        ("provider", "openai"),
        ("tag:team", "search"),
    ],
)
def test_each_counts_apart(each: str, subject: str) -> None:
    taken = draw(limit(each=each))
    assert taken is not None
    assert taken.subject == subject


def test_a_subject_fits_into_an_index_whatever_it_is() -> None:
    long = [draw(limit(each="endUser"), but(end_user="é" * 5_000 + end)) for end in "ab"]
    subjects = {taken.subject for taken in long if taken is not None}
    assert len(subjects) == 2
    assert all(len(subject.encode()) < 500 for subject in subjects)
    nul = draw(limit(each="endUser"), but(end_user="a\0b"))
    assert nul is not None
    assert nul.subject == "a\ufffdb"


def test_3_a_period_begins_where_it_was_begun_anew_in_this_mode() -> None:
    watch = Watch(limit(reset_live_at=NOW - timedelta(minutes=5)))
    live, test = watch.draw(CALL, NOW, 0), watch.draw(but(livemode=False), NOW, 0)
    assert live is not None
    assert test is not None
    assert live.period_start == NOW - timedelta(minutes=5)
    assert test.period_start == NOW.replace(hour=0, minute=0, second=0)
    tomorrow = watch.draw(CALL, NOW + timedelta(days=1), 0)
    assert tomorrow is not None
    assert tomorrow.period_start == datetime(2026, 11, 22, tzinfo=UTC)


def test_a_billing_cycle_is_the_plans_or_the_month() -> None:
    cycles = [datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)]

    def cycle_at(
        org_id: UUID, livemode: bool, at: datetime
    ) -> tuple[datetime, datetime | None] | None:
        assert org_id == ORG
        assert cycles[0] <= at < cycles[-1]
        return (cycles[0], cycles[-1]) if livemode else None

    cycle = Watch(limit(period=Period.BILLING_CYCLE), cycle_at)
    assert cycle.span(NOW, livemode=True) == tuple(cycles)
    cycles[0] = datetime(2026, 11, 20, tzinfo=UTC)  # another plan, another cycle
    assert cycle.span(NOW, livemode=True) == tuple(cycles)
    month = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert cycle.span(NOW, livemode=False) == month
    assert Watch(limit(period=Period.BILLING_CYCLE)).span(NOW, livemode=True) == month


@pytest.mark.parametrize(
    ("scope", "kind"),
    [
        ({}, Kind.ORGANIZATION),
        ({"project_id": PROJECT, "model": "gpt-*"}, Kind.PROJECT),
        ({"project_id": PROJECT, "each": "endUser"}, Kind.END_USER),
        ({"key_id": KEY, "each": "model"}, Kind.API_KEY),
        ({"each": "tag:team"}, Kind.TAG),
    ],
)
def test_a_limit_is_named_by_the_narrowest_it_is_about(scope: dict[str, Any], kind: Kind) -> None:
    assert limit(**scope).kind is kind


def book_of(*limits: Limit) -> LimitBook:
    book = LimitBook(None, MovableClock(NOW))  # pyright: ignore[reportArgumentType] (it asks nothing)
    book.learn(limits)
    return book


def headers_of(error: TollkeeperError) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in manner_headers(error)}


def test_5_a_spent_budget_says_what_is_left_and_when_it_begins_again() -> None:
    spent = limit(key_id=KEY, name="CI")
    error = book_of(spent).refusal(
        spent.limit_id,
        required=2 * DOLLAR,
        room=-5,
        affordable_max_tokens=12,
        top_up_url="https://example.com/billing",
    )
    assert (error.status, error.code) == (402, "api_key_spend_limit_exceeded")
    shown = show_id("bud", spent.limit_id)
    assert error.members == {
        "required": Money(2 * DOLLAR),
        "available": Money(0),
        "currency": "USD",
        "limitSource": f"api_key:{shown}",
        "budgetId": shown,
        "budgetName": "CI",
        "resetsAt": datetime(2026, 11, 22, tzinfo=UTC),
        "affordableMaxTokens": 12,
        "topUpUrl": "https://example.com/billing",
    }
    assert headers_of(error) == {"x-should-retry": "false"}
    assert b'"available":0,' in problem_body(error)


def test_5_a_rate_says_when_to_come_back() -> None:
    rate = limit(measure=Measure.TOKENS, amount=1_000, period=Period.MINUTE, each="apiKey")
    book = book_of(rate)
    error = book.refusal(rate.limit_id, required=400, room=100)
    assert (error.status, error.code) == (429, "rate_limit_exceeded")
    assert headers_of(error) == {
        "x-should-retry": "true",
        "retry-after": "30",
        "x-ratelimit-limit": "1000",
        "x-ratelimit-remaining": "100",
        "x-ratelimit-reset": "30",
    }
    assert error.members["unit"] == "tokens"
    too_large = book.refusal(rate.limit_id, required=1_001, room=1_000)
    assert (too_large.status, too_large.code) == (429, "request_exceeds_rate_limit")
    assert headers_of(too_large)["x-should-retry"] == "false"
    assert "retry-after" not in headers_of(too_large)


def test_5_a_removed_limit_is_still_named() -> None:
    gone = limit(each="member", deleted_at=NOW)
    book = book_of(gone)
    assert book.draws(CALL, NOW, 1) == ()
    assert book.refusal(gone.limit_id, required=1, room=0).code == "member_budget_exceeded"
    unheard = book.refusal(uuid7(), required=1, room=0)
    assert unheard.code == "organization_budget_exceeded"


def test_a_call_is_asked_of_few_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = [limit(key_id=KEY), limit(), limit(project_id=PROJECT), limit(end_user="ada")]
    others = [limit(key_id=uuid7()) for _ in range(2_000)]
    book = book_of(*mine, *others)
    asked: list[UUID] = []
    draw = Watch.draw

    def noted(watch: Watch, facts: Facts, at: datetime, tokens: int) -> Draw | None:
        asked.append(watch.limit.limit_id)
        return draw(watch, facts, at, tokens)

    monkeypatch.setattr(Watch, "draw", noted)
    wanted = {one.limit_id for one in mine}
    assert {taken.limit_id for taken in book.draws(CALL, NOW, 1)} == wanted
    assert set(asked) == wanted


@pytest.fixture
async def books(database: Database) -> AsyncIterator[tuple[LimitBook, LimitBook]]:
    clock = MovableClock(NOW)
    async with database.transaction() as tx:
        await orgs.create_org(tx, org_id=ORG, name="Acme", now=NOW)
    async with LimitBook.open(database, clock) as one, LimitBook.open(database, clock) as other:
        yield one, other


async def test_2_every_process_hears_of_a_change_and_of_a_removal(
    database: Database, books: tuple[LimitBook, LimitBook]
) -> None:
    made = limit(
        measure=Measure.TOKENS,
        period=Period.WEEK,
        time_zone="Asia/Kathmandu",
        model="gpt-*",
        tag_name="team",
        tag_value="search",
        each="endUser",
        alert_percents=(50, 90),
    )

    async def both(say: Callable[[LimitBook], bool]) -> None:
        began = time.monotonic()
        while not all(say(book) for book in books):
            assert time.monotonic() - began < 5
            await books[0].refresh()
            await books[1].refresh()

    async with database.transaction() as tx:
        assert await store.insert_limit(tx, made)
    async with database.transaction() as tx:
        assert not await store.insert_limit(tx, made)
    await both(lambda book: book.find(made.limit_id) == made)
    assert len(books[1].draws(CALL, NOW, 1)) == 1
    raised = msgspec.structs.replace(made, amount=20, name="More", alert_percents=())
    async with database.transaction() as tx:
        assert await store.change_limit(tx, raised) == raised
    await both(lambda book: book.find(made.limit_id) == raised)
    async with database.transaction() as tx:
        assert await store.reset_limit(tx, ORG, made.limit_id, livemode=False, now=NOW)
    begun = msgspec.structs.replace(raised, reset_test_at=NOW)
    await both(lambda book: book.find(made.limit_id) == begun)
    async with database.transaction() as tx:
        assert await store.delete_limit(tx, ORG, made.limit_id, NOW)
    await both(lambda book: book.draws(CALL, NOW, 1) == ())
    assert books[1].refusal(made.limit_id, required=1, room=0).code == "end_user_budget_exceeded"
    async with LimitBook.open(database, MovableClock(NOW)) as later:
        assert later.find(made.limit_id) is not None
        assert later.draws(CALL, NOW, 1) == ()


async def test_2_polling_alone_tells_within_a_second_or_so(
    database: Database, books: tuple[LimitBook, LimitBook]
) -> None:
    made = limit()
    async with database.transaction() as tx:
        await store.insert_limit(tx, made)
    async with asyncio.timeout(5):
        while not all(book.find(made.limit_id) for book in books):  # noqa: ASYNC110 (others make it true)
            await asyncio.sleep(0.05)
