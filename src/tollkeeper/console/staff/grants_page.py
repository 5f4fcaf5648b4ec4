"""Free credit by rule: codes that bring it, and what comes again each period."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import get
from litestar.params import FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import credits, orgs  # noqa: A004 (the room's name)
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form, go_on
from tollkeeper.console.rendering import say, show_money
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff.acting import REASON, Field, Sheet, act_page, once_of, read_shape
from tollkeeper.console.staff.organization_acts import (
    currency_field,
    mode_field,
    organization_path,
)
from tollkeeper.console.staff_door import STAFF_PAGES, StaffDoor, act_of
from tollkeeper.credits import Ending, NewCampaign, NewRecurringGrant
from tollkeeper.http import read_path_id

GRANTS: Final = f"{STAFF_PAGES}/grants"
_PAGE: Final = 25
_PRIORITY: Final = "50"
_EVERY: Final = ("day", "week", "month")


def grants_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    cursors = shelves.cursors
    of_codes, of_recurring = ("staff/campaigns",), ("staff/recurring-grants",)

    @get("/grants", include_in_schema=False)
    async def show_grants(
        request: AnyRequest, codes: FromQuery[str] = "", recurring: FromQuery[str] = ""
    ) -> Response[bytes]:
        after_code = cursors.after(of_codes, codes or None)
        after_grant = cursors.after(of_recurring, recurring or None)
        async with door.door.database.connection() as connection:
            found = await credits.newest_campaigns(connection, after_code, _PAGE + 1)
            grants = await credits.newest_recurring_grants(connection, None, after_grant, _PAGE + 1)
            named = [one.org_id for one in grants if one.org_id is not None]
            names = await orgs.names_of_orgs(connection, named)
        older_codes = older_grants = None
        if len(found) > _PAGE:
            sealed = cursors.seal(of_codes, [found[_PAGE - 1].campaign_id])
            older_codes = f"{GRANTS}?{urlencode({'codes': sealed})}"
        if len(grants) > _PAGE:
            sealed = cursors.seal(of_recurring, [grants[_PAGE - 1].grant_id])
            older_grants = f"{GRANTS}?{urlencode({'recurring': sealed})}"
        return door.page(
            request,
            "staff/grants.html",
            campaigns=found[:_PAGE],
            grants=grants[:_PAGE],
            names=names,
            money=Money,
            show_id=show_id,
            where=organization_path,
            now=door.door.clock.now(),
            older_codes=older_codes,
            older_grants=older_grants,
            newest_codes=GRANTS if codes else None,
            newest_grants=GRANTS if recurring else None,
        )

    return [
        show_grants,
        *_new_code(door, shelves),
        *_end_code(door),
        *_new_recurring(door, shelves),
        *_end_recurring(door),
    ]


def _sheet(name: str, fields: list[Field], **given: str) -> Sheet:
    return Sheet(
        title=say(f"staff_acts.{name}_title"),
        lead=say(f"staff_acts.{name}_lead"),
        button=say(f"staff_acts.{name}_button"),
        back=GRANTS,
        fields=[*fields, REASON],
        given={"livemode": "true", "currency": "USD", "priority": _PRIORITY, **given},
    )


def _new_code(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    currencies = tuple(shelves.settings.currencies)

    async def prepare(_: AnyRequest) -> Sheet:
        fields = [
            Field(name="code", hint=True),
            Field(name="amount", kind="number", hint=True),
            currency_field(currencies),
            mode_field(),
            Field(name="validFrom", kind="date", required=False, hint=True),
            Field(name="validUntil", kind="date", required=False, hint=True),
            Field(name="mostRedemptions", kind="number", required=False, hint=True),
            Field(name="newDays", kind="number", required=False, hint=True),
            Field(name="lotDays", kind="number", required=False, hint=True),
            Field(name="label", required=False, hint=True),
            Field(name="priority", kind="number", required=False, hint=True),
        ]
        return _sheet("campaign", fields)

    async def create(request: AnyRequest, form: Form) -> Redirect:
        data = read_shape(form, NewCampaign, begins=["validFrom"], ends=["validUntil"])
        act = act_of(request, data.reason, door.door.clock.now())
        campaign = credits.campaign_from(data, currencies, once_of(form), act.who, act.at)
        async with door.door.database.transaction() as tx:
            await credits.campaigns.create(tx, campaign)
        return go_on(GRANTS, "staff_code_created")

    return act_page(door, "/grants/campaigns/new", prepare, create)


def _end_code(door: StaffDoor) -> list[ControllerRouterHandler]:
    def campaign_of(request: AnyRequest) -> UUID:
        return read_path_id(credits.campaigns.ID, request.path_params["campaign_id"])

    async def prepare(request: AnyRequest) -> Sheet:
        async with door.door.database.connection() as connection:
            found = await credits.campaigns.find(connection, campaign_of(request))
        return Sheet(
            title=say("staff_acts.end_campaign_title", code=found.code),
            lead=say("staff_acts.end_campaign_lead"),
            button=say("staff_acts.end_campaign_button"),
            back=GRANTS,
            fields=[REASON],
            danger=True,
        )

    async def end(request: AnyRequest, form: Form) -> Redirect:
        act = act_of(request, _reason_of(form), door.door.clock.now())
        async with door.door.database.transaction() as tx:
            await credits.campaigns.end(
                tx, campaign_of(request), who=act.who, why=act.why, now=act.at
            )
        return go_on(GRANTS, "staff_code_ended")

    return act_page(door, "/grants/campaigns/{campaign_id:str}/end", prepare, end)


def _new_recurring(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    currencies = tuple(shelves.settings.currencies)

    async def prepare(request: AnyRequest) -> Sheet:
        every = [(one, say(f"period.{one}")) for one in _EVERY]
        fields = [
            Field(name="amount", kind="number"),
            Field(name="every", kind="choice", options=every),
            Field(name="organizationId", required=False, hint=True),
            currency_field(currencies),
            mode_field(),
            Field(name="timeZone", hint=True),
            Field(name="startAt", kind="date", required=False, hint=True),
            Field(name="label", required=False, hint=True),
            Field(name="priority", kind="number", required=False, hint=True),
        ]
        org_id = request.query_params.get("organization", "")
        given = {"every": "month", "timeZone": "UTC", "organizationId": org_id}
        return _sheet("recurring", fields, **given)

    async def define(request: AnyRequest, form: Form) -> Redirect:
        data = read_shape(form, NewRecurringGrant, begins=["startAt"])
        act = act_of(request, data.reason, door.door.clock.now())
        grant = credits.recurring_from(data, currencies, once_of(form), act.who, act.at)
        async with door.door.database.transaction() as tx:
            await credits.recurring.define(tx, grant)
        return go_on(GRANTS, "staff_recurring_created")

    return act_page(door, "/grants/recurring/new", prepare, define)


def _end_recurring(door: StaffDoor) -> list[ControllerRouterHandler]:
    def grant_of(request: AnyRequest) -> UUID:
        return read_path_id(credits.recurring.ID, request.path_params["grant_id"])

    async def prepare(request: AnyRequest) -> Sheet:
        async with door.door.database.connection() as connection:
            found = await credits.recurring.find(connection, grant_of(request))
        return Sheet(
            title=say("staff_acts.end_recurring_title"),
            lead=say("staff_acts.end_recurring_lead"),
            button=say("staff_acts.end_recurring_button"),
            back=GRANTS,
            fields=[REASON],
            facts=[
                (say("staff_acts.amount"), show_money(Money(found.amount_nanos), found.currency)),
                (say("staff_acts.every"), say(f"period.{found.every}")),
            ],
            danger=True,
        )

    async def end(request: AnyRequest, form: Form) -> Redirect:
        act = act_of(request, _reason_of(form), door.door.clock.now())
        async with door.door.database.transaction() as tx:
            await credits.recurring.end(tx, grant_of(request), who=act.who, why=act.why, now=act.at)
        return go_on(GRANTS, "staff_recurring_ended")

    return act_page(door, "/grants/recurring/{grant_id:str}/end", prepare, end)


def _reason_of(form: Form) -> str:
    return read_shape(form, Ending).reason
