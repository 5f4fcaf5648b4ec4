"""Staff: who of the operator's team may read these pages, and who may act."""

from __future__ import annotations

import secrets
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import operator
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form, Question, go_on
from tollkeeper.console.rendering import say
from tollkeeper.console.signing_in import accounts, store
from tollkeeper.console.signing_in.links import making
from tollkeeper.console.signing_in.links import store as link_store
from tollkeeper.console.signing_in.links.making import NewLink, Post
from tollkeeper.console.signing_in.model import Purpose, StaffRole
from tollkeeper.console.staff_door import (
    STAFF_PAGES,
    StaffDoor,
    act_of,
    staff_admins_only,
    staff_of,
)
from tollkeeper.http import read_path_id

_PAGE: Final = "staff/staff.html"
_PATH: Final = f"{STAFF_PAGES}/staff"
_BAD: Final = 400
# What asks for the name to be typed first.
_SHUTTING_OUT: Final = ("disable", "remove")


def staff_page(door: StaffDoor, mail: Post) -> list[ControllerRouterHandler]:
    @get("/staff", include_in_schema=False)
    async def show_staff(request: AnyRequest) -> Response[bytes]:
        return await _show(door, request, Form(values={"role": StaffRole.VIEWER}))

    return [show_staff, *_inviting(door, mail), _changing(door)]


def _inviting(door: StaffDoor, mail: Post) -> list[ControllerRouterHandler]:
    database, clock = door.door.database, door.door.clock

    @post("/staff", include_in_schema=False, status_code=303, guards=[staff_admins_only])
    async def invite(request: AnyRequest) -> Response[bytes] | Redirect:
        form = await door.read_form(request)
        email = form.text("email").lower()
        if not accounts.is_email(email):
            return await _show(door, request, form.faulty(email=say("link.no_email")))
        role = StaffRole.ADMIN if form.text("role") == StaffRole.ADMIN else StaffRole.VIEWER
        act = act_of(request, "", clock.now())
        new = NewLink(
            purpose=Purpose.STAFF,
            made_by=staff_of(request).email,
            email=email,
            staff_role=role,
        )
        async with database.transaction() as tx:
            link = await making.send(tx, new, mail, chance=secrets.token_bytes(32), now=act.at)
            await operator.note(tx, act, "staff.invite", None, email=email, role=role.value)
        if link is None:
            return go_on(_PATH, "invited")
        # Shown on the answer itself: the address of a page shall not hold it.
        answer = await _show(door, request, Form(values={"role": role}), link=link)
        answer.status_code = 200
        return answer

    @post(
        "/staff/invitations/{link_id:str}/withdraw",
        include_in_schema=False,
        status_code=303,
        guards=[staff_admins_only],
    )
    async def withdraw(request: AnyRequest, link_id: FromPath[str]) -> Redirect:
        await door.read_form(request)
        async with database.transaction() as tx:
            gone = await link_store.delete_link(tx, read_path_id("inv", link_id), None)
            if gone is not None:
                act = act_of(request, "", clock.now())
                await operator.note(tx, act, "staff.withdraw", None, email=gone.email)
        return go_on(_PATH, "invitation_withdrawn")

    return [invite, withdraw]


def _changing(door: StaffDoor) -> ControllerRouterHandler:
    @post(
        "/staff/{account_id:str}",
        include_in_schema=False,
        status_code=200,
        guards=[staff_admins_only],
    )
    async def change(request: AnyRequest, account_id: FromPath[str]) -> Response[bytes] | Redirect:
        form, act = await door.read_form(request), act_of(request, "", door.door.clock.now())
        who = read_path_id("acc", account_id)
        what = form.text("act") or request.query_params.get("act", "")
        if what in _SHUTTING_OUT:
            question = await _ask(door, who, what)
            if not form.confirms(question.name):
                asked = "confirmation" in form.values
                wrong = {"confirmation": say("confirm.mismatch", name=question.name)}
                return door.ask_back(request, question, form.faulty(**wrong) if asked else Form())
        try:
            async with door.door.database.transaction() as tx:
                if what in ("disable", "enable"):
                    await accounts.set_disabled(tx, act, who, disabled=what == "disable")
                elif what == "remove":
                    await accounts.set_staff_role(tx, act, who, None)
                else:
                    role = StaffRole.ADMIN if what == StaffRole.ADMIN else StaffRole.VIEWER
                    await accounts.set_staff_role(tx, act, who, role)
        except accounts.LastAdmin as error:
            refused = Form(values={"role": StaffRole.VIEWER}, problem=error.detail)
            return await _show(door, request, refused)
        return go_on(_PATH, "saved")

    return change


async def _ask(door: StaffDoor, who: UUID, what: str) -> Question:
    """Raises NotFound."""
    async with door.door.database.connection() as connection:
        account = await store.find_account(connection, who)
    if account is None or account.staff_role is None:
        raise NotFound(say("staff.nobody"))
    return Question(
        title=say(f"staff.{what}_title", name=account.name),
        detail=say(f"staff.{what}_detail"),
        name=account.name,
        action=f"{_PATH}/{show_id('acc', who)}?act={what}",
        button=say(f"staff.act_{what}"),
        back=_PATH,
    )


async def _show(
    door: StaffDoor, request: AnyRequest, form: Form, link: str = ""
) -> Response[bytes]:
    async with door.door.database.connection() as connection:
        people = await store.list_staff(connection)
        invited = await link_store.list_of_staff(connection, door.door.clock.now())
    return door.page(
        request,
        _PAGE,
        _BAD if form.faults or form.problem else 200,
        people=[(show_id("acc", one.account_id), one) for one in people],
        invited=[(show_id("inv", one.link_id), one) for one in invited],
        form=form,
        link=link,
    )
