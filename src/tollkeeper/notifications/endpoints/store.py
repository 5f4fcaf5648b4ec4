"""The SQL of webhook endpoints as customers manage them."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.notifications.model import Endpoint
from tollkeeper.notifications.store import endpoint_of

# A message carries a signature of each, in one header.
MOST_OLD_SECRETS: Final = 8

_INSERT: Final = """
INSERT INTO webhook_endpoint (
    org_id, endpoint_id, livemode, url, description, types, secret, enabled, created_at
)
VALUES (
    %(org_id)s, %(endpoint_id)s, %(livemode)s, %(url)s, %(description)s, %(types)s, %(secret)s,
    true, %(now)s
)
ON CONFLICT DO NOTHING
"""

_COUNT: Final = """
SELECT count(*) FROM webhook_endpoint WHERE org_id = %(org_id)s AND livemode = %(livemode)s
"""

_LIST: Final = """
SELECT org_id, endpoint_id, livemode, url, description, types, enabled, created_at,
       disabled_reason, failing_since
FROM webhook_endpoint
WHERE org_id = %(org_id)s AND livemode = %(livemode)s
    AND (%(after)s::uuid IS NULL OR endpoint_id > %(after)s)
ORDER BY endpoint_id
LIMIT %(limit)s
"""

_FAILING: Final = """
SELECT org_id, endpoint_id, livemode, url, description, types, enabled, created_at,
       disabled_reason, failing_since
FROM webhook_endpoint
WHERE livemode = %(livemode)s
  AND (enabled AND failing_since IS NOT NULL OR disabled_reason IS NOT NULL)
ORDER BY failing_since NULLS LAST, org_id, endpoint_id
LIMIT %(limit)s
"""

_READ: Final = """
SELECT org_id, endpoint_id, livemode, url, description, types, enabled, created_at,
       disabled_reason, failing_since
FROM webhook_endpoint
WHERE org_id = %(org_id)s AND livemode = %(livemode)s AND endpoint_id = %(endpoint_id)s
FOR NO KEY UPDATE
"""

_UPDATE: Final = """
UPDATE webhook_endpoint
SET url = %(url)s, description = %(description)s, types = %(types)s, enabled = %(enabled)s,
    disabled_reason = %(disabled_reason)s, failing_since = %(failing_since)s
WHERE org_id = %(org_id)s AND endpoint_id = %(endpoint_id)s
"""

# Those that sign still go on: somebody may know only the first of them.
_ROTATE: Final = """
UPDATE webhook_endpoint
SET old_secret = CASE
        WHEN old_secret_until > %(now)s THEN array_to_string(
            (secret || string_to_array(old_secret, ' '))[1:%(most)s::integer], ' '
        )
        ELSE secret
    END,
    old_secret_until = %(until)s,
    secret = %(secret)s
WHERE org_id = %(org_id)s AND endpoint_id = %(endpoint_id)s
"""

# What did not follow from a notice by itself.
_COUNT_ASKED_FOR: Final = """
SELECT count(*) FROM webhook_delivery
WHERE org_id = %(org_id)s AND endpoint_id = %(endpoint_id)s AND created_at > %(since)s
    AND (notice_id IS NULL OR redelivery_of IS NOT NULL)
"""

_DELETE: Final = """
DELETE FROM webhook_endpoint
WHERE org_id = %(org_id)s AND livemode = %(livemode)s AND endpoint_id = %(endpoint_id)s
"""


async def insert_endpoint(tx: Connection, endpoint: Endpoint, secret: str) -> bool:
    """Return False when it is there already."""
    done = await tx.execute(
        _INSERT,
        {
            "org_id": endpoint.org_id,
            "endpoint_id": endpoint.endpoint_id,
            "livemode": endpoint.livemode,
            "url": endpoint.url,
            "description": endpoint.description,
            "types": list(endpoint.types),
            "secret": secret,
            "now": endpoint.created_at,
        },
    )
    return done.rowcount == 1


async def failing_endpoints(
    connection: Connection, limit: int, *, livemode: bool
) -> list[Endpoint]:
    """Those that do not answer, or were switched off because they did not; the longest first."""
    found = await connection.execute(_FAILING, {"limit": limit, "livemode": livemode})
    return [endpoint_of(row) for row in await found.fetchall()]


async def count_endpoints(tx: Connection, org_id: UUID, *, livemode: bool) -> int:
    found = await tx.execute(_COUNT, {"org_id": org_id, "livemode": livemode})
    (count,) = await found.fetchone() or (0,)
    return count


async def list_endpoints(
    tx: Connection, org_id: UUID, *, livemode: bool, after: UUID | None, limit: int
) -> list[Endpoint]:
    """Oldest first."""
    asked = {"org_id": org_id, "livemode": livemode, "after": after, "limit": limit}
    return [endpoint_of(row) for row in await (await tx.execute(_LIST, asked)).fetchall()]


async def read_endpoint(
    tx: Connection, org_id: UUID, endpoint_id: UUID, *, livemode: bool
) -> Endpoint | None:
    """Read it, locked until the end of the transaction."""
    asked = {"org_id": org_id, "livemode": livemode, "endpoint_id": endpoint_id}
    row = await (await tx.execute(_READ, asked)).fetchone()
    return None if row is None else endpoint_of(row)


async def update_endpoint(tx: Connection, endpoint: Endpoint) -> None:
    await tx.execute(
        _UPDATE,
        {
            "org_id": endpoint.org_id,
            "endpoint_id": endpoint.endpoint_id,
            "url": endpoint.url,
            "description": endpoint.description,
            "types": [*endpoint.types, *endpoint.newer_types],
            "enabled": endpoint.enabled,
            "disabled_reason": endpoint.disabled_reason,
            "failing_since": endpoint.failing_since,
        },
    )


async def rotate(
    tx: Connection, endpoint: Endpoint, secret: str, *, until: datetime, now: datetime
) -> None:
    """Sign with `secret` from now on, and with the old ones that are in force too until then."""
    await tx.execute(
        _ROTATE,
        {
            "org_id": endpoint.org_id,
            "endpoint_id": endpoint.endpoint_id,
            "secret": secret,
            "most": MOST_OLD_SECRETS,
            "until": until,
            "now": now,
        },
    )


async def count_asked_for(tx: Connection, org_id: UUID, endpoint_id: UUID, since: datetime) -> int:
    """Count the tests and redeliveries since then."""
    asked = {"org_id": org_id, "endpoint_id": endpoint_id, "since": since}
    (count,) = await (await tx.execute(_COUNT_ASKED_FOR, asked)).fetchone() or (0,)
    return count


async def delete_endpoint(
    tx: Connection, org_id: UUID, endpoint_id: UUID, *, livemode: bool
) -> bool:
    asked = {"org_id": org_id, "livemode": livemode, "endpoint_id": endpoint_id}
    return (await tx.execute(_DELETE, asked)).rowcount == 1
