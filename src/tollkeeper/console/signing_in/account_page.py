"""Your account: name, password, and where you are signed in."""

from __future__ import annotations

import secrets
from typing import Final

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import operator
from tollkeeper.base.errors import RateLimited
from tollkeeper.base.ids import show_id
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form, go_on
from tollkeeper.console.rendering import say
from tollkeeper.console.sessions import CONSOLE
from tollkeeper.console.signing_in import account_sessions, store
from tollkeeper.console.signing_in.account_door import account_of
from tollkeeper.console.signing_in.devices import device_of
from tollkeeper.console.signing_in.entrance import Entrance
from tollkeeper.console.signing_in.passwords import check_password, fault_of, hash_password
from tollkeeper.console.signing_in.sign_in_page import count_try, slow_down
from tollkeeper.http import read_path_id
from tollkeeper.operator import Act

_PAGE: Final = "signing_in/account.html"
_PATH: Final = f"{CONSOLE}/account"
_SIGNED_OUT: Final = f"{CONSOLE}/signed-out"
_BAD: Final = 400
_LONGEST_NAME: Final = 200


def account_pages(entrance: Entrance) -> list[ControllerRouterHandler]:
    door = entrance.door
    database, clock = door.door.database, door.door.clock

    @get("/account", include_in_schema=False)
    async def show_account(request: AnyRequest) -> Response[bytes]:
        return await _show(entrance, request, Form(values={"name": account_of(request).name}))

    @post("/account/name", include_in_schema=False, status_code=303)
    async def change_name(request: AnyRequest) -> Response[bytes] | Redirect:
        form = await door.read_form(request)
        name = form.text("name")
        if not 1 <= len(name) <= _LONGEST_NAME:
            return await _show(entrance, request, form.faulty(name=say("link.no_name")))
        async with database.transaction() as tx:
            await store.change_name(tx, account_of(request).account_id, name)
        return go_on(_PATH, "saved")

    @post("/account/password", include_in_schema=False, status_code=303)
    async def change_password(request: AnyRequest) -> Response[bytes] | Redirect:
        form, session = await door.read_form(request), account_of(request)
        kept = Form(values={"name": session.name})
        try:
            await count_try(door, request, "password", session.email)
        except RateLimited as error:
            return slow_down(await _show(entrance, request, kept.refused(error), 429), error)
        kept = await _checked(entrance, request, form, kept)
        if kept.faults:
            return await _show(entrance, request, kept)
        hashed = await hash_password(form.values.get("new_password", ""))
        async with database.transaction() as tx:
            now = clock.now()
            await store.change_password(tx, session.account_id, hashed)
            await store.end_sessions(tx, session.account_id, but=session.session_id)
            token = await account_sessions.rotate(
                tx, session, chance=secrets.token_bytes(32), now=now, keep=False
            )
            act = Act(who=session.email, why="", at=now)
            await operator.note(tx, act, "account.change_password", None)
        answer = go_on(_PATH, "password_changed")
        if token is not None:
            answer.cookies.append(door.cookie(token, session))
        return answer

    @post("/account/sessions/{session_id:str}/end", include_in_schema=False, status_code=303)
    async def end_session(request: AnyRequest, session_id: FromPath[str]) -> Redirect:
        await door.read_form(request)
        async with database.transaction() as tx:
            only = read_path_id("ses", session_id)
            await store.end_sessions(tx, account_of(request).account_id, only=only)
        return go_on(_PATH, "session_ended")

    return [show_account, change_name, change_password, end_session, *_ways_out(entrance)]


def _ways_out(entrance: Entrance) -> list[ControllerRouterHandler]:
    door = entrance.door
    database = door.door.database

    @post("/account/sign-out", include_in_schema=False, status_code=303)
    async def sign_out(request: AnyRequest) -> Redirect:
        await door.read_form(request)
        session = account_of(request)
        async with database.transaction() as tx:
            await store.end_sessions(tx, session.account_id, only=session.session_id)
        return _gone(entrance)

    @post("/account/sign-out-everywhere", include_in_schema=False, status_code=303)
    async def sign_out_everywhere(request: AnyRequest) -> Redirect:
        await door.read_form(request)
        async with database.transaction() as tx:
            await store.end_sessions(tx, account_of(request).account_id)
        return _gone(entrance)

    return [sign_out, sign_out_everywhere]


def _gone(entrance: Entrance) -> Redirect:
    answer = go_on(_SIGNED_OUT)
    answer.cookies += [entrance.door.no_cookie(), entrance.door.door.cookie("", 0)]
    return answer


async def _checked(entrance: Entrance, request: AnyRequest, form: Form, kept: Form) -> Form:
    session = account_of(request)
    async with entrance.door.door.database.connection() as connection:
        account = await store.find_account(connection, session.account_id)
    known = None if account is None else account.password_hash
    right, _ = await check_password(form.values.get("password", ""), known)
    if known is None:
        # Who signs in elsewhere has proved that they are there, and gets a password by a link.
        return kept.faulty(password=say("account.no_password"))
    if not right:
        kept = kept.faulty(password=say("account.wrong"))
    fault = fault_of(form.values.get("new_password", ""), session.email)
    return kept.faulty(new_password=fault) if fault else kept


async def _show(
    entrance: Entrance, request: AnyRequest, form: Form, status: int = 0
) -> Response[bytes]:
    session, door = account_of(request), entrance.door
    async with door.door.database.connection() as connection:
        found = await store.list_sessions(connection, session.account_id, door.door.clock.now())
    shown = [
        (show_id("ses", one.session_id), device_of(one.user_agent), one)
        for one in sorted(found, key=lambda one: one.session_id != session.session_id)
    ]
    bad = _BAD if form.faults or form.problem else 200
    return door.page(request, _PAGE, status or bad, sessions=shown, form=form)
