"""A notice is written with its cause; everything else follows from its row."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from tollkeeper.base.ids import named_uuid, show_id, uuid7
from tollkeeper.db import Connection
from tollkeeper.http import encode_json
from tollkeeper.jobs import enqueue
from tollkeeper.notifications import store
from tollkeeper.notifications.events import Event, encode_data
from tollkeeper.notifications.model import DELIVER, FAN_OUT, SEND_MAIL, NewDelivery, Notice


async def notify(
    tx: Connection,
    org_id: UUID,
    event: Event,
    *,
    now: datetime,
    livemode: bool = True,
    notice_id: UUID | None = None,
) -> UUID:
    """Tell an organization that something happened, if `tx` commits.

    An id made from the cause makes it once per cause: with an id that is there, nothing happens.
    """
    notice = Notice(
        org_id=org_id,
        notice_id=notice_id or uuid7(),
        livemode=livemode,
        event=event,
        created_at=now,
    )
    if await store.insert_notice(tx, notice):
        await enqueue(tx, FAN_OUT, org_id=org_id.hex, notice_id=notice.notice_id.hex)
    return notice.notice_id


async def fan_out(tx: Connection, org_id: UUID, notice_id: UUID, *, mails: bool) -> None:
    """Write down to whom a notice goes, each with a job of its own. Again does nothing more."""
    notice = await store.read_notice(tx, org_id, notice_id)
    if notice is None:
        return
    if mails:
        await _fan_out_mails(tx, notice)
    await _fan_out_webhooks(tx, notice)


async def _fan_out_mails(tx: Connection, notice: Notice) -> None:
    for recipient in await store.recipients(tx, notice.org_id):
        if not recipient.wants(notice.event.type):
            continue
        if await store.insert_mail(tx, notice, recipient):
            await enqueue(
                tx,
                SEND_MAIL,
                org_id=notice.org_id.hex,
                notice_id=notice.notice_id.hex,
                member_id=recipient.member_id.hex,
            )


async def _fan_out_webhooks(tx: Connection, notice: Notice) -> None:
    for endpoint in await store.listening(tx, notice.org_id, livemode=notice.livemode):
        if not endpoint.hears_of(notice.event.type):
            continue
        new = NewDelivery(
            org_id=notice.org_id,
            delivery_id=named_uuid(endpoint.endpoint_id, notice.notice_id.hex),
            endpoint_id=endpoint.endpoint_id,
            message_id=show_id("msg", notice.notice_id),
            type=notice.event.type,
            body=webhook_body(notice),
            created_at=notice.created_at,
            notice_id=notice.notice_id,
        )
        if await store.insert_delivery(tx, new):
            await enqueue_delivery(tx, notice.org_id, new.delivery_id, attempt=1)


def webhook_body(notice: Notice) -> str:
    """Write what a webhook carries; its bytes are what is signed, so they are kept as they are."""
    return encode_json(
        {
            "type": notice.event.type,
            "timestamp": notice.created_at,
            "organizationId": show_id("org", notice.org_id),
            "livemode": notice.livemode,
            "data": msgspec.Raw(encode_data(notice.event).encode()),
        }
    ).decode()


async def enqueue_delivery(
    tx: Connection, org_id: UUID, delivery_id: UUID, *, attempt: int, at: datetime | None = None
) -> None:
    await enqueue(
        tx, DELIVER, at=at, org_id=org_id.hex, delivery_id=delivery_id.hex, attempt=attempt
    )
