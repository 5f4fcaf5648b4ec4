"""Who may enter a page: the session's cookie, the role, and the token of each form."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import urlencode

import structlog
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.response import Response
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    TollkeeperError,
    Unauthenticated,
    Unavailable,
)
from tollkeeper.console import sessions
from tollkeeper.console.forms import AnyRequest, Form, Question, read_form
from tollkeeper.console.live import Glance
from tollkeeper.console.menu import menu_of
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import render, say, say_done
from tollkeeper.console.theme import Theme
from tollkeeper.console.tokens import is_due
from tollkeeper.db import Database

_Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[_Connection, BaseRouteHandler], Awaitable[None]]

_COOKIE: Final = "tollkeeper_console"
_SESSION: Final = "tollkeeper.console.session"
_FRESH: Final = "tollkeeper.console.fresh_cookies"
_LIVE: Final = "tollkeeper.console.live"
_FINE: Final = 200
_BAD: Final = 400
_NOWHERE: Final = 404
_log = structlog.stdlib.get_logger(__name__)
_UNEXPECTED: Final = 500


class _PartitionedCookie(Cookie):
    """Sent in a frame of another site too, and kept apart for each such site (RFC 6265bis, CHIPS).

    Python's own cookies know the attribute from 3.14 on.
    """

    def to_header(self, **kwargs: Any) -> str:
        return super().to_header(**kwargs) + "; Partitioned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """`secret` is the installation's. Over https the cookie is for https alone. `glance` reads
    what every page shows of the balance."""

    database: Database
    clock: Clock
    secret: bytes
    base_url: str
    theme: Theme = field(default_factory=Theme)
    glance: Glance | None = None

    async def admit(self, connection: _Connection) -> None:
        """Raises Unauthenticated for who is not signed in."""
        token = connection.cookies.get(_COOKIE)
        now = self.clock.now()
        session, live = None, None
        if token is not None:
            async with self.database.connection() as reading:
                session = await sessions.find(reading, token, now)
                if session is not None and self.glance is not None:
                    live = await self.glance(reading, session)
        if session is None:
            raise Unauthenticated(say("error.signed_out"))
        scope = cast("dict[str, Any]", connection.scope)
        scope[_SESSION] = session
        scope[_LIVE] = live or {}
        if is_due(session, now):
            async with self.database.transaction() as tx:
                fresh = await sessions.rotate(tx, session, chance=secrets.token_bytes(32), now=now)
            if fresh is not None:
                left = session.expires_at - now
                send_along(connection, self.cookie(fresh, int(left.total_seconds())))

    def cookie(self, token: str, lasts: int) -> Cookie:
        """Return the cookie of a session, which a frame in another site gets only over https."""
        secure = self.base_url.startswith("https://")
        framed = secure and bool(self.theme.frame_origins)
        return (_PartitionedCookie if framed else Cookie)(
            key=_COOKIE,
            value=token,
            path=sessions.CONSOLE,
            max_age=lasts,
            httponly=True,
            samesite="none" if framed else "lax",
            secure=secure,
        )

    def page(
        self, request: AnyRequest, template: str, status: int = 200, **values: object
    ) -> Response[bytes]:
        """Answer with a page of the person who is signed in."""
        session = session_of(request)
        known = {
            "session": session,
            "form_token": sessions.form_token(self.secret, session),
            "menu": menu_of(session),
            "frame": "base.html",
            "path": request.url.path,
            "framed": is_framed(request),
            "done": say_done(request.query_params.get("done", "")),
            "standing": cast("dict[str, Any]", request.scope)[_LIVE],
        }
        return self.render(template, known | values, status)

    def render(
        self, template: str, values: Mapping[str, object], status: int = 200
    ) -> Response[bytes]:
        """Answer with a page in the operator's look, for whoever it is."""
        return render(template, values, status, self.theme)

    async def read_form(self, request: AnyRequest) -> Form:
        """Raises Forbidden for a form that this session's pages did not make."""
        return await read_form(request, sessions.form_token(self.secret, session_of(request)))

    def ask_back(self, request: AnyRequest, question: Question, form: Form) -> Response[bytes]:
        """Answer with a page that has the name typed before something is destroyed."""
        status = _BAD if form.faults or form.problem else _FINE
        return self.page(request, "confirm.html", status, question=question, form=form)


async def plain_text(connection: _Connection, _: BaseRouteHandler) -> None:
    """Guard: an address without the one character that the database has no text for."""
    if "\0" in connection.scope["path"]:
        raise NotFound(say("error.invalid"))
    if b"%00" in connection.scope["query_string"]:
        raise InvalidRequest(say("error.invalid"))


def signed_in(door: Door) -> Guard:
    """Guard: somebody who is signed in. A function, because Litestar copies what guards hang on."""

    async def guard(connection: _Connection, _: BaseRouteHandler) -> None:
        await door.admit(connection)

    return guard


async def managers_only(connection: _Connection, _: BaseRouteHandler) -> None:
    """Guard, after `signed_in`: owners and admins."""
    if not session_of(connection).manages:
        raise Forbidden(say("error.no_manager"))


async def money_only(connection: _Connection, _: BaseRouteHandler) -> None:
    """Guard, after `signed_in`: owners, admins and who pays the bills."""
    if not session_of(connection).sees_money:
        raise Forbidden(say("error.no_money"))


