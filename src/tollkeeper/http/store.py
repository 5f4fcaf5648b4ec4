"""All SQL of this room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from tollkeeper.db import Connection


@dataclass(frozen=True, slots=True)
class IdempotencyRow:
    request_hash: bytes
    state: str
    status: int | None
    headers: list[list[str]] | None
    body: bytes | None


# Takes the key if it is free, has expired, or was left behind by a run of the same request.
_CLAIM: Final = """
INSERT INTO idempotency AS held
    (org_id, key, request_hash, run_id, state, leased_until, expires_at, created_at)
VALUES (%(org_id)s, %(key)s, %(request_hash)s, %(run_id)s, 'running',
        %(leased_until)s, %(expires_at)s, %(now)s)
ON CONFLICT (org_id, key) DO UPDATE
SET request_hash = excluded.request_hash,
    run_id = CASE WHEN held.expires_at <= %(now)s THEN excluded.run_id ELSE held.run_id END,
    created_at = CASE WHEN held.expires_at <= %(now)s THEN excluded.created_at
                      ELSE held.created_at END,
    state = 'running',
    leased_until = excluded.leased_until,
    expires_at = excluded.expires_at,
    status = NULL, headers = NULL, body = NULL
WHERE held.expires_at <= %(now)s
   OR (held.state = 'running' AND held.leased_until <= %(now)s
       AND held.request_hash = excluded.request_hash)
RETURNING run_id
"""

_READ: Final = """
SELECT request_hash, state, status, headers, body
FROM idempotency
WHERE org_id = %(org_id)s AND key = %(key)s
"""

# A run whose lease was taken over has nothing more to say.
_FINISH: Final = """
UPDATE idempotency
SET state = 'done', status = %(status)s, headers = %(headers)s, body = %(body)s
WHERE org_id = %(org_id)s AND key = %(key)s
  AND run_id = %(run_id)s AND leased_until = %(leased_until)s AND state = 'running'
"""

# The key stays bound to its request and its run_id, and may be taken over from this moment.
_RELEASE: Final = """
UPDATE idempotency
SET leased_until = %(now)s
WHERE org_id = %(org_id)s AND key = %(key)s
  AND run_id = %(run_id)s AND leased_until = %(leased_until)s AND state = 'running'
"""

_SWEEP: Final = """
DELETE FROM idempotency
WHERE (org_id, key) IN (
    SELECT org_id, key FROM idempotency
    WHERE expires_at <= %(now)s
    ORDER BY expires_at
    LIMIT %(most)s
)
"""

_KEEP_IF_NONE: Final = """
INSERT INTO instance_secret (secret) VALUES (%(secret)s) ON CONFLICT DO NOTHING
"""
_READ_KEPT: Final = "SELECT secret FROM instance_secret"


async def claim(
    connection: Connection,
    *,
    org_id: UUID,
    key: str,
    request_hash: bytes,
    run_id: UUID,
    leased_until: datetime,
    expires_at: datetime,
    now: datetime,
) -> UUID | None:
    """Return the id under which the request is to be run, None if somebody else has the key."""
    claimed = await connection.execute(
        _CLAIM,
        {
            "org_id": org_id,
            "key": key,
            "request_hash": request_hash,
            "run_id": run_id,
            "leased_until": leased_until,
            "expires_at": expires_at,
            "now": now,
        },
    )
    row = await claimed.fetchone()
    return None if row is None else row[0]


async def read(connection: Connection, org_id: UUID, key: str) -> IdempotencyRow | None:
    found = await connection.execute(_READ, {"org_id": org_id, "key": key})
    row = await found.fetchone()
    return None if row is None else IdempotencyRow(*row)


async def finish(
    connection: Connection,
    *,
    org_id: UUID,
    key: str,
    run_id: UUID,
    leased_until: datetime,
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
) -> None:
    await connection.execute(
        _FINISH,
        {
            "org_id": org_id,
            "key": key,
            "run_id": run_id,
            "leased_until": leased_until,
            "status": status,
            "headers": Jsonb(headers),
            "body": body,
        },
    )


async def release(
    connection: Connection,
    *,
    org_id: UUID,
    key: str,
    run_id: UUID,
    leased_until: datetime,
    now: datetime,
) -> None:
    await connection.execute(
        _RELEASE,
        {"org_id": org_id, "key": key, "run_id": run_id, "leased_until": leased_until, "now": now},
    )


async def sweep(connection: Connection, now: datetime, most: int) -> int:
    swept = await connection.execute(_SWEEP, {"now": now, "most": most})
    return swept.rowcount


async def instance_secret(connection: Connection, fresh: bytes) -> bytes:
    """Return what this installation keeps secret; `fresh` becomes it if there is none yet."""
    await connection.execute(_KEEP_IF_NONE, {"secret": fresh})
    found = await connection.execute(_READ_KEPT)
    row = await found.fetchone()
    return b"" if row is None else row[0]
