"""The door of the operator's pages, below `/console/staff`: who of the staff may read, who acts."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.response import Redirect, Response

from tollkeeper import operator, orgs
from tollkeeper.base.errors import Forbidden
from tollkeeper.console import sessions
from tollkeeper.console.doors import AnyRequest, Door
from tollkeeper.console.forms import Form, Question
from tollkeeper.console.menu import staff_menu
from tollkeeper.console.model import Pass
from tollkeeper.console.rendering import say
from tollkeeper.console.signing_in.account_door import AccountDoor, account_of
from tollkeeper.console.signing_in.model import Staff
from tollkeeper.operator import Act

_Connection = ASGIConnection[Any, Any, Any, Any]

STAFF_PAGES: Final = f"{sessions.CONSOLE}/staff"
_FRAME: Final = "staff/base.html"
_FINE: Final = 200
_BAD: Final = 400
_SEE_OTHER: Final = 303


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffDoor:
    door: Door

    @property
    def account(self) -> AccountDoor:
        return AccountDoor(door=self.door)

    def page(
        self, request: AnyRequest, template: str, status: int = 200, **values: object
    ) -> Response[bytes]:
        """Answer with a page of whoever of the staff is signed in; templates extend
        `staff/base.html`, and know them as `staff`."""
        known = {"staff": staff_of(request), "menu": staff_menu(), "frame": _FRAME}
        return self.account.page(request, template, status, **known | values)

    async def read_form(self, request: AnyRequest) -> Form:
        """Raises Forbidden for a form that this session's pages did not make."""
        return await self.account.read_form(request)

    def ask_back(self, request: AnyRequest, question: Question, form: Form) -> Response[bytes]:
        """Answer with a page that has the name typed before something is destroyed."""
        status = _BAD if form.faults or form.problem else _FINE
        return self.page(request, "confirm.html", status, question=question, form=form)

    async def open_as(self, request: AnyRequest, where: Pass, why: str) -> Redirect:
        """Let an admin of the staff into a customer's pages, and note it in the audit log.

        Raises Forbidden for viewers, NotFound for an organization that is not there.
        """
        staff, session, now = staff_of(request), account_of(request), self.door.clock.now()
        if not staff.acts:
            raise Forbidden(say("staff_door.no_admin"))
        expires_at = min(now + sessions.SESSION_LASTS, session.expires_at)
        async with self.door.database.transaction() as tx:
            await orgs.get_org(tx, where.org_id)
            token = await sessions.open_from_account(
                tx,
                where,
                session.session_id,
                chance=secrets.token_bytes(32),
                now=now,
                expires_at=expires_at,
            )
            said = {"role": where.role.value, "livemode": where.livemode}
            act = act_of(request, why, now)
            await operator.note(tx, act, "console.open_as", where.org_id, **said)
        lasts = int((expires_at - now).total_seconds())
        cookies = [self.door.cookie(token, lasts)]
        return Redirect(sessions.CONSOLE, status_code=_SEE_OTHER, cookies=cookies)


def staff_only(door: StaffDoor) -> Callable[[_Connection, BaseRouteHandler], Awaitable[None]]:
    """Guard: anybody of the operator's staff. Admits, and is the guard of all their pages."""

    async def guard(connection: _Connection, _: BaseRouteHandler) -> None:
        session = await door.account.admit(connection)
        if session.staff_role is None:
            raise Forbidden(say("staff_door.no_staff"))

    return guard


async def staff_admins_only(connection: _Connection, _: BaseRouteHandler) -> None:
    """Guard, after `staff_only`: those of the staff who act."""
    if not staff_of(connection).acts:
        raise Forbidden(say("staff_door.no_admin"))


def staff_of(connection: _Connection) -> Staff:
    session = account_of(connection)
    if session.staff_role is None:
        raise TypeError("This page has no guard that admits staff")
    return Staff(
        account_id=session.account_id,
        name=session.name,
        email=session.email,
        role=session.staff_role,
    )


def act_of(connection: _Connection, why: str, at: datetime) -> Act:
    """What the audit log says of somebody of the staff: their e-mail."""
    return Act(who=staff_of(connection).email, why=why, at=at)
