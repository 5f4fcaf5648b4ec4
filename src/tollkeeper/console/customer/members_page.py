"""Members and roles: who may see these pages, and what they may do there."""

from __future__ import annotations

from typing import Final

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import orgs
from tollkeeper.base.errors import Forbidden, TollkeeperError
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.console.customer.destroying import destroying_pages
from tollkeeper.console.customer.noting import note, say_full
from tollkeeper.console.customer.saying import refuse
from tollkeeper.console.doors import AnyRequest, Door, managers_only, session_of
from tollkeeper.console.forms import Form, Question, go_on, read_as
from tollkeeper.console.model import Session, lower_of
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.http import read_path_id
from tollkeeper.orgs import Capacity, CreateMember, Member, Role, UpdateMember

PATH: Final = "/console/members"
_PAGE: Final = 50
_BAD: Final = 400
_PLACES: Final = {"duplicate_member": "email", "last_owner": "role"}


def member_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [*_listing(door, shelves), *_changing(door), *_removing(door)]


async def add_member(door: Door, shelves: Shelves, session: Session, new: CreateMember) -> Member:
    """Make somebody a member: the one place where these pages do. Who is to hear of it hears of it
    from here.

    Raises DuplicateMember, Forbidden, and what the plan's capacities refuse with.
    """
    _check_may_touch(session, new.role)
    _check_may_raise(session, Role.MEMBER, new.role)
    now = door.clock.now()
    member = Member(
        org_id=session.org_id,
        member_id=uuid7(),
        name=new.name,
        email=new.email,
        role=new.role,
        created_at=now,
    )
    async with door.database.transaction() as tx:
        await orgs.lock_org(tx, session.org_id)
        made = await orgs.create_member(tx, member)
        await shelves.capacities.check_made(tx, session, Capacity.SEATS)
        await note(tx, session, "member.add", now, **_told(made))
    return made


def _check_may_touch(session: Session, *roles: Role) -> None:
    """Raises Forbidden for who is no owner and would make one, change one or remove one."""
    if Role.OWNER in roles and session.role is not Role.OWNER:
        raise Forbidden(say("members.owners_only"))


def _check_may_raise(session: Session, known: Role, asked: Role) -> None:
    """Raises Forbidden for staff who look and would have somebody see the money."""
    if session.looking and lower_of(known, asked) is not asked:
        raise Forbidden(say("members.looking"))


def _told(member: Member) -> dict[str, object]:
    known = show_id("mem", member.member_id)
    return {"memberId": known, "email": member.email, "role": member.role.value}


def _role_choices(session: Session, known: Role = Role.MEMBER) -> list[tuple[str, str]]:
    """What who is `known` may be made."""
    offered = [one for one in Role if session.role is Role.OWNER or one is not Role.OWNER]
    if session.looking:
        offered = [one for one in offered if lower_of(known, one) is one]
    return [(one.value, say(f"role.{one}")) for one in reversed(offered)]


