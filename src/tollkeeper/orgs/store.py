"""All SQL of this room. First what every call needs, then what people manage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, LiteralString, TypeVar
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import TupleRow, kwargs_row
from psycopg.types.json import Jsonb

from tollkeeper.db import Connection
from tollkeeper.orgs.model import (
    ApiKey,
    AuditEntry,
    Caller,
    KeyKind,
    Member,
    OperatorCaller,
    OperatorKey,
    Organization,
    Project,
    Role,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What a process needs to know of a key to let its holder in."""

    secret_hash: bytes
    revoked_at: datetime | None
    caller: Caller | OperatorCaller


_FIND_KEYS: Final = """
SELECT secret_hash, revoked_at, key_id, name, expires_at,
       org_id, project_id, kind, livemode, clamp, member_id
FROM api_key
WHERE secret_hash = ANY (%(hashes)s)
UNION ALL
SELECT secret_hash, revoked_at, key_id, name, expires_at,
       NULL, NULL, NULL, NULL, NULL, NULL
FROM operator_key
WHERE secret_hash = ANY (%(hashes)s)
"""

# Without a moment to look back from, nothing has been missed yet.
_KEYS_CHANGED: Final = """
WITH since AS (
    SELECT coalesce(%(since)s, now()) - make_interval(secs => %(overlap)s) AS moment
), changed AS (
    SELECT secret_hash, revoked_at, key_id, name, expires_at,
           org_id, project_id, kind, livemode, clamp, member_id
    FROM api_key
    WHERE changed_at > (SELECT moment FROM since)
    UNION ALL
    SELECT secret_hash, revoked_at, key_id, name, expires_at,
           NULL, NULL, NULL, NULL, NULL, NULL
    FROM operator_key
    WHERE changed_at > (SELECT moment FROM since)
)
SELECT asked.at, changed.*
FROM (SELECT now() AS at) AS asked LEFT JOIN changed ON true
"""

# Locked in one order, so that two processes that write down the same keys never deadlock.
_NOTE_API_KEYS_USED: Final = """
WITH used AS (
    SELECT api_key.org_id, api_key.key_id
    FROM api_key
    JOIN unnest(%(orgs)s::uuid[], %(keys)s::uuid[]) AS named (org_id, key_id)
        USING (org_id, key_id)
    WHERE last_used_at IS NULL OR last_used_at < %(now)s
    ORDER BY api_key.org_id, api_key.key_id
    FOR NO KEY UPDATE OF api_key
)
UPDATE api_key SET last_used_at = %(now)s
FROM used
WHERE api_key.org_id = used.org_id AND api_key.key_id = used.key_id
"""

_NOTE_OPERATOR_KEYS_USED: Final = """
WITH used AS (
    SELECT key_id FROM operator_key
    WHERE key_id = ANY (%(keys)s) AND (last_used_at IS NULL OR last_used_at < %(now)s)
    ORDER BY key_id
    FOR NO KEY UPDATE
)
UPDATE operator_key SET last_used_at = %(now)s
FROM used
WHERE operator_key.key_id = used.key_id
"""


async def find_keys(connection: Connection, hashes: Sequence[bytes]) -> list[KeyRow]:
    found = await connection.execute(_FIND_KEYS, {"hashes": list(hashes)})
    return [_key_row(row) for row in await found.fetchall()]


async def keys_changed_since(
    connection: Connection, since: datetime | None, overlap_seconds: int
) -> tuple[datetime, list[KeyRow]]:
    """Return the moment of asking by the server's clock, and the keys that changed."""
    found = await connection.execute(_KEYS_CHANGED, {"since": since, "overlap": overlap_seconds})
    rows = await found.fetchall()
    return rows[0][0], [_key_row(row[1:]) for row in rows if row[1] is not None]


