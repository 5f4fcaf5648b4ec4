"""What customers do with their endpoints."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.errors import NotFound, RateLimited
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection
from tollkeeper.notifications import store as deliveries
from tollkeeper.notifications.endpoints import store
from tollkeeper.notifications.errors import TooManyWebhooks, WebhookDisabled, WebhookNotFound
from tollkeeper.notifications.events import EventType
from tollkeeper.notifications.examples import EXAMPLES
from tollkeeper.notifications.model import Delivery, Endpoint, NewDelivery, Notice
from tollkeeper.notifications.outbox import enqueue_delivery, webhook_body

MOST_ENDPOINTS: Final = 20
OLD_SECRET_SIGNS: Final = timedelta(hours=24)
MOST_ASKED_FOR: Final = 30
_MINUTE: Final = timedelta(minutes=1)


def make_secret(chance: bytes) -> str:
    """Make a signing secret from 32 random bytes, as Standard Webhooks writes them."""
    return f"whsec_{b64encode(chance).decode()}"


async def create_endpoint(tx: Connection, endpoint: Endpoint, secret: str) -> Endpoint:
    """Raises TooManyWebhooks. One that is there already, from a request that ran before, gets
    this secret."""
    place = endpoint.org_id, endpoint.endpoint_id
    if await store.insert_endpoint(tx, endpoint, secret):
        count = await store.count_endpoints(tx, endpoint.org_id, livemode=endpoint.livemode)
        if count > MOST_ENDPOINTS:
            raise TooManyWebhooks(f"There are {MOST_ENDPOINTS} webhooks already; remove one first")
        return endpoint
    known = await get_endpoint(tx, *place, livemode=endpoint.livemode)
    created_at = endpoint.created_at
    await store.rotate(tx, known, secret, until=created_at, now=created_at)
    return known


async def get_endpoint(
    tx: Connection, org_id: UUID, endpoint_id: UUID, *, livemode: bool
) -> Endpoint:
    """Raises WebhookNotFound."""
    found = await store.read_endpoint(tx, org_id, endpoint_id, livemode=livemode)
    if found is None:
        raise WebhookNotFound(f"There is no webhook {show_id('whk', endpoint_id)}")
    return found


async def change_endpoint(
    tx: Connection,
    known: Endpoint,
    *,
    url: str | None = None,
    description: str | None = None,
    types: list[EventType] | None = None,
    enabled: bool | None = None,
) -> Endpoint:
    """Change what is not None. Switched on again, it begins with a clean sheet."""
    changed = replace(
        known,
        url=known.url if url is None else url,
        description=known.description if description is None else description,
        types=known.types if types is None else types,
        newer_types=known.newer_types if types is None else (),
    )
    if enabled is True:
        changed = replace(changed, enabled=True, disabled_reason=None, failing_since=None)
    elif enabled is False:
        changed = replace(changed, enabled=False, disabled_reason="switched off by you")
    await store.update_endpoint(tx, changed)
    return changed


async def rotate_secret(tx: Connection, endpoint: Endpoint, secret: str, now: datetime) -> None:
    """Sign with a new secret, and for a day with the old ones that are in force too."""
    await store.rotate(tx, endpoint, secret, until=now + OLD_SECRET_SIGNS, now=now)


async def delete_endpoint(
    tx: Connection, org_id: UUID, endpoint_id: UUID, *, livemode: bool
) -> None:
    """Raises WebhookNotFound. What is still to be delivered is forgotten with it."""
    if not await store.delete_endpoint(tx, org_id, endpoint_id, livemode=livemode):
        raise WebhookNotFound(f"There is no webhook {show_id('whk', endpoint_id)}")


async def send_test(
    tx: Connection, endpoint: Endpoint, type_: EventType, delivery_id: UUID, now: datetime
) -> Delivery:
    """Deliver an example. Raises WebhookDisabled, RateLimited."""
    example = Notice(
        org_id=endpoint.org_id,
        notice_id=delivery_id,
        livemode=endpoint.livemode,
        event=EXAMPLES[type_],
        created_at=now,
    )
    new = NewDelivery(
        org_id=endpoint.org_id,
        delivery_id=delivery_id,
        endpoint_id=endpoint.endpoint_id,
        message_id=show_id("msg", delivery_id),
        type=type_,
        body=webhook_body(example),
        created_at=now,
    )
    return await _deliver(tx, endpoint, new)


async def redeliver(
    tx: Connection, endpoint: Endpoint, known_id: UUID, delivery_id: UUID, now: datetime
) -> Delivery:
    """Deliver the same message again, under its own id.

    Raises NotFound, WebhookDisabled, RateLimited."""
    known = await get_delivery(tx, endpoint, known_id)
    new = NewDelivery(
        org_id=endpoint.org_id,
        delivery_id=delivery_id,
        endpoint_id=endpoint.endpoint_id,
        message_id=known.message_id,
        type=known.type,
        body=known.body,
        created_at=now,
        notice_id=known.notice_id,
        redelivery_of=known.redelivery_of or known.delivery_id,
    )
    return await _deliver(tx, endpoint, new)


async def get_delivery(tx: Connection, endpoint: Endpoint, delivery_id: UUID) -> Delivery:
    """Raises NotFound."""
    found = await deliveries.read_delivery(tx, endpoint.org_id, endpoint.endpoint_id, delivery_id)
    if found is None:
        raise NotFound(f"There is no delivery {show_id('dlv', delivery_id)} to this webhook")
    return found


async def _deliver(tx: Connection, endpoint: Endpoint, new: NewDelivery) -> Delivery:
    if not endpoint.enabled:
        raise WebhookDisabled("Switch the webhook on first")
    if await deliveries.insert_delivery(tx, new):
        since = new.created_at - _MINUTE
        place = new.org_id, new.endpoint_id
        if await store.count_asked_for(tx, *place, since) > MOST_ASKED_FOR:
            raise RateLimited(
                f"At most {MOST_ASKED_FOR} tests and redeliveries a minute are sent to a webhook",
                retryAfterSeconds=round(_MINUTE.total_seconds()),
            )
        await enqueue_delivery(tx, new.org_id, new.delivery_id, attempt=1)
    return await get_delivery(tx, endpoint, new.delivery_id)
