"""Webhooks: where the organization hears of its events, what was sent, and what was answered."""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import notifications
from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.console.customer.destroying import destroying_pages
from tollkeeper.console.customer.noting import note
from tollkeeper.console.customer.saying import refuse
from tollkeeper.console.doors import AnyRequest, Door, customers_only, managers_only, session_of
from tollkeeper.console.forms import Form, Question, go_on, read_as
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.http import Cursors, invalid, read_path_id
from tollkeeper.notifications import (
    CATALOGUE,
    Courier,
    CreateWebhook,
    Delivery,
    DeliveryState,
    Endpoint,
    EventType,
)

PATH: Final = "/console/webhooks"

_PAGE: Final = 20
_BAD: Final = 400
# While something may be delivered any moment, the list looks again by itself.
_MOMENTS: Final = timedelta(seconds=30)


def webhook_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [
        *_listing(door),
        *_making(door, shelves.courier),
        *_changing(door, shelves.courier),
        *_looking(door, shelves.cursors),
        *_switching(door),
        *_secrets(door),
        *_deleting(door),
        *_sending(door),
    ]


async def _find(tx: Connection, session: Session, webhook_id: str) -> Endpoint:
    """Raises NotFound."""
    known = read_path_id("whk", webhook_id)
    return await notifications.get_endpoint(tx, session.org_id, known, livemode=session.livemode)


async def _note(door: Door, tx: Connection, session: Session, act: str, of: Endpoint) -> None:
    told = {"webhookId": show_id("whk", of.endpoint_id), "host": _host_of(of)}
    await note(tx, session, f"webhook.{act}", door.clock.now(), **told)


def _listing(door: Door) -> list[ControllerRouterHandler]:
    @get("/webhooks", include_in_schema=False, guards=[managers_only])
    async def show_webhooks(request: AnyRequest) -> Response[bytes]:
        session = session_of(request)
        async with door.database.connection() as connection:
            found = await notifications.list_endpoints(
                connection, session.org_id, livemode=session.livemode, after=None, limit=100
            )
        rows = [{"id": show_id("whk", one.endpoint_id), "endpoint": one} for one in found]
        return door.page(request, "customer/webhooks.html", webhooks=rows)

    return [show_webhooks]


# ── Making and changing ──────────────────────────────────────────────────────────────────────────


def _answer(door: Door, request: AnyRequest, form: Form, webhook_id: str | None) -> Response[bytes]:
    status = _BAD if form.faults or form.problem else 200
    types = [(one.value, event.title) for one, event in CATALOGUE.items()]
    return door.page(
        request,
        "customer/webhook_form.html",
        status,
        form=form,
        types=types,
        back=PATH if webhook_id is None else f"{PATH}/{webhook_id}",
        action=PATH if webhook_id is None else f"{PATH}/{webhook_id}/change",
        made=webhook_id is not None,
    )


async def _read(courier: Courier, form: Form) -> CreateWebhook:
    """Raises InvalidRequest."""
    wanted = read_as(
        CreateWebhook,
        {
            "url": form.text("url"),
            "description": form.text("description"),
            "types": [one.value for one in EventType if form.ticked(one)],
        },
    )
    fault = await courier.fault_of(wanted.url)
    if fault is not None:
        raise invalid({"url": [fault]})
    return wanted


def _making(door: Door, courier: Courier) -> list[ControllerRouterHandler]:
    @get("/webhooks/new", include_in_schema=False, guards=[managers_only])
    async def show_form(request: AnyRequest) -> Response[bytes]:
        # Sent twice, it is made once.
        return _answer(door, request, Form(values={"id": show_id("whk", uuid7())}), None)

    @post(
        "/webhooks",
        include_in_schema=False,
        guards=[managers_only, customers_only],
        status_code=200,
    )
    async def create(request: AnyRequest) -> Response[bytes]:
        form = await door.read_form(request)
        session = session_of(request)
        try:
            wanted = await _read(courier, form)
            new = Endpoint(
                org_id=session.org_id,
                endpoint_id=_read_new_id(form),
                livemode=session.livemode,
                url=wanted.url,
                description=wanted.description,
                types=wanted.types,
                enabled=True,
                created_at=door.clock.now(),
            )
            secret = notifications.make_secret(secrets.token_bytes(32))
            async with door.database.transaction() as tx:
                made = await notifications.create_endpoint(tx, new, secret)
                await _note(door, tx, session, "create", made)
        except TollkeeperError as error:
            return _answer(door, request, refuse(form, error), None)
        return _show_secret(door, request, made, secret)

    return [show_form, create]