async def note_used(
    connection: Connection, used: Sequence[Caller | OperatorCaller], now: datetime
) -> None:
    callers = [caller for caller in used if isinstance(caller, Caller)]
    operators = [caller.key_id for caller in used if isinstance(caller, OperatorCaller)]
    if callers:
        orgs, keys = [caller.org_id for caller in callers], [caller.key_id for caller in callers]
        await connection.execute(_NOTE_API_KEYS_USED, {"orgs": orgs, "keys": keys, "now": now})
    if operators:
        await connection.execute(_NOTE_OPERATOR_KEYS_USED, {"keys": operators, "now": now})


def _key_row(row: TupleRow) -> KeyRow:
    secret_hash, revoked_at, key_id, name, expires_at, *of_org = row
    org_id, project_id, kind, livemode, clamp, member_id = of_org
    caller: Caller | OperatorCaller
    if org_id is None:
        caller = OperatorCaller(key_id=key_id, name=name, expires_at=expires_at)
    else:
        caller = Caller(
            key_id=key_id,
            org_id=org_id,
            project_id=project_id,
            kind=KeyKind(kind),
            livemode=livemode,
            name=name,
            clamp=clamp,
            expires_at=expires_at,
            member_id=member_id,
        )
    return KeyRow(secret_hash, revoked_at, caller)


# Organizations


_INSERT_ORGANIZATION: Final = """
INSERT INTO organization (org_id, name, created_at)
VALUES (%(org_id)s, %(name)s, %(created_at)s)
ON CONFLICT (org_id) DO NOTHING
"""
_READ_ORGANIZATION: Final = """
SELECT org_id, name, created_at FROM organization WHERE org_id = %(org_id)s
"""
_LIST_ORGANIZATIONS: Final = """
SELECT org_id, name, created_at FROM organization
WHERE %(after)s::uuid IS NULL OR org_id < %(after)s
ORDER BY org_id DESC
LIMIT %(limit)s
"""
_LOCK_ORGANIZATION: Final = """
SELECT FROM organization WHERE org_id = %(org_id)s FOR NO KEY UPDATE
"""


async def insert_organization(tx: Connection, organization: Organization) -> bool:
    """Return False when the id is taken."""
    inserted = await tx.execute(_INSERT_ORGANIZATION, asdict(organization))
    return inserted.rowcount == 1


async def read_organization(tx: Connection, org_id: UUID) -> Organization | None:
    found = await _read(tx, Organization, _READ_ORGANIZATION, org_id=org_id)
    return found[0] if found else None


async def list_organizations(tx: Connection, after: UUID | None, limit: int) -> list[Organization]:
    return await _read(tx, Organization, _LIST_ORGANIZATIONS, after=after, limit=limit)


async def lock_organization(tx: Connection, org_id: UUID) -> None:
    """Let changes that must see each other wait for each other."""
    await tx.execute(_LOCK_ORGANIZATION, {"org_id": org_id})


# Projects


_INSERT_PROJECT: Final = """
INSERT INTO project (org_id, project_id, name, created_at)
VALUES (%(org_id)s, %(project_id)s, %(name)s, %(created_at)s)
ON CONFLICT DO NOTHING
"""
_READ_PROJECT: Final = """
SELECT org_id, project_id, name, created_at, archived_at
FROM project
WHERE org_id = %(org_id)s AND project_id = %(project_id)s
"""
_LIST_PROJECTS: Final = """
SELECT org_id, project_id, name, created_at, archived_at
FROM project
WHERE org_id = %(org_id)s AND archived_at IS NULL
  AND (%(after)s::uuid IS NULL OR project_id > %(after)s)
ORDER BY project_id
LIMIT %(limit)s
"""
_RENAME_PROJECT: Final = """
UPDATE project SET name = %(name)s
WHERE org_id = %(org_id)s AND project_id = %(project_id)s AND archived_at IS NULL
RETURNING org_id, project_id, name, created_at, archived_at
"""
_ARCHIVE_PROJECT: Final = """
UPDATE project SET archived_at = %(now)s
WHERE org_id = %(org_id)s AND project_id = %(project_id)s AND archived_at IS NULL
"""


