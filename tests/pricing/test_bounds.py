"""A hold is a true upper bound, and what is affordable its exact inverse (P7, P8)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from priced import dollars, each, markups, mtok, version, versions

from tollkeeper.pricing import (
    NO_LIMIT,
    InvalidUsage,
    Markup,
    ModelNotPriced,
    PriceVersion,
    affordable,
    rate,
    read_catalogue,
    worst_case,
)
from tollkeeper.pricing.units import INPUT_TOKENS, OUTPUT_TOKENS

REACH: Mapping[str, Collection[str]] = {"input": [*INPUT_TOKENS], "output": [*OUTPUT_TOKENS]}

bounds = st.fixed_dictionaries(
    {"input": st.integers(0, 4_000), "output": st.integers(0, 2_000)},
    optional={"request": st.integers(0, 2), "page": st.decimals(0, 9, places=9)},
)
PRICED = ("input", "output", "request", "page")


@st.composite
def usage_within(draw: st.DrawFn, limits: Mapping[str, int], kinds: str | None) -> dict[str, int]:
    """Spend each bound in the buckets its tokens can land in."""
    usage: dict[str, int] = {}
    for bound, limit in limits.items():
        left = limit
        reach = REACH.get(bound, [bound])
        for unit in draw(st.permutations(sorted(reach))):
            modality = {**INPUT_TOKENS, **OUTPUT_TOKENS}.get(unit)
            if kinds is not None and modality not in (None, kinds):
                continue
            part = draw(st.integers(0, int(left))) if type(left) is int else left
            usage[unit] = part
            left -= part
    return usage


@given(st.data(), versions(PRICED), bounds, markups)
def test_no_usage_within_the_bounds_costs_more(
    data: st.DataObject, priced: PriceVersion, limits: dict[str, int], markup: Markup
) -> None:
    usage = data.draw(usage_within(limits, None))
    tier = data.draw(st.sampled_from([None, *priced.service_tiers]))
    cost = rate(priced, usage, markup=markup, service_tier=tier).cost_nanos
    assert cost <= worst_case(priced, limits, markup=markup)
    assert cost <= worst_case(priced, limits, markup=markup, service_tiers=(tier,))


@given(st.data(), versions(PRICED), bounds)
def test_nor_does_text_where_only_text_is_possible(
    data: st.DataObject, priced: PriceVersion, limits: dict[str, int]
) -> None:
    usage = data.draw(usage_within(limits, "text"))
    assert rate(priced, usage).cost_nanos <= worst_case(priced, limits, modalities=("text",))


@given(versions(PRICED), bounds, markups, st.integers(0, 10**13))
def test_affordable_is_the_exact_inverse(
    priced: PriceVersion, limits: dict[str, int], markup: Markup, available: int
) -> None:
    beside = {unit: limit for unit, limit in limits.items() if unit != "output"}
    most = affordable(priced, beside, available, markup=markup)

    def needed(output: int) -> int:
        return worst_case(priced, {**beside, "output": output}, markup=markup)

    if most:
        assert needed(min(most, 10**15)) <= available
    if most < NO_LIMIT:
        assert needed(most + 1) > available


@given(versions(PRICED), bounds, st.integers(1, 500))
def test_a_wider_bound_never_costs_less(
    priced: PriceVersion, limits: dict[str, int], more: int
) -> None:
    for unit, limit in limits.items():
        wider = {**limits, unit: limit + more}
        assert worst_case(priced, wider) >= worst_case(priced, limits)


GPT = version(
    {
        "input": mtok("2.5", {272_000: "5"}),
        "cache_read": mtok("0.25"),
        "output": mtok("15", {272_000: "22.5"}),
    },
    service_tiers={"priority": {"input": mtok("5"), "output": mtok("30")}},
)
TEXT_ONLY = ("text",)


@pytest.mark.parametrize(
    ("limits", "tiers", "most"),
    [
        ({"input": 1_000_000}, (None,), "5"),
        ({"input": 100_000}, (None,), "0.25"),
        ({"input": 1000, "output": 1000}, (None,), "0.0175"),
        ({"input": 1000, "output": 1000}, ("priority",), "0.035"),
        ({"input": 1000, "output": 1000}, ("priority", None), "0.035"),
        ({"input": 1000, "output": 1000}, None, "0.035"),
        ({"input": 1000, "output": 1000}, (), "0.0175"),
        ({}, None, "0"),
    ],
)
def test_worst_cases(
    limits: dict[str, int], tiers: tuple[str | None, ...] | None, most: str
) -> None:
    slack = worst_case(GPT, limits, service_tiers=tiers) - dollars(most)
    assert 0 <= slack <= 3  # at most half a nano for each line it could become


def test_a_price_per_request_is_held_exactly() -> None:
    sql = version({"request": each("0.02")}, provider="own")
    assert worst_case(sql, {"request": 1}) == dollars("0.02")
    assert worst_case(sql, {"request": 1}, markup=Markup(100_000, 3)) == dollars("0.022") + 3


def test_rounding_line_by_line_stays_below_the_bound() -> None:
    half = each("0.000000001", 2)
    units = ("input", "cache_read", "cache_write", "cache_write_1h")
    priced = version({**dict.fromkeys(units, half), "output": half, "reasoning": half})
    usage = dict.fromkeys(priced.rates, 1)
    assert rate(priced, usage).cost_nanos == 6
    assert worst_case(priced, {"input": 4, "output": 2}) == 6
    assert [affordable(priced, {"input": 4}, money) for money in (4, 5, 6)] == [0, 1, 3]


def test_cache_writes_and_audio_count_as_input_unless_ruled_out() -> None:
    priced = version(
        {"input": mtok("1"), "cache_write": mtok("2"), "input_audio": mtok("9")},
    )
    assert worst_case(priced, {"input": 10**6}) // 10**6 == dollars("9") // 10**6
    text = worst_case(priced, {"input": 10**6}, modalities=TEXT_ONLY)
    assert text // 10**6 == dollars("2") // 10**6
    apart = worst_case(priced, {"input": 10**6, "input_audio": 10**6}, modalities=TEXT_ONLY)
    assert apart // 10**6 == dollars("11") // 10**6


@pytest.mark.parametrize(
    ("limits", "tiers"),
    [
        ({"image": 1}, None),
        ({"input": 1, "output_audio": 1}, None),
        ({"input": 1}, ("scale",)),
        ({"input": 1}, (None, "scale")),
        ({"web_search": 1}, ("priority",)),
    ],
)
def test_a_bound_without_a_price_is_refused(
    limits: dict[str, int], tiers: tuple[str | None, ...] | None
) -> None:
    with pytest.raises(ModelNotPriced):
        worst_case(GPT, limits, service_tiers=tiers)


def test_affordable_needs_an_output_price() -> None:
    with pytest.raises(ModelNotPriced, match="output"):
        affordable(version({"input": mtok("1")}), {"input": 1}, 10**9)


def test_affordable_when_free_and_when_broke() -> None:
    free = version({"input": mtok("0"), "output": mtok("0")})
    assert affordable(free, {"input": 10}, 0) == NO_LIMIT
    assert affordable(free, {"input": 10}, -1) == 0
    assert affordable(GPT, {"input": 1_000_000}, dollars("4.99")) == 0
    assert affordable(GPT, {}, dollars("0.01"), service_tiers=(None,)) == 666


def test_bounds_are_checked_as_usage_is() -> None:
    with pytest.raises(InvalidUsage):
        worst_case(GPT, {"input": -1})


def test_every_price_we_ship_can_be_bounded() -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    for priced in read_catalogue():
        if priced.ended or priced.effective_from > now:
            continue
        limits = dict.fromkeys(priced.rates, 1000)
        assert worst_case(priced, limits) >= rate(priced, limits).cost_nanos
