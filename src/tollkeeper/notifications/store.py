"""All SQL of this room: notices and mails first, then webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.notifications.events import EventType, decode_data, encode_data
from tollkeeper.notifications.model import (
    Delivery,
    DeliveryState,
    Due,
    Endpoint,
    NewDelivery,
    Notice,
    Recipient,
)
from tollkeeper.orgs import Role

_KNOWN: Final = frozenset(EventType)

_INSERT_NOTICE: Final = """
INSERT INTO notice (org_id, notice_id, type, livemode, data, created_at)
VALUES (%(org_id)s, %(notice_id)s, %(type)s, %(livemode)s, %(data)s::jsonb, %(created_at)s)
ON CONFLICT DO NOTHING
"""

_READ_NOTICE: Final = """
SELECT org_id, notice_id, livemode, type, data::text, created_at, read_at
FROM notice
WHERE org_id = %(org_id)s AND notice_id = %(notice_id)s
"""

_LIST_NOTICES: Final = """
SELECT org_id, notice_id, livemode, type, data::text, created_at, read_at
FROM notice
WHERE org_id = %(org_id)s AND livemode = %(livemode)s
    AND (%(at)s::timestamptz IS NULL OR (created_at, notice_id) < (%(at)s, %(below)s::uuid))
    AND type = ANY (%(types)s::text[])
    AND (NOT %(unread)s OR read_at IS NULL)
ORDER BY created_at DESC, notice_id DESC
LIMIT %(limit)s
"""

_COUNT_UNREAD: Final = """
SELECT count(*) FROM (
    SELECT FROM notice
    WHERE org_id = %(org_id)s AND livemode = %(livemode)s AND read_at IS NULL
        AND type = ANY (%(types)s::text[])
    LIMIT %(most)s
) AS unread
"""

_MARK_READ: Final = """
UPDATE notice SET read_at = CASE WHEN %(read)s THEN coalesce(read_at, %(now)s) END
WHERE org_id = %(org_id)s AND livemode = %(livemode)s
    AND (%(ids)s::uuid[] IS NULL OR notice_id = ANY (%(ids)s::uuid[]))
    AND (read_at IS NULL) = %(read)s
"""

_RECIPIENTS: Final = """
SELECT member.member_id, member.name, member.email, member.role,
       coalesce(jsonb_object_agg(chosen.type, chosen.email)
                FILTER (WHERE chosen.type IS NOT NULL), '{}')
FROM member
LEFT JOIN notice_preference AS chosen USING (org_id, member_id)
WHERE org_id = %(org_id)s
    AND (%(only)s::uuid IS NULL OR member_id = %(only)s)
    AND (%(after)s::uuid IS NULL OR member_id > %(after)s)
GROUP BY org_id, member_id
ORDER BY member_id
LIMIT %(limit)s
"""

_CHOOSE: Final = """
INSERT INTO notice_preference (org_id, member_id, type, email)
SELECT %(org_id)s, %(member_id)s, type, email
FROM unnest(%(types)s::text[], %(emails)s::boolean[]) AS chosen (type, email)
ON CONFLICT (org_id, member_id, type) DO UPDATE SET email = excluded.email
"""

_INSERT_MAIL: Final = """
INSERT INTO notice_mail (org_id, notice_id, member_id, name, address, created_at)
VALUES (%(org_id)s, %(notice_id)s, %(member_id)s, %(name)s, %(address)s, %(created_at)s)
ON CONFLICT DO NOTHING
"""

_UNSENT_MAIL: Final = """
SELECT name, address
FROM notice_mail
WHERE org_id = %(org_id)s AND notice_id = %(notice_id)s AND member_id = %(member_id)s
    AND sent_at IS NULL
"""

_MAIL_SENT: Final = """
UPDATE notice_mail SET sent_at = %(now)s
WHERE org_id = %(org_id)s AND notice_id = %(notice_id)s AND member_id = %(member_id)s
"""

_LISTENING: Final = """
SELECT org_id, endpoint_id, livemode, url, description, types, enabled, created_at,
       disabled_reason, failing_since
