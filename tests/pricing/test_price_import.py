"""From a library's data to a diff that a person reads, to a dated version (P12)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import types as genai
from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot
from priced import START, dollars, each, mtok, version

from tollkeeper.db import Database
from tollkeeper.pricing import (
    Book,
    Imported,
    catalogue_dir,
    compare,
    diff_to_json,
    load_book,
    publish,
    read_catalogue,
    read_genai_prices,
    read_price_file,
    render_diff,
    with_limits,
    write_price_files,
)

Library = Callable[..., Imported]

DAY = timedelta(days=1)
TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def price(**prices: str | genai.TieredPrices) -> genai.ModelPrice:
    values = {
        key: Decimal(value) if isinstance(value, str) else value for key, value in prices.items()
    }
    return genai.ModelPrice(**values)


def model(name: str, prices: object, **fields: object) -> genai.ModelInfo:
    match = fields.pop("match", genai.ClauseEquals(equals=name))
    return genai.ModelInfo(id=name, match=match, prices=prices, **fields)  # type: ignore[arg-type] (a test's shorthand)


@pytest.fixture
def library() -> Iterator[Library]:
    """Put models of our own making into the library."""
    before = get_snapshot()

    def put(*models: genai.ModelInfo) -> Imported:
        provider = genai.Provider(
            id="x-ai", name="X", api_pattern="x", models=list(models), pricing_urls=["https://x"]
        )
        set_custom_snapshot(DataSnapshot(providers=[provider], from_auto_update=False))
        return read_genai_prices(["xai"], read_on=TODAY)

    yield put
    set_custom_snapshot(before)


def test_units_and_their_sizes(library: Library) -> None:
    found = library(
        model(
            "all",
            price(
                input_mtok="3",
                cache_write_1h_mtok="6",
                output_reasoning_mtok="4",
                web_searches_kcount="10",
                rerank_searches_kcount="0.0000001",
                audio_hours="0.111",
                input_mchars="15",
            ),
            context_window=1000,
        )
    )
    (only,) = found.versions
    assert (only.provider, only.model, only.context) == ("xai", "all", 1000)
    assert only.rates == {
        "input": mtok("3"),
        "cache_write_1h": mtok("6"),
        "reasoning": mtok("4"),
        "web_search": each("0.01"),
        "rerank": each("0.0000001", 1000),
        "audio_second": each("0.111", 3600),
        "character": each("15", 1_000_000),
    }
    assert only.source.startswith("genai-prices ")
    assert only.source.endswith("; https://x")
    assert only.checked_on == TODAY


def test_history_tiers_and_cliffs(library: Library) -> None:
    tiered = genai.TieredPrices(
        base=Decimal(3), tiers=[genai.Tier(start=200_000, price=Decimal(6))]
    )
    found = library(
        model(
            "m",
            [
                genai.ConditionalPrice(prices=price(input_mtok=tiered, output_mtok="9")),
                genai.ConditionalPrice(
                    genai.StartDateConstraint(date(2026, 5, 1)),
                    prices=price(input_mtok="2", output_mtok="8"),
                ),
            ],
            price_variants=[
                genai.PriceVariant({"service_tier": "default"}, price()),
                genai.PriceVariant({"service_tier": "flex"}, price(input_mtok="1")),
                genai.PriceVariant(
                    {"processing": "batch"},
                    price(output_mtok="4"),
                    genai.StartDateConstraint(date(2026, 6, 1)),
                ),
                genai.PriceVariant({"route": "eu"}, price(input_mtok="7")),
            ],
        )
    )
    first, second, third = found.versions
    assert first.rates["input"] == mtok("3", {200_000: "6"})
    assert first.service_tiers == {"flex": {"input": mtok("1"), "output": mtok("9")}}
    assert second.effective_from == datetime(2026, 5, 1, tzinfo=UTC)
    assert second.rates == {"input": mtok("2"), "output": mtok("8")}
    assert third.service_tiers["batch"] == {"input": mtok("2"), "output": mtok("4")}
    assert [skipped.reason for skipped in found.skipped] == [
        "its price for route eu is not for a service tier"
    ]


def test_prices_by_the_hour_become_the_dearest_of_the_day(library: Library) -> None:
    night = genai.TimeOfDateConstraint(time(16, tzinfo=UTC), time(23, tzinfo=UTC))
    found = library(
        model(
            "m",
            [
                genai.ConditionalPrice(prices=price(input_mtok="2", output_mtok="3")),
                genai.ConditionalPrice(night, prices=price(input_mtok="1", output_mtok="4")),
            ],
        )
    )
    (only,) = found.versions
    assert only.rates == {"input": mtok("2"), "output": mtok("4")}
    assert "dearest of the day" in only.note


@pytest.mark.parametrize(
    ("prices", "reason"),
    [
        (price(), "has no price"),
        (price(input_mtok="1", cache_read_mtok="2"), "dearer than input"),
        (price(input_mtok="0.0000025"), "price of one token"),
        (price(input_gpixels="1"), "input_gpixels"),
        (price(audio_hours="1", input_audio_hours="2"), "two prices for audio_second"),
        (price(rerank_searches_kcount="0.00000000049"), "finer than a nano"),
    ],
)
def test_what_cannot_be_imported_is_said(
    library: Library, prices: genai.ModelPrice, reason: str
) -> None:
    found = library(model("bad", prices), model("good", price(input_mtok="0.30000000000000004")))
    assert [only.model for only in found.versions] == ["good"]
    assert found.versions[0].rates == {"input": mtok("0.3")}
    (skipped,) = found.skipped
    assert (skipped.provider, skipped.model) == ("xai", "bad")
    assert reason in skipped.reason


def test_a_price_that_stops_ends_the_model(library: Library) -> None:
    stop = genai.ConditionalPrice(genai.StartDateConstraint(date(2026, 9, 1)), prices=price())
    found = library(model("m", [genai.ConditionalPrice(prices=price(input_mtok="1")), stop]))
    assert [only.ended for only in found.versions] == [False, True]


def test_only_names_that_mean_one_thing_are_taken_over(library: Library) -> None:
    some = price(input_mtok="1")
    found = library(
        model(
            "m-1",
            some,
            match=genai.ClauseOr(
                or_=[
                    genai.ClauseEquals(equals="m-1-latest"),
                    genai.ClauseEquals(equals="m-2"),
                    genai.ClauseStartsWith(starts_with="m-1-2025"),
                    genai.ClauseRegex(regex=r"^m\.1-\d{4}-\d{2}-\d{2}$"),
                    genai.ClauseContains(contains="m"),
                    genai.ClauseRegex(regex="m.*"),
                ]
            ),
        ),
        model("m-2", some, match=genai.ClauseStartsWith(starts_with="m-1")),
    )
    assert [only.aliases for only in found.versions] == [
        ("m-1-latest", "m-1-<snapshot>", "m.1-<snapshot>"),
        (),
    ]


def test_an_unknown_provider() -> None:
    with pytest.raises(ValueError, match="no provider acmee"):
        read_genai_prices(["acmee"], read_on=TODAY)


OLD = version({"input": mtok("2"), "output": mtok("8"), "image": each("0.04")})
OTHER = version({"input": mtok("1")}, model="m2")
GONE = version({"input": mtok("1")}, model="gone")
ELSEWHERE = version({"input": mtok("1")}, provider="elsewhere")
BOOK = Book([OLD, OTHER, GONE, ELSEWHERE])
SOURCE = [
    version(
        {"input": mtok("2.5"), "output": mtok("6"), "web_search": each("0.01")},
        service_tiers={"flex": {"input": mtok("1.25")}},
        context=1000,
        effective_from=START + 3 * DAY,
    ),
    version({"input": mtok("3")}, effective_from=START + 90 * DAY),
    version({"input": mtok("1")}, model="m2", source="elsewhere", note="the same"),
    version({"input": mtok("1")}, model="m3", effective_from=START - 90 * DAY),
    version({"input": mtok("0.5", {1000: "1"})}, model="m3"),
]
MOMENT = START + 30 * DAY


def test_a_diff_as_a_person_reads_it() -> None:
    assert render_diff(compare(BOOK, SOURCE, MOMENT)).splitlines() == [
        "1 new, 1 changed, 1 announced, 1 missing, 1 unchanged",
        "~ acme/m1",
        "    input 2 per 1000000 -> 2.5 per 1000000 (+25.0 %)",
        "    output 8 per 1000000 -> 6 per 1000000 (-25.0 %)",
        "    image 0.04 -> no price",
        "    web_search 0.01",
        "    flex input 1.25 per 1000000",
        "    context none -> 1000",
        "@ acme/m1 from 2026-04-01",
        "    input 2 per 1000000 -> 3 per 1000000 (+50.0 %)",
        "    output 8 per 1000000 -> no price",
        "    image 0.04 -> no price",
        "+ acme/m3",
        "    input 0.5 per 1000000, above 1000 input tokens 1",
        "- acme/gone is no longer in the source",
    ]


def test_a_diff_as_a_program_reads_it() -> None:
    found = json.loads(json.dumps(diff_to_json(compare(BOOK, SOURCE, MOMENT))))
    assert {kind: found[kind] for kind in ("new", "changed", "announced", "missing")} == {
        "new": 1,
        "changed": 1,
        "announced": 1,
        "missing": 1,
    }
    changed = found["changes"][0]
    assert (changed["kind"], changed["provider"], changed["model"]) == ("changed", "acme", "m1")
    assert changed["before"]["rates"]["input"] == [dollars("2"), 1_000_000, []]
    assert changed["after"]["serviceTiers"] == {"flex": {"input": [dollars("1.25"), 10**6, []]}}
    assert found["changes"][-1]["after"] is None


async def test_publishing_a_diff_leaves_nothing_to_change(database: Database) -> None:
    async with database.transaction() as tx:
        await publish(tx, [*BOOK], "ada", START)
        diff = compare(await load_book(tx), SOURCE, MOMENT)
        await publish(tx, diff.to_publish(end_missing=True), "ada", MOMENT)
        book = await load_book(tx)
    assert book.find("acme", "m1", MOMENT - DAY) == OLD
    assert book.find("acme", "m1", MOMENT).rates == SOURCE[0].rates
    assert book.find("acme", "m1", START + 90 * DAY) == SOURCE[1]
    assert book.find("acme", "m3", START - DAY) == SOURCE[3]
    assert book.schedule("acme", "gone")[-1].ended
    again = compare(book, SOURCE, MOMENT)
    assert again.changes == ()
    assert again.unchanged == 3


def test_what_is_to_stay_stays() -> None:
    diff = compare(BOOK, SOURCE, MOMENT)
    kept = diff.to_publish(leave={("acme", "m1")})
    assert {published.model for published in kept} == {"m3"}


def test_limits_that_the_source_lacks_are_kept(tmp_path: Path) -> None:
    known = version({"input": mtok("9")}, max_output_tokens=64, max_input_tokens=32, context=96)
    (filled,) = with_limits([replace(OLD, context=100)], [known])
    assert (filled.context, filled.max_input_tokens, filled.max_output_tokens) == (100, 32, 64)
    assert filled.rates == OLD.rates
    assert with_limits([OTHER], [known]) == (OTHER,)
    paths = write_price_files([filled, OTHER, ELSEWHERE], tmp_path, "Two lines\nof heading")
    assert [path.name for path in paths] == ["acme.yaml", "elsewhere.yaml"]
    assert paths[0].read_text().startswith("# Two lines\n# of heading\nprovider: acme\n")
    assert set(read_price_file(paths[0].read_text(), "acme.yaml")) == {filled, OTHER}


def test_the_files_we_ship_are_what_the_import_gives() -> None:
    shipped = [v for v in read_catalogue() if v.source.startswith("genai-prices")]
    providers = {v.provider for v in shipped}
    again = read_genai_prices(providers, read_on=TODAY)
    assert {v.id for v in with_limits(again.versions, shipped)} == {v.id for v in shipped}
    assert compare(Book(shipped), with_limits(again.versions, shipped), NOW).changes == ()


def test_files_and_providers_agree() -> None:
    for path in catalogue_dir().glob("*.yaml"):
        name = path.name.removesuffix(".yaml").removesuffix(".example")
        assert {v.provider for v in read_price_file(path.read_text(), path.name)} == {name}


def test_the_library_is_loaded_for_an_import_only() -> None:
    code = "import sys, tollkeeper.pricing; sys.exit('genai_prices' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
