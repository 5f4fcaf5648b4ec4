"""One webhook: what was sent to it, what it answered, and what is sent to it now."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import notifications
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.console.customer.webhooks_page import PATH, find_webhook, note_webhook
from tollkeeper.console.doors import AnyRequest, Door, managers_only, session_of
from tollkeeper.console.forms import go_on
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.http import Cursors, read_path_id
from tollkeeper.notifications import CATALOGUE, Delivery, DeliveryState, Endpoint, EventType

_PAGE: Final = 20
# While something may be delivered any moment, the list looks again by itself.
_MOMENTS: Final = timedelta(seconds=30)


def delivery_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [*_looking(door, shelves.cursors), *_sending(door)]


def _looking(door: Door, cursors: Cursors) -> list[ControllerRouterHandler]:
    @get("/webhooks/{webhook_id:str}", include_in_schema=False, guards=[managers_only])
    async def show_webhook(
        request: AnyRequest,
        webhook_id: FromPath[str],
        status: FromQuery[str] = "",
        before: FromQuery[str] = "",
    ) -> Response[bytes]:
        state = _state_of(status)
        async with door.database.transaction() as tx:
            known = await find_webhook(tx, session_of(request), webhook_id)
            found, older = await _deliveries(tx, cursors, known, state, before)
        path = f"{PATH}/{webhook_id}"
        return door.page(
            request,
            "customer/webhook.html",
            webhook_id=webhook_id,
            endpoint=known,
            deliveries=[_row(one) for one in found],
            types=[(one.value, event.title) for one, event in CATALOGUE.items()],
            titles={one.value: event.title for one, event in CATALOGUE.items()},
            chosen=status,
            states=[one.value for one in DeliveryState],
            again=f"{path}?{urlencode({'status': status, 'before': before})}",
            moving=any(_moves(one, door.clock.now()) for one in found),
            older=None if older is None else f"{path}?{urlencode({'status': status, **older})}",
            newest=f"{path}?{urlencode({'status': status})}" if before else None,
        )

    @get(
        "/webhooks/{webhook_id:str}/deliveries/{delivery_id:str}",
        include_in_schema=False,
        guards=[managers_only],
    )
    async def show_delivery(
        request: AnyRequest, webhook_id: FromPath[str], delivery_id: FromPath[str]
    ) -> Response[bytes]:
        async with door.database.transaction() as tx:
            known = await find_webhook(tx, session_of(request), webhook_id)
            asked = read_path_id("dlv", delivery_id)
            delivery = await notifications.get_delivery(tx, known, asked)
        return door.page(
            request,
            "customer/delivery.html",
            webhook_id=webhook_id,
            delivery_id=delivery_id,
            endpoint=known,
            delivery=delivery,
            title=CATALOGUE[delivery.type].title,
            payload=json.dumps(json.loads(delivery.body), indent=2, ensure_ascii=False),
            original=None
            if delivery.redelivery_of is None
            else show_id("dlv", delivery.redelivery_of),
        )

    return [show_webhook, show_delivery]


def _state_of(status: str) -> DeliveryState | None:
    if not status:
        return None
    try:
        return DeliveryState(status)
    except ValueError:
        raise InvalidRequest(f"There is no status {status}") from None


async def _deliveries(
    tx: Connection, cursors: Cursors, known: Endpoint, state: DeliveryState | None, before: str
) -> tuple[list[Delivery], dict[str, str] | None]:
    bound = ("console-deliveries", known.org_id, known.endpoint_id, state)
    below = cursors.open(bound, before, tuple[datetime, UUID]) if before else None
    found = await notifications.list_deliveries(
        tx, known.org_id, known.endpoint_id, state=state, below=below, limit=_PAGE + 1
    )
    if len(found) <= _PAGE:
        return found, None
    last = found[_PAGE - 1]
    sealed = cursors.seal(bound, [last.created_at, last.delivery_id])
    return found[:_PAGE], {"before": sealed}


def _row(delivery: Delivery) -> dict[str, Any]:
    return {"id": show_id("dlv", delivery.delivery_id), "delivery": delivery}


def _moves(delivery: Delivery, now: datetime) -> bool:
    due = delivery.next_attempt_at
    return delivery.state is DeliveryState.PENDING and due is not None and due < now + _MOMENTS


def _sending(door: Door) -> list[ControllerRouterHandler]:
    @post(
        "/webhooks/{webhook_id:str}/test",
        include_in_schema=False,
        guards=[managers_only],
        status_code=200,
    )
    async def send_test(request: AnyRequest, webhook_id: FromPath[str]) -> Redirect:
        form = await door.read_form(request)
        try:
            type_ = EventType(form.text("type"))
        except ValueError:
            raise InvalidRequest("There is no such type of event") from None
        session = session_of(request)
        async with door.database.transaction() as tx:
            known = await find_webhook(tx, session, webhook_id)
            await notifications.send_test(tx, known, type_, uuid7(), door.clock.now())
            await note_webhook(door, tx, session, "test", known)
        return go_on(f"{PATH}/{webhook_id}", "webhook_sent")

    @post(
        "/webhooks/{webhook_id:str}/deliveries/{delivery_id:str}/redeliver",
        include_in_schema=False,
        guards=[managers_only],
        status_code=200,
    )
    async def redeliver(
        request: AnyRequest, webhook_id: FromPath[str], delivery_id: FromPath[str]
    ) -> Redirect:
        await door.read_form(request)
        session, asked = session_of(request), read_path_id("dlv", delivery_id)
        async with door.database.transaction() as tx:
            known = await find_webhook(tx, session, webhook_id)
            await notifications.redeliver(tx, known, asked, uuid7(), door.clock.now())
            await note_webhook(door, tx, session, "redeliver", known)
        return go_on(f"{PATH}/{webhook_id}", "webhook_sent")

    return [send_test, redeliver]
