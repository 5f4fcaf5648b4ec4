"""Every cost can be worked out again from its record; what was changed by hand is named (L6)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from metered import GPT, PAGES, Purse, gpt_usages, page_usages, rated

from tollkeeper import metering, pricing
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import Finding
from tollkeeper.metering import Meter
from tollkeeper.pricing import Quantity

NOWHERE = "0193f5e7-a400-7cc0-8e1b-746f6c6c6b65"


@pytest.fixture(autouse=True)
async def prices(database: Database, purse: Purse) -> None:
    async with database.transaction() as tx:
        await pricing.publish(tx, [GPT, PAGES], "test", purse.clock.now())


async def found(database: Database) -> list[Finding]:
    async with database.connection() as connection:
        return [finding async for finding in metering.verify_costs(connection)]


@given(gpt=gpt_usages, pages=page_usages)
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_what_is_charged_is_what_it_costs(
    database: Database,
    meter: Meter,
    purse: Purse,
    gpt: dict[str, Quantity],
    pages: dict[str, Quantity],
) -> None:
    await meter.settle(rated(purse, GPT, usage=gpt))
    await meter.settle(rated(purse, PAGES, usage=pages))
    assert await found(database) == []


async def test_many_records_are_all_looked_at(
    database: Database, meter: Meter, purse: Purse
) -> None:
    await meter.settle_many([rated(purse, usage={"input": n}) for n in range(6_000)])
    seen: list[int] = []
    async with database.connection() as connection:
        async for _ in metering.verify_costs(connection, progress=seen.append):
            raise AssertionError
    assert seen == [5_000, 6_000]


@pytest.mark.parametrize(
    ("change", "column", "expected", "is_now"),
    [
        ("amount = amount - 1", "amount", "3250000", "3249999"),
        ("lines = 1", "lines", "2", "1"),
        (
            "detail = jsonb_set(detail, '{rating,usage,output}', '201')",
            "amount",
            "3260000",
            "3250000",
        ),
        ("detail = jsonb_set(detail, '{rating,cost}', '1')", "detail.rating.cost", "3250000", "1"),
        ("detail = detail - 'rating'", "amount", "0", "3250000"),
        ("detail = jsonb_set(detail, '{rating,usage}', '7')", "detail.rating", "a rating", None),
        (
            f"detail = jsonb_set(detail, '{{rating,version}}', to_jsonb('{NOWHERE}'::text))",
            "detail.rating.version",
            "a version in the price book",
            NOWHERE,
        ),
    ],
)
async def test_a_record_that_was_changed_by_hand_is_named(
    database: Database,
    meter: Meter,
    purse: Purse,
    owner: Connection,
    change: str,
    column: str,
    expected: str,
    is_now: str | None,
) -> None:
    for _ in range(3):
        await meter.settle(rated(purse))
    await owner.execute(f"UPDATE usage_record SET {change} WHERE seq = 2".encode())
    first, *_ = await found(database)
    assert (first.rule, first.table, first.seq) == ("L6", "usage_record", 2)
    assert (first.org_id, first.wallet_id) == (purse.org_id, purse.wallet_id)
    assert (first.column, first.expected) == (column, expected)
    assert is_now is None or first.found == is_now


async def test_a_price_that_was_changed_by_hand_is_named(
    database: Database, meter: Meter, purse: Purse, owner: Connection
) -> None:
    await meter.settle(rated(purse))
    await owner.execute(
        "UPDATE price_version SET rates = jsonb_set(rates, '{output,0}', '1') WHERE id = %s",
        (GPT.id,),
    )
    price, record, *_ = await found(database)
    assert (price.table, price.column) == ("price_version", "rates")
    assert str(GPT.id) in price.sentence
    assert (record.table, record.column) == ("usage_record", "amount")


async def test_another_organization_s_faults_are_left_out_when_one_is_asked_for(
    database: Database, meter: Meter, purse: Purse, owner: Connection
) -> None:
    await meter.settle(rated(purse))
    await owner.execute("UPDATE usage_record SET amount = 1")
    async with database.connection() as connection:
        mine = [f async for f in metering.verify_costs(connection, org_id=purse.org_id)]
        theirs = [f async for f in metering.verify_costs(connection, org_id=purse.wallet_id)]
    assert len(mine) == 1
    assert theirs == []