async def insert_project(tx: Connection, project: Project) -> bool:
    """Return False when the name or the id is taken."""
    inserted = await tx.execute(_INSERT_PROJECT, asdict(project))
    return inserted.rowcount == 1


async def read_project(tx: Connection, org_id: UUID, project_id: UUID) -> Project | None:
    found = await _read(tx, Project, _READ_PROJECT, org_id=org_id, project_id=project_id)
    return found[0] if found else None


async def list_projects(
    tx: Connection, org_id: UUID, after: UUID | None, limit: int
) -> list[Project]:
    return await _read(tx, Project, _LIST_PROJECTS, org_id=org_id, after=after, limit=limit)


async def rename_project(
    tx: Connection, org_id: UUID, project_id: UUID, name: str
) -> Project | bool:
    """Return the project, True when the name is taken, False when there is no such project."""
    try:
        async with tx.transaction():
            found = await _read(
                tx, Project, _RENAME_PROJECT, org_id=org_id, project_id=project_id, name=name
            )
    except UniqueViolation:
        return True
    return found[0] if found else False


async def archive_project(tx: Connection, org_id: UUID, project_id: UUID, now: datetime) -> bool:
    place = {"org_id": org_id, "project_id": project_id, "now": now}
    archived = await tx.execute(_ARCHIVE_PROJECT, place)
    return archived.rowcount == 1


# Members


_INSERT_MEMBER: Final = """
INSERT INTO member (org_id, member_id, name, email, role, created_at)
VALUES (%(org_id)s, %(member_id)s, %(name)s, %(email)s, %(role)s, %(created_at)s)
ON CONFLICT DO NOTHING
"""
_READ_MEMBER: Final = """
SELECT org_id, member_id, name, email, role, created_at
FROM member
WHERE org_id = %(org_id)s AND member_id = %(member_id)s
"""
_LIST_MEMBERS: Final = """
SELECT org_id, member_id, name, email, role, created_at
FROM member
WHERE org_id = %(org_id)s AND (%(after)s::uuid IS NULL OR member_id > %(after)s)
ORDER BY member_id
LIMIT %(limit)s
"""
_UPDATE_MEMBER: Final = """
UPDATE member SET name = %(name)s, role = %(role)s
WHERE org_id = %(org_id)s AND member_id = %(member_id)s
"""
_DELETE_MEMBER: Final = """
DELETE FROM member WHERE org_id = %(org_id)s AND member_id = %(member_id)s
"""
_COUNT_OWNERS: Final = """
SELECT count(*) FROM member WHERE org_id = %(org_id)s AND role = 'owner'
"""


async def insert_member(tx: Connection, member: Member) -> bool:
    """Return False when the address or the id is taken."""
    inserted = await tx.execute(_INSERT_MEMBER, asdict(member))
    return inserted.rowcount == 1


async def read_member(tx: Connection, org_id: UUID, member_id: UUID) -> Member | None:
    found = await _read(tx, _member, _READ_MEMBER, org_id=org_id, member_id=member_id)
    return found[0] if found else None


async def list_members(
    tx: Connection, org_id: UUID, after: UUID | None, limit: int
) -> list[Member]:
    return await _read(tx, _member, _LIST_MEMBERS, org_id=org_id, after=after, limit=limit)


async def update_member(tx: Connection, member: Member) -> None:
    await tx.execute(_UPDATE_MEMBER, asdict(member))


async def delete_member(tx: Connection, org_id: UUID, member_id: UUID) -> None:
    await tx.execute(_DELETE_MEMBER, {"org_id": org_id, "member_id": member_id})


async def count_owners(tx: Connection, org_id: UUID) -> int:
    return await _count(tx, _COUNT_OWNERS, org_id=org_id)


# Keys


