"""What things of an organization are called: a few of them, never all."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, LiteralString
from uuid import UUID

from tollkeeper.db import Connection

Kind = Literal["project", "key", "member"]

_OF_IDS: Final = """
SELECT 'project', project_id, name, archived_at IS NOT NULL
FROM project WHERE org_id = %(org_id)s AND project_id = ANY (%(ids)s)
UNION ALL
SELECT 'key', key_id, name, false
FROM api_key WHERE org_id = %(org_id)s AND key_id = ANY (%(ids)s)
UNION ALL
SELECT 'member', member_id, name, false
FROM member WHERE org_id = %(org_id)s AND member_id = ANY (%(ids)s)
"""
_NEWEST: Final = """
(SELECT 'project', project_id, name, false
 FROM project WHERE org_id = %(org_id)s AND archived_at IS NULL AND 'project' = ANY (%(kinds)s)
 ORDER BY project_id DESC LIMIT %(limit)s)
UNION ALL
(SELECT 'key', key_id, name, false
 FROM api_key WHERE org_id = %(org_id)s AND 'key' = ANY (%(kinds)s)
 ORDER BY key_id DESC LIMIT %(limit)s)
UNION ALL
(SELECT 'member', member_id, name, false
 FROM member WHERE org_id = %(org_id)s AND 'member' = ANY (%(kinds)s)
 ORDER BY member_id DESC LIMIT %(limit)s)
"""
# Names have no index: these read all of one organization, as seldom as somebody types one.
_CALLED: Final = """
(SELECT 'project', project_id, name, archived_at IS NOT NULL
 FROM project
 WHERE org_id = %(org_id)s AND %(kind)s = 'project' AND lower(name) = lower(%(name)s)
 ORDER BY name <> %(name)s, archived_at IS NOT NULL, project_id DESC LIMIT %(limit)s)
UNION ALL
(SELECT 'key', key_id, name, false
 FROM api_key WHERE org_id = %(org_id)s AND %(kind)s = 'key' AND lower(name) = lower(%(name)s)
 ORDER BY name <> %(name)s, key_id DESC LIMIT %(limit)s)
UNION ALL
(SELECT 'member', member_id, name, false
 FROM member
 WHERE org_id = %(org_id)s AND %(kind)s = 'member'
   AND (lower(name) = lower(%(name)s) OR email = lower(%(name)s))
 ORDER BY name <> %(name)s, member_id DESC LIMIT %(limit)s)
"""
_KEYS_OF_MEMBERS: Final = """
SELECT key_id FROM api_key
WHERE org_id = %(org_id)s
  AND CASE WHEN %(member_id)s::uuid IS NULL THEN member_id IS NOT NULL
           ELSE member_id = %(member_id)s END
ORDER BY key_id
"""


@dataclass(frozen=True, slots=True)
class Named:
    """A project, key or member of an organization, and what it is called."""

    kind: Kind
    id: UUID
    name: str
    archived: bool


async def names_of(connection: Connection, org_id: UUID, ids: Collection[UUID]) -> list[Named]:
    """Those of these that are projects, keys or members of the organization, in any state."""
    return await _named(connection, _OF_IDS, org_id=org_id, ids=list(ids))


async def newest_names(
    connection: Connection, org_id: UUID, kinds: Collection[Kind], limit: int
) -> list[Named]:
    """The newest of each kind, the newest first; projects that are in use."""
    return await _named(connection, _NEWEST, org_id=org_id, kinds=list(kinds), limit=limit)


async def called(
    connection: Connection, org_id: UUID, kind: Kind, name: str, limit: int
) -> list[Named]:
    """Those of a name, exactly so first, else however its letters are written; members also by
    their address."""
    return await _named(connection, _CALLED, org_id=org_id, kind=kind, name=name, limit=limit)


async def keys_of_members(
    connection: Connection, org_id: UUID, member_id: UUID | None
) -> list[UUID]:
    """The keys that a member has; with None, those that any member has."""
    found = await connection.execute(_KEYS_OF_MEMBERS, {"org_id": org_id, "member_id": member_id})
    return [row[0] for row in await found.fetchall()]


async def _named(connection: Connection, query: LiteralString, **asked: object) -> list[Named]:
    found = await connection.execute(query, asked)
    return [Named(*row) for row in await found.fetchall()]
