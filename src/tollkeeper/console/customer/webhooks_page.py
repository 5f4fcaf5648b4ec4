"""Webhooks: where the organization hears of its events; made, changed, deleted."""

from __future__ import annotations

import secrets
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import notifications, orgs
from tollkeeper.base.errors import InvalidRequest, NotFound, TollkeeperError
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
from tollkeeper.http import invalid, read_path_id
from tollkeeper.notifications import CATALOGUE, Courier, CreateWebhook, Endpoint, EventType

PATH: Final = "/console/webhooks"

_BAD: Final = 400


def webhook_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [
        *_listing(door),
        *_making(door, shelves.courier),
        *_changing(door, shelves.courier),
        *_switching(door),
        *_secrets(door),
        *_deleting(door),
    ]


async def find_webhook(tx: Connection, session: Session, webhook_id: str) -> Endpoint:
    """Raises NotFound."""
    known = read_path_id("whk", webhook_id)
    return await notifications.get_endpoint(tx, session.org_id, known, livemode=session.livemode)


async def note_webhook(
    door: Door, tx: Connection, session: Session, act: str, of: Endpoint
) -> None:
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
    @get("/webhooks/new", include_in_schema=False, guards=[managers_only, customers_only])
    async def show_form(request: AnyRequest) -> Response[bytes]:
        # Sent twice, it is made once.
        return _answer(door, request, Form(values={"id": show_id("whk", uuid7())}), None)

    @post(
        "/webhooks",
        include_in_schema=False,
        guards=[managers_only, customers_only],
        status_code=200,
    )
    async def create(request: AnyRequest) -> Response[bytes] | Redirect:
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
                await orgs.lock_org(tx, session.org_id)
                before = await _is_there(tx, new)
                if not before:
                    made = await notifications.create_endpoint(tx, new, secret)
                    await note_webhook(door, tx, session, "create", made)
        except TollkeeperError as error:
            return _answer(door, request, refuse(form, error), None)
        if before:
            # Made by this form, maybe with something else in it: its secret was shown already.
            return go_on(f"{PATH}/{show_id('whk', new.endpoint_id)}", "webhook_made_before")
        return _show_secret(door, request, new, secret)

    return [show_form, create]


async def _is_there(tx: Connection, new: Endpoint) -> bool:
    place = new.org_id, new.endpoint_id
    try:
        await notifications.get_endpoint(tx, *place, livemode=new.livemode)
    except NotFound:
        return False
    return True


def _changing(door: Door, courier: Courier) -> list[ControllerRouterHandler]:
    @get("/webhooks/{webhook_id:str}/change", include_in_schema=False, guards=[managers_only])
    async def show_change(request: AnyRequest, webhook_id: FromPath[str]) -> Response[bytes]:
        async with door.database.transaction() as tx:
            known = await find_webhook(tx, session_of(request), webhook_id)
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
            await find_webhook(tx, session, webhook_id)
        try:
            wanted = await _read(courier, form)
        except InvalidRequest as error:
            return _answer(door, request, refuse(form, error), webhook_id)
        async with door.database.transaction() as tx:
            known = await find_webhook(tx, session, webhook_id)
            await notifications.change_endpoint(
                tx,
                known,
                url=wanted.url,
                description=wanted.description,
                types=wanted.types,
            )
            await note_webhook(door, tx, session, "update", known)
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
            known = await find_webhook(tx, session, webhook_id)
            await notifications.rotate_secret(tx, known, secret, door.clock.now())
            await note_webhook(door, tx, session, "rotate", known)
        return _show_secret(door, request, known, secret)

    return [rotate]


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
            known = await find_webhook(tx, session, webhook_id)
            await notifications.change_endpoint(tx, known, enabled=enabled)
            await note_webhook(door, tx, session, "enable" if enabled else "disable", known)
        return go_on(f"{PATH}/{webhook_id}", "webhook_on" if enabled else "webhook_off")

    return [switch]


def _deleting(door: Door) -> list[ControllerRouterHandler]:
    async def find(request: AnyRequest) -> Endpoint:
        async with door.database.transaction() as tx:
            return await find_webhook(tx, session_of(request), request.path_params["webhook_id"])

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
            await note_webhook(door, tx, session, "delete", known)
        return go_on(PATH, "webhook_deleted")

    path = "/webhooks/{webhook_id:str}/delete"
    return destroying_pages(door, path, managers_only, find=find, ask=ask, destroy=delete)


def _host_of(endpoint: Endpoint) -> str:
    """What it is called by when it is to be destroyed: an address is long to type."""
    return urlsplit(endpoint.url).hostname or endpoint.url
