"""Finding an organization by what an operator has of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.orgs.model import AuditEntry, Organization
from tollkeeper.orgs.secrets import LIVE, TEST

# Parts of names and addresses have no index: it reads them all, as seldom as an operator searches.
_SEARCH: Final = """
SELECT o.org_id, o.name, o.created_at
FROM organization o
WHERE (%(after)s::uuid IS NULL OR o.org_id < %(after)s)
  AND (strpos(lower(o.name), lower(%(text)s)) > 0
       OR EXISTS (
           SELECT FROM member m
           WHERE m.org_id = o.org_id AND strpos(m.email, lower(%(text)s)) > 0
       )
       OR %(is_key)s AND EXISTS (
           SELECT FROM api_key k
           WHERE k.org_id = o.org_id
             AND (starts_with(k.display_prefix, %(text)s)
                  OR starts_with(%(text)s, k.display_prefix))
       ))
ORDER BY o.org_id DESC
LIMIT %(limit)s
"""
_THESE: Final = """
SELECT org_id, name, created_at FROM organization WHERE org_id = ANY (%(org_ids)s)
"""
_NAMES: Final = """
SELECT org_id, name FROM organization WHERE org_id = ANY (%(org_ids)s)
"""
# Acts that are about no organization are few.
_NEWEST_ACT: Final = """
SELECT audit_id, at, who, what, why, org_id, details
FROM audit_log
WHERE org_id IS NULL AND what = %(what)s
ORDER BY audit_id DESC
LIMIT 1
"""


async def search_orgs(
    connection: Connection, text: str, after: UUID | None, limit: int
) -> list[Organization]:
    """Newest first, those whose name or a member's address contains `text`, or whose key it is."""
    asked = {
        "text": text,
        "is_key": text.startswith((LIVE, TEST)),
        "after": after,
        "limit": limit,
    }
    found = await connection.execute(_SEARCH, asked)
    return [_organization(*row) for row in await found.fetchall()]


async def these_orgs(connection: Connection, org_ids: Sequence[UUID]) -> list[Organization]:
    """In the order of the ids, without those that are not there."""
    found = await connection.execute(_THESE, {"org_ids": list(org_ids)})
    known = {row[0]: _organization(*row) for row in await found.fetchall()}
    return [known[org_id] for org_id in org_ids if org_id in known]


async def names_of(connection: Connection, org_ids: list[UUID]) -> dict[UUID, str]:
    found = await connection.execute(_NAMES, {"org_ids": org_ids})
    return dict(await found.fetchall())


async def newest_act(connection: Connection, what: str) -> AuditEntry | None:
    """The newest act of a kind that is about no organization in particular."""
    found = await connection.execute(_NEWEST_ACT, {"what": what})
    row = await found.fetchone()
    if row is None:
        return None
    audit_id, at, who, what, why, org_id, details = row
    return AuditEntry(
        audit_id=audit_id, at=at, who=who, what=what, why=why, org_id=org_id, details=details
    )


def _organization(org_id: UUID, name: str, created_at: datetime) -> Organization:
    return Organization(org_id=org_id, name=name, created_at=created_at)
