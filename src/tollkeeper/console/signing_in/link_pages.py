"""What people do with a link that was sent to them: be the first, accept an invitation, choose a
new password."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from litestar import get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import orgs
from tollkeeper.base.errors import InvalidRequest, Unauthenticated
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form
from tollkeeper.console.rendering import say
from tollkeeper.console.sessions import CONSOLE
from tollkeeper.console.signing_in import accounts, store
from tollkeeper.console.signing_in.entrance import Entrance, go_in, let_in
from tollkeeper.console.signing_in.links import making
from tollkeeper.console.signing_in.model import Account, AccountLink, AccountSession, Purpose
from tollkeeper.console.signing_in.passwords import fault_of, hash_password
from tollkeeper.db import Connection

_PAGE: Final = "signing_in/link.html"
_BAD: Final = 400
_LONGEST_NAME: Final = 200


def link_pages(entrance: Entrance) -> list[ControllerRouterHandler]:
    paths = [f"/{path}/{{token:str}}" for path in dict.fromkeys(making.PATHS.values())]

    @get(paths, include_in_schema=False)
    async def show_link(request: AnyRequest, token: FromPath[str]) -> Response[bytes]:
        link, account = await _look_up(entrance, token)
        return await _show(
            entrance, request, link, account, Form(values={"email": link.email or ""})
        )

    @post(paths, include_in_schema=False, status_code=303)
    async def follow_link(request: AnyRequest, token: FromPath[str]) -> Response[bytes] | Redirect:
        form = await entrance.door.read_guest_form(request)
        link, account = await _look_up(entrance, token)
        session = await entrance.door.look(request)
        signed_in = _is_for(link, session)
        if account is not None and link.purpose is not Purpose.RESET and not signed_in:
            return await _show(entrance, request, link, account, form)
        form = form if signed_in else _checked(form, link)
        if form.faults:
            return await _show(entrance, request, link, account, form)
        # Hashed before the transaction, which then is short.
        hashed = None if signed_in else await hash_password(form.values.get("password", ""))
        try:
            return await _follow(entrance, request, token, form, hashed)
        except InvalidRequest as error:
            return await _show(entrance, request, link, account, form.refused(error))

    return [show_link, follow_link]


async def _look_up(entrance: Entrance, token: str) -> tuple[AccountLink, Account | None]:
    """Return what a link is for, and the account it is about if there is one."""
    door = entrance.door.door
    async with door.database.connection() as connection:
        link = await making.find(connection, token, door.clock.now())
        if link is None:
            raise Unauthenticated(say("link.gone"))
        email = link.email
        known = None if email is None else await store.find_account_by_email(connection, email)
    return link, known


def _is_for(link: AccountLink, session: AccountSession | None) -> bool:
    """Whether who is signed in is whom an invitation was sent to."""
    return session is not None and session.email == link.email and link.purpose is not Purpose.RESET


async def _show(
    entrance: Entrance,
    request: AnyRequest,
    link: AccountLink,
    account: Account | None,
    form: Form,
) -> Response[bytes]:
    door = entrance.door
    organization = ""
    if link.org_id is not None:
        async with door.door.database.connection() as connection:
            organization = (await orgs.get_org(connection, link.org_id)).name
    kept = {name: value for name, value in form.values.items() if name != "password"}
    return door.guest_page(
        request,
        _PAGE,
        _BAD if form.faults or form.problem else 200,
        form=Form(values=kept, faults=form.faults, problem=form.problem),
        link=link,
        organization=organization,
        exists=account is not None,
        signed_in=_is_for(link, await door.look(request)),
        here=request.url.path,
        **entrance.guest_values,
    )


def _checked(form: Form, link: AccountLink) -> Form:
    email = link.email or form.text("email")
    fault = fault_of(form.values.get("password", ""), email)
    if fault:
        form = form.faulty(password=fault)
    if link.purpose is Purpose.RESET:
        return form
    if not 1 <= len(form.text("name")) <= _LONGEST_NAME:
        form = form.faulty(name=say("link.no_name"))
    if not accounts.is_email(email):
        form = form.faulty(email=say("link.no_email"))
    return form


async def _follow(
    entrance: Entrance, request: AnyRequest, token: str, form: Form, hashed: str | None
) -> Redirect:
    """Use the link up and do what it says; all of it, or nothing."""
    door = entrance.door.door
    now = door.clock.now()
    async with door.database.transaction() as tx:
        link = await making.use(tx, token, now)
        if link is None:
            raise Unauthenticated(say("link.gone"))
        account = await _account(tx, link, form, hashed, now=now)
        if link.purpose is Purpose.RESET and hashed is not None:
            await accounts.reset_password(tx, account, hashed, now)
        else:
            account = await accounts.take_up(tx, link, account, now)
        cookies: list[Cookie] = await let_in(entrance, tx, request, account)
    return go_in(account, _aim(link), cookies)


def _aim(link: AccountLink) -> str:
    """Whoever has joined an organization goes there, though they may be staff as well."""
    return f"{CONSOLE}/organizations" if link.purpose is Purpose.MEMBER else ""


async def _account(
    tx: Connection, link: AccountLink, form: Form, hashed: str | None, *, now: datetime
) -> Account:
    email = link.email or form.text("email")
    known = await store.find_account_by_email(tx, email)
    if known is not None and (hashed is None or link.purpose is Purpose.RESET):
        if known.disabled_at is not None:
            raise Unauthenticated(say("link.gone"))
        return known
    if hashed is None:
        raise Unauthenticated(say("link.gone"))
    return await accounts.create(
        tx, email=email, name=form.text("name"), password_hash=hashed, now=now
    )
