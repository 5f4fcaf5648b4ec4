"""Organizations: found by what is known of one, listed with how they stand, and made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromQuery, QueryParameter
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import ledger, metering, operator, orgs
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import named_uuid, read_id, show_id
from tollkeeper.base.money import Money
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form, go_on
from tollkeeper.console.model import USD
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff.acting import REASON, Field, Sheet, act_page, once_of, read_shape
from tollkeeper.console.staff.mode import Asked, Mode, mode_of
from tollkeeper.console.staff.organization_acts import ORGANIZATIONS, organization_path
from tollkeeper.console.staff_door import StaffDoor, act_of
from tollkeeper.db import Connection
from tollkeeper.ledger import Standing
from tollkeeper.metering import Spent
from tollkeeper.orgs import DuplicateOrganization, Organization

_PAGE: Final = 25
_MONTH: Final = timedelta(days=30)
_PREFIX: Final = "org_"
Text = Annotated[str, Meta(max_length=200)]


class NewOrganization(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Annotated[str, Meta(min_length=1, max_length=1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An organization with its USD balance, and what else there is to see of it."""

    shown_id: str
    name: str
    path: str
    created_at: Any
    balance: Money | None
    others: Sequence[Standing]
    state: str
    frozen: bool
    spent: Money
    plan: str | None


def organizations_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    cursors = shelves.cursors

    @get("/organizations", include_in_schema=False)
    async def show_organizations(
        request: AnyRequest,
        q: FromQuery[Text] = "",
        before: FromQuery[str] = "",
        show: FromQuery[Literal["", "frozen"]] = "",
        asked: Annotated[Asked, QueryParameter(name="mode")] = "",
    ) -> Response[bytes]:
        sought = q.strip()
        bound = ("staff/organizations", sought)
        after = cursors.after(bound, before or None)
        async with door.door.database.connection() as connection:
            mode = await mode_of(connection, asked)
            if show:
                found = await _frozen(connection, mode)
            else:
                found = await _find(connection, sought, after)
            rows = await _rows(connection, door, shelves, found[:_PAGE], mode)
        older = None
        said = {name: text for name, text in (("q", sought), ("mode", asked)) if text}
        if len(found) > _PAGE and not show:
            sealed = cursors.seal(bound, [found[_PAGE - 1].org_id])
            older = f"{ORGANIZATIONS}?{urlencode(said | {'before': sealed})}"
        newest = f"{ORGANIZATIONS}?{urlencode(said)}" if before else None
        return door.page(
            request,
            "staff/organizations.html",
            rows=rows,
            money=Money,
            q=sought,
            mode=mode,
            frozen=show == "frozen",
            older=older,
            newest=newest,
        )

    return [show_organizations, *_create(door, shelves)]


async def _find(connection: Connection, sought: str, after: UUID | None) -> list[Organization]:
    if sought.startswith(_PREFIX):
        try:
            return [await orgs.get_org(connection, read_id("org", sought))]
        except (ValueError, NotFound):
            return []
    if not sought:
        return await orgs.list_orgs(connection, after, _PAGE + 1)
    return await orgs.search_orgs(connection, sought, after, _PAGE + 1)


async def _frozen(connection: Connection, mode: Mode) -> list[Organization]:
    """The newest page of them: more would be a day's work of its own."""
    ids = await ledger.frozen_orgs(connection, _PAGE, livemode=mode == "live")
    return await orgs.these_orgs(connection, ids)


async def _rows(
    connection: Connection,
    door: StaffDoor,
    shelves: Shelves,
    found: Sequence[Organization],
    mode: Mode,
) -> list[Row]:
    livemode = mode == "live"
    now, low = door.door.clock.now(), shelves.settings.billing.low_balance_nanos
    ids = [one.org_id for one in found]
    standings = await ledger.standings(connection, ids, livemode=livemode)
    hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    spent = await metering.spent_by_all(
        connection, [(hour - _MONTH, hour)], livemode=livemode, org_ids=ids
    )
    in_usd = {one.org_id: one for one in spent if one.currency == USD}
    rows: list[Row] = []
    for one in found:
        terms = shelves.plans.look_up(one.org_id, livemode, now)
        plan = None if terms is None else terms.plan_name
        row = _row(one, standings[one.org_id], in_usd.get(one.org_id), plan, low)
        rows.append(replace(row, path=f"{row.path}?mode={mode}"))
    return rows


def _row(
    org: Organization,
    standings: Sequence[Standing],
    spent: Spent | None,
    plan: str | None,
    low: int,
) -> Row:
    usd = next((one for one in standings if one.currency == USD), None)
    return Row(
        shown_id=show_id("org", org.org_id),
        name=org.name,
        path=organization_path(org.org_id),
        created_at=org.created_at,
        balance=None if usd is None else Money(usd.available),
        others=[one for one in standings if one.currency != USD and one.begun],
        state="new" if usd is None or not usd.begun else balance_state(usd.available, low),
        frozen=any(one.frozen for one in standings),
        spent=Money(0 if spent is None else spent.amount),
        plan=plan,
    )


def balance_state(available: int, low: int) -> str:
    if available <= 0:
        return "empty"
    return "low" if available <= low else "healthy"


def _create(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def prepare(_: AnyRequest) -> Sheet:
        return Sheet(
            title=say("staff_acts.create_title"),
            lead=say("staff_acts.create_lead"),
            button=say("staff_acts.create_button"),
            back=ORGANIZATIONS,
            fields=[Field(name="name"), REASON],
        )

    async def create(request: AnyRequest, form: Form) -> Redirect:
        org_id, data = once_of(form), read_shape(form, NewOrganization)
        act = act_of(request, data.reason, door.door.clock.now())
        opening = operator.opening_of(shelves.settings)
        try:
            async with door.door.database.transaction() as tx:
                await operator.create_organization(
                    tx, act, org_id=org_id, name=data.name, opening=opening
                )
                await orgs.create_project(
                    tx,
                    org_id=org_id,
                    project_id=named_uuid(org_id, "first project"),
                    name=say("staff_acts.first_project"),
                    now=act.at,
                )
        except DuplicateOrganization:
            pass  # the form was sent twice
        return go_on(organization_path(org_id), "staff_created")

    return act_page(door, "/organizations/new", prepare, create)
