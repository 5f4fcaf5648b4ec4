"""Price files: what a person writes is what is charged, and what is wrong is said where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from priced import START, dollars, each, mtok, version, versions

from tollkeeper.pricing import (
    InvalidPrices,
    PriceVersion,
    Rate,
    catalogue_dir,
    read_catalogue,
    read_price_file,
    seal,
    write_price_file,
)
from tollkeeper.pricing.sanity import faults_in

HEAD = "provider: acme\nsource: a page\nchecked_on: 2026-01-31\nmodels:\n"
GOOD = (
    HEAD
    + """
  m1:
    aliases: [m1-latest, m1-<snapshot>]
    context: 1000
    max_output_tokens: 100
    prices:
      - from: always
        rates: {input: 2.50, output: {price: 10, above: {200: 20.000000001}}}
      - from: 2026-02-01
        note: cheaper
        rates:
          input: 1
          audio_second: {price: 0.36, per: 3600}
        service_tiers:
          flex: {input: 0.5}
      - from: 2026-03-01 12:30:00+02:00
        ended: true
"""
)


def test_a_file_is_read_as_it_is_written() -> None:
    first, second, third = read_price_file(GOOD, "acme.yaml")
    assert first.rates == {
        "input": mtok("2.5"),
        "output": Rate(dollars("10"), 1_000_000, ((200, dollars("20.000000001")),)),
    }
    assert first.effective_from == datetime(1970, 1, 1, tzinfo=UTC)
    assert (first.aliases, first.context) == (("m1-latest", "m1-<snapshot>"), 1000)
    assert second.rates["audio_second"] == each("0.36", 3600)
    assert second.service_tiers == {"flex": {"input": mtok("0.5")}}
    assert second.note == "cheaper"
    assert third.ended
    assert third.effective_from == datetime(2026, 3, 1, 10, 30, tzinfo=UTC)
    assert {v.source for v in (first, second, third)} == {"a page"}


def one(price: str) -> str:
    return f"{HEAD}  m1:\n    prices:\n      - {price}\n"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", "acme.yaml", "mapping"),
        ("a: [", "acme.yaml", "expected"),
        ("provider: acme\nprovider: acme", "acme.yaml", "comes twice"),
        ("source: x\nmodels: {m: 1}", "acme.yaml: provider", "must be a text"),
        ("provider: acme\nmodels: {m: 1}", "acme.yaml: source", "must be a text"),
        (HEAD + "  m1: {}", "acme.yaml: models.m1.prices", "list of prices"),
        ("provider: acme\nsource: x", "acme.yaml: models", "at least one"),
        (HEAD.replace("source:", "sauce:"), "acme.yaml: sauce", "did you mean source"),
        (HEAD + "  m1: {context: 1.5}", "acme.yaml: models.m1.context", "whole number"),
        (HEAD + "  m1: {aliases: x}", "acme.yaml: models.m1.aliases", "list"),
        (one("{rates: {input: 1}}"), "acme.yaml: models.m1.prices[0].from", "must be a day"),
        (one("{from: soon, rates: {input: 1}}"), "acme.yaml: models.m1.prices[0].from", "a day"),
        (one("{from: always, rates: {}}"), "acme.yaml: models.m1.prices[0].rates", "at least one"),
    ],
)
def test_faults_name_the_file_and_the_field(text: str, place: str, said: str) -> None:
    with pytest.raises(InvalidPrices) as refused:
        read_price_file(text, "acme.yaml")
    assert said in " ".join(refused.value.faults[place])


@pytest.mark.parametrize(
    ("rates", "place", "said"),
    [
        ("input: cheap", "input", "a price in dollars"),
        ("input: -1", "input", "a price in dollars"),
        ("input: 1e-6", "input", "a price in dollars"),
        ("input: .inf", "input", "a price in dollars"),
        ("input: 0x10", "input", "a price in dollars"),
        ("input: 0.0000000001", "input", "9 decimals"),
        ("input: 0.0000025", "input", "price of one token"),
        ("input: 2500", "input", "more than any model costs"),
        ("input: {price: 0.0025, per: 1}", "input", "more than any model costs"),
        ("input: {price: 1, per: 0}", "input", "per must be"),
        ("input: {price: 1, above: {0: 2}}", "input", "above"),
        ("input: {price: 1, above: {20: 2, 10: 3}}", "input", "ascending"),
        ("input: {price: 1, above: {20: x}}", "input.above.20", "a price in dollars"),
        ("input: {prize: 1}", "input.prize", "did you mean price"),
        ("input: 1, cache_read: 2", "cache_read", "dearer than input"),
        ("image: 20000", "image", "above 10000"),
        ("Input: 1", "Input", "no name for a unit"),
        ("fee: 1", "fee", "no name for a unit"),
    ],
)
def test_what_no_price_looks_like(rates: str, place: str, said: str) -> None:
    with pytest.raises(InvalidPrices) as refused:
        read_price_file(one(f"{{from: always, rates: {{{rates}}}}}"), "acme.yaml")
    assert said in refused.value.faults[f"acme.yaml: models.m1.prices[0].rates.{place}"][0]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"provider": "Acme Inc"}, "provider"),
        ({"model": "two words"}, "model"),
        ({"aliases": ("<snapshot>-m1",)}, "aliases"),
        ({"effective_from": START.replace(tzinfo=None)}, "from"),
        ({"context": 0}, "context"),
        ({"source": ""}, "source"),
        ({"service_tiers": {"default": {"input": mtok("1")}}}, "service_tiers.default"),
        ({"service_tiers": {"flex": {"input": Rate(1, 1_000_000)}}}, "service_tiers.flex.input"),
    ],
)
def test_names_and_limits_are_checked_too(fields: dict[str, object], place: str) -> None:
    bad = replace(version({"input": mtok("1")}), **fields)
    assert [where for where, _ in faults_in(bad)] == [place]


def test_a_file_may_be_written_as_json_whose_dates_stand_in_quotes() -> None:
    (found,) = read_price_file(
        '{"provider": "acme", "source": "a page", "checked_on": "2026-01-31", "models":'
        ' {"m": {"prices": [{"from": "2026-02-01T08:00Z", "rates": {"input": 2.5}}]}}}',
        "acme.json",
    )
    assert found.effective_from == datetime(2026, 2, 1, 8, tzinfo=UTC)
    assert str(found.checked_on) == "2026-01-31"


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(one("{from: always, rates: {input: x, output: y}}"))
    (tmp_path / "b.yaml").write_text(one("{from: never, rates: {input: 1}}"))
    (tmp_path / "c.example.yaml").write_text("nonsense")
    with pytest.raises(InvalidPrices) as refused:
        read_catalogue(tmp_path)
    assert len(refused.value.faults) == 3


def test_a_name_may_mean_one_model_only(tmp_path: Path) -> None:
    price = "prices: [{from: always, rates: {input: 1}}]"
    text = f"{HEAD}  m1: {{aliases: [m2], {price}}}\n  m2: {{{price}}}\n"
    (tmp_path / "acme.yaml").write_text(text)
    with pytest.raises(InvalidPrices, match="more than one model: m1, m2"):
        read_catalogue(tmp_path)


def sensible(priced: PriceVersion) -> PriceVersion:
    """Bring random prices into the range that files accept."""

    def fit(rates: Mapping[str, Rate]) -> dict[str, Rate]:
        return {
            unit: Rate(
                max(rate.price_nanos, 10**6) % 10**9 * 10**3 + 10**9,
                1_000_000,
                tuple((start, 2 * 10**9 + price % 10**6) for start, price in rate.above),
            )
            for unit, rate in rates.items()
            if not unit.startswith("cache_read")
        }

    tiers = {tier: fit(rates) for tier, rates in priced.service_tiers.items()}
    return version(fit(priced.rates), service_tiers=tiers)


texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=40)


@given(versions(("input",)), texts, texts, st.integers(0, 10**10))
def test_writing_and_reading_back_changes_nothing(
    priced: PriceVersion, source: str, note: str, seconds: int
) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    written = seal(
        replace(sensible(priced), source=source or "x", note=note, effective_from=moment)
    )
    assert read_price_file(write_price_file([written]), "acme.yaml") == [written]


def test_the_files_we_ship_are_exact() -> None:
    assert len(read_catalogue()) > 500
    for path in sorted(catalogue_dir().glob("*.yaml")):
        found = read_price_file(path.read_text("utf-8"), path.name)
        again = read_price_file(write_price_file(found), path.name)
        assert {version.id for version in found} == {version.id for version in again}


def test_one_provider_to_a_file() -> None:
    mixed = [version({"input": mtok("1")}), version({"input": mtok("1")}, provider="other")]
    with pytest.raises(ValueError, match="one provider"):
        write_price_file(mixed)
