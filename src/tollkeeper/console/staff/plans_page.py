"""Plans: what is sold by the month or year, its versions, and publishing another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from litestar import get
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import payments, plans
from tollkeeper.base.errors import NotFound
from tollkeeper.base.money import Money
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form, go_on
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff.acting import INTENT, REASON, Field, Sheet, act_page
from tollkeeper.console.staff_door import STAFF_PAGES, StaffDoor, act_of
from tollkeeper.http import invalid
from tollkeeper.plans import By, Consumable, PlanVersion

_PLANS: Final = f"{STAFF_PAGES}/plans"
_JSON: Final = "plan.json"
_TOML: Final = "plan.toml"
_RETIRE: Final = "retire"
_BACK: Final = "back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A version with its fee as money, and whether it is the one that is sold now."""

    version: PlanVersion
    fee: Money
    state: str


def plans_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    database, clock = door.door.database, door.door.clock

    @get("/plans", include_in_schema=False)
    async def show_plans(request: AnyRequest) -> Response[bytes]:
        async with database.connection() as connection:
            found = await plans.read_plans(connection)
        shown = _shown(found, clock.now())
        latest = [one for one in shown if one.state in ("now", "retired")]
        begun = {one.version.code for one in latest}
        planned = [one for one in shown if one.version.code not in begun]
        return door.page(request, "staff/plans.html", plans=[*latest, *planned])

    @get("/plans/{code:str}", include_in_schema=False)
    async def show_plan(request: AnyRequest, code: FromPath[str]) -> Response[bytes]:
        async with database.connection() as connection:
            found = [one for one in await plans.read_plans(connection) if one.code == code]
        if not found:
            raise NotFound(say("staff_plans.gone"))
        shown = list(reversed(_shown(found, clock.now())))
        return door.page(
            request,
            "staff/plan.html",
            code=code,
            name=found[-1].name,
            versions=shown,
            overage=_overage,
        )

    return [show_plans, show_plan, *_publish(door, shelves), *_retire(door, shelves)]


def _shown(found: Sequence[PlanVersion], now: datetime) -> list[Shown]:
    in_force: dict[str, PlanVersion] = {}
    for version in sorted(found, key=lambda one: one.effective_from):
        if version.effective_from <= now:
            in_force[version.code] = version
    return [
        Shown(
            version=version,
            fee=Money(payments.to_nanos(version.terms.fee_minor, version.terms.currency)),
            state=_state(version, in_force.get(version.code), now),
        )
        for version in sorted(found, key=lambda one: (one.code, one.effective_from))
    ]


def _overage(item: Consumable) -> Money:
    return Money(item.overage_nanos or 0)


def _state(version: PlanVersion, current: PlanVersion | None, now: datetime) -> str:
    if version.effective_from > now:
        return "planned"
    if version is not current:
        return "past"
    return "now" if version.retired_at is None else "retired"


def _publish(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def prepare(request: AnyRequest) -> Sheet:
        code = request.query_params.get("plan", "")
        async with door.door.database.connection() as connection:
            found = [one for one in await plans.read_plans(connection) if one.code == code]
        text = plans.write_plan_file(found[-1]) if found else _EXAMPLE
        return Sheet(
            title=say("staff_plans.publish_title"),
            lead=say("staff_plans.publish_lead"),
            button=say("staff_plans.publish_button"),
            back=_PLANS,
            fields=[
                Field(name="file", kind="long", label=say("staff_plans.file")),
                REASON,
            ],
            given={"file": text},
        )

    async def publish(request: AnyRequest, form: Form) -> Redirect:
        text = form.text("file")
        plan = plans.read_plan_file(text, _JSON if text.startswith("{") else _TOML)
        plans.check_plan(plan)
        async with door.door.database.transaction() as tx:
            made = await plans.publish_plan(
                tx,
                code=plan.code,
                name=plan.name,
                terms=plans.terms_in(plan),
                effective_from=plan.effective_from,
                by=_by(door, request, form),
                now=door.door.clock.now(),
            )
        await shelves.plans.refresh()
        return go_on(f"{_PLANS}/{made.code}", "plan_published")

    return act_page(door, "/plans/publish", prepare, publish)


def _retire(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def prepare(request: AnyRequest) -> Sheet:
        code = request.path_params["code"]
        async with door.door.database.connection() as connection:
            found = [one for one in await plans.read_plans(connection) if one.code == code]
        if not found:
            raise NotFound(say("staff_plans.gone"))
        words = _BACK if found[-1].retired_at else _RETIRE
        return Sheet(
            title=say(f"staff_plans.{words}_title", plan=found[-1].name),
            lead=say(f"staff_plans.{words}_lead"),
            button=say(f"staff_plans.{words}_button"),
            back=f"{_PLANS}/{code}",
            fields=[REASON],
            intent=words,
            danger=words == _RETIRE,
        )

    async def retire(request: AnyRequest, form: Form) -> Redirect:
        code = request.path_params["code"]
        by, now = _by(door, request, form), door.door.clock.now()
        async with door.door.database.transaction() as tx:
            found = [one for one in await plans.read_plans(tx) if one.code == code]
            if not found:
                raise NotFound(say("staff_plans.gone"))
            # What was meant stands in the form: sent twice, it does not undo itself.
            back = form.text(INTENT) == _BACK
            if back == (found[-1].retired_at is not None):
                act = plans.bring_back_plan if back else plans.retire_plan
                await act(tx, code, by=by, now=now)
        await shelves.plans.refresh()
        return go_on(f"{_PLANS}/{code}", "saved")

    return act_page(door, "/plans/{code:str}/retire", prepare, retire)


def _by(door: StaffDoor, request: AnyRequest, form: Form) -> By:
    """Raises InvalidRequest when nobody says why."""
    if not form.text("reason"):
        raise invalid({"reason": [say("staff_acts.no_reason")]})
    act = act_of(request, form.text("reason"), door.door.clock.now())
    return By(who=act.who, why=act.why)


_EXAMPLE: Final = """\
code = "pro"
name = "Pro"
feeMinor = 2900

[[consumables]]
code = "llm_tokens"
name = "LLM tokens"
covers = [{ units = ["tokens"] }]
included = 1000000
"""
