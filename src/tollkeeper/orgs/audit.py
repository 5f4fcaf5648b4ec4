"""What operators did, written in the transaction of the act: neither is there without the other."""

from __future__ import annotations

from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.orgs import store
from tollkeeper.orgs.model import AuditEntry


async def audit(tx: Connection, entry: AuditEntry) -> None:
    """Note one act. `who` is an operator key's id and name, or the user of the command line."""
    await store.insert_audit(tx, entry)


async def list_audit(
    tx: Connection, org_id: UUID | None, after: UUID | None, limit: int
) -> list[AuditEntry]:
    """Newest first; of one organization, or of all with None."""
    return await store.list_audit(tx, org_id, after, limit)
