"""What the database refuses by itself is looked at by verify, and nothing of it is forgotten."""

from __future__ import annotations

import pytest

from ledger_purse import findings
from tollkeeper.db import Connection
from tollkeeper.ledger.guards import GUARDS

TABLES = ("wallet", "hold", "entry", "lot", "usage_record", "counter")


async def test_every_constraint_of_the_ledger_is_a_guard(owner: Connection) -> None:
    cursor = await owner.execute(
        """
        SELECT conname::text FROM pg_constraint
        WHERE conrelid::regclass::text = ANY (%(tables)s) AND contype <> 'n'
        UNION
        SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid::regclass::text = ANY (%(tables)s) AND i.indisunique
        """,
        {"tables": list(TABLES)},
    )
    assert {name for (name,) in await cursor.fetchall()} == set(GUARDS)
    assert await findings(owner) == []


@pytest.mark.parametrize("name", GUARDS)
async def test_a_guard_that_is_gone_is_named(owner: Connection, name: str) -> None:
    table = GUARDS[name].table
    statement = f"ALTER TABLE {table} RENAME CONSTRAINT {name} TO other"
    if name in ("entry_once_per_source", "entry_reversed_once"):
        statement = f"ALTER INDEX {name} RENAME TO other"
    await owner.execute(statement.encode())
    try:
        said = await findings(owner)
    finally:
        back = statement.replace(f" {name} ", " other ").replace("TO other", f"TO {name}")
        await owner.execute(back.encode())
    assert [one for one in said if f": {name} should be" in one] != []
    assert all(f": {name} should be" in one for one in said)
