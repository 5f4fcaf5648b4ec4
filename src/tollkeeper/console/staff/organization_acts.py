"""What the staff do to one organization: its credit, its freeze, its plan, its pages opened."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from tollkeeper import operator, orgs, plans
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import NANOS_PER_UNIT
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form, go_on
from tollkeeper.console.model import Pass
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff.acting import REASON, Do, Field, Sheet, act_page, once_of, read_shape
from tollkeeper.console.staff_door import STAFF_PAGES, StaffDoor, act_of
from tollkeeper.http import read_path_id
from tollkeeper.ledger import LotKind, NewLot
from tollkeeper.operator import Adjustment, Balance, Grant, OnBalance, Overdraft
from tollkeeper.orgs import Organization, Role
from tollkeeper.plans import By, CancelPlan, SetPlan, When

ORGANIZATIONS: Final = f"{STAFF_PAGES}/organizations"
_PATH: Final = "/organizations/{organization_id:str}"
_PRIORITY: Final = "100"
# Above this a correction asks for the organization's name.
_LARGE_NANOS: Final = 1_000 * NANOS_PER_UNIT


def organization_path(org_id: UUID) -> str:
    return f"{ORGANIZATIONS}/{show_id('org', org_id)}"


def org_of(request: AnyRequest) -> UUID:
    return read_path_id("org", request.path_params["organization_id"])


async def read_org(door: StaffDoor, request: AnyRequest) -> Organization:
    """Raises NotFound."""
    async with door.door.database.connection() as connection:
        return await orgs.get_org(connection, org_of(request))


def organization_acts(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    currencies = tuple(shelves.settings.currencies)
    return [
        *_grant(door, currencies),
        *_adjust(door, currencies),
        *_freeze(door, currencies),
        *_overdraft(door, currencies),
        *_set_plan(door, shelves),
        *_cancel_plan(door, shelves),
        *_open_as(door),
    ]


def mode_field() -> Field:
    options = (("true", say("staff_acts.live")), ("false", say("staff_acts.test")))
    return Field(name="livemode", kind="choice", options=options)


def currency_field(currencies: tuple[str, ...]) -> Field:
    return Field(name="currency", kind="choice", options=[(one, one) for one in currencies])


def _on_balance(currencies: tuple[str, ...]) -> list[Field]:
    return [mode_field(), currency_field(currencies)]


def _page(
    door: StaffDoor, name: str, fields: list[Field], do: Do, **given: str
) -> list[ControllerRouterHandler]:
    """Its words are `staff_acts.{name}_title`, `_lead` and `_button`."""

    async def prepare(request: AnyRequest) -> Sheet:
        org = await read_org(door, request)
        mode = request.query_params.get("mode", "live")
        return Sheet(
            title=say(f"staff_acts.{name}_title"),
            lead=say(f"staff_acts.{name}_lead", organization=org.name),
            button=say(f"staff_acts.{name}_button"),
            back=organization_path(org.org_id),
            fields=[*fields, REASON],
            given={"livemode": "false" if mode == "test" else "true", "currency": "USD", **given},
            danger=name in _DANGEROUS,
        )

    return act_page(door, f"{_PATH}/{name}", prepare, do)


_DANGEROUS: Final = frozenset({"freeze", "cancel-plan"})


def _balance(org_id: UUID, data: OnBalance) -> Balance:
    return Balance(org_id=org_id, livemode=data.livemode, currency=data.currency)


def _go_back(org_id: UUID, done: str, data: OnBalance | SetPlan | CancelPlan) -> Redirect:
    return go_on(organization_path(org_id), done, mode="live" if data.livemode else "test")


def _source(form: Form) -> str:
    """Name the entry after the form, so that it is posted once."""
    return f"console:{once_of(form)}"


def _grant(door: StaffDoor, currencies: tuple[str, ...]) -> list[ControllerRouterHandler]:
    async def grant(request: AnyRequest, form: Form) -> Redirect:
        org_id, now = org_of(request), door.door.clock.now()
        data = read_shape(form, Grant, ends=["expiresAt"])
        operator.check_currency(data.currency, currencies)
        lot = NewLot(
            kind=LotKind.PROMOTIONAL,
            priority=data.priority,
            expires_at=data.expires_at,
            label=data.label,
        )
        act, source = act_of(request, data.reason, now), _source(form)
        async with door.door.database.transaction() as tx:
            await operator.grant(tx, act, _balance(org_id, data), data.amount, lot, source)
        return _go_back(org_id, "staff_granted", data)

    fields = [
        Field(name="amount", kind="number"),
        *_on_balance(currencies),
        Field(name="label", required=False, hint=True),
        Field(name="expiresAt", kind="date", required=False, hint=True),
        Field(name="priority", kind="number", required=False, hint=True),
    ]
    return _page(door, "grant", fields, grant, priority=_PRIORITY)


def _adjust(door: StaffDoor, currencies: tuple[str, ...]) -> list[ControllerRouterHandler]:
    async def adjust(request: AnyRequest, form: Form) -> Redirect:
        org = await read_org(door, request)
        data = read_shape(form, Adjustment)
        if abs(data.amount) > _LARGE_NANOS and not form.confirms(org.name):
            said = say("staff_acts.confirm_large", name=org.name)
            raise InvalidRequest(said, {"confirmation": [said]})
        act, source = act_of(request, data.reason, door.door.clock.now()), _source(form)
        async with door.door.database.transaction() as tx:
            await operator.adjust(tx, act, _balance(org.org_id, data), data.amount, source)
        return _go_back(org.org_id, "staff_adjusted", data)

    fields = [
        Field(
            name="amount",
            kind="number",
            label=say("staff_acts.signed_amount"),
        ),
        *_on_balance(currencies),
        Field(name="confirmation", required=False, hint=True),
    ]
    return _page(door, "adjust", fields, adjust)


def _freeze(door: StaffDoor, currencies: tuple[str, ...]) -> list[ControllerRouterHandler]:
    async def freeze(request: AnyRequest, form: Form) -> Redirect:
        org_id, data = org_of(request), read_shape(form, OnBalance)
        act = act_of(request, data.reason, door.door.clock.now())
        async with door.door.database.transaction() as tx:
            await operator.freeze(tx, act, _balance(org_id, data))
        return _go_back(org_id, "staff_frozen", data)

    async def unfreeze(request: AnyRequest, form: Form) -> Redirect:
        org_id, data = org_of(request), read_shape(form, OnBalance)
        act = act_of(request, data.reason, door.door.clock.now())
        async with door.door.database.transaction() as tx:
            await operator.unfreeze(tx, act, _balance(org_id, data))
        return _go_back(org_id, "staff_unfrozen", data)

    fields = _on_balance(currencies)
    return [*_page(door, "freeze", fields, freeze), *_page(door, "unfreeze", fields, unfreeze)]


def _overdraft(door: StaffDoor, currencies: tuple[str, ...]) -> list[ControllerRouterHandler]:
    async def set_overdraft(request: AnyRequest, form: Form) -> Redirect:
        org_id, data = org_of(request), read_shape(form, Overdraft)
        act = act_of(request, data.reason, door.door.clock.now())
        async with door.door.database.transaction() as tx:
            await operator.set_overdraft(tx, act, _balance(org_id, data), data.amount)
        return _go_back(org_id, "saved", data)

    fields = [Field(name="amount", kind="number"), *_on_balance(currencies)]
    return _page(door, "overdraft", fields, set_overdraft)


def _set_plan(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def set_plan(request: AnyRequest, form: Form) -> Redirect:
        org_id, now = org_of(request), door.door.clock.now()
        data = read_shape(form, SetPlan)
        by = By(who=act_of(request, data.reason, now).who, why=data.reason)
        async with door.door.database.transaction() as tx:
            who = (org_id, data.livemode)
            await plans.set_plan(tx, who, data.plan, when=data.when, now=now, by=by)
        await shelves.plans.refresh()
        return _go_back(org_id, "saved", data)

    async def prepare(request: AnyRequest) -> Sheet:
        org = await read_org(door, request)
        sold = shelves.plans.sold(door.door.clock.now())
        when = [("", say("staff_acts.when_usual"))]
        when += [(one.value, say(f"staff_acts.when_{one.value}")) for one in When]
        return Sheet(
            title=say("staff_acts.plan_title"),
            lead=say("staff_acts.plan_lead", organization=org.name),
            button=say("staff_acts.plan_button"),
            back=organization_path(org.org_id),
            fields=[
                Field(name="plan", kind="choice", options=[(one.code, one.name) for one in sold]),
                Field(name="when", kind="choice", options=when),
                mode_field(),
                REASON,
            ],
            warning="" if sold else say("staff_acts.no_plans"),
        )

    return act_page(door, f"{_PATH}/plan", prepare, set_plan)


def _cancel_plan(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def cancel(request: AnyRequest, form: Form) -> Redirect:
        org_id, now = org_of(request), door.door.clock.now()
        data = read_shape(form, CancelPlan)
        by = By(who=act_of(request, data.reason, now).who, why=data.reason)
        async with door.door.database.transaction() as tx:
            who = (org_id, data.livemode)
            await plans.cancel_plan(tx, who, when=data.when, now=now, by=by)
        await shelves.plans.refresh()
        return _go_back(org_id, "saved", data)

    when = [(one.value, say(f"staff_acts.when_{one.value}")) for one in When]
    fields = [Field(name="when", kind="choice", options=when), mode_field()]
    return _page(door, "cancel-plan", fields, cancel, when=When.CYCLE_END.value)


def _open_as(door: StaffDoor) -> list[ControllerRouterHandler]:
    async def open_as(request: AnyRequest, form: Form) -> Redirect:
        data = read_shape(form, OnBalance)
        try:
            role = Role(form.text("role"))
        except ValueError:
            said = say("staff_acts.no_role")
            raise InvalidRequest(said, {"role": [said]}) from None
        where = Pass(org_id=org_of(request), role=role, livemode=data.livemode)
        return await door.open_as(request, where, data.reason)

    roles = [(one.value, say(f"role.{one.value}")) for one in Role]
    fields = [Field(name="role", kind="choice", options=roles, hint=True), mode_field()]
    return _page(door, "open", fields, open_as, role=Role.OWNER.value)
