"""The console's routes: the way in, the way out, and the pages between."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.errors import NotFound, Unauthenticated
from tollkeeper.console import sessions
from tollkeeper.console.assets import KEPT, Zipped, serve_asset
from tollkeeper.console.doors import (
    AnyRequest,
    Door,
    carry_cookies,
    error_pages,
    is_framed,
    plain_text,
    session_of,
    signed_in,
)
from tollkeeper.console.menu import staff_menu
from tollkeeper.console.rendering import say
from tollkeeper.console.signing_in import store as accounts
from tollkeeper.console.signing_in.account_door import AccountDoor, go_to_sign_in
from tollkeeper.console.staff_door import StaffDoor, staff_only
from tollkeeper.console.theme import Theme

_SEE_OTHER = 303


def routes_of(
    door: Door,
    pages: Sequence[ControllerRouterHandler],
    staff_pages: Sequence[ControllerRouterHandler],
    open_pages: Sequence[ControllerRouterHandler],
) -> list[Router]:
    """`open_pages` are for who is not signed in, too."""
    inside = Router(
        "/",
        route_handlers=[_sign_out(door), _switch_mode(door), *pages],
        guards=[signed_in(door)],
    )
    staff = Router(
        "/staff",
        route_handlers=[_staff_home, *staff_pages],
        guards=[staff_only(StaffDoor(door=door))],
        exception_handlers={Unauthenticated: go_to_sign_in},
    )
    ways = [_home(door), _enter(door), _signed_out(door)]
    outside = [*ways, serve_asset, *_theme(door.theme), *open_pages]
    return [
        Router(
            sessions.CONSOLE,
            route_handlers=[inside, staff, *outside, _nowhere],
            guards=[plain_text],
            middleware=[carry_cookies],
            exception_handlers=error_pages(door),
        )
    ]


def _home(door: Door) -> ControllerRouterHandler:
    @get("/", include_in_schema=False)
    async def home(request: AnyRequest) -> Redirect:
        """Who is not signed in goes to do that, where there are accounts to sign in with."""
        try:
            await door.admit(request)
        except Unauthenticated:
            async with door.database.connection() as connection:
                may_sign_in = await accounts.has_any(connection)
            if not may_sign_in or is_framed(request):
                raise
            return Redirect(f"{sessions.CONSOLE}/sign-in", status_code=_SEE_OTHER)
        first = "credits" if session_of(request).sees_money else "usage"
        return Redirect(f"{sessions.CONSOLE}/{first}", status_code=_SEE_OTHER)

    return home


@get("/", include_in_schema=False)
async def _staff_home() -> Redirect:
    first = staff_menu()[0].entries[0].name
    return Redirect(f"{sessions.CONSOLE}/staff/{first}", status_code=_SEE_OTHER)


def _enter(door: Door) -> ControllerRouterHandler:
    @get("/enter/{token:str}", include_in_schema=False)
    async def enter(token: FromPath[str]) -> Redirect:
        now = door.clock.now()
        async with door.database.transaction() as tx:
            made = await sessions.enter(tx, token, chance=secrets.token_bytes(32), now=now)
        if made is None:
            raise Unauthenticated(say("error.link"))
        lasts = int(sessions.SESSION_LASTS.total_seconds())
        return Redirect(
            sessions.CONSOLE,
            status_code=_SEE_OTHER,
            cookies=[door.cookie(made, lasts)],
            headers={"cache-control": "no-store", "referrer-policy": "no-referrer"},
        )

    return enter


def _sign_out(door: Door) -> ControllerRouterHandler:
    @post("/sign-out", include_in_schema=False, status_code=_SEE_OTHER)
    async def sign_out(request: AnyRequest) -> Redirect:
        await door.read_form(request)
        session = session_of(request)
        async with door.database.transaction() as tx:
            await sessions.leave(tx, session)
        # Staff who looked at a customer go back to their own pages.
        path = "staff" if session.looking else "signed-out"
        cookies = [door.cookie("", 0)]
        if not session.looking and session.account_session_id is not None:
            cookies.append(AccountDoor(door=door).no_cookie())
        return Redirect(f"{sessions.CONSOLE}/{path}", status_code=_SEE_OTHER, cookies=cookies)

    return sign_out


def _switch_mode(door: Door) -> ControllerRouterHandler:
    @post("/switch-mode", include_in_schema=False, status_code=_SEE_OTHER)
    async def switch_mode(request: AnyRequest) -> Redirect:
        """From live to test or back, for who came with an account: links are for one of them."""
        await door.read_form(request)
        session, chance = session_of(request), secrets.token_bytes(32)
        now = door.clock.now()
        async with door.database.transaction() as tx:
            token = await sessions.switch_mode(tx, session, chance=chance, now=now)
        if token is None:
            return Redirect(sessions.CONSOLE, status_code=_SEE_OTHER)
        lasts = int((session.expires_at - now).total_seconds())
        cookies = [door.cookie(token, lasts)]
        return Redirect(sessions.CONSOLE, status_code=_SEE_OTHER, cookies=cookies)

    return switch_mode


def _signed_out(door: Door) -> ControllerRouterHandler:
    @get("/signed-out", include_in_schema=False)
    async def signed_out() -> Response[bytes]:
        said = {"title": say("signed_out.title"), "detail": say("signed_out.text")}
        return door.render("plain.html", said)

    return signed_out


def _theme(theme: Theme) -> list[ControllerRouterHandler]:
    """What is the operator's own of every page."""

    @get(theme.style_path, include_in_schema=False)
    async def show_style() -> Response[bytes]:
        kind = "text/css; charset=utf-8"
        return Zipped(theme.style.encode(), media_type=kind, headers=dict(KEPT))

    if theme.logo is None:
        return [show_style]
    logo = theme.logo

    @get(logo.path, include_in_schema=False)
    async def show_logo() -> Response[bytes]:
        # A picture may hold script, and be opened by itself.
        headers = KEPT | {"content-security-policy": "default-src 'none'; sandbox"}
        return Response(logo.content, media_type=logo.media_type, headers=headers)

    return [show_style, show_logo]


@get("/{rest:path}", include_in_schema=False)
async def _nowhere(rest: FromPath[str]) -> Response[bytes]:
    _ = rest
    raise NotFound(say("error.nowhere"))
