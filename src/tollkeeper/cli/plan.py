"""`tollkeeper plan`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.naming import Moment
from tollkeeper.cli.output import (
    Row,
    json_option,
    org_option,
    print_json,
    print_record,
    print_rows,
    say,
)

if TYPE_CHECKING:
    from tollkeeper.db import Connection, Database
    from tollkeeper.plans import By, PlanVersion, Subscription

_WHY = click.option("--why", required=True, help="Why, for the audit log.")
_TEST = click.option("--test", is_flag=True, help="For calls of test keys, not of live ones.")
_WHEN = click.option(
    "--when", type=click.Choice(["now", "cycle_end"]), help="At once, or with the cycle."
)


@click.group("plan")
def plan_command() -> None:
    """Publish and list plans; give an organization one.

    A plan is never changed: another version follows it, and who subscribes keeps theirs.
    """


@plan_command.command("list")
@json_option
@click.pass_obj
def list_(here: Installation, *, as_json: bool) -> None:
    """List every version of every plan."""
    from tollkeeper import plans

    async def act(database: Database) -> list[PlanVersion]:
        async with database.connection() as connection:
            return await plans.read_plans(connection)

    found = here.run(act)
    if as_json:
        print_json([plans.PlanVersionOut.of(version) for version in found])
        return
    columns = ("plan", "name", "fee", "from", "includes", "sold")
    print_rows([_row(version) for version in found], columns, as_json=False)


@plan_command.command("publish")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--why", default="", help="Why, for the audit log.")
@json_option
@click.pass_obj
def publish(here: Installation, files: tuple[Path, ...], why: str, *, as_json: bool) -> None:
    """Publish plans from files, TOML or JSON, each with one plan.

    The same plan again changes nothing. Servers sell by it within a second of its moment.
    """
    from tollkeeper import plans
    from tollkeeper.base.clock import SystemClock

    read = [plans.read_plan_file(path.read_text("utf-8"), path.name) for path in files]

    async def act(database: Database) -> list[PlanVersion]:
        async with database.transaction() as tx:
            return [
                await plans.publish_plan(
                    tx,
                    code=plan.code,
                    name=plan.name,
                    terms=plans.terms_in(plan),
                    effective_from=plan.effective_from,
                    by=_by(why),
                    now=SystemClock().now(),
                )
                for plan in read
            ]

    made = here.run(act)
    if as_json:
        print_json([plans.PlanVersionOut.of(version) for version in made])
        return
    for version in made:
        say(f"{version.code} from {version.effective_from:%Y-%m-%d %H:%M} UTC")


@plan_command.command("retire")
@click.argument("code")
@click.option("--back", is_flag=True, help="Sell it again.")
@_WHY
@click.pass_obj
def retire(here: Installation, code: str, why: str, *, back: bool) -> None:
    """Sell a plan no more. Who has it keeps it."""
    from tollkeeper import plans
    from tollkeeper.base.clock import SystemClock

    async def act(database: Database) -> None:
        done = plans.bring_back_plan if back else plans.retire_plan
        async with database.transaction() as tx:
            await done(tx, code, by=_by(why), now=SystemClock().now())

    here.run(act)
    say(f"{code} is sold again" if back else f"{code} is not sold any more")


@plan_command.command("subscribe")
@click.argument("code")
@_WHEN
@click.option("--zone", help="IANA time zone in which cycles of a new subscription begin.")
@click.option("--anchor", type=Moment(), help="When they begin; now, unless it is said.")
@_TEST
@org_option
@_WHY
@json_option
@click.pass_obj
def subscribe(
    here: Installation,
    code: str,
    when: str | None,
    zone: str | None,
    anchor: datetime | None,
    org: str | None,
    why: str,
    *,
    test: bool,
    as_json: bool,
) -> None:
    """Give an organization a plan, or change the one it has. No fee is billed for it."""
    from tollkeeper import plans
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.naming import find_org

    async def act(tx: Connection) -> Subscription:
        return await plans.set_plan(
            tx,
            ((await find_org(tx, org)).org_id, not test),
            code,
            when=None if when is None else plans.When(when),
            anchor=anchor,
            zone=zone,
            by=_by(why),
            now=SystemClock().now(),
        )

    print_record(_change(here, act), as_json=as_json)


@plan_command.command("cancel")
@_WHEN
@_TEST
@org_option
@_WHY
@json_option
@click.pass_obj
def cancel(
    here: Installation, when: str | None, org: str | None, why: str, *, test: bool, as_json: bool
) -> None:
    """End an organization's plan, with its cycle unless --when now."""
    from tollkeeper import plans
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.naming import find_org

    async def act(tx: Connection) -> Subscription:
        return await plans.cancel_plan(
            tx,
            ((await find_org(tx, org)).org_id, not test),
            when=plans.When(when or "cycle_end"),
            by=_by(why),
            now=SystemClock().now(),
        )

    print_record(_change(here, act), as_json=as_json)


def _change(here: Installation, act: Callable[[Connection], Awaitable[Subscription]]) -> Row:
    from tollkeeper import plans
    from tollkeeper.base.ids import show_id

    async def run(database: Database) -> tuple[Subscription, dict[Any, PlanVersion]]:
        async with database.transaction() as tx:
            done = await act(tx)
            return done, {one.version_id: one for one in await plans.read_plans(tx)}

    done, versions = here.run(run)
    following = done.next_version_id
    return {
        "subscription": show_id("sub", done.subscription_id),
        "plan": versions[done.version_id].code,
        "status": done.status.value,
        "nextPlan": following and versions[following].code,
        "nextAt": done.next_at,
        "cancelAt": done.cancel_at,
    }


def _row(version: PlanVersion) -> Row:
    terms = version.terms
    fee = f"{terms.fee_minor} minor {terms.currency}/{terms.interval.value}"
    included = ", ".join(f"{one.included:,} {one.name}" for one in terms.consumables)
    return {
        "plan": version.code,
        "name": version.name,
        "fee": fee if terms.fee_minor else "free",
        "from": f"{version.effective_from:%Y-%m-%d %H:%M}",
        "includes": included or "-",
        "sold": "retired" if version.retired_at else "yes",
    }


def _by(why: str) -> By:
    from tollkeeper.cli.naming import who
    from tollkeeper.plans import By

    return By(who=who(), why=why)
