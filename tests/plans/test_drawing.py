"""What a call draws; and that what is held of credit beside it is enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import DOLLAR, END, MTOK, START, consumable, model, terms

from tollkeeper import pricing
from tollkeeper.ledger import Draw
from tollkeeper.plans import (
    Consumable,
    Matcher,
    Terms,
    allowance_exhausted,
    bound_draws,
    consumable_of,
    draws_of,
    overage_of,
)
from tollkeeper.pricing import Line, Markup, Rating


def drawn(given_terms: Terms, rating: Rating, operation: str | None = None) -> tuple[Draw, ...]:
    return draws_of(
        given_terms,
        rating.lines,
        livemode=True,
        provider="acme",
        model="m1",
        operation=operation,
    )


PRICED = model(input=2 * DOLLAR, output=8 * DOLLAR, web_search=MTOK * DOLLAR)


def test_the_lines_of_a_call_are_drawn_together() -> None:
    rating = pricing.rate(PRICED, {"input": 1000, "output": 100, "web_search": 2})
    plan = terms(consumable("llm_tokens", 5000))
    (draw,) = drawn(plan, rating)
    assert draw == Draw(
        limit_id=plan.limit_ids[0],
        livemode=True,
        period_start=START,
        ceiling=5000,
        amount=1100,
        covers=2_000_000 + 800_000,
        lines=(0, 1),
    )


def test_a_line_is_covered_once_by_the_first_that_says_so() -> None:
    rating = pricing.rate(PRICED, {"input": 1000, "output": 100})
    plan = terms(consumable("out", 50, Matcher(units=("output",))), consumable("all", 50))
    assert [(draw.limit_id, draw.amount, draw.lines) for draw in drawn(plan, rating)] == [
        (plan.limit_ids[1], 1000, (0,)),
        (plan.limit_ids[0], 100, (1,)),
    ]


@pytest.mark.parametrize(
    ("matcher", "covered"),
    [
        (Matcher(sku="m1-llm-*"), True),
        (Matcher(sku="m2-*"), False),
        (Matcher(provider="acme", model="m*"), True),
        (Matcher(provider="other"), False),
        (Matcher(operation="chat"), True),
        (Matcher(operation="speech"), False),
        (Matcher(units=("output",)), False),
    ],
)
def test_what_a_matcher_says_must_all_hold(matcher: Matcher, covered: bool) -> None:
    rating = pricing.rate(PRICED, {"input": 10})
    assert bool(drawn(terms(consumable("c", 5, matcher)), rating, "chat")) is covered


def test_units_are_rounded_up_once_per_consumable() -> None:
    lines = [Line("tts", "second", Decimal("90.5"), 1, 1, 1, 91)] * 2
    plan = terms(consumable("voice_minutes", 100, Matcher(units=("second",)), unit_size=60))
    (draw,) = draws_of(plan, lines, livemode=True, provider="own", model="tts", operation=None)
    assert (draw.amount, draw.covers) == (4, 182)


def test_a_fixed_fee_is_no_unit_of_anything() -> None:
    rating = pricing.rate(PRICED, {"input": 10}, markup=Markup(0, 500))
    (draw,) = drawn(terms(consumable("c", 5, Matcher(model="*"))), rating)
    assert (draw.amount, draw.lines) == (10, (0,))


def test_nothing_is_drawn_of_nothing_and_what_is_hard_refuses() -> None:
    rating = pricing.rate(PRICED, {"input": 10})
    assert drawn(terms(consumable("c", 0)), rating) == ()
    (draw,) = drawn(terms(consumable("c", 0, overage_allowed=False)), rating)
    assert (draw.ceiling, draw.amount, draw.whole) == (0, 10, True)


def test_a_plans_own_price_is_for_what_it_covers() -> None:
    plan = terms(
        consumable("out", 50, Matcher(units=("output",)), overage_nanos=DOLLAR, overage_per=1000)
    )
    assert overage_of(plan, PRICED, None) == {"output": (DOLLAR, 1000)}
    assert overage_of(None, PRICED, None) is None
    assert overage_of(terms(consumable("c", 5)), PRICED, None) is None


def test_exhausted_says_when_it_resets_and_what_would_help() -> None:
    hard = consumable("emails", 100, overage_allowed=False)
    plan = terms(hard, consumable("c", 5))
    error = allowance_exhausted(plan, hard, used=100, upgrades=["max"], top_up_url="https://x")
    assert (error.status, error.code) == (402, "allowance_exhausted")
    assert error.members == {
        "allowance": "emails",
        "plan": "pro",
        "included": 100,
        "resetsAt": END,
        "limitSource": "allowance",
        "upgradePlans": ["max"],
        "used": 100,
    }
    assert "2027-02-01" in error.detail
    assert "max" in error.detail
    soft = allowance_exhausted(plan, plan.consumables[1], top_up_url="https://x")
    assert soft.members["topUpUrl"] == "https://x"
    assert consumable_of(plan, plan.limit_ids[0]) is hard
    assert consumable_of(plan, PRICED.id) is None


# What the ledger does, on paper: as many units as there are left, and their part of the cost,
# rounded down.
def taken(draw: Draw, left: int) -> tuple[int, int]:
    assert draw.amount is not None
    assert draw.covers is not None
    units = min(left, draw.amount)
    return units, draw.covers * units // draw.amount


PRICES = st.integers(0, 10**12)
UNITS = ("input", "cache_read", "output", "reasoning", "input_audio")
COVERED = st.sampled_from(
    [("tokens",), ("input",), ("output", "reasoning"), ("cache_read", "input"), ("input_audio",)]
)


@st.composite
def consumables(draw: st.DrawFn) -> Sequence[Consumable]:
    return [
        consumable(
            f"c{place}",
            draw(st.integers(1, 3000)),
            Matcher(units=draw(COVERED)),
            unit_size=draw(st.sampled_from([1, 1, 60])),
            overage_nanos=draw(st.none() | PRICES),
        )
        for place in range(draw(st.integers(1, 3)))
    ]


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(dict.fromkeys(UNITS, PRICES)),
    consumables(),
    st.fixed_dictionaries({"input": st.integers(0, 3000), "output": st.integers(0, 500)}),
    st.integers(0, 10**6),
    st.data(),
)
def test_credit_held_is_no_less_than_credit_taken(
    prices: Mapping[str, int],
    included: Sequence[Consumable],
    bounds: Mapping[str, int],
    fixed: int,
    data: st.DataObject,
) -> None:
    version, plan, markup = model(**prices), terms(*included), Markup(0, fixed)
    overage = overage_of(plan, version, None)
    most = pricing.worst_case(version, bounds, markup=markup, overage=overage)
    held = bound_draws(
        plan,
        version,
        bounds,
        most,
        pricing.worst_case_by_bound(version, bounds, markup=markup, overage=overage),
        livemode=True,
        operation=None,
        beside_nanos=fixed,
    )
    left = {
        limit: data.draw(st.integers(0, one.included))
        for limit, one in zip(plan.limit_ids, plan.consumables, strict=True)
    }
    reserved = {draw.limit_id: taken(draw, left[draw.limit_id])[0] for draw in held}
    credit_held = most - sum(taken(draw, left[draw.limit_id])[1] for draw in held)

    read, written = (data.draw(st.integers(0, bounds[unit])) for unit in ("input", "output"))
    cached, heard = data.draw(st.integers(0, read)), 0
    heard = data.draw(st.integers(0, read - cached))
    thought = data.draw(st.integers(0, written))
    usage = {
        "input": read - cached - heard,
        "cache_read": cached,
        "input_audio": heard,
        "output": written - thought,
        "reasoning": thought,
    }
    rating = pricing.rate(version, usage, markup=markup, overage=overage)
    draws = drawn(plan, rating)
    credit = rating.cost_nanos
    for draw in draws:
        # Others may have given back what they held, but have not taken what was held here.
        there = data.draw(st.integers(reserved.get(draw.limit_id, 0), left[draw.limit_id]))
        credit -= taken(draw, there)[1]
    assert credit <= credit_held
    assert 0 <= credit_held <= most
    assert sum(draw.covers or 0 for draw in draws) <= rating.cost_nanos