async def customers_only(connection: _Connection, _: BaseRouteHandler) -> None:
    """Guard, after `signed_in`: not the operator's staff, who look at a customer's pages. It is for
    what spends, agrees to spend, or hands a secret out."""
    if session_of(connection).looking:
        raise Forbidden(say("error.only_looking"))


def send_along(connection: _Connection, cookie: Cookie) -> None:
    """Have whatever is answered carry a cookie, be it a page, a file or a way to go on."""
    scope = cast("dict[str, Any]", connection.scope)
    scope[_FRESH] = [*scope.get(_FRESH, ()), cookie]


def carry_cookies(app: ASGIApp) -> ASGIApp:
    """Middleware, for what guards send along. What the answer itself says of a cookie is last."""

    async def carry(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start":
                fresh: list[Cookie] = cast("dict[str, Any]", scope).get(_FRESH, [])
                said = [one.to_encoded_header() for one in fresh]
                message["headers"] = [*said, *message.get("headers", [])]
            await send(message)

        await app(scope, receive, send_with_cookies)

    return carry


def session_of(connection: _Connection) -> Session:
    session: object = cast("dict[str, Any]", connection.scope)[_SESSION]
    if not isinstance(session, Session):
        raise TypeError("This page has no guard that admits sessions")
    return session


def is_framed(request: AnyRequest) -> bool:
    """Whether the page is shown in a frame. Parts that it fetches anew say it in their address,
    because browsers say it of whole pages only."""
    where = request.headers.get("sec-fetch-dest") in ("iframe", "frame")
    return where or "framed" in request.query_params


def error_pages(door: Door) -> dict[type[Exception] | int, Callable[..., Response[bytes]]]:
    """Errors of pages are pages."""

    def answer(request: AnyRequest, error: TollkeeperError) -> Response[bytes]:
        title = say(f"error.title_{error.status}") if error.status in _TITLED else error.title
        if error.detail == say("error.form"):  # whatever the role: nothing was wrong with it
            title = say("error.title_form")
        values = {"title": title, "detail": error.detail, **_way_on(request, error.status)}
        return door.render("plain.html", values, error.status)

    def ask_to_sign_in(request: AnyRequest, error: Unauthenticated) -> Response[bytes]:
        values = {
            "title": say(f"error.title_{error.status}"),
            "detail": error.detail,
            "go_on": sign_in_path(request),
            "go_on_label": say("error.sign_in"),
        }
        return door.render("plain.html", values, error.status)

    def answer_http(request: AnyRequest, error: HTTPException) -> Response[bytes]:
        if error.status_code >= _UNEXPECTED:
            return answer_unexpected(request, error)
        if error.status_code == _NOWHERE:
            return answer(request, NotFound(error.detail))
        return answer(request, InvalidRequest(say("error.invalid")))

    def answer_away(request: AnyRequest, error: Unavailable) -> Response[bytes]:
        values = {"title": error.title, "detail": say("error.away")}
        if request.method == "GET":
            query = f"?{request.url.query}" if request.url.query else ""
            again = {"go_on": request.url.path + query, "go_on_label": say("error.try_again")}
            return door.render("plain.html", values | again, error.status)
        values["detail"] = say("error.away_sent")
        return door.render("plain.html", values, error.status)

    def answer_unexpected(request: AnyRequest, error: Exception) -> Response[bytes]:
        path = "(a link)" if _holds_secret(request.url.path) else request.url.path
        _log.error("unexpected_error", method=request.method, path=path, exc_info=error)
        return answer(request, Unavailable(say("error.unexpected")))

    return {
        Unauthenticated: ask_to_sign_in,
        Unavailable: answer_away,
        TollkeeperError: answer,
        HTTPException: answer_http,
        Exception: answer_unexpected,
    }


def sign_in_path(request: AnyRequest) -> str:
    """Where to sign in, and then come back to what was asked for."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    plain = request.method == "GET" and not _holds_secret(request.url.path)
    back = wanted if plain else sessions.CONSOLE
    return f"{sessions.CONSOLE}/sign-in?{urlencode({'next': back})}"


def _way_on(request: AnyRequest, status: int) -> dict[str, str]:
    if status in _TITLED:
        return {"go_on": sessions.CONSOLE, "go_on_label": say("error.home")}
    if status == _BAD:
        return {"go_on": _page_above(request.url.path), "go_on_label": say("error.back")}
    return {}


def _page_above(path: str) -> str:
    """The page of the menu that an address belongs to, without what could not be read."""
    if _holds_secret(path):
        return sessions.CONSOLE
    staff = path.startswith(f"{sessions.CONSOLE}/staff/")
    return "/".join(path.split("/")[: _STAFF_DEPTH if staff else _DEPTH])


def _holds_secret(path: str) -> bool:
    """Whether it is the address of a link that lets somebody in, which is kept out of others."""
    return path.removeprefix(f"{sessions.CONSOLE}/").partition("/")[0] in _SECRETS


_DEPTH: Final = len(("", "console", "usage"))
_STAFF_DEPTH: Final = len(("", "console", "staff", "prices"))
_SECRETS: Final = frozenset({"enter", "first-run", "invitation", "oidc", "reset"})
_TITLED: Final = frozenset({401, 403, _NOWHERE})
