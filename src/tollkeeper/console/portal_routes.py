"""`POST /operator/portal-sessions`: a link that lets a customer into their pages."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Router, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from tollkeeper import operator, orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import read_id
from tollkeeper.console import sessions
from tollkeeper.console.model import Pass
from tollkeeper.db import Database
from tollkeeper.http import OPERATOR_KEY
from tollkeeper.operator import Act
from tollkeeper.orgs import Role

AnyRequest = Request[Any, Any, State]
OrganizationId = Annotated[
    str, Meta(pattern=r"^org_[0-9a-f]{32}\Z", examples=["org_0193f5e7a4007cc08e1b746f6c6c6b65"])
]
MemberId = Annotated[
    str, Meta(pattern=r"^mem_[0-9a-f]{32}\Z", examples=["mem_0193f5e7a4007cc08e1b746f6c6c6b65"])
]


class NewPortalSession(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """`member` says who it is; their role bounds `role`, now and as long as they are signed in."""

    organization_id: OrganizationId
    role: Role
    member: MemberId | None = None
    livemode: bool = True


class PortalSessionOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """`url` signs its bearer in, once, until `expiresAt`. Send the customer's browser there."""

    url: str
    expires_at: datetime


def portal_routes(base_url: str) -> list[ControllerRouterHandler]:
    @post(
        "/portal-sessions",
        summary="Make a link that signs a customer in to the console",
        description="One organization, one role. The link works once, for ten minutes.",
        opt={"errors": (NotFound,), "shown_once": ("url",)},
    )
    async def create_portal_session(
        request: AnyRequest,
        data: JSONBody[NewPortalSession],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> PortalSessionOut:
        where = Pass(
            org_id=read_id("org", data.organization_id),
            role=data.role,
            livemode=data.livemode,
            member_id=None if data.member is None else read_id("mem", data.member),
        )
        now = clock.now()
        act = Act(who=orgs.name_of(orgs.operator_of(request)), why="", at=now)
        said = {"role": data.role.value, "member": data.member, "livemode": data.livemode}
        async with database.transaction() as tx:
            link = await sessions.make_link(
                tx, where, base_url, chance=secrets.token_bytes(32), now=now
            )
            await operator.note(tx, act, "portal_session.create", where.org_id, **said)
        return PortalSessionOut(url=link.url, expires_at=link.expires_at)

    return [
        Router(
            "/operator",
            route_handlers=[create_portal_session],
            guards=[orgs.operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        )
    ]
