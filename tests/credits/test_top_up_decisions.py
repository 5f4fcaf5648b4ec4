"""When a balance buys: a pure function, at every edge of caps, days, months and back-offs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.credits.topping_up.model import (
    BACK_OFF,
    MOST_FAILURES,
    Fire,
    Rest,
    Sums,
    TopUp,
    TopUpRules,
    TopUpState,
    after_failure,
    amount_of,
    crossed,
    day_of,
    decide,
    month_of,
    next_month,
)

DOLLAR = 1_000_000_000
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULES = TopUpRules(
    amount_min=5 * DOLLAR,
    amount_max=100_000 * DOLLAR,
    threshold_min=0,
    threshold_max=None,
    cap_multiple=4,
    cooldown=timedelta(seconds=60),
    daily_count=10,
)
SETTING = TopUp(
    org_id=uuid4(),
    wallet_id=uuid4(),
    livemode=True,
    currency="USD",
    enabled=True,
    threshold_nanos=10 * DOLLAR,
    amount_nanos=50 * DOLLAR,
    target_nanos=None,
    monthly_cap_nanos=200 * DOLLAR,
    method_id=None,
    failures=0,
    suspended_reason=None,
    not_before=None,
    last_failure=None,
    last_failure_at=None,
)
NOTHING = Sums(month_nanos=0, day_count=0, under_way=False)


@pytest.mark.parametrize(
    ("available", "fires"),
    [(10 * DOLLAR, False), (10 * DOLLAR - 1, True), (0, True), (-5 * DOLLAR, True)],
)
def test_it_fires_strictly_below_the_threshold(available: int, fires: bool) -> None:
    decided = decide(SETTING, NOTHING, available, RULES, NOW)
    assert decided == (Fire(50 * DOLLAR) if fires else Rest(TopUpState.ACTIVE))


@pytest.mark.parametrize(
    ("setting", "sums", "rest"),
    [
        ({"enabled": False}, {}, Rest(TopUpState.OFF)),
        ({"suspended_reason": "card_declined"}, {}, Rest(TopUpState.SUSPENDED)),
        ({}, {"under_way": True}, Rest(TopUpState.ACTIVE)),
        (
            {"not_before": NOW + timedelta(seconds=1)},
            {},
            Rest(TopUpState.COOLING_DOWN, NOW + timedelta(seconds=1)),
        ),
        ({}, {"day_count": 10}, Rest(TopUpState.CAPPED, datetime(2026, 11, 22, tzinfo=UTC))),
        (
            {},
            {"month_nanos": 150 * DOLLAR + 1},
            Rest(TopUpState.CAPPED, datetime(2026, 12, 1, tzinfo=UTC)),
        ),
    ],
)
def test_what_keeps_it_from_firing(
    setting: dict[str, object], sums: dict[str, object], rest: Rest
) -> None:
    changed, so_far = replace(SETTING, **setting), replace(NOTHING, **sums)  # pyright: ignore[reportArgumentType] (any field)
    assert decide(changed, so_far, 0, RULES, NOW) == rest


def test_what_just_fits_is_bought() -> None:
    assert decide(SETTING, replace(NOTHING, month_nanos=150 * DOLLAR), 0, RULES, NOW) == Fire(
        50 * DOLLAR
    )
    assert isinstance(decide(replace(SETTING, not_before=NOW), NOTHING, 0, RULES, NOW), Fire)
    assert isinstance(decide(SETTING, replace(NOTHING, day_count=9), 0, RULES, NOW), Fire)


@pytest.mark.parametrize(
    ("available", "amount"),
    [
        (3 * DOLLAR, 97 * DOLLAR),
        (3 * DOLLAR + 1, 97 * DOLLAR),  # up to whole cents
        (-1, 100 * DOLLAR + DOLLAR // 100),
        (99 * DOLLAR, 5 * DOLLAR),  # no less than may be bought
        (-200_000 * DOLLAR, 100_000 * DOLLAR),  # nor more
    ],
)
def test_a_target_is_filled_up_to(available: int, amount: int) -> None:
    target = replace(SETTING, amount_nanos=None, target_nanos=100 * DOLLAR)
    assert amount_of(target, available, RULES) == amount


def test_back_off_grows_and_ends() -> None:
    times = [after_failure(n, NOW) for n in range(1, MOST_FAILURES + 1)]
    assert times == [NOW + BACK_OFF[0], NOW + BACK_OFF[1], None]


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [(0, 79, None), (0, 80, 80), (80, 89, None), (79, 90, 90), (90, 100, 100), (0, 100, 100)],
)
def test_shares_of_the_cap_are_said_once(before: int, after: int, percent: int | None) -> None:
    assert crossed(before, after, 100) == percent


@pytest.mark.parametrize(
    ("now", "month"),
    [
        (datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, 0, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2027, 1, 31, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)),
        (
            datetime(2026, 3, 31, 23, 30, tzinfo=UTC).astimezone(),
            datetime(2026, 4, 1, tzinfo=UTC),
        ),
    ],
)
def test_months_end_where_utc_says(now: datetime, month: datetime) -> None:
    assert next_month(now) == month
    assert month_of(month) == month
    assert month_of(month - timedelta(microseconds=1)) == month_of(now)


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1)))  # noqa: DTZ001 (made aware)
def test_a_day_is_within_its_month_and_before_the_next(now: datetime) -> None:
    assert month_of(now) <= day_of(now) <= now < next_month(now)
    assert next_month(now) - month_of(now) <= timedelta(days=31)


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 100_000), st.integers(0, 60 * DOLLAR)), max_size=60
    )
)
def test_no_history_goes_past_the_caps(steps: list[tuple[bool, int, int]]) -> None:
    """Time passes, money is spent, cards decline: bought in a month, tried in a day, both bounded;
    and never again after three failures in a row."""
    setting, now, available = SETTING, NOW, 0
    bought: list[tuple[datetime, int]] = []
    tried: list[datetime] = []
    for declines, seconds, spent in steps:
        now += timedelta(seconds=seconds)
        available -= spent
        sums = Sums(
            month_nanos=sum(amount for at, amount in bought if at >= month_of(now)),
            day_count=sum(at >= day_of(now) for at in tried),
            under_way=False,
        )
        decided = decide(setting, sums, available, RULES, now)
        if not isinstance(decided, Fire):
            continue
        assert setting.failures < MOST_FAILURES
        tried.append(now)
        if declines:
            failures = setting.failures + 1
            until = after_failure(failures, now)
            reason = "card_declined" if until is None else None
            setting = replace(setting, failures=failures, not_before=until, suspended_reason=reason)
        else:
            bought.append((now, decided.amount))
            available += decided.amount
            setting = replace(setting, failures=0, not_before=now + RULES.cooldown)
        month = sum(amount for at, amount in bought if at >= month_of(now))
        assert month <= setting.monthly_cap_nanos
        assert sum(at >= day_of(now) for at in tried) <= RULES.daily_count
