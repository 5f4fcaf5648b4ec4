"""Prices that the tests of this room share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tollkeeper.pricing import Markup, PriceVersion, Rate, seal
from tollkeeper.pricing.units import COUNTS, INPUT_TOKENS, OTHER_TOKENS, OUTPUT_TOKENS

START = datetime(2026, 1, 1, tzinfo=UTC)
MTOK = 1_000_000


def dollars(text: str) -> int:
    return int(Decimal(text) * 1_000_000_000)


def mtok(price: str, above: Mapping[int, str] | None = None) -> Rate:
    cliffs = tuple((start, dollars(beyond)) for start, beyond in (above or {}).items())
    return Rate(dollars(price), MTOK, cliffs)


def each(price: str, per: int = 1) -> Rate:
    return Rate(dollars(price), per)


def version(rates: Mapping[str, Rate], **fields: Any) -> PriceVersion:
    known: dict[str, Any] = {
        "provider": "acme",
        "model": "m1",
        "effective_from": START,
        "source": "a test",
    }
    return seal(PriceVersion(rates=rates, **{**known, **fields}))


ALL_UNITS = (*INPUT_TOKENS, *OUTPUT_TOKENS, *OTHER_TOKENS, *COUNTS, "page")

prices = st.integers(0, 10**12) | st.integers(0, 10)
starts = st.lists(st.integers(1, 3_000), max_size=2, unique=True).map(sorted)


@st.composite
def rate_of(draw: st.DrawFn) -> Rate:
    above = tuple((start, draw(prices)) for start in draw(starts))
    return Rate(draw(prices), draw(st.sampled_from([1, 7, 1000, 3600, MTOK])), above)


def rate_tables(required: tuple[str, ...] = ()) -> st.SearchStrategy[dict[str, Rate]]:
    optional = {unit: rate_of() for unit in ALL_UNITS if unit not in required}
    return st.fixed_dictionaries({unit: rate_of() for unit in required}, optional=optional)


@st.composite
def versions(draw: st.DrawFn, required: tuple[str, ...] = ()) -> PriceVersion:
    tiers = draw(st.lists(st.sampled_from(["flex", "priority"]), max_size=2, unique=True))
    return version(
        draw(rate_tables(required)),
        service_tiers={tier: draw(rate_tables(required)) for tier in tiers},
    )


quantities = st.integers(0, 5_000) | st.decimals(0, 5_000, places=9)
usages = st.dictionaries(st.sampled_from(ALL_UNITS), quantities, max_size=6)
markups = st.builds(Markup, st.integers(-1_000_000, 3_000_000), st.integers(0, 10**6))
tiers = st.sampled_from([None, "default", "flex", "priority", "scale"])
