"""`tollkeeper up`: everything on one machine, from nothing to a paid call."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Final

import click

from tollkeeper.cli.installation import Installation, NoDatabase
from tollkeeper.cli.output import json_option, print_json, say

_LOCK: Final = "up.lock"
MODEL: Final = "sandbox-small"
# Somebody has to read the terminal first.
_LINK_LASTS: Final = timedelta(hours=1)


@click.command("up")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port; 0 takes a free one.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the database and of everything else that is kept.",
)
@json_option
@click.pass_obj
def up_command(
    here: Installation, port: int | None, data_dir: Path | None, *, as_json: bool
) -> None:
    """Start everything on this machine and print how to call it.

    Starts the embedded PostgreSQL (or uses DATABASE_URL), migrates it, and serves until it is
    stopped. The first start publishes the prices that come with Tollkeeper and makes an
    organization with a project, keys of test mode and some sandbox credit. With a provider
    configured it makes live keys too.
    """
    from tollkeeper.cli.serving import serve_until_stopped
    from tollkeeper.ops.server import address_of, listening

    here = here.given(SERVER__PORT=port, DATABASE__DATA_DIR=data_dir)
    settings, server = here.settings, here.settings.server
    if settings.database.url is None and not (settings.data_dir / "pgdata").exists():
        say(f"Making a database in {settings.data_dir.absolute()}, which takes a few seconds")
    with (
        _only_one(settings.data_dir) as lock,
        listening(server.host, server.port, server.workers) as listeners,
        _reading_ahead(),
        here.database_url(may_create=True) as url,
    ):
        address = address_of(listeners[0])
        shown, fresh = asyncio.run(_prepare(here, url, address))
        lock.write_text(f"{address} (process {os.getpid()})", "utf-8")

        def ready() -> None:
            if as_json:
                print_json(shown)
            else:
                click.echo(_welcome(shown, settings.data_dir, fresh=fresh))

        serve_until_stopped(here, url, listeners, ready, with_jobs=True)
        say("Stopped")


@contextmanager
def _only_one(data_dir: Path) -> Generator[Path]:
    """Hold the data directory's lock, or say who has it."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / _LOCK
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = path.read_text("utf-8") or "but does not serve yet"
            raise NoDatabase(
                f"Tollkeeper already runs on {data_dir.absolute()}: {where}. Use that one, stop"
                " it, or choose another --data-dir."
            ) from None
        path.write_text("", "utf-8")
        yield path


@contextmanager
def _reading_ahead() -> Generator[None]:
    """Read the program while the database starts, which takes about as long."""
    import_module("tollkeeper.db")  # What both need is read before, not by both at once.
    reading = Thread(target=import_module, args=("tollkeeper.app",))
    reading.start()
    try:
        yield
    finally:
        reading.join()


async def _prepare(here: Installation, url: str, address: str) -> tuple[dict[str, str], bool]:
    """Migrate and give a fresh installation what it needs; return what is printed of it."""
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.base.ids import read_id
    from tollkeeper.cli import first_start
    from tollkeeper.console import Pass, first_run_or_sign_in, make_link
    from tollkeeper.db import Database, migrate
    from tollkeeper.http.store import instance_secret
    from tollkeeper.operator import opening_of
    from tollkeeper.orgs import Role
    from tollkeeper.payments.processors.sandbox import SandboxProcessor

    settings = here.settings
    await migrate(url)
    planned = first_start.plan(settings.data_dir, live=bool(settings.providers))
    async with Database.open(url) as database, database.transaction() as tx:
        now = SystemClock().now()
        fresh = await first_start.make(tx, planned, opening_of(settings), now)
        where = Pass(
            org_id=read_id("org", planned.organization_id),
            role=Role.OWNER,
            # Simulated providers are tried in test mode, where buying can be, too.
            livemode=any(one.kind != "sandbox" for one in settings.providers.values()),
        )
        base_url = settings.server.public_url or address
        link = await make_link(
            tx, where, base_url, chance=secrets.token_bytes(32), now=now, lasts=_LINK_LASTS
        )
        operator_console = await first_run_or_sign_in(tx, base_url, now)
        secret = await instance_secret(tx, secrets.token_bytes(32))
        sandbox = SandboxProcessor(database, SystemClock(), secret, base_url)
    shown = {
        "baseUrl": f"{address}/api/v1",
        "console": link.url,
        "operatorConsole": operator_console,
        "organizationId": planned.organization_id,
        "projectId": planned.project_id,
        "inferenceKey": planned.inference_key.secret,
        "adminKey": planned.admin_key.secret,
        "operatorKey": planned.operator_key.secret,
    }
    if settings.payments.sandbox:
        shown["sandboxBank"] = sandbox.dashboard_url
    if planned.live_inference_key is not None and planned.live_admin_key is not None:
        shown["liveInferenceKey"] = planned.live_inference_key.secret
        shown["liveAdminKey"] = planned.live_admin_key.secret
    return shown, fresh


def _welcome(shown: dict[str, str], data_dir: Path, *, fresh: bool) -> str:
    live = ""
    if "liveInferenceKey" in shown:
        live = (
            f"\n  Live key     {shown['liveInferenceKey']}  (calls your providers)"
            f"\n  Live ADMIN   {shown['liveAdminKey']}"
        )
    bank = shown.get("sandboxBank")
    bank = f"\nPlay the sandbox's bank (disputes, refunds, late webhooks):  {bank}" if bank else ""
    state = "is new, with sandbox credit to spend" if fresh else "is the one you had"
    return _WELCOME.format(
        **shown, live=live, bank=bank, data_dir=data_dir.absolute(), state=state, model=MODEL
    )


_WELCOME: Final = """\
Tollkeeper is up. The organization {state}.

  Base URL     {baseUrl}
  Key          {inferenceKey}  (simulated models, sandbox credit)
  ADMIN key    {adminKey}
  Operator     {operatorKey}{live}
  Console      {console}  (signs you in, once, within the hour)
  Operator console  {operatorConsole}

Try it:

curl {baseUrl}/chat/completions -H "Authorization: Bearer {inferenceKey}" \
-H "Content-Type: application/json" \
-d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'

Or in Python, after `pip install openai`:

from openai import OpenAI
client = OpenAI(base_url="{baseUrl}", api_key="{inferenceKey}")
messages = [{{"role": "user", "content": "Hello"}}]
answer = client.chat.completions.create(model="{model}", messages=messages)
print(answer.choices[0].message.content, f"- it cost {{answer.cost:.9f}} USD")

What is left:  curl {baseUrl}/billing/balance -H "Authorization: Bearer {adminKey}"{bank}
Your data is in {data_dir}. Ctrl-C stops it.
"""
