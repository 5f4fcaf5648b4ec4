"""All SQL of this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import TupleRow

from tollkeeper.db import Connection
from tollkeeper.orgs.model import Caller, KeyKind, OperatorCaller


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What a process needs to know of a key to let its holder in."""

    secret_hash: bytes
    revoked_at: datetime | None
    caller: Caller | OperatorCaller


_FIND_KEYS: Final = """
SELECT secret_hash, revoked_at, key_id, name, expires_at,
       org_id, project_id, kind, livemode, clamp
FROM api_key
WHERE secret_hash = ANY (%(hashes)s)
UNION ALL
SELECT secret_hash, revoked_at, key_id, name, expires_at,
       NULL, NULL, NULL, NULL, NULL
FROM operator_key
WHERE secret_hash = ANY (%(hashes)s)
"""

# Without a moment to look back from, nothing has been missed yet.
_KEYS_CHANGED: Final = """
WITH since AS (
    SELECT coalesce(%(since)s, now()) - make_interval(secs => %(overlap)s) AS moment
), changed AS (
    SELECT secret_hash, revoked_at, key_id, name, expires_at,
           org_id, project_id, kind, livemode, clamp
    FROM api_key
    WHERE changed_at > (SELECT moment FROM since)
    UNION ALL
    SELECT secret_hash, revoked_at, key_id, name, expires_at,
           NULL, NULL, NULL, NULL, NULL
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
    org_id, project_id, kind, livemode, clamp = of_org
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
        )
    return KeyRow(secret_hash, revoked_at, caller)
