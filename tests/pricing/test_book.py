"""Prices are dated facts: found by name and moment, never replaced (P9, P10)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from priced import START, each, mtok, version

from tollkeeper.pricing import Book, Markup, Markups, ModelNotPriced

DAY = timedelta(days=1)
OLD = version({"input": mtok("10")}, model="o3", aliases=("o3-<snapshot>", "o3-latest"))
NEW = version(
    {"input": mtok("2")},
    model="o3",
    effective_from=START + 30 * DAY,
    aliases=("o3-<snapshot>", "o3-latest"),
)
END = version({}, model="o3", effective_from=START + 90 * DAY, ended=True, aliases=NEW.aliases)
PINNED = version({"input": mtok("7")}, model="o3-2025-04-16")
SKU = version({"request": each("0.02")}, provider="own", model="generate_sql")
BOOK = Book([NEW, END, SKU, OLD, PINNED])


@pytest.mark.parametrize(
    ("at", "found"),
    [
        (START, OLD),
        (START + 30 * DAY - timedelta(microseconds=1), OLD),
        (START + 30 * DAY, NEW),
        (START + 89 * DAY, NEW),
    ],
)
def test_the_price_in_force(at: datetime, found: object) -> None:
    assert BOOK.find("acme", "o3", at) is found


@pytest.mark.parametrize(
    "name", ["o3-latest", "o3-2025-06-30", "o3-20250630", "o3-0630", "o3-001", "o3-202506"]
)
def test_aliases(name: str) -> None:
    assert BOOK.find("acme", name, START) is OLD


def test_a_name_of_its_own_beats_an_alias() -> None:
    assert BOOK.find("acme", "o3-2025-04-16", START) is PINNED


@pytest.mark.parametrize(
    ("provider", "model", "at"),
    [
        ("acme", "o4", START),
        ("other", "o3", START),
        ("acme", "o3", START - DAY),
        ("acme", "o3-mini", START),
        ("acme", "o3-2025-6-1", START),
        ("acme", "o3-<snapshot>", START - DAY),
        ("acme", "O3", START),
        ("acme", "", START),
    ],
)
def test_without_a_price(provider: str, model: str, at: datetime) -> None:
    with pytest.raises(ModelNotPriced) as refused:
        BOOK.find(provider, model, at)
    assert refused.value.members == {"provider": provider, "model": model}
    assert (refused.value.code, refused.value.status) == ("model_not_priced", 422)


def test_an_ended_price_says_so() -> None:
    with pytest.raises(ModelNotPriced, match="ended on 2026-04-01"):
        BOOK.find("acme", "o3", START + 90 * DAY)
    assert OLD not in [*BOOK.priced(START + 90 * DAY)]
    assert BOOK.version(OLD.id) is OLD


def test_own_skus() -> None:
    assert BOOK.find_sku("generate_sql", START) is SKU
    with pytest.raises(ModelNotPriced, match="the SKU generate_xml"):
        BOOK.find_sku("generate_xml", START)


def test_lists() -> None:
    assert [priced.model for priced in BOOK.priced(START)] == [
        "o3",
        "o3-2025-04-16",
        "generate_sql",
    ]
    assert BOOK.schedule("acme", "o3") == (OLD, NEW, END)
    assert len(BOOK) == 5


def test_names_that_clients_make_up_are_not_remembered_for_ever() -> None:
    book = Book([OLD])
    for number in range(30_000):
        book.find("acme", f"o3-{number:08d}", START)
    assert len(book._found) <= 10_000


def test_the_same_content_has_the_same_id_everywhere() -> None:
    again = version({"input": mtok("10")}, model="o3", aliases=OLD.aliases)
    assert again.id == OLD.id
    assert len({OLD.id, NEW.id, END.id, PINNED.id, SKU.id}) == 5


def test_markup_model_before_provider_before_plan_before_default() -> None:
    by = {name: Markup(number) for number, name in enumerate(["d", "plan", "provider", "model"], 1)}
    markups = Markups(
        default=by["d"],
        plans={"pro": by["plan"], "free": by["plan"]},
        providers={"acme": by["provider"]},
        models={("acme", "m"): by["model"], ("acme", "zero"): Markup()},
    )
    assert markups.find("acme", "m", "pro") == by["model"]
    assert markups.find("acme", "zero", "pro") == Markup()
    assert markups.find("acme", "other", "pro") == by["provider"]
    assert markups.find("x", "m", "pro") == by["plan"]
    assert markups.find("x", "m", "unknown") == by["d"]
    assert markups.find("x", "m") == by["d"]


def test_own_skus_take_only_a_markup_that_names_them() -> None:
    markups = Markups(default=Markup(5), plans={"pro": Markup(6)}, models={("own", "a"): Markup(7)})
    assert markups.find("own", "generate_sql", "pro") == Markup()
    assert markups.find("own", "a") == Markup(7)


def test_markups_are_dated_too() -> None:
    book = Book(
        markups=[(START + DAY, Markups(default=Markup(2))), (START, Markups(default=Markup(1)))]
    )
    assert book.markup("x", "m", None, START - DAY) == Markup()
    assert book.markup("x", "m", None, START) == Markup(1)
    assert book.markup("x", "m", None, START + DAY) == Markup(2)
