"""Two independent ratings of the same calls agree, or the table says why not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cross_check import (
    NOON,
    SHAPES,
    TABLE,
    agree,
    differences,
    pairs,
    render,
    their_nanos,
    usage_of,
)

from tollkeeper.pricing import rate

TIER_KEYS = ("service_tier", "processing", "speed")


def test_the_differences_are_those_of_the_table() -> None:
    compared = len(list(pairs(NOON)))
    assert compared >= 200
    assert len(SHAPES) >= 5
    found = render(differences())
    assert "UNEXPLAINED" not in found
    assert found == TABLE.read_text("utf-8")


def test_every_service_tier_agrees() -> None:
    compared = 0
    for pair in pairs(NOON):
        for variant in pair.theirs.price_variants or ():
            ((key, tier),) = variant.when.items()
            if key not in TIER_KEYS or tier not in pair.ours.service_tiers:
                continue
            for shape in ("chat", "cached", "long"):
                usage = usage_of(pair, SHAPES[shape])
                rating = rate(pair.ours, usage, service_tier=tier)
                if rating.unpriced:
                    continue
                compared += 1
                theirs = their_nanos(pair, usage, NOON, variant.when)
                assert agree(rating, theirs), (pair.ours.model, tier, shape)
    assert compared >= 300


@pytest.mark.parametrize(
    "at",
    [
        datetime(2024, 6, 1, 12, tzinfo=UTC),
        datetime(2025, 7, 1, 12, tzinfo=UTC),
        datetime(2026, 3, 13, 0, tzinfo=UTC),
        datetime(2026, 10, 12, 0, tzinfo=UTC),
        datetime(2027, 6, 1, 12, tzinfo=UTC),
    ],
)
def test_past_and_announced_prices_agree(at: datetime) -> None:
    compared = 0
    for pair in pairs(at):
        for shape in ("chat", "long"):
            usage = usage_of(pair, SHAPES[shape])
            rating = rate(pair.ours, usage)
            if not rating.unpriced and not pair.ours.note:
                compared += 1
                assert agree(rating, their_nanos(pair, usage, at)), (pair.ours.model, shape)
    assert compared >= 900