FROM webhook_endpoint
WHERE org_id = %(org_id)s AND livemode = %(livemode)s AND enabled
"""

_INSERT_DELIVERY: Final = """
INSERT INTO webhook_delivery (
    org_id, delivery_id, endpoint_id, notice_id, redelivery_of, message_id, type, body,
    created_at, next_attempt_at
)
VALUES (
    %(org_id)s, %(delivery_id)s, %(endpoint_id)s, %(notice_id)s, %(redelivery_of)s,
    %(message_id)s, %(type)s, %(body)s, %(created_at)s, %(created_at)s
)
ON CONFLICT DO NOTHING
"""

_READ_DELIVERY: Final = """
SELECT org_id, delivery_id, endpoint_id, notice_id, redelivery_of, message_id, type, body, state,
       attempts, created_at, next_attempt_at, attempted_at, response_status, failure, duration_ms,
       response_body
FROM webhook_delivery
WHERE org_id = %(org_id)s AND endpoint_id = %(endpoint_id)s AND delivery_id = %(delivery_id)s
"""

_LIST_DELIVERIES: Final = """
SELECT org_id, delivery_id, endpoint_id, notice_id, redelivery_of, message_id, type, body, state,
       attempts, created_at, next_attempt_at, attempted_at, response_status, failure, duration_ms,
       response_body
FROM webhook_delivery
WHERE org_id = %(org_id)s AND endpoint_id = %(endpoint_id)s AND type = ANY (%(types)s::text[])
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(at)s::timestamptz IS NULL
         OR (created_at, delivery_id) < (%(at)s::timestamptz, %(below)s::uuid))
ORDER BY created_at DESC, delivery_id DESC
LIMIT %(limit)s
"""

_READ_DUE: Final = """
SELECT delivery.org_id, delivery_id, delivery.endpoint_id, notice_id, redelivery_of, message_id,
       type, body, state, attempts, delivery.created_at, next_attempt_at, attempted_at,
       response_status, failure, duration_ms, response_body,
       url, enabled, secret, CASE WHEN old_secret_until > %(now)s THEN old_secret END
FROM webhook_delivery AS delivery
JOIN webhook_endpoint AS endpoint USING (org_id, endpoint_id)
WHERE org_id = %(org_id)s AND delivery_id = %(delivery_id)s
"""

_WRITE_ATTEMPT: Final = """
UPDATE webhook_delivery
SET state = %(state)s, attempts = attempts + 1, attempted_at = %(now)s,
    next_attempt_at = %(again_at)s, response_status = %(status)s, failure = %(failure)s,
    duration_ms = %(duration_ms)s, response_body = %(answered)s
WHERE org_id = %(org_id)s AND delivery_id = %(delivery_id)s
    AND attempts = %(attempts)s AND state = 'pending'
