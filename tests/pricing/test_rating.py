"""What a cost is made of (P1 to P6 of the room's README)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from timeit import repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from priced import dollars, each, markups, mtok, tiers, usages, version, versions

from tollkeeper.pricing import (
    InvalidUsage,
    Markup,
    ModelNotPriced,
    PriceVersion,
    Usage,
    check_priced,
    per_call,
    rate,
)

GPT = version(
    {"input": mtok("2.5"), "cache_read": mtok("0.25"), "output": mtok("15")},
    model="gpt",
    service_tiers={"flex": {"input": mtok("1.25"), "output": mtok("7.5")}},
)
CLAUDE = version(
    {
        "input": mtok("3", {200_000: "6"}),
        "cache_read": mtok("0.3", {200_000: "0.6"}),
        "cache_write": mtok("3.75", {200_000: "7.5"}),
        "output": mtok("15", {200_000: "22.5"}),
        "web_search": each("0.01"),
    },
    model="claude",
)
VOICE = version({"input": mtok("4"), "input_audio": mtok("32"), "output": mtok("16")})


@pytest.mark.parametrize(
    ("priced", "usage", "cost"),
    [
        (GPT, {"input": 1_000_000}, "2.5"),
        (GPT, {"input": 1200, "output": 300}, "0.0075"),
        (GPT, {"input": 200, "cache_read": 1000, "output": 1}, "0.000765"),
        (GPT, {"output": 100, "reasoning": 900}, "0.015"),
        (GPT, {"cache_write": 1000}, "0.0025"),
        (GPT, {"cache_write_1h": 1000}, "0.0025"),
        (CLAUDE, {"cache_write": 1000}, "0.00375"),
        (CLAUDE, {"input": 200_000}, "0.6"),
        (CLAUDE, {"input": 200_001}, "1.200006"),
        (CLAUDE, {"input": 1, "cache_read": 200_000, "output": 2}, "0.120051"),
        (CLAUDE, {"input": 10, "output": 200_001}, "3.000045"),
        (CLAUDE, {"web_search": 3}, "0.03"),
        (VOICE, {"cache_read_audio": 1000}, "0.032"),
        (version({"second": each("0.36", 3600)}), {"second": Decimal("12.5")}, "0.00125"),
        (version({"page": each("0.0015")}), {"page": 7}, "0.0105"),
        (version({"input": mtok("0")}), {"input": 7}, "0"),
    ],
)
def test_cost_in_dollars(priced: PriceVersion, usage: Usage, cost: str) -> None:
    rating = rate(priced, usage)
    assert rating.cost_nanos == dollars(cost)
    assert not rating.unpriced


@pytest.mark.parametrize(
    ("priced", "usage", "tier", "unpriced"),
    [
        (GPT, {"input": 1, "input_audio": 5}, None, {"input_audio": 5}),
        (GPT, {"input": 1, "web_search": 2}, None, {"web_search": 2}),
        (CLAUDE, {"cache_write_1h": 9}, None, {"cache_write_1h": 9}),
        (VOICE, {"output_audio": 4, "output": 1}, None, {"output_audio": 4}),
        (GPT, {"input": 1, "output": 2}, "scale", {"input": 1, "output": 2}),
        (GPT, {"image": 1}, "flex", {"image": 1}),
        (version({"image": each("0.04")}), {"output": 1}, None, {"output": 1}),
    ],
)
def test_what_has_no_price_is_reported_and_not_charged(
    priced: PriceVersion, usage: Usage, tier: str | None, unpriced: Usage
) -> None:
    rating = rate(priced, usage, service_tier=tier)
    assert rating.unpriced == unpriced
    assert {line.unit for line in rating.lines} == usage.keys() - unpriced.keys()
    with pytest.raises(ModelNotPriced, match=next(iter(unpriced))) as refused:
        check_priced(priced, usage, service_tier=tier)
    assert refused.value.status == 422
    assert refused.value.members["units"] == list(unpriced)


@pytest.mark.parametrize("tier", [None, "default", "standard", "standard_only", "auto"])
def test_names_of_the_standard_tier(tier: str | None) -> None:
    assert rate(GPT, {"input": MILLION}, service_tier=tier).cost_nanos == dollars("2.5")


def test_the_served_tier_is_charged() -> None:
    flex = rate(GPT, {"input": MILLION, "cache_read": MILLION}, service_tier="flex")
    assert flex.cost_nanos == 2 * dollars("1.25")
    check_priced(GPT, ["input", "cache_read", "reasoning"], service_tier="flex")


MILLION = 1_000_000


def test_lines_are_named_and_ordered_as_on_an_invoice() -> None:
    usage = {"web_search": 1, "output": 2, "cache_read": 3, "input": 4}
    lines = rate(CLAUDE, usage, markup=Markup(0, 5)).lines
    assert [(line.sku, line.quantity) for line in lines] == [
        ("claude-llm-input-mtoken", 4),
        ("claude-llm-cache-read-mtoken", 3),
        ("claude-llm-output-mtoken", 2),
        ("claude-web-search-unit", 1),
        ("claude-request-fee", 1),
    ]
    assert lines[0].price_nanos == dollars("3")
    assert lines[0].per == MILLION


def test_own_skus_keep_their_name() -> None:
    one = version({"request": each("0.02")}, provider="own", model="generate_sql")
    assert rate(one, {"request": 1}).lines[0].sku == "generate_sql"
    two = version({"request": each("1"), "page": each("2")}, provider="own", model="parse")
    assert [line.sku for line in rate(two, {"request": 1, "page": 1}).lines] == [
        "parse-request",
        "parse-page",
    ]


def test_markup_is_on_every_price_and_once_per_request() -> None:
    rating = rate(GPT, {"input": 1000, "output": 1000}, markup=Markup(200_000, 777))
    assert rating.cost_nanos == dollars("0.021") + 777
    first = rating.lines[0]
    assert (first.list_nanos, first.price_nanos) == (dollars("2.5"), dollars("3"))


def test_a_price_with_its_markup_is_shown_rounded() -> None:
    line = rate(version({"image": each("0.000000003")}), {"image": 10}, markup=Markup(500_000))
    assert (line.lines[0].price_nanos, line.cost_nanos) == (5, 45)  # 4.5 nanos each


def test_what_a_call_costs_by_being_made() -> None:
    asked = version({"input": mtok("1"), "request": each("0.005")})
    usage = {"input": 1000, **per_call(asked)}
    assert rate(asked, usage).cost_nanos == dollars("0.006")
    assert per_call(GPT) == {}


def test_each_line_is_rounded_once_and_halves_go_up() -> None:
    thirds = version({"input": each("0.000000001", 2), "output": each("0.000000001", 3)})
    assert rate(thirds, {"input": 1}).cost_nanos == 1
    assert rate(thirds, {"output": 1}).cost_nanos == 0
    assert rate(thirds, {"input": 1, "output": 1}).cost_nanos == 1
    # 1/2 x 1.5 = 0.75, and not round(round(1/2) x 1.5) = 2
    assert rate(thirds, {"input": 1}, markup=Markup(500_000)).cost_nanos == 1


@pytest.mark.parametrize(
    "quantity",
    [
        *[-1, 10**15 + 1, Decimal(-1), Decimal("1e15") + 1, Decimal("1E+999999")],
        *[Decimal("0.0000000001"), Decimal("1E-999999")],
        *[1.5, True, "7", None, Decimal("NaN"), Decimal("Infinity")],
    ],
)
def test_what_is_no_quantity(quantity: Any) -> None:
    with pytest.raises(InvalidUsage) as refused:
        rate(GPT, {"input": quantity})
    assert list(refused.value.faults) == ["input"]


def test_more_than_the_largest_amount() -> None:
    with pytest.raises(InvalidUsage, match="largest amount"):
        rate(version({"image": each("10000")}), {"image": 10**15})


@given(versions(), usages, markups, tiers)
def test_lines_sum_to_the_cost_and_each_is_exact(
    priced: PriceVersion, usage: Usage, markup: Markup, tier: str | None
) -> None:
    rating = rate(priced, usage, markup=markup, service_tier=tier)
    assert sum(line.amount_nanos for line in rating.lines) == rating.cost_nanos
    used = {unit for unit, quantity in usage.items() if quantity}
    lines = [line for line in rating.lines if line.unit != "fee"]
    assert {line.unit for line in lines} | rating.unpriced.keys() == used
    for line in lines:
        share = Fraction(line.list_nanos, line.per) * Fraction(1_000_000 + markup.ppm, 1_000_000)
        assert abs(line.amount_nanos - Fraction(line.quantity) * share) <= Fraction(1, 2)


@given(versions(), usages, markups, tiers, st.data())
def test_order_and_zeros_mean_nothing(
    priced: PriceVersion, usage: Usage, markup: Markup, tier: str | None, data: st.DataObject
) -> None:
    shuffled = dict(data.draw(st.permutations([*usage.items()])))
    zeros = {unit: 0 for unit in ("input", "image", "never_heard_of") if unit not in usage}
    first = rate(priced, usage, markup=markup, service_tier=tier)
    for same in (shuffled, {**zeros, **usage}, {**usage, **zeros}):
        again = rate(priced, same, markup=markup, service_tier=tier)
        assert again.lines == first.lines
        assert again.unpriced == first.unpriced
        assert again.cost_nanos == first.cost_nanos


@pytest.mark.parametrize(
    ("priced", "usage", "microseconds"),
    [
        (GPT, {"input": 1200, "output": 300}, 10),
        (version({"request": each("0.02")}, provider="own"), {"request": 1}, 4),
    ],
)
def test_rating_is_no_burden_on_the_hot_path(
    priced: PriceVersion, usage: Usage, microseconds: int
) -> None:
    fastest = min(repeat(lambda: rate(priced, usage), number=1000, repeat=20)) / 1000
    assert fastest * 1e6 < microseconds
