"""The book in the database: only added to, found by every process within a second (P9, P11)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from priced import START, each, mtok, version

from tollkeeper.db import Connection, Database
from tollkeeper.pricing import (
    BookKeeper,
    InvalidPrices,
    Markup,
    MarkupChange,
    ModelNotPriced,
    PriceVersion,
    PriceVersionConflict,
    Rate,
    find_altered,
    install_catalogue,
    load_book,
    publish,
    publish_markup,
    rate,
    read_catalogue,
    recompute,
    to_record,
)
from tollkeeper.pricing.content import seal

DAY = timedelta(days=1)
NOW = START + 10 * DAY
FULL = version(
    {"input": mtok("3", {200_000: "6"}), "output": mtok("15"), "page": each("0.01", 7)},
    service_tiers={"flex": {"input": mtok("1.5")}},
    aliases=("m1-<snapshot>", "m1-latest"),
    context=200_000,
    max_input_tokens=190_000,
    max_output_tokens=64_000,
    source="https://prices.example",
    checked_on=START.date(),
    note="as announced",
)


def later(priced: PriceVersion, days: int, price: str = "4") -> PriceVersion:
    moment = priced.effective_from + days * DAY
    return version({"input": mtok(price)}, model=priced.model, effective_from=moment)


async def test_what_is_published_is_read_back(database: Database) -> None:
    async with database.transaction() as tx:
        assert await publish(tx, [FULL], "ada", NOW) == [FULL]
        book = await load_book(tx)
        assert not await find_altered(tx)
    assert book.version(FULL.id) == FULL
    assert book.find("acme", "m1-2026-02-03", NOW) == FULL


async def test_publishing_twice_adds_nothing(database: Database) -> None:
    async with database.transaction() as tx:
        await publish(tx, [FULL, FULL], "ada", NOW)
        assert await publish(tx, [FULL], "bob", NOW + DAY) == []
        found = await (
            await tx.execute("SELECT published_by, published_at FROM price_version")
        ).fetchall()
    assert found == [("ada", NOW)]


async def test_another_price_for_the_same_moment_is_refused(database: Database) -> None:
    other = version({"input": mtok("9")})
    async with database.transaction() as tx:
        await publish(tx, [FULL], "ada", NOW)
    with pytest.raises(PriceVersionConflict, match="acme/m1") as refused:
        async with database.transaction() as tx:
            await publish(
                tx, [other, version({"input": mtok("1")}, model="m2")], "ada", NOW, backdate=True
            )
    assert refused.value.members["versions"] == [
        {"provider": "acme", "model": "m1", "effectiveFrom": START.isoformat()}
    ]
    async with database.connection() as connection:
        assert [*await load_book(connection)] == [FULL]


async def test_another_source_of_the_same_price_is_no_other_price(database: Database) -> None:
    """The file of the prices says of what year's list it is, and adds one to come."""
    later = version({"input": mtok("9")}, effective_from=NOW + timedelta(days=9))
    file = [seal(replace(one, source="the list of another year")) for one in (FULL, later)]
    async with database.transaction() as tx:
        await publish(tx, [FULL], "ada", NOW)
        assert await publish(tx, file, "ada", NOW) == file[1:]
    async with database.connection() as connection:
        assert {*await load_book(connection)} == {FULL, file[1]}


async def test_a_price_in_force_is_not_changed_behind_its_back(database: Database) -> None:
    async with database.transaction() as tx:
        await publish(tx, [FULL], "ada", NOW)
    with pytest.raises(PriceVersionConflict, match="already in force"):
        async with database.transaction() as tx:
            await publish(tx, [later(FULL, 5)], "ada", NOW)
    async with database.transaction() as tx:
        assert len(await publish(tx, [later(FULL, 10)], "ada", NOW)) == 1
        assert len(await publish(tx, [later(FULL, 5)], "ada", NOW, backdate=True)) == 1
        assert len(await publish(tx, [later(FULL, 99)], "ada", NOW)) == 1


async def test_the_past_of_a_new_model_may_be_published(database: Database) -> None:
    history = [later(FULL, days) for days in (1, 2, 30)]
    async with database.transaction() as tx:
        assert len(await publish(tx, history, "ada", NOW)) == 3


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        (version({"input": Rate(2500, 1_000_000)}), "rates.input"),
        (version({}), "rates"),
        (replace(FULL, ended=True), "rates"),
        (version({"input": mtok("1"), "cache_read": mtok("2")}), "rates.cache_read"),
    ],
)
async def test_what_no_honest_price_looks_like(
    database: Database, bad: PriceVersion, place: str
) -> None:
    with pytest.raises(InvalidPrices) as refused:
        async with database.transaction() as tx:
            await publish(tx, [bad], "ada", NOW)
    assert f"acme/m1: {place}" in refused.value.faults


async def test_an_ended_price(database: Database) -> None:
    end = version({}, effective_from=NOW + DAY, ended=True)
    async with database.transaction() as tx:
        await publish(tx, [FULL, end], "ada", NOW)
        book = await load_book(tx)
    assert book.find("acme", "m1", NOW) == FULL
    with pytest.raises(ModelNotPriced, match="ended"):
        book.find("acme", "m1", NOW + DAY)


