"""A small demo: true to the books, the same for the same seed, and with something of everything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tollkeeper import credits, demo, operator  # noqa: A004 (the room's name)
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.settings import Settings
from tollkeeper.cli.till import open_till
from tollkeeper.credits import Window
from tollkeeper.db import Connection, Database, migrate
from tollkeeper.demo import DemoRefused, Wish

_UNTIL = datetime(2026, 3, 2, tzinfo=UTC)
_WISH = Wish(organizations=3, calls=2_000, seed=7, months=1, until=_UNTIL)

_WHAT_HAPPENED = """
SELECT 'entry', o.name, e.kind, e.posted_at, e.amount, e.balance_after
FROM entry e JOIN organization o USING (org_id)
UNION ALL
SELECT 'call', o.name, u.model, u.recorded_at, u.amount, u.balance_after
FROM usage_record u JOIN organization o USING (org_id)
UNION ALL
SELECT 'purchase', o.name, p.status, p.created_at, p.credit_nanos, p.total_minor
FROM purchase p JOIN organization o USING (org_id)
UNION ALL
SELECT 'invoice', o.name, i.number, i.issued_at, i.total_minor, 0
FROM invoice i JOIN organization o USING (org_id)
UNION ALL
SELECT 'notice', o.name, n.type, n.created_at, 0, 0
FROM notice n JOIN organization o USING (org_id)
ORDER BY 1, 2, 4, 3, 5, 6
"""
_LAGGING = """
SELECT count(*) FROM wallet w LEFT JOIN usage_summed s USING (org_id, wallet_id)
WHERE w.usage_seq > coalesce(s.usage_seq, 0)
"""
_BACKWARDS = """
SELECT count(*) FROM (
    SELECT recorded_at < lag(recorded_at) OVER (PARTITION BY org_id, wallet_id ORDER BY seq) AS back
    FROM usage_record
    UNION ALL
    SELECT posted_at < lag(posted_at) OVER (PARTITION BY org_id, wallet_id ORDER BY seq)
    FROM entry
    UNION ALL
    SELECT recorded_at - started_at NOT BETWEEN interval '0' AND interval '1 hour'
    FROM usage_record
) AS found WHERE back
"""


async def _rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query.encode())).fetchall()


def _unheard(_what: str, _done: int, _whole: int) -> None:
    pass


async def _fill(url: str, **more: bool) -> demo.Report:
    return await demo.fill(Settings(), url, _WISH, SystemClock(), _unheard, **more)


async def test_a_small_demo(database_url: str, empty_database_url: str) -> None:
    made = await _fill(database_url)
    async with Database.open(database_url) as database, database.connection() as connection:
        await _is_true(database, connection)
        happened = await _rows(connection, _WHAT_HAPPENED)
    _has_something_of_everything(happened)
    assert made.calls == _WISH.calls
    with pytest.raises(DemoRefused, match="already, made"):
        await _fill(database_url, force=True)

    await migrate(empty_database_url)
    await _fill(empty_database_url)
    async with Database.open(empty_database_url) as again, again.connection() as connection:
        assert await _rows(connection, _WHAT_HAPPENED) == happened


async def _is_true(database: Database, connection: Connection) -> None:
    found = [finding.sentence async for finding in operator.verify(connection, SystemClock())]
    assert found == []
    assert await _rows(connection, _LAGGING) == [(0,)]
    assert await _rows(connection, _BACKWARDS) == [(0,)]
    async with open_till(Settings(), database) as till:
        (processor,) = till.processors.all
        window = Window(datetime(2025, 12, 1, tzinfo=UTC), _UNTIL)
        compared = await credits.reconcile(till, processor, window, lambda _: None)
    assert compared.clean
    assert compared.movements > 0


def _has_something_of_everything(happened: list[tuple[Any, ...]]) -> None:
    kinds = {what: {row[2] for row in happened if row[0] == what} for what in ("entry", "notice")}
    assert kinds["entry"] == {
        *("purchase", "auto_top_up", "grant", "consumption"),
        *("refund", "dispute", "expiry", "adjustment"),
    }
    assert kinds["notice"] >= {
        *("credit_purchased", "credit_purchase_failed", "credit_refunded", "dispute_opened"),
        *("credit_expiring", "credit_auto_recharge_triggered"),
    }
    statuses = {row[2] for row in happened if row[0] == "purchase"}
    assert statuses >= {"succeeded", "failed", "refunded", "disputed"}
    assert len({row[2] for row in happened if row[0] == "call"}) > 3


async def test_nobody_is_joined_unasked(database_url: str, database: Database) -> None:
    async with database.transaction() as tx:
        act = operator.Act(who="test", why="test", at=_UNTIL)
        opening = operator.Opening(overdraft=0, sandbox_credit=0)
        org_id = demo.plan(_WISH).organizations[0].org_id
        await operator.create_organization(tx, act, org_id=org_id, name="Acme", opening=opening)
    with pytest.raises(DemoRefused, match="1 organizations here already"):
        await _fill(database_url)


def test_a_world_has_its_calls_and_grows() -> None:
    wish = Wish(organizations=12, calls=30_000, seed=3, months=12, until=_UNTIL)
    world = demo.plan(wish)
    assert world == demo.plan(wish)
    counts = [org.counts for org in world.organizations]
    assert sum(map(sum, counts)) == wish.calls
    third = world.ticks // 3
    first, last = (
        sum(sum(one[part]) for one in counts) for part in (slice(third), slice(-third, None))
    )
    assert last > 1.3 * first
    for org in world.organizations:
        assert not any(org.counts[: org.founded])
