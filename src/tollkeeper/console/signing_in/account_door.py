"""Who may enter a page of an account: the account's cookie, and the token of each form.

It lies beside the cookie of the organization that is looked at: an account may open several.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from secrets import token_hex
from typing import Any, Final, cast

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler
from litestar.response import Redirect, Response

from tollkeeper.base.errors import Unauthenticated
from tollkeeper.console import sessions
from tollkeeper.console.doors import AnyRequest, Door, send_along, sign_in_path
from tollkeeper.console.forms import Form, read_form
from tollkeeper.console.rendering import render, say, say_done
from tollkeeper.console.signing_in import account_sessions, store
from tollkeeper.console.signing_in.model import AccountSession
from tollkeeper.console.tokens import SECRET_BYTES, is_due, read_token, write_token

_Connection = ASGIConnection[Any, Any, Any, Any]

_COOKIE: Final = "tollkeeper_account"
_SESSION: Final = "tollkeeper.console.account_session"
_GUEST_COOKIE: Final = "tollkeeper_guest"
_GUEST_LASTS: Final = timedelta(hours=12)
_SEE_OTHER: Final = 303


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDoor:
    door: Door

    async def look(self, connection: _Connection) -> AccountSession | None:
        """Return who is signed in, if somebody is; whatever is answered carries their new cookie
        when it is time for one."""
        token = connection.cookies.get(_COOKIE)
        if token is None:
            return None
        now = self.door.clock.now()
        async with self.door.database.connection() as reading:
            session = await account_sessions.find(reading, token, now)
        if session is None:
            return None
        await self._keep(connection, session)
        cast("dict[str, Any]", connection.scope)[_SESSION] = session
        return session

    async def _keep(self, connection: _Connection, session: AccountSession) -> None:
        now = self.door.clock.now()
        if is_due(session, now):
            async with self.door.database.transaction() as tx:
                fresh = await account_sessions.rotate(
                    tx, session, chance=secrets.token_bytes(32), now=now
                )
            if fresh is not None:
                send_along(connection, self.cookie(fresh, session))
        elif account_sessions.is_unseen(session, now):
            async with self.door.database.transaction() as tx:
                await store.note_seen(tx, session.session_id, now)

    async def admit(self, connection: _Connection) -> AccountSession:
        """Raises Unauthenticated for who is not signed in."""
        session = await self.look(connection)
        if session is None:
            raise Unauthenticated(say("error.signed_out"))
        return session

    def cookie(self, token: str, session: AccountSession) -> Cookie:
        left = session.expires_at - self.door.clock.now()
        return self._cookie(token, int(left.total_seconds()))

    def no_cookie(self) -> Cookie:
        return self._cookie("", 0)

    def _cookie(
        self, token: str, lasts: int, key: str = _COOKIE, path: str = sessions.CONSOLE
    ) -> Cookie:
        return Cookie(
            key=key,
            value=token,
            path=path,
            max_age=lasts,
            httponly=True,
            samesite="lax",
            secure=self.door.base_url.startswith("https://"),
        )

    def page(
        self, request: AnyRequest, template: str, status: int = 200, **values: object
    ) -> Response[bytes]:
        """Answer with a page of the account that is signed in."""
        account = account_of(request)
        known = {
            "account": account,
            "form_token": account_sessions.form_token(self.door.secret, account),
            "path": request.url.path,
            "done": say_done(request.query_params.get("done", "")),
        }
        return self.render(template, known | values, status)

    def guest_page(
        self, request: AnyRequest, template: str, status: int = 200, **values: object
    ) -> Response[bytes]:
        """Answer with a page of somebody who is not signed in yet. Its forms carry what only this
        browser has, so that no other site can sign somebody in as whom it likes."""
        known = {"done": say_done(request.query_params.get("done", ""))}
        guest = _guest_of(request)
        if not guest:
            guest = write_token(secrets.token_bytes(SECRET_BYTES))
            lasts = int(_GUEST_LASTS.total_seconds())
            send_along(request, self._cookie(guest, lasts, _GUEST_COOKIE))
        known["form_token"] = self._guest_token(guest)
        return self.render(template, known | values, status)

    async def read_guest_form(self, request: AnyRequest) -> Form:
        """Raises Forbidden for a form that was not made for this browser."""
        return await read_form(request, self._guest_token(_guest_of(request) or token_hex()))

    def _guest_token(self, guest: str) -> str:
        said = b"guest form" + guest.encode()
        return hmac.new(self.door.secret, said, hashlib.sha256).hexdigest()

    def short_cookie(self, key: str, value: str, path: str, lasts: int) -> Cookie:
        """Return another cookie of accounts, for one purpose and a short time."""
        return self._cookie(value, lasts, key, path)

    def render(
        self, template: str, values: Mapping[str, object], status: int = 200
    ) -> Response[bytes]:
        """Answer in the operator's look, and in nobody's frame: accounts are for no other site."""
        return render(template, values, status, replace(self.door.theme, frame_origins=()))

    async def read_form(self, request: AnyRequest) -> Form:
        """Raises Forbidden for a form that this session's pages did not make."""
        account = account_of(request)
        return await read_form(request, account_sessions.form_token(self.door.secret, account))


def _guest_of(request: AnyRequest) -> str:
    given = request.cookies.get(_GUEST_COOKIE, "")
    return given if read_token(given, SECRET_BYTES) is not None else ""


def account_only(door: AccountDoor) -> Callable[[_Connection, BaseRouteHandler], Awaitable[None]]:
    """Guard: somebody who is signed in with an account."""

    async def guard(connection: _Connection, _: BaseRouteHandler) -> None:
        await door.admit(connection)

    return guard


def account_of(connection: _Connection) -> AccountSession:
    session: object = cast("dict[str, Any]", connection.scope)[_SESSION]
    if not isinstance(session, AccountSession):
        raise TypeError("This page has no guard that admits accounts")
    return session


def go_to_sign_in(request: AnyRequest, _: Unauthenticated) -> Redirect:
    """Whoever is not signed in with an account does that first, and comes back."""
    return Redirect(sign_in_path(request), status_code=_SEE_OTHER)
