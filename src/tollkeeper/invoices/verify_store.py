"""The SQL that looks for documents that are not as the room's README says. Rows are faults:
(organization or NULL, table, row, column, expected, found)."""

from __future__ import annotations

from typing import Final, LiteralString
from uuid import UUID

from tollkeeper.db import Connection

Row = tuple[UUID | None, str, str, str, str, str]

MOST_ROWS: Final = 1_000

# A number between 1 and the last one given that no document has, and one beyond it.
NUMBERS: Final[LiteralString] = """
SELECT NULL::uuid, 'invoice_number',
       concat_ws(' ', 'number', n.number, 'of series', s.entity, s.series, s.year,
                 CASE WHEN s.livemode THEN 'live' ELSE 'test' END),
       'number', CASE WHEN n.number > s.last_number THEN 'not given' ELSE 'given' END,
       CASE WHEN d.number IS NULL THEN 'missing' ELSE 'given' END
FROM invoice_series s
CROSS JOIN LATERAL (
    SELECT number FROM generate_series(1, s.last_number) AS number
    UNION
    SELECT b.number FROM invoice_number b
    WHERE b.entity = s.entity AND b.livemode = s.livemode AND b.series = s.series
      AND b.year = s.year AND b.number > s.last_number
) n
LEFT JOIN invoice_number d
    ON d.entity = s.entity AND d.livemode = s.livemode AND d.series = s.series
    AND d.year = s.year AND d.number = n.number
WHERE d.number IS NULL OR n.number > s.last_number
LIMIT %(most)s
"""
# A number whose document is gone or says another one, and a document without a number.
DOCUMENTS: Final[LiteralString] = """
SELECT coalesce(n.org_id, i.org_id), 'invoice',
       'document ' || coalesce(n.invoice_id, i.invoice_id), 'number',
       coalesce(n.shown, 'none'), coalesce(i.number, 'none')
FROM (
    SELECT org_id, invoice_id,
           CASE WHEN livemode THEN '' ELSE 'TEST-' END || series || '-' || year || '-'
           || CASE WHEN number < 1000000 THEN lpad(number::text, 6, '0') ELSE number::text END
           AS shown
    FROM invoice_number
) n
FULL JOIN invoice i ON i.org_id = n.org_id AND i.invoice_id = n.invoice_id
WHERE n.shown IS DISTINCT FROM i.number
LIMIT %(most)s
"""
# The words' sums are the columns' sums.
SUMS: Final[LiteralString] = """
SELECT i.org_id, 'invoice', 'document ' || i.number, 'sums',
       i.net_minor || ' net and ' || i.tax_minor || ' tax',
       s.net || ' net and ' || s.tax || ' tax'
FROM invoice i
CROSS JOIN LATERAL (
    SELECT (SELECT coalesce(sum((l ->> 'net_minor')::bigint), 0)
            FROM jsonb_array_elements(i.content -> 'lines') AS l) AS net,
           (SELECT coalesce(sum((t ->> 'tax_minor')::bigint), 0)
            FROM jsonb_array_elements(coalesce(i.content -> 'taxes', '[]')) AS t) AS tax
) s
WHERE (s.net, s.tax) <> (i.net_minor, i.tax_minor)
LIMIT %(most)s
"""
CREDIT_NOTES: Final[LiteralString] = """
SELECT i.org_id, 'invoice', 'document ' || i.number, 'credit notes',
       'at most ' || i.net_minor || ' net and ' || i.tax_minor || ' tax',
       c.net || ' net and ' || c.tax || ' tax'
FROM (
    SELECT org_id, corrects_id, sum(net_minor) AS net, sum(tax_minor) AS tax
    FROM invoice
    WHERE corrects_id IS NOT NULL
    GROUP BY org_id, corrects_id
) c
JOIN invoice i ON i.org_id = c.org_id AND i.invoice_id = c.corrects_id
WHERE c.net > i.net_minor OR c.tax > i.tax_minor
LIMIT %(most)s
"""
PRIVILEGES: Final[LiteralString] = """
SELECT NULL::uuid, t.name, 'table ' || t.name, 'privilege', 'SELECT, INSERT', p.name
FROM unnest(ARRAY['invoice', 'invoice_number']) AS t (name)
CROSS JOIN unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS p (name)
WHERE (has_table_privilege('tollkeeper_app', to_regclass(t.name)::oid, p.name)
   OR p.name = 'UPDATE'
      AND has_any_column_privilege('tollkeeper_app', to_regclass(t.name)::oid, 'UPDATE'))
LIMIT %(most)s
"""


async def faults(connection: Connection, statement: LiteralString) -> list[Row]:
    found = await connection.execute(statement, {"most": MOST_ROWS})
    return await found.fetchall()