@pytest.mark.parametrize(
    "statement", ["UPDATE price_version SET rates = '{}'", "DELETE FROM markup"]
)
async def test_the_application_cannot_alter_the_book(database: Database, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction() as tx:
            await tx.execute(statement.encode())


async def test_an_altered_row_is_found(database: Database, owner: Connection) -> None:
    async with database.transaction() as tx:
        await publish(tx, [FULL, version({"input": mtok("1")}, model="m2")], "ada", NOW)
    await owner.execute(
        "UPDATE price_version SET rates = jsonb_set(rates, '{input,0}', '1') WHERE model = 'm1'"
    )
    async with database.connection() as connection:
        assert [found.model for found in await find_altered(connection)] == ["m1"]


async def test_markups_are_dated_and_can_be_taken_away(database: Database) -> None:
    changes = [
        MarkupChange(effective_from=START, markup=Markup(100_000)),
        MarkupChange(effective_from=START, markup=Markup(200_000, 5), provider="acme"),
        MarkupChange(effective_from=START + DAY, markup=Markup(3), provider="acme", model="m1"),
        MarkupChange(effective_from=START + 2 * DAY, markup=None, provider="acme"),
        MarkupChange(effective_from=START + 2 * DAY, markup=Markup(-50_000), plan="pro"),
    ]
    async with database.transaction() as tx:
        for change in changes:
            await publish_markup(tx, change, "ada", NOW)
        book = await load_book(tx)
    assert book.markup("acme", "m1", None, START - DAY) == Markup()
    assert book.markup("acme", "m1", None, START) == Markup(200_000, 5)
    assert book.markup("acme", "m1", None, START + DAY) == Markup(3)
    assert book.markup("acme", "m2", None, START + 2 * DAY) == Markup(100_000)
    assert book.markup("acme", "m2", "pro", START + 2 * DAY) == Markup(-50_000)
    with pytest.raises(PriceVersionConflict):
        async with database.transaction() as tx:
            await publish_markup(tx, replace(changes[0], markup=Markup(7)), "ada", NOW)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"plan": "pro", "provider": "acme"}, "plan"),
        ({"model": "m1"}, "provider"),
        ({"markup": Markup(-1_000_001)}, "ppm"),
        ({"markup": Markup(0, -1)}, "fixed"),
        ({"effective_from": START.replace(tzinfo=None)}, "effectiveFrom"),
    ],
)
async def test_what_no_markup_can_be(
    database: Database, fields: dict[str, Any], place: str
) -> None:
    change = replace(MarkupChange(effective_from=START, markup=Markup(1)), **fields)
    with pytest.raises(InvalidPrices) as refused:
        async with database.transaction() as tx:
            await publish_markup(tx, change, "ada", NOW)
    assert [*refused.value.faults] == [place]


async def until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0.01)


async def test_every_process_has_new_prices_within_a_second(database: Database) -> None:
    keepers = [BookKeeper(database), BookKeeper(database)]
    running = [asyncio.create_task(keeper.run(0.05)) for keeper in keepers]
    try:
        async with database.transaction() as tx:
            await publish(tx, [FULL], "ada", NOW)
        async with asyncio.timeout(1):
            await until(lambda: all(len(keeper.book) for keeper in keepers))
        held = keepers[0].book
        await asyncio.sleep(0.2)
        assert keepers[0].book is held, "read again although nothing was new"
        async with database.transaction() as tx:
            await publish_markup(
                tx, MarkupChange(effective_from=START, markup=Markup(9)), "ada", NOW
            )
        async with asyncio.timeout(1):
            await until(
                lambda: all(keeper.book.markup("a", "b", None, NOW).ppm for keeper in keepers)
            )
    finally:
        for task in running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_the_catalogue_is_what_a_fresh_installation_publishes(database: Database) -> None:
    catalogue = read_catalogue()
    async with database.transaction() as tx:
        assert len(await install_catalogue(tx, "install", NOW)) == len(catalogue)
    async with database.connection() as connection:
        book = await load_book(connection)
        assert not await find_altered(connection)
    assert {priced.id for priced in book} == {priced.id for priced in catalogue}
    priced = book.find("sandbox", "sandbox-large", NOW)
    record = to_record(rate(priced, {"input": 200_001, "output": Decimal(7)}))
    assert recompute(record, book) == record["cost"]


async def test_two_processes_install_at_once(database: Database) -> None:
    async def install() -> int:
        async with database.transaction() as tx:
            return len(await install_catalogue(tx, "install", NOW))

    installed = await asyncio.gather(install(), install(), install())
    assert sorted(installed) == [0, 0, len(read_catalogue())]


async def test_a_book_in_use_is_left_alone(database: Database) -> None:
    async with database.transaction() as tx:
        await publish(tx, [FULL], "ada", NOW)
        assert await install_catalogue(tx, "install", NOW) == []
