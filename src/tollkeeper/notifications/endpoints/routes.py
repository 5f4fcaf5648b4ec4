"""`/webhooks`: where an organization hears of its events."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Router, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, Meta

from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import RateLimited
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Database
from tollkeeper.http import (
    Cursors,
    CursorText,
    Limit,
    Page,
    WebhookMessage,
    invalid,
    list_answer,
    page_of,
    read_path_id,
    run_id_of,
)
from tollkeeper.notifications import store as deliveries
from tollkeeper.notifications.delivery import Courier
from tollkeeper.notifications.endpoints import acts, store
from tollkeeper.notifications.errors import TooManyWebhooks, WebhookDisabled, WebhookNotFound
from tollkeeper.notifications.events import CATALOGUE
from tollkeeper.notifications.model import DeliveryState, Endpoint
from tollkeeper.notifications.shapes import (
    CreateWebhook,
    DeliveryOut,
    NewWebhookOut,
    TestWebhook,
    UpdateWebhook,
    WebhookOut,
)
from tollkeeper.orgs import admin_only, caller_of

AnyRequest = Request[Any, Any, State]
_MESSAGES: Final = [
    WebhookMessage(
        type=type_,
        summary=event.title,
        description=" ".join((event.__doc__ or "").split()),
        data=event,
    )
    for type_, event in CATALOGUE.items()
]


def webhook_routes(courier: Courier) -> list[ControllerRouterHandler]:
    """`courier` knows where webhooks may go."""
    handlers = [
        list_webhooks,
        _creating(courier),
        _changing(courier),
        get_webhook,
        delete_webhook,
        rotate_webhook_secret,
        check_webhook,
        list_deliveries,
        redeliver,
    ]
    return [Router("/webhooks", route_handlers=handlers, guards=[admin_only], tags=["Webhooks"])]


async def _check_url(courier: Courier, url: str) -> None:
    fault = await courier.fault_of(url)
    if fault is not None:
        raise invalid({"url": [fault]})


def _creating(courier: Courier) -> ControllerRouterHandler:
    @post(
        "/",
        summary="Add a webhook; its secret is in this answer only",
        opt={"errors": (TooManyWebhooks,), "shown_once": ("secret",), "messages": _MESSAGES},
    )
    async def create_webhook(
        request: AnyRequest,
        data: JSONBody[CreateWebhook],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> NewWebhookOut:
        await _check_url(courier, data.url)
        caller = caller_of(request)
        new = Endpoint(
            org_id=caller.org_id,
            endpoint_id=run_id_of(request) or uuid7(),
            livemode=caller.livemode,
            url=data.url,
            description=data.description,
            types=data.types,
            enabled=True,
            created_at=clock.now(),
        )
        secret = acts.make_secret(secrets.token_bytes(32))
        async with database.transaction() as tx:
            made = await acts.create_endpoint(tx, new, secret)
        return NewWebhookOut.with_secret(made, secret)

    return create_webhook


def _changing(courier: Courier) -> ControllerRouterHandler:
    @patch(
        "/{webhook_id:str}",
        summary="Change a webhook, or switch it on or off",
        opt={"errors": (WebhookNotFound,)},
    )
    async def update_webhook(
        request: AnyRequest,
        webhook_id: FromPath[str],
        data: JSONBody[UpdateWebhook],
        database: NamedDependency[Database],
    ) -> WebhookOut:
        if data.url is not UNSET:
            await _check_url(courier, str(data.url))
        async with database.transaction() as tx:
            known = await acts.get_endpoint(
                tx, *_place(request, webhook_id), livemode=caller_of(request).livemode
            )
            changed = await acts.change_endpoint(
                tx,
                known,
                url=data.url or None,
                description=None if data.description is UNSET else str(data.description),
                types=data.types,
                enabled=None if data.enabled is UNSET else bool(data.enabled),
            )
        return WebhookOut.of(changed)

    return update_webhook


@get("/", summary="List webhooks, oldest first", opt={"csv": True})
async def list_webhooks(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[WebhookOut]]:
    caller = caller_of(request)
    bound = ("webhooks", caller.org_id, caller.livemode)
    after = cursors.after(bound, cursor)
    async with database.connection() as connection:
        found = await store.list_endpoints(
            connection, caller.org_id, livemode=caller.livemode, after=after, limit=limit + 1
        )
    page = page_of(
        found, limit, WebhookOut.of, lambda last: cursors.seal(bound, [last.endpoint_id])
    )
    return list_answer(request, page, WebhookOut, "webhooks.csv")


@get("/{webhook_id:str}", summary="Get a webhook", opt={"errors": (WebhookNotFound,)})
async def get_webhook(
    request: AnyRequest, webhook_id: FromPath[str], database: NamedDependency[Database]
) -> WebhookOut:
    async with database.transaction() as tx:
        return WebhookOut.of(
            await acts.get_endpoint(
                tx, *_place(request, webhook_id), livemode=caller_of(request).livemode
            )
        )


@delete("/{webhook_id:str}", summary="Remove a webhook", opt={"errors": (WebhookNotFound,)})
async def delete_webhook(
    request: AnyRequest, webhook_id: FromPath[str], database: NamedDependency[Database]
) -> None:
    async with database.transaction() as tx:
        await acts.delete_endpoint(
            tx, *_place(request, webhook_id), livemode=caller_of(request).livemode
        )


@post(
    "/{webhook_id:str}/rotate-secret",
    summary="Exchange a webhook's secret; the old one signs beside it for a day",
    status_code=200,
    opt={"errors": (WebhookNotFound,), "shown_once": ("secret",)},
)
async def rotate_webhook_secret(
    request: AnyRequest,
    webhook_id: FromPath[str],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> NewWebhookOut:
    secret = acts.make_secret(secrets.token_bytes(32))
    async with database.transaction() as tx:
        known = await acts.get_endpoint(
            tx, *_place(request, webhook_id), livemode=caller_of(request).livemode
        )
        await acts.rotate_secret(tx, known, secret, clock.now())
    return NewWebhookOut.with_secret(known, secret)


@post(
    "/{webhook_id:str}/test",
    summary="Send an example of an event to a webhook",
    status_code=202,
    opt={"errors": (WebhookNotFound, WebhookDisabled, RateLimited)},
)
async def check_webhook(
    request: AnyRequest,
    webhook_id: FromPath[str],
    data: JSONBody[TestWebhook],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> DeliveryOut:
    async with database.transaction() as tx:
        known = await acts.get_endpoint(
            tx, *_place(request, webhook_id), livemode=caller_of(request).livemode
        )
        sent = await acts.send_test(
            tx, known, data.type, run_id_of(request) or uuid7(), clock.now()
        )
    return DeliveryOut.of(sent)


@get(
    "/{webhook_id:str}/deliveries",
    summary="List what was sent to a webhook, newest first",
    opt={"csv": True, "errors": (WebhookNotFound,)},
)
async def list_deliveries(
    request: AnyRequest,
    webhook_id: FromPath[str],
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    status: Annotated[FromQuery[DeliveryState | None], Meta(description="Only these.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[DeliveryOut]]:
    place = _place(request, webhook_id)
    bound = ("deliveries", *place, status)
    below = None if cursor is None else cursors.open(bound, cursor, tuple[datetime, UUID])
    async with database.transaction() as tx:
        await acts.get_endpoint(tx, *place, livemode=caller_of(request).livemode)
        found = await deliveries.list_deliveries(
            tx, *place, state=status, below=below, limit=limit + 1
        )
    page = page_of(
        found,
        limit,
        DeliveryOut.of,
        lambda last: cursors.seal(bound, [last.created_at, last.delivery_id]),
    )
    return list_answer(request, page, DeliveryOut, "deliveries.csv")


@post(
    "/{webhook_id:str}/deliveries/{delivery_id:str}/redeliver",
    summary="Send a message to a webhook again",
    status_code=202,
    opt={"errors": (WebhookNotFound, WebhookDisabled, RateLimited)},
)
async def redeliver(
    request: AnyRequest,
    webhook_id: FromPath[str],
    delivery_id: FromPath[str],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> DeliveryOut:
    known_id = read_path_id("dlv", delivery_id)
    async with database.transaction() as tx:
        known = await acts.get_endpoint(
            tx, *_place(request, webhook_id), livemode=caller_of(request).livemode
        )
        again = await acts.redeliver(
            tx, known, known_id, run_id_of(request) or uuid7(), clock.now()
        )
    return DeliveryOut.of(again)


def _place(request: AnyRequest, webhook_id: str) -> tuple[UUID, UUID]:
    return caller_of(request).org_id, read_path_id("whk", webhook_id)
