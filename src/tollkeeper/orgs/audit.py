"""What people did, written in the transaction of the act: neither is there without the other."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import Connection
from tollkeeper.orgs import store
from tollkeeper.orgs.model import AuditEntry, By, Caller


async def audit(tx: Connection, entry: AuditEntry) -> None:
    """Note one act. `who` is an operator key's id and name, or the user of the command line."""
    await store.insert_audit(tx, entry)


async def note(
    tx: Connection,
    by: By | None,
    what: str,
    org_id: UUID | None,
    at: datetime,
    /,
    **details: object,
) -> None:
    """Note an act of somebody. What happens by itself (None), or by a program, is not noted."""
    if by is None or by.program:
        return
    entry = AuditEntry(
        audit_id=uuid7(),
        at=at,
        who=by.who,
        what=what,
        why=by.why,
        org_id=org_id,
        details=details,
    )
    await audit(tx, entry)


def by_key(caller: Caller) -> By:
    return By(who=show_id("key", caller.key_id), program=True)


async def list_audit(
    tx: Connection, org_id: UUID | None, after: UUID | None, limit: int
) -> list[AuditEntry]:
    """Newest first; of one organization, or of all with None."""
    return await store.list_audit(tx, org_id, after, limit)