"""

_ENDPOINT_WORKS: Final = """
UPDATE webhook_endpoint SET failing_since = NULL
WHERE org_id = %(org_id)s AND endpoint_id = %(endpoint_id)s AND failing_since IS NOT NULL
"""

_ENDPOINT_FAILS: Final = """
UPDATE webhook_endpoint SET failing_since = coalesce(failing_since, %(now)s)
WHERE org_id = %(org_id)s AND endpoint_id = %(endpoint_id)s
RETURNING failing_since
"""

_SWITCH_OFF: Final = """
UPDATE webhook_endpoint SET enabled = false, disabled_reason = %(reason)s
WHERE org_id = %(org_id)s AND endpoint_id = %(endpoint_id)s AND enabled
RETURNING url, livemode
"""


async def insert_notice(tx: Connection, notice: Notice) -> bool:
    """Return False when it is there already."""
    done = await tx.execute(
        _INSERT_NOTICE,
        {
            "org_id": notice.org_id,
            "notice_id": notice.notice_id,
            "type": notice.event.type,
            "livemode": notice.livemode,
            "data": encode_data(notice.event),
            "created_at": notice.created_at,
        },
    )
    return done.rowcount == 1


async def read_notice(tx: Connection, org_id: UUID, notice_id: UUID) -> Notice | None:
    found = await tx.execute(_READ_NOTICE, {"org_id": org_id, "notice_id": notice_id})
    row = await found.fetchone()
    return None if row is None else _notice(row)


async def list_notices(
    tx: Connection,
    org_id: UUID,
    *,
    livemode: bool,
    below: tuple[datetime, UUID] | None,
    types: Sequence[EventType] | None,
    unread: bool,
    limit: int,
) -> list[Notice]:
    """Newest first, from below the moment and the id of one: an id may tell of its cause instead
    of its time. What a newer version has to tell is left out, here and wherever many are read."""
    at, notice_id = below or (None, None)
    found = await tx.execute(
        _LIST_NOTICES,
        {
            "org_id": org_id,
            "livemode": livemode,
            "at": at,
            "below": notice_id,
            "types": list(types or EventType),
            "unread": unread,
            "limit": limit,
        },
    )
    return [_notice(row) for row in await found.fetchall()]


async def count_unread(tx: Connection, org_id: UUID, *, livemode: bool, most: int) -> int:
    asked = {"org_id": org_id, "livemode": livemode, "types": list(EventType), "most": most}
    (count,) = await (await tx.execute(_COUNT_UNREAD, asked)).fetchone() or (0,)
    return count


async def mark_read(
    tx: Connection,
    org_id: UUID,
    *,
    livemode: bool,
    ids: Sequence[UUID] | None,
    read: bool,
    now: datetime,
) -> int:
    """Mark these, or all when `ids` is None; return how many changed."""
    done = await tx.execute(
        _MARK_READ,
        {
            "org_id": org_id,
            "livemode": livemode,
            "ids": None if ids is None else list(ids),
            "read": read,
            "now": now,
        },
    )
    return done.rowcount


async def recipients(
    tx: Connection,
    org_id: UUID,
    *,
    only: UUID | None = None,
    after: UUID | None = None,
    limit: int | None = None,
) -> list[Recipient]:
    """Members with what they have chosen, oldest first."""
    asked = {"org_id": org_id, "only": only, "after": after, "limit": limit}
    found = await (await tx.execute(_RECIPIENTS, asked)).fetchall()
    return [
        Recipient(member_id, name, address, Role(role), chosen)
        for member_id, name, address, role, chosen in found
    ]


async def choose(
    tx: Connection, org_id: UUID, member_id: UUID, chosen: dict[EventType, bool]
) -> None:
    await tx.execute(
        _CHOOSE,
        {
            "org_id": org_id,
            "member_id": member_id,
            "types": list(chosen),
            "emails": list(chosen.values()),
        },
    )


async def insert_mail(tx: Connection, notice: Notice, recipient: Recipient) -> bool:
    done = await tx.execute(
        _INSERT_MAIL,
        {
            "org_id": notice.org_id,
            "notice_id": notice.notice_id,
            "member_id": recipient.member_id,
            "name": recipient.name,
            "address": recipient.address,
            "created_at": notice.created_at,
        },
    )
    return done.rowcount == 1


async def unsent_mail(
    tx: Connection, org_id: UUID, notice_id: UUID, member_id: UUID
) -> tuple[str, str] | None:
    """Return the name and address of a mail that is still to be sent."""
    asked = {"org_id": org_id, "notice_id": notice_id, "member_id": member_id}
    row = await (await tx.execute(_UNSENT_MAIL, asked)).fetchone()
    return None if row is None else (row[0], row[1])


async def mail_sent(
    tx: Connection, org_id: UUID, notice_id: UUID, member_id: UUID, now: datetime
) -> None:
    await tx.execute(
        _MAIL_SENT,
        {"org_id": org_id, "notice_id": notice_id, "member_id": member_id, "now": now},
    )


async def listening(tx: Connection, org_id: UUID, *, livemode: bool) -> list[Endpoint]:
    found = await tx.execute(_LISTENING, {"org_id": org_id, "livemode": livemode})
    return [endpoint_of(row) for row in await found.fetchall()]


async def insert_delivery(tx: Connection, new: NewDelivery) -> bool:
    """Return False when it is there already."""
    return (await tx.execute(_INSERT_DELIVERY, asdict(new))).rowcount == 1


async def read_delivery(
    tx: Connection, org_id: UUID, endpoint_id: UUID, delivery_id: UUID
) -> Delivery | None:
    asked = {"org_id": org_id, "endpoint_id": endpoint_id, "delivery_id": delivery_id}
    row = await (await tx.execute(_READ_DELIVERY, asked)).fetchone()
    return None if row is None else _delivery(row)


async def list_deliveries(
    tx: Connection,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    state: DeliveryState | None,
    below: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Delivery]:
    """Newest first, below a place in that order."""
    at, id_below = below or (None, None)
    found = await tx.execute(
        _LIST_DELIVERIES,
        {
            "org_id": org_id,
            "endpoint_id": endpoint_id,
            "types": list(EventType),
            "state": state,
            "at": at,
            "below": id_below,
            "limit": limit,
        },
    )
    return [_delivery(row) for row in await found.fetchall()]


async def read_due(tx: Connection, org_id: UUID, delivery_id: UUID, now: datetime) -> Due | None:
    asked = {"org_id": org_id, "delivery_id": delivery_id, "now": now}
    row = await (await tx.execute(_READ_DUE, asked)).fetchone()
    if row is None:
        return None
    *delivery, url, enabled, secret, old_secrets = row
    secrets = [secret] if old_secrets is None else [secret, *old_secrets.split()]
    return Due(_delivery(delivery), url, enabled, secrets)


async def write_attempt(
    tx: Connection,
    delivery: Delivery,
    *,
    state: DeliveryState,
    status: int | None,
    failure: str | None,
    duration_ms: int,
    answered: str | None,
    again_at: datetime | None,
    now: datetime,
) -> bool:
    """Return False when somebody else has written this attempt."""
    done = await tx.execute(
        _WRITE_ATTEMPT,
        {
            "org_id": delivery.org_id,
            "delivery_id": delivery.delivery_id,
            "attempts": delivery.attempts,
            "state": state,
            "status": status,
            "failure": failure,
            "duration_ms": duration_ms,
            "answered": answered,
            "again_at": again_at,
            "now": now,
        },
    )
    return done.rowcount == 1


async def endpoint_works(tx: Connection, org_id: UUID, endpoint_id: UUID) -> None:
    await tx.execute(_ENDPOINT_WORKS, {"org_id": org_id, "endpoint_id": endpoint_id})


async def endpoint_fails(
    tx: Connection, org_id: UUID, endpoint_id: UUID, now: datetime
) -> datetime | None:
    """Return since when it has answered nothing well."""
    asked = {"org_id": org_id, "endpoint_id": endpoint_id, "now": now}
    row = await (await tx.execute(_ENDPOINT_FAILS, asked)).fetchone()
    return None if row is None else row[0]


async def switch_off(
    tx: Connection, org_id: UUID, endpoint_id: UUID, reason: str
) -> tuple[str, bool] | None:
    """Return its URL and mode, or None when it was off already."""
    asked = {"org_id": org_id, "endpoint_id": endpoint_id, "reason": reason}
    row = await (await tx.execute(_SWITCH_OFF, asked)).fetchone()
    return None if row is None else (row[0], row[1])


def _notice(row: Sequence[Any]) -> Notice:
    org_id, notice_id, livemode, type_, data, created_at, read_at = row
    return Notice(
        org_id=org_id,
        notice_id=notice_id,
        livemode=livemode,
        event=decode_data(EventType(type_), data),
        created_at=created_at,
        read_at=read_at,
    )


def endpoint_of(row: Sequence[Any]) -> Endpoint:
    org_id, endpoint_id, livemode, url, description, types, enabled, created_at, why, since = row
    return Endpoint(
        org_id=org_id,
        endpoint_id=endpoint_id,
        livemode=livemode,
        url=url,
        description=description,
        types=[EventType(type_) for type_ in types if type_ in _KNOWN],
        enabled=enabled,
        created_at=created_at,
        disabled_reason=why,
        failing_since=since,
        newer_types=tuple([type_ for type_ in types if type_ not in _KNOWN]),
    )


def _delivery(row: Sequence[Any]) -> Delivery:
    fields: dict[str, Any] = dict(zip(Delivery.__dataclass_fields__, row, strict=True))
    fields["type"] = EventType(fields["type"])
    fields["state"] = DeliveryState(fields["state"])
    return Delivery(**fields)
