"""Every cost can be worked out again from its record (L6)."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from priced import each, markups, mtok, tiers, usages, version, versions

from tollkeeper.pricing import (
    Book,
    Markup,
    ModelNotPriced,
    PriceVersion,
    Usage,
    explain,
    from_record,
    rate,
    recompute,
    to_record,
)


@given(versions(), usages, markups, tiers)
def test_a_record_gives_the_cost_again(
    priced: PriceVersion, usage: Usage, markup: Markup, tier: str | None
) -> None:
    rating = rate(priced, usage, markup=markup, service_tier=tier)
    record = json.loads(json.dumps(to_record(rating)))
    assert recompute(record, Book([priced])) == rating.cost_nanos == record["cost"]
    assert from_record(record) == rating


def test_a_changed_record_gives_another_cost() -> None:
    priced = version({"input": mtok("2.5")})
    record = to_record(rate(priced, {"input": 1000}))
    for change in ({"usage": {"input": 1001}}, {"markup": [1000, 0]}, {"tier": "flex"}):
        assert recompute({**record, **change}, Book([priced])) != record["cost"]


def test_a_version_that_the_book_lacks() -> None:
    record = to_record(rate(version({"input": mtok("2.5")}), {"input": 1000}))
    with pytest.raises(ModelNotPriced, match=record["version"]):
        recompute(record, Book())


def test_a_record_is_compact() -> None:
    priced = version({"input": mtok("2.5"), "page": each("0.5")}, model="m")
    assert to_record(rate(priced, {"input": 1000, "page": Decimal("1.50")})) == {
        "version": str(priced.id),
        "usage": {"input": 1000, "page": "1.50"},
        "cost": 752_500_000,
        "lines": [
            ["m-llm-input-mtoken", "input", 1000, 10**6, 2_500_000_000, 2_500_000_000, 2_500_000],
            ["m-page-unit", "page", "1.50", 1, 500_000_000, 500_000_000, 750_000_000],
        ],
    }


def test_the_formula_reads_like_arithmetic() -> None:
    priced = version({"input": mtok("2.5"), "page": each("0.5")}, model="m")
    usage = {"input": 1000, "page": 2, "image": 3}
    assert explain(rate(priced, usage, markup=Markup(200_000, 5000))).splitlines() == [
        "m-llm-input-mtoken: 1000 x 2.5 / 1000000 x 1.2 = 0.003",
        "m-page-unit: 2 x 0.5 x 1.2 = 1.2",
        "m-request-fee: 1 x 0.000005 = 0.000005",
        "image: 3 without a price",
        "= 1.203005",
    ]
