"""The SQL that looks at what the database would refuse, and for doubles if it would not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

from tollkeeper.db import Connection
from tollkeeper.ledger.verify_store import MOST_ROWS, Row, fetch

# What the application's role may do to the ledger's tables beyond adding to them.
PRIVILEGES: Final[LiteralString] = """
SELECT t.name, p.name
FROM unnest(%(tables)s::text[]) AS t (name)
CROSS JOIN unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS p (name)
WHERE has_table_privilege('tollkeeper_app', to_regclass(t.name)::oid, p.name)
   OR p.name = 'UPDATE'
      AND has_any_column_privilege('tollkeeper_app', to_regclass(t.name)::oid, 'UPDATE')
"""
CONSTRAINTS: Final[LiteralString] = """
SELECT conname::text, pg_get_constraintdef(oid)
FROM pg_constraint
WHERE conrelid = ANY (ARRAY[
    to_regclass('wallet'), to_regclass('hold'), to_regclass('entry'), to_regclass('lot'),
    to_regclass('usage_record'), to_regclass('counter')
])
UNION ALL
SELECT c.relname::text, split_part(pg_get_indexdef(c.oid), ' USING ', 2)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = to_regclass('entry') AND i.indisunique AND NOT i.indisprimary
  AND i.indisvalid AND i.indisready
"""

DOUBLE_USAGE: Final[LiteralString] = """
SELECT u.org_id, u.wallet_id, u.seq, 'usage record ' || u.seq, 'usage_id', 'once',
       u.usage_id::text
FROM usage_record u
JOIN (
    SELECT org_id, usage_id FROM usage_record GROUP BY 1, 2 HAVING count(*) > 1
) d USING (org_id, usage_id)
LIMIT %(most)s
"""
DOUBLE_SOURCES: Final[LiteralString] = """
SELECT e.org_id, e.wallet_id, e.seq, 'entry ' || e.seq, 'source', 'once', e.source
FROM entry e
JOIN (
    SELECT org_id, source FROM entry WHERE source IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1
) d USING (org_id, source)
LIMIT %(most)s
"""
DOUBLE_REVERSALS: Final[LiteralString] = """
SELECT e.org_id, e.wallet_id, e.seq, 'entry ' || e.seq, 'reverses_seq', 'once',
       e.reverses_seq::text
FROM entry e
JOIN (
    SELECT org_id, wallet_id, reverses_seq FROM entry
    WHERE reverses_seq IS NOT NULL GROUP BY 1, 2, 3 HAVING count(*) > 1
) d USING (org_id, wallet_id, reverses_seq)
LIMIT %(most)s
"""


async def excess_privileges(tx: Connection, tables: Sequence[str]) -> list[tuple[str, str]]:
    """(table, privilege) that the application's role has and should not."""
    return await fetch(tx, PRIVILEGES, {"tables": list(tables)})


async def constraints(tx: Connection) -> dict[str, str]:
    """Constraints and valid unique indexes of the ledger, by name, as PostgreSQL words them."""
    return dict(await fetch(tx, CONSTRAINTS, {}))


async def doubles(tx: Connection, statement: LiteralString) -> list[Row]:
    return await fetch(tx, statement, {"most": MOST_ROWS})
