"""Prove the documents: no gap, no double, nothing changed, everything adds up."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final, LiteralString
from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.invoices import verify_store as store
from tollkeeper.ledger import Finding

# The lines of this room's README, what finds a break of them, and why it is one.
_CHECKS: Final[tuple[tuple[str, LiteralString, str], ...]] = (
    ("I1", store.NUMBERS, "as the series has counted"),
    ("I1", store.DOCUMENTS, "as the number was given"),
    ("I2", store.PRIVILEGES, "or the database would let documents be changed"),
    ("I4", store.SUMS, "as the document was issued"),
    ("I5", store.CREDIT_NOTES, "as the invoice says"),
)


async def verify_invoices(
    connection: Connection, *, org_id: UUID | None = None
) -> AsyncGenerator[Finding]:
    """Yield what is wrong with the documents, of all organizations or what concerns one."""
    for rule, statement, because in _CHECKS:
        for owner, table, row, column, expected, found in await store.faults(connection, statement):
            if org_id is None or owner in (None, org_id):
                yield Finding(
                    rule=rule,
                    org_id=owner,
                    wallet_id=None,
                    table=table,
                    seq=None,
                    row=row,
                    column=column,
                    expected=expected,
                    found=found,
                    because=because,
                )
