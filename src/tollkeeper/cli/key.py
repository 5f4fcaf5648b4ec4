"""`tollkeeper key`."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.naming import Moment
from tollkeeper.cli.output import Row, json_option, org_option, print_record, print_rows

if TYPE_CHECKING:
    from tollkeeper.db import Database
    from tollkeeper.orgs import ApiKey, OperatorKey


@click.group("key")
def key_command() -> None:
    """Create, list and revoke API keys and operator keys."""


@key_command.command("create")
@click.argument("name")
@click.option("--admin", is_flag=True, help="An ADMIN key: it manages billing too.")
@click.option("--test", is_flag=True, help="A key of test mode: simulated models, sandbox credit.")
@click.option("--operator", is_flag=True, help="An operator key instead of an API key.")
@click.option("--clamp/--no-clamp", default=None, help="Cut requests to what is affordable.")
@click.option("--expires", type=Moment(), help="When it ends: 2026-01-31, or 30d from now.")
@click.option("--project", help="Its project, by id or name; without it, the only one.")
@org_option
@json_option
@click.pass_obj
def create(  # noqa: PLR0913 (a command has as many as it has options)
    here: Installation,
    name: str,
    project: str | None,
    org: str | None,
    expires: datetime | None,
    *,
    admin: bool,
    test: bool,
    operator: bool,
    clamp: bool | None,
    as_json: bool,
) -> None:
    """Create a key. Its secret is printed once and kept nowhere."""
    from tollkeeper import orgs
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.base.ids import uuid7
    from tollkeeper.cli.naming import find_org, find_project
    from tollkeeper.orgs import KeyKind, NewKey

    now, chance = SystemClock().now(), secrets.token_bytes(32)

    async def act(database: Database) -> Row:
        async with database.transaction() as tx:
            if operator:
                made, secret = await orgs.create_operator_key(
                    tx, key_id=uuid7(), name=name, chance=chance, now=now, expires_at=expires
                )
                return {**_operator_row(made), "secret": secret}
            owner = await find_org(tx, org)
            within = await find_project(tx, owner.org_id, project)
            new = NewKey(
                org_id=owner.org_id,
                key_id=uuid7(),
                project_id=within.project_id,
                name=name,
                kind=KeyKind.ADMIN if admin else KeyKind.INFERENCE,
                livemode=not test,
                clamp=here.settings.gateway.clamp if clamp is None else clamp,
                expires_at=expires,
            )
            key, secret = await orgs.create_key(tx, new, chance=chance, now=now)
            return {**_row(key), "secret": secret}

    print_record(here.run(act), as_json=as_json)


@key_command.command("list")
@click.option("--operator", is_flag=True, help="Operator keys instead of API keys.")
@org_option
@json_option
@click.pass_obj
def list_(here: Installation, org: str | None, *, operator: bool, as_json: bool) -> None:
    """List keys, oldest first, with those that expired or were revoked."""
    from tollkeeper import orgs
    from tollkeeper.cli.naming import find_org

    async def act(database: Database) -> list[Row]:
        async with database.connection() as connection:
            if operator:
                return [_operator_row(key) for key in await orgs.list_operator_keys(connection)]
            owner = await find_org(connection, org)
            keys = await orgs.list_keys(connection, owner.org_id, None, 10_000)
        return [_row(key) for key in keys]

    columns = ("id", "name", "prefix", "kind", "mode", "lastUsedAt", "expiresAt", "revokedAt")
    chosen = [column for column in columns if not operator or column not in ("kind", "mode")]
    print_rows(here.run(act), chosen, as_json=as_json)


@key_command.command("revoke")
@click.argument("key_id", metavar="KEY_ID")
@org_option
@json_option
@click.pass_obj
def revoke(here: Installation, key_id: str, org: str | None, *, as_json: bool) -> None:
    """Refuse a key from now on, in every process within a second. KEY_ID: key_… or opk_…"""
    from tollkeeper import orgs
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.naming import find_org, read_named_id

    now = SystemClock().now()

    async def act(database: Database) -> Row:
        async with database.transaction() as tx:
            if key_id.startswith("opk_"):
                operator_id = read_named_id("opk", key_id)
                return _operator_row(await orgs.revoke_operator_key(tx, operator_id, now))
            owner = await find_org(tx, org)
            named = read_named_id("key", key_id)
            return _row(await orgs.revoke_key(tx, owner.org_id, named, now))

    print_record(here.run(act), as_json=as_json)


def _row(key: ApiKey) -> Row:
    from tollkeeper.base.ids import show_id

    return {
        "id": show_id("key", key.key_id),
        "name": key.name,
        "prefix": key.display_prefix,
        "kind": key.kind.value,
        "mode": "live" if key.livemode else "test",
        "clamp": key.clamp,
        "projectId": show_id("prj", key.project_id),
        "createdAt": key.created_at,
        "expiresAt": key.expires_at,
        "revokedAt": key.revoked_at,
        "lastUsedAt": key.last_used_at,
    }


def _operator_row(key: OperatorKey) -> Row:
    from tollkeeper.base.ids import show_id

    return {
        "id": show_id("opk", key.key_id),
        "name": key.name,
        "prefix": key.display_prefix,
        "createdAt": key.created_at,
        "expiresAt": key.expires_at,
        "revokedAt": key.revoked_at,
        "lastUsedAt": key.last_used_at,
    }