# The project is locked against being archived until this commits.
_INSERT_KEY: Final = """
INSERT INTO api_key (org_id, key_id, project_id, name, kind, livemode, secret_hash,
                     display_prefix, clamp, created_at, expires_at, member_id)
SELECT %(org_id)s, %(key_id)s, open_project.project_id, %(name)s, %(kind)s, %(livemode)s,
       %(secret_hash)s, %(display_prefix)s, %(clamp)s, %(created_at)s, %(expires_at)s,
       %(member_id)s
FROM (
    SELECT project_id FROM project
    WHERE org_id = %(org_id)s AND project_id = %(project_id)s AND archived_at IS NULL
    FOR SHARE
) AS open_project
"""
_READ_KEY: Final = """
SELECT org_id, key_id, project_id, name, kind, livemode, display_prefix, clamp,
       created_at, expires_at, revoked_at, last_used_at, member_id
FROM api_key
WHERE org_id = %(org_id)s AND key_id = %(key_id)s
"""
_LIST_KEYS: Final = """
SELECT org_id, key_id, project_id, name, kind, livemode, display_prefix, clamp,
       created_at, expires_at, revoked_at, last_used_at, member_id
FROM api_key
WHERE org_id = %(org_id)s AND (%(after)s::uuid IS NULL OR key_id > %(after)s)
  AND (%(livemode)s::boolean IS NULL OR livemode = %(livemode)s)
  AND (%(working_at)s::timestamptz IS NULL
       OR revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %(working_at)s))
  AND (%(ended_at)s::timestamptz IS NULL
       OR revoked_at IS NOT NULL OR expires_at <= %(ended_at)s)
ORDER BY key_id
LIMIT %(limit)s
"""
_HAS_LIVE_KEYS: Final = """
SELECT EXISTS (
    SELECT FROM api_key
    WHERE org_id = %(org_id)s AND livemode
      AND (%(project_id)s::uuid IS NULL OR project_id = %(project_id)s)
)::integer
"""
_UPDATE_KEY: Final = """
UPDATE api_key
SET name = coalesce(%(name)s, name),
    clamp = coalesce(%(clamp)s, clamp),
    expires_at = CASE WHEN %(never_expires)s THEN NULL
                      ELSE coalesce(%(expires_at)s, expires_at) END,
    changed_at = clock_timestamp()
WHERE org_id = %(org_id)s AND key_id = %(key_id)s
RETURNING org_id, key_id, project_id, name, kind, livemode, display_prefix, clamp,
          created_at, expires_at, revoked_at, last_used_at, member_id
"""
_REVOKE_KEY: Final = """
UPDATE api_key
SET revoked_at = coalesce(revoked_at, %(now)s), changed_at = clock_timestamp()
WHERE org_id = %(org_id)s AND key_id = %(key_id)s
RETURNING org_id, key_id, project_id, name, kind, livemode, display_prefix, clamp,
          created_at, expires_at, revoked_at, last_used_at, member_id
"""
_REVOKE_KEYS_OF_PROJECT: Final = """
UPDATE api_key
SET revoked_at = %(now)s, changed_at = clock_timestamp()
WHERE org_id = %(org_id)s AND project_id = %(project_id)s AND revoked_at IS NULL
"""
_INSERT_OPERATOR_KEY: Final = """
INSERT INTO operator_key (key_id, name, secret_hash, display_prefix, created_at, expires_at)
VALUES (%(key_id)s, %(name)s, %(secret_hash)s, %(display_prefix)s, %(created_at)s, %(expires_at)s)
"""
_LIST_OPERATOR_KEYS: Final = """
SELECT key_id, name, display_prefix, created_at, expires_at, revoked_at, last_used_at
FROM operator_key
ORDER BY key_id
"""
_REVOKE_OPERATOR_KEY: Final = """
UPDATE operator_key
SET revoked_at = coalesce(revoked_at, %(now)s), changed_at = clock_timestamp()
WHERE key_id = %(key_id)s
RETURNING key_id, name, display_prefix, created_at, expires_at, revoked_at, last_used_at
"""


