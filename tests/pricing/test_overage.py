"""A plan's own prices stand in for those of the book, in the cost and in its bound."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from priced import ALL_UNITS, markups, mtok, tiers, usages, version, versions

from tollkeeper.pricing import (
    Book,
    Markup,
    PriceVersion,
    Usage,
    explain,
    from_record,
    rate,
    recompute,
    to_record,
    worst_case,
    worst_case_by_bound,
)

overages = st.dictionaries(
    st.sampled_from(ALL_UNITS),
    st.tuples(st.integers(0, 10**10), st.sampled_from([1, 7, 1000, 10**6])),
    max_size=4,
)
small_bounds = st.fixed_dictionaries({"input": st.integers(0, 5000), "output": st.integers(0, 500)})


def test_it_replaces_price_and_mark_up_of_its_units_alone() -> None:
    priced = version({"input": mtok("2.5", {500: "5"}), "output": mtok("10")}, model="m")
    rating = rate(
        priced,
        {"input": 1000, "output": 100},
        markup=Markup(100_000, 7),
        overage={"input": (3_000_000, 1000)},
    )
    assert [(line.sku, line.price_nanos, line.amount_nanos) for line in rating.lines] == [
        ("m-llm-input-mtoken", 3_000_000, 3_000_000),
        ("m-llm-output-mtoken", 11_000_000_000, 1_100_000),
        ("m-request-fee", 7, 7),
    ]
    assert rating.cost_nanos == 4_100_007
    assert explain(rating).splitlines()[0] == "m-llm-input-mtoken: 1000 x 0.003 / 1000 = 0.003"


def test_it_prices_what_the_book_does_not() -> None:
    rating = rate(version({"input": mtok("1")}), {"page": 3}, overage={"page": (5, 2)})
    assert (rating.cost_nanos, rating.unpriced) == (8, {})


@given(versions(), usages, markups, tiers, overages)
def test_the_record_gives_the_cost_again(
    priced: PriceVersion,
    usage: Usage,
    markup: Markup,
    tier: str | None,
    overage: Mapping[str, tuple[int, int]],
) -> None:
    rating = rate(priced, usage, markup=markup, service_tier=tier, overage=overage)
    record = json.loads(json.dumps(to_record(rating)))
    assert recompute(record, Book([priced])) == rating.cost_nanos == record["cost"]
    assert from_record(record) == rating
    assert ("overage" in record) == bool(overage)
    plain = rate(priced, usage, markup=markup, service_tier=tier)
    assert rate(priced, usage, markup=markup, service_tier=tier, overage={}) == plain


@given(versions(("input", "output")), small_bounds, markups, overages, st.data())
def test_no_usage_within_bounds_costs_more_than_the_worst_case(
    priced: PriceVersion,
    bounds: Mapping[str, int],
    markup: Markup,
    overage: Mapping[str, tuple[int, int]],
    data: st.DataObject,
) -> None:
    used = {unit: data.draw(st.integers(0, most)) for unit, most in bounds.items()}
    cached = data.draw(st.integers(0, used["input"]))
    usage = {**used, "input": used["input"] - cached, "cache_read": cached}
    rating = rate(priced, usage, markup=markup, overage=overage)
    assert rating.cost_nanos <= worst_case(priced, bounds, markup=markup, overage=overage)
    each = worst_case_by_bound(priced, bounds, markup=markup, overage=overage)
    of_input = sum(n.amount_nanos for n in rating.lines if n.unit in ("input", "cache_read"))
    assert of_input <= each.get("input", 0)
