"""`tollkeeper doctor`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from tollkeeper.cli.checks import Finding, check_database, check_machine
from tollkeeper.cli.installation import Installation, NoDatabase
from tollkeeper.cli.output import json_option, print_json
from tollkeeper.cli.outside import check_outside

if TYPE_CHECKING:
    from tollkeeper.base.settings import Settings

_MARKS: Final = {"ok": "✓", "warning": "!", "failed": "✗"}
_FOUND: Final = 1


@click.command("doctor")
@click.option(
    "--settings/--no-settings",
    "with_settings",
    default=True,
    help="Whether to print the settings in force, without secrets.",
)
@json_option
@click.pass_obj
@click.pass_context
def doctor_command(
    context: click.Context, here: Installation, *, with_settings: bool, as_json: bool
) -> None:
    """Check this installation and say what to do.

    Exits with 1 when a check has failed; warnings alone do not count.
    """
    from tollkeeper.base.settings_page import effective
    from tollkeeper.base.settings_source import SettingsError

    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            _print(finding)

    values: dict[str, str] = {}
    try:
        settings = here.settings
    except SettingsError as error:
        for fault in error.faults:
            note(Finding("settings", "failed", fault, "See docs/reference/settings.md."))
    else:
        values = {setting.name: setting.value for setting in effective(settings)}
        if with_settings and not as_json:
            click.echo("".join(f"{name} = {value}\n" for name, value in values.items()))
        note(Finding("settings", "ok", "valid"))
        _check(here, settings, note)
    if as_json:
        print_json({"checks": [_row(finding) for finding in findings], "settings": values})
    if any(finding.verdict == "failed" for finding in findings):
        context.exit(_FOUND)


def _check(here: Installation, settings: Settings, note: Callable[[Finding], None]) -> None:
    from tollkeeper.base.errors import Unavailable
    from tollkeeper.db import EmbeddedServerError, unavailable

    for finding in check_machine(settings):
        note(finding)

    async def look_outside() -> None:
        async for finding in check_outside(settings):
            note(finding)

    asyncio.run(look_outside())

    async def look(url: str) -> None:
        async for finding in check_database(settings, url):
            note(finding)

    try:
        with here.database_url() as url:
            asyncio.run(look(url))
    except (NoDatabase, EmbeddedServerError) as error:
        note(Finding("database", "failed", str(error), "Do what it says, then look again."))
    except Exception as error:
        outage: Unavailable | None = unavailable(error)
        if outage is None:
            raise
        advice = "Is DATABASE_URL right, and does the server run?"
        note(Finding("database", "failed", str(error).strip(), advice))


def _row(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "verdict": finding.verdict,
        "found": finding.found,
        "advice": finding.advice,
    }


def _print(finding: Finding) -> None:
    click.echo(f"{_MARKS[finding.verdict]} {finding.check}: {finding.found}")
    if finding.advice:
        click.echo(f"  → {finding.advice}")
