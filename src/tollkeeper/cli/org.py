"""`tollkeeper org`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.output import Row, json_option, print_record, print_rows, shown

if TYPE_CHECKING:
    from tollkeeper.db import Database
    from tollkeeper.ledger import Wallet
    from tollkeeper.orgs import Organization


@click.group("org")
def org_command() -> None:
    """Create, list and show organizations."""


@org_command.command("create")
@click.argument("name")
@click.option("--project", default="Default", show_default=True, help="Its first project.")
@click.option("--why", default="", help="Why, for the audit log.")
@json_option
@click.pass_obj
def create(here: Installation, name: str, project: str, why: str, *, as_json: bool) -> None:
    """Create an organization with a project, and live and test ADMIN keys.

    Their secrets are printed once and kept nowhere.
    """
    from tollkeeper import operator, orgs
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.base.ids import show_id, uuid7
    from tollkeeper.cli.naming import who
    from tollkeeper.operator import Act
    from tollkeeper.orgs import KeyKind, NewKey

    async def act(database: Database) -> Row:
        now = SystemClock().now()
        org_id, project_id = uuid7(), uuid7()
        made: dict[str, object] = {
            "organizationId": show_id("org", org_id),
            "projectId": show_id("prj", project_id),
        }
        async with database.transaction() as tx:
            by = Act(who=who(), why=why, at=now)
            opening = operator.opening_of(here.settings)
            await operator.create_organization(tx, by, org_id=org_id, name=name, opening=opening)
            await orgs.create_project(
                tx, org_id=org_id, project_id=project_id, name=project, now=now
            )
            for field, livemode in (("liveAdminKey", True), ("testAdminKey", False)):
                new = NewKey(
                    org_id=org_id,
                    key_id=uuid7(),
                    project_id=project_id,
                    name="First key",
                    kind=KeyKind.ADMIN,
                    livemode=livemode,
                    clamp=here.settings.gateway.clamp,
                )
                chance = secrets.token_bytes(32)
                _, made[field] = await orgs.create_key(tx, new, chance=chance, now=now)
        return made

    print_record(here.run(act), as_json=as_json)


@org_command.command("list")
@json_option
@click.pass_obj
def list_(here: Installation, *, as_json: bool) -> None:
    """List organizations, newest first."""
    from tollkeeper.cli.naming import all_orgs

    async def act(database: Database) -> list[Organization]:
        async with database.connection() as connection:
            return await all_orgs(connection)

    rows = [_row(organization) for organization in here.run(act)]
    print_rows(rows, ("id", "name", "createdAt"), as_json=as_json)


@org_command.command("show")
@click.argument("org", required=False)
@json_option
@click.pass_obj
def show(here: Installation, org: str | None, *, as_json: bool) -> None:
    """Show an organization with its balances. ORG is an id, or a name that only one has."""
    from tollkeeper import ledger
    from tollkeeper.cli.naming import find_org

    async def act(database: Database) -> tuple[Organization, list[Wallet]]:
        async with database.connection() as connection:
            found = await find_org(connection, org)
            return found, await ledger.wallets_of(connection, found.org_id)

    organization, wallets = here.run(act)
    balances = [_balance(wallet) for wallet in wallets]
    if as_json:
        print_record({**_row(organization), "balances": balances}, as_json=True)
        return
    print_record({name: shown(value) for name, value in _row(organization).items()}, as_json=False)
    click.echo()
    print_rows(balances, tuple(balances[0]) if balances else (), as_json=False)


def _row(organization: Organization) -> Row:
    from tollkeeper.base.ids import show_id

    return {
        "id": show_id("org", organization.org_id),
        "name": organization.name,
        "createdAt": organization.created_at,
    }


def _balance(wallet: Wallet) -> Row:
    from tollkeeper.base.money import Money

    return {
        "mode": "live" if wallet.livemode else "test",
        "currency": wallet.currency,
        "posted": Money(wallet.posted),
        "held": Money(wallet.held),
        "available": Money(wallet.available),
        "overdraft": Money(wallet.overdraft),
        "lifetimeAdded": Money(wallet.added),
        "lifetimeSpent": Money(wallet.spent),
        "frozen": wallet.frozen_reason,
    }
