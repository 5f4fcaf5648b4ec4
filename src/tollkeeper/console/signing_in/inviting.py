"""A member is invited to sign in: by a mail, or by a link to pass on."""

from __future__ import annotations

import secrets
from typing import Final

from litestar import post
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import operator, orgs
from tollkeeper.base.errors import Forbidden
from tollkeeper.base.ids import show_id
from tollkeeper.console.customer.saying import actor_of
from tollkeeper.console.doors import (
    AnyRequest,
    Door,
    customers_only,
    managers_only,
    session_of,
)
from tollkeeper.console.forms import go_on
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.sessions import CONSOLE
from tollkeeper.console.signing_in import store
from tollkeeper.console.signing_in.links import making
from tollkeeper.console.signing_in.links.making import NewLink, Post
from tollkeeper.console.signing_in.model import Purpose
from tollkeeper.db import Connection
from tollkeeper.http import read_path_id
from tollkeeper.operator import Act
from tollkeeper.orgs import Member, Role

_PATH: Final = f"{CONSOLE}/members"


def inviting_page(door: Door, mail: Post) -> ControllerRouterHandler:
    @post(
        "/members/{member_id:str}/invite",
        include_in_schema=False,
        status_code=303,
        guards=[managers_only, customers_only],
    )
    async def invite(request: AnyRequest, member_id: FromPath[str]) -> Response[bytes] | Redirect:
        await door.read_form(request)
        session, now = session_of(request), door.clock.now()
        async with door.database.transaction() as tx:
            known = read_path_id("mem", member_id)
            member = await orgs.get_member(tx, session.org_id, known)
            if member.role is Role.OWNER and session.role is not Role.OWNER:
                raise Forbidden(say("inviting.owners_only"))
            found = await store.find_member_by_email(tx, member.org_id, member.email)
            if found is not None and found[1] is not None:
                return go_on(_PATH, "has_joined")
            act, chance = Act(who=actor_of(session), why="", at=now), secrets.token_bytes(32)
            name = _name_of(session)
            link = await invite_member(tx, act, member, mail, chance=chance, name=name)
        if link is None:
            return go_on(_PATH, "invited")
        # Shown on the answer itself: the address of a page shall not hold it.
        answer = door.page(request, "signing_in/invited.html", member=member, link=link)
        answer.headers["cache-control"] = "no-store"
        return answer

    return invite


async def invite_member(
    tx: Connection, act: Act, member: Member, mail: Post, *, chance: bytes, name: str | None = None
) -> str | None:
    """Invite a member to sign in, with its audit row; return the link where nothing is mailed.
    `name` is by whom, as the mail says it."""
    new = NewLink(
        purpose=Purpose.MEMBER,
        made_by=name or act.who,
        email=member.email,
        org_id=member.org_id,
        role=member.role,
    )
    known = show_id("mem", member.member_id)
    await operator.note(tx, act, "member.invite", member.org_id, member=known)
    return await making.send(tx, new, mail, chance=chance, now=act.at)


def _name_of(session: Session) -> str:
    return session.member or session.person or session.organization