def _changing(door: Door, courier: Courier) -> list[ControllerRouterHandler]:
    @get("/webhooks/{webhook_id:str}/change", include_in_schema=False, guards=[managers_only])
    async def show_change(request: AnyRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        async with door.database.transaction() as tx:
            known = await _find(tx, session_of(request), webhook_id)
        values = {"url": known.url, "description": known.description}
        values |= {one.value: "yes" for one in known.types}
        return _answer(door, request, Form(values=values), webhook_id)

    @post(
        "/webhooks/{webhook_id:str}/change",
        include_in_schema=False,
        guards=[managers_only],
        status_code=200,
    )
    async def change(request: AnyRequest, webhook_id: FromPath[str]) -> Response[bytes] | Redirect:
        form = await door.read_form(request)
        session = session_of(request)
        async with door.database.transaction() as tx:
            await _find(tx, session, webhook_id)
        try:
            wanted = await _read(courier, form)
        except InvalidRequest as error:
            return _answer(door, request, refuse(form, error), webhook_id)
        async with door.database.transaction() as tx:
            known = await _find(tx, session, webhook_id)
            await notifications.change_endpoint(
                tx,
                known,
                url=wanted.url,
                description=wanted.description,
                types=wanted.types,
            )
            await _note(door, tx, session, "update", known)
        return go_on(f"{PATH}/{webhook_id}", "webhook_changed")

    return [show_change, change]


def _read_new_id(form: Form) -> UUID:
    try:
        return read_id("whk", form.text("id"))
    except ValueError:
        return uuid7()


def _show_secret(
    door: Door, request: AnyRequest, endpoint: Endpoint, secret: str
) -> Response[bytes]:
    known = show_id("whk", endpoint.endpoint_id)
    template = "customer/webhook_secret.html"
    return door.page(request, template, secret=secret, endpoint=endpoint, webhook_id=known)


def _secrets(door: Door) -> list[ControllerRouterHandler]:
    @post(
        "/webhooks/{webhook_id:str}/rotate",
        include_in_schema=False,
        guards=[managers_only, customers_only],
        status_code=200,
    )
    async def rotate(request: AnyRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        await door.read_form(request)
        session, secret = session_of(request), notifications.make_secret(secrets.token_bytes(32))
        async with door.database.transaction() as tx:
            known = await _find(tx, session, webhook_id)
            await notifications.rotate_secret(tx, known, secret, door.clock.now())
            await _note(door, tx, session, "rotate", known)
        return _show_secret(door, request, known, secret)

    return [rotate]


# ── One webhook, and what was sent to it ─────────────────────────────────────────────────────────


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
            known = await _find(tx, session_of(request), webhook_id)
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
            known = await _find(tx, session_of(request), webhook_id)
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


# ── Acts ─────────────────────────────────────────────────────────────────────────────────────────


def _switching(door: Door) -> list[ControllerRouterHandler]:
    @post(
        "/webhooks/{webhook_id:str}/enabled",
        include_in_schema=False,
        guards=[managers_only],
        status_code=200,
    )
    async def switch(request: AnyRequest, webhook_id: FromPath[str]) -> Redirect:
        form = await door.read_form(request)
        session, enabled = session_of(request), form.ticked("enabled")
        async with door.database.transaction() as tx:
            known = await _find(tx, session, webhook_id)
            await notifications.change_endpoint(tx, known, enabled=enabled)
            await _note(door, tx, session, "enable" if enabled else "disable", known)
        return go_on(f"{PATH}/{webhook_id}", "webhook_on" if enabled else "webhook_off")

    return [switch]


def _deleting(door: Door) -> list[ControllerRouterHandler]:
    async def find(request: AnyRequest) -> Endpoint:
        async with door.database.transaction() as tx:
            return await _find(tx, session_of(request), request.path_params["webhook_id"])

    def ask(known: Endpoint) -> Question:
        path = f"{PATH}/{show_id('whk', known.endpoint_id)}"
        return Question(
            title=say("webhooks.delete_title"),
            detail=say("webhooks.delete_detail", url=known.url),
            name=_host_of(known),
            action=f"{path}/delete",
            button=say("webhooks.delete"),
            back=path,
        )

    async def delete(request: AnyRequest, known: Endpoint) -> Redirect:
        session = session_of(request)
        async with door.database.transaction() as tx:
            await notifications.delete_endpoint(
                tx, session.org_id, known.endpoint_id, livemode=session.livemode
            )
            await _note(door, tx, session, "delete", known)
        return go_on(PATH, "webhook_deleted")

    path = "/webhooks/{webhook_id:str}/delete"
    return destroying_pages(door, path, managers_only, find=find, ask=ask, destroy=delete)


def _host_of(endpoint: Endpoint) -> str:
    """What it is called by when it is to be destroyed: an address is long to type."""
    return urlsplit(endpoint.url).hostname or endpoint.url


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
        async with door.database.transaction() as tx:
            known = await _find(tx, session_of(request), webhook_id)
            await notifications.send_test(tx, known, type_, uuid7(), door.clock.now())
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
        asked = read_path_id("dlv", delivery_id)
        async with door.database.transaction() as tx:
            known = await _find(tx, session_of(request), webhook_id)
            await notifications.redeliver(tx, known, asked, uuid7(), door.clock.now())
        return go_on(f"{PATH}/{webhook_id}", "webhook_sent")

    return [send_test, redeliver]