def _listing(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def answer(
        request: AnyRequest, form: Form, status: int = 200, full: str = "", before: str = ""
    ) -> Response[bytes]:
        session = session_of(request)
        after = read_path_id("mem", before) if before else None
        async with door.database.connection() as connection:
            found = await orgs.list_members(connection, session.org_id, after, _PAGE + 1)
        shown, more = found[:_PAGE], len(found) > _PAGE
        return door.page(
            request,
            "customer/members.html",
            status,
            form=form,
            full=full,
            rows=[{"id": show_id("mem", one.member_id), "member": one} for one in shown],
            roles=_role_choices(session),
            all_roles=list(Role),
            owner=session.role is Role.OWNER,
            older=f"{PATH}?before={show_id('mem', shown[-1].member_id)}" if more else None,
            newest=PATH if before else None,
        )

    @get("/members", include_in_schema=False, guards=[managers_only])
    async def show_members(request: AnyRequest, before: FromQuery[str] = "") -> Response[bytes]:
        return await answer(request, Form(values={"role": Role.MEMBER.value}), before=before)

    @post("/members", include_in_schema=False, guards=[managers_only], status_code=200)
    async def make_member(request: AnyRequest) -> Response[bytes] | Redirect:
        session = session_of(request)
        form = await door.read_form(request)
        try:
            fields = {name: form.text(name) for name in ("name", "email", "role")}
            await add_member(door, shelves, session, read_as(CreateMember, fields))
        except Forbidden:
            raise
        except TollkeeperError as error:
            if error.code == "capacity_exceeded":
                full = say_full(shelves, session, error, door.clock.now())
                return await answer(request, form, _BAD, full)
            return await answer(request, refuse(form, error, _PLACES), _BAD)
        return go_on(PATH, "member_added")

    return [show_members, make_member]


async def _find(door: Door, request: AnyRequest, member_id: str) -> Member:
    """Raises NotFound, and Forbidden for an owner where who asks is none."""
    session, known = session_of(request), read_path_id("mem", member_id)
    async with door.database.connection() as connection:
        member = await orgs.get_member(connection, session.org_id, known)
    _check_may_touch(session, member.role)
    return member


def _changing(door: Door) -> list[ControllerRouterHandler]:
    def answer(
        request: AnyRequest, member: Member, form: Form, status: int = 200
    ) -> Response[bytes]:
        return door.page(
            request,
            "customer/member.html",
            status,
            form=form,
            member=member,
            id=show_id("mem", member.member_id),
            roles=_role_choices(session_of(request), member.role),
            all_roles=list(Role),
        )

    @get("/members/{member_id:str}", include_in_schema=False, guards=[managers_only])
    async def show_member(request: AnyRequest, member_id: FromPath[str]) -> Response[bytes]:
        member = await _find(door, request, member_id)
        form = Form(values={"name": member.name, "role": member.role.value})
        return answer(request, member, form)

    @post(
        "/members/{member_id:str}", include_in_schema=False, guards=[managers_only], status_code=200
    )
    async def change_member(
        request: AnyRequest, member_id: FromPath[str]
    ) -> Response[bytes] | Redirect:
        session, now = session_of(request), door.clock.now()
        form = await door.read_form(request)
        member = await _find(door, request, member_id)
        try:
            fields = {name: form.text(name) for name in ("name", "role")}
            read_as(UpdateMember, fields)
            role = Role(fields["role"])
            async with door.database.transaction() as tx:
                # As they are now: somebody may have raised or lowered them meanwhile.
                await orgs.lock_org(tx, session.org_id)
                known = await orgs.get_member(tx, session.org_id, member.member_id)
                _check_may_touch(session, known.role, role)
                _check_may_raise(session, known.role, role)
                changed = await orgs.update_member(
                    tx, session.org_id, member.member_id, name=fields["name"], role=role
                )
                await note(tx, session, "member.update", now, **_told(changed))
        except Forbidden:
            raise
        except TollkeeperError as error:
            return answer(request, member, refuse(form, error, _PLACES), _BAD)
        return go_on(PATH, "saved")

    return [show_member, change_member]


def _removing(door: Door) -> list[ControllerRouterHandler]:
    async def find(request: AnyRequest) -> Member:
        return await _find(door, request, request.path_params["member_id"])

    def ask(member: Member) -> Question:
        return Question(
            title=say("members.remove_title", name=member.name),
            detail=say("members.remove_detail"),
            name=member.name,
            action=f"{PATH}/{show_id('mem', member.member_id)}/remove",
            button=say("members.remove"),
            back=PATH,
        )

    async def remove(request: AnyRequest, member: Member) -> Redirect:
        session, now = session_of(request), door.clock.now()
        async with door.database.transaction() as tx:
            await orgs.delete_member(tx, session.org_id, member.member_id)
            await note(tx, session, "member.remove", now, **_told(member))
        return go_on(PATH, "member_removed")

    path = "/members/{member_id:str}/remove"
    return destroying_pages(door, path, managers_only, find=find, ask=ask, destroy=remove)