async def insert_key(tx: Connection, key: ApiKey, secret_hash: bytes) -> bool:
    """Return False when the organization has no such project in use."""
    inserted = await tx.execute(_INSERT_KEY, {**asdict(key), "secret_hash": secret_hash})
    return inserted.rowcount == 1


async def read_key(tx: Connection, org_id: UUID, key_id: UUID) -> ApiKey | None:
    found = await _read(tx, _key, _READ_KEY, org_id=org_id, key_id=key_id)
    return found[0] if found else None


async def list_keys(tx: Connection, **asked: object) -> list[ApiKey]:
    return await _read(tx, _key, _LIST_KEYS, **asked)


async def has_live_keys(tx: Connection, org_id: UUID, project_id: UUID | None) -> bool:
    """Whether there are any, or were."""
    return bool(await _count(tx, _HAS_LIVE_KEYS, org_id=org_id, project_id=project_id))


async def update_key(
    tx: Connection, org_id: UUID, key_id: UUID, **changes: object
) -> ApiKey | None:
    found = await _read(tx, _key, _UPDATE_KEY, org_id=org_id, key_id=key_id, **changes)
    return found[0] if found else None


async def revoke_key(tx: Connection, org_id: UUID, key_id: UUID, now: datetime) -> ApiKey | None:
    found = await _read(tx, _key, _REVOKE_KEY, org_id=org_id, key_id=key_id, now=now)
    return found[0] if found else None


async def revoke_keys_of_project(
    tx: Connection, org_id: UUID, project_id: UUID, now: datetime
) -> None:
    place = {"org_id": org_id, "project_id": project_id, "now": now}
    await tx.execute(_REVOKE_KEYS_OF_PROJECT, place)


async def insert_operator_key(tx: Connection, key: OperatorKey, secret_hash: bytes) -> None:
    await tx.execute(_INSERT_OPERATOR_KEY, {**asdict(key), "secret_hash": secret_hash})


async def list_operator_keys(tx: Connection) -> list[OperatorKey]:
    return await _read(tx, OperatorKey, _LIST_OPERATOR_KEYS)


async def revoke_operator_key(tx: Connection, key_id: UUID, now: datetime) -> OperatorKey | None:
    found = await _read(tx, OperatorKey, _REVOKE_OPERATOR_KEY, key_id=key_id, now=now)
    return found[0] if found else None


# Audit log


_INSERT_AUDIT: Final = """
INSERT INTO audit_log (audit_id, at, who, what, why, org_id, details)
VALUES (%(audit_id)s, %(at)s, %(who)s, %(what)s, %(why)s, %(org_id)s, %(details)s)
"""
_LIST_AUDIT: Final = """
SELECT audit_id, at, who, what, why, org_id, details
FROM audit_log
WHERE (%(org_id)s::uuid IS NULL OR org_id = %(org_id)s)
  AND (%(after)s::uuid IS NULL OR audit_id < %(after)s)
ORDER BY audit_id DESC
LIMIT %(limit)s
"""


async def insert_audit(tx: Connection, entry: AuditEntry) -> None:
    await tx.execute(_INSERT_AUDIT, {**asdict(entry), "details": Jsonb(entry.details)})


async def list_audit(
    tx: Connection, org_id: UUID | None, after: UUID | None, limit: int
) -> list[AuditEntry]:
    return await _read(tx, AuditEntry, _LIST_AUDIT, org_id=org_id, after=after, limit=limit)


async def _read(
    tx: Connection, make: Callable[..., T], query: LiteralString, **values: object
) -> list[T]:
    async with tx.cursor(row_factory=kwargs_row(make)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def _count(tx: Connection, query: LiteralString, **values: object) -> int:
    row = await (await tx.execute(query, values)).fetchone()
    return row[0] if row else 0


def _key(kind: str, **columns: Any) -> ApiKey:
    return ApiKey(kind=KeyKind(kind), **columns)


def _member(role: str, **columns: Any) -> Member:
    return Member(role=Role(role), **columns)
