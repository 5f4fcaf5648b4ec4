"""What `doctor` looks at. Each check says what it found and, where that is bad, what to do."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from tollkeeper.base.settings import Settings
    from tollkeeper.db import Database
    from tollkeeper.ops.store import DatabaseFacts

Verdict = Literal["ok", "warning", "failed"]

_LEAST_DISK: Final = 200 * 2**20
_LITTLE_DISK: Final = 2 * 2**30
_OLDEST_VERSION: Final = 160_000
_SKEW_SECONDS: Final = 2.0
_FEW_FILES: Final = 4_096
# Beside its pool: nine for what is metered, one that watches the keys, two for each of two
# queues of jobs.
_OWN_CONNECTIONS: Final = 14


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `advice` is what to do, empty when all is well."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""


def check_machine(settings: Settings) -> Generator[Finding]:
    """Disk, open files, and the providers that the settings name."""
    yield _check_disk(settings.data_dir)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FEW_FILES:
        advice = "Raise it (`ulimit -n 65536`): every call in flight takes two."
        yield Finding("open files", "warning", f"{soft} may be open at once", advice)
    else:
        yield Finding("open files", "ok", f"{soft} may be open at once")
    yield from _check_providers(settings)


def _check_disk(data_dir: Path) -> Finding:
    there = data_dir.absolute()
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        advice = "Choose another with --data-dir, or set DATABASE_URL."
        return Finding("data directory", "failed", f"{there} cannot be written to", advice)
    free = shutil.disk_usage(there).free
    found = f"{data_dir.absolute()}, {free / 2**30:.1f} GiB free"
    if free < _LEAST_DISK:
        return Finding("data directory", "failed", found, "Make room before the disk is full.")
    if free < _LITTLE_DISK:
        return Finding("data directory", "warning", found, "Make room soon.")
    return Finding("data directory", "ok", found)


def _check_providers(settings: Settings) -> Generator[Finding]:
    if not settings.providers:
        yield Finding("providers", "ok", "none: test keys use the simulated models")
    for name, provider in settings.providers.items():
        if provider.kind != "sandbox" and provider.api_key is None and provider.base_url is None:
            variable = f"TOLLKEEPER_PROVIDERS__{name.upper()}__API_KEY"
            yield Finding(f"provider {name}", "failed", "has no API key", f"Set {variable}.")
        else:
            yield Finding(
                f"provider {name}", "ok", f"{provider.kind}, {', '.join(provider.models)}"
            )


async def check_database(settings: Settings, url: str) -> AsyncGenerator[Finding]:
    """The server, its clock, our role in it, the schema, and what the installation needs."""
    from tollkeeper.base.errors import Unavailable
    from tollkeeper.db import Database, MigrationError, pending_migrations

    try:
        pending = await pending_migrations(url)
    except MigrationError as error:
        yield Finding("migrations", "failed", str(error), "See what it says.")
        return
    if pending:
        found = f"{len(pending)} are pending, from {pending[0]} on"
        yield Finding("migrations", "failed", found, "Run `tollkeeper migrate`.")
        return
    yield Finding("migrations", "ok", "all applied")
    try:
        async with Database.open(url, max_size=2) as database:
            async for finding in _check_opened(settings, database):
                yield finding
    except Unavailable as error:
        advice = "The database user must be a member of tollkeeper_app: run `tollkeeper migrate`."
        yield Finding("role", "failed", error.detail, advice)


async def _check_opened(settings: Settings, database: Database) -> AsyncGenerator[Finding]:
    from tollkeeper import orgs, pricing
    from tollkeeper.ops.store import read_facts

    async with database.connection() as connection:
        asked = datetime.now(UTC)
        facts = await read_facts(connection)
        answered = datetime.now(UTC)
        yield _check_server(facts)
        yield _check_durability(facts)
        yield _check_clock(facts, asked, answered)
        yield _check_role(facts)
        yield _check_connections(settings, facts)
        yield _check_prices(len(await pricing.load_book(connection)))
        organizations = await orgs.list_orgs(connection, None, 1)
        operators = [k for k in await orgs.list_operator_keys(connection) if k.revoked_at is None]
    if organizations:
        yield Finding("organizations", "ok", "there are some")
    else:
        yield Finding(
            "organizations", "warning", "there is none", "Run `tollkeeper org create NAME`."
        )
    if operators:
        yield Finding("operator keys", "ok", f"{len(operators)} in use")
    else:
        advice = "Run `tollkeeper key create --operator NAME` to use the operator API."
        yield Finding("operator keys", "warning", "there is none", advice)


def _check_server(facts: DatabaseFacts) -> Finding:
    major = facts.version // 10_000
    found = f"PostgreSQL {major}, {facts.size_bytes / 2**20:,.0f} MiB"
    if facts.version < _OLDEST_VERSION:
        return Finding("database", "failed", found, "Upgrade it to version 16 or newer.")
    if facts.is_standby:
        advice = "Set DATABASE_URL to the primary: money is never read from a copy."
        return Finding("database", "failed", f"{found}, a standby", advice)
    return Finding("database", "ok", found)


def _check_durability(facts: DatabaseFacts) -> Finding:
    if facts.durable:
        return Finding("durability", "ok", "fsync and full_page_writes are on")
    advice = "Switch both on: without them a power failure loses settled calls."
    return Finding("durability", "failed", "fsync or full_page_writes is off", advice)


def _check_clock(facts: DatabaseFacts, asked: datetime, answered: datetime) -> Finding:
    early, late = (asked - facts.now).total_seconds(), (facts.now - answered).total_seconds()
    skew = max(early, late, 0.0)
    found = f"{skew:.1f} s between this machine and the database"
    if skew <= _SKEW_SECONDS:
        return Finding("clock", "ok", found)
    return Finding("clock", "failed", found, "Let NTP set both: holds and prices go by the time.")


def _check_role(facts: DatabaseFacts) -> Finding:
    if facts.may_rewrite:
        found = f"{facts.role} may change {', '.join(facts.may_rewrite)}"
        tables = ", ".join(facts.may_rewrite)
        advice = f"Take it away: REVOKE UPDATE, DELETE, TRUNCATE ON {tables} FROM {facts.role};"
        return Finding("role", "failed", found, advice)
    return Finding("role", "ok", f"{facts.role}, which can add to the books and not change them")


def _check_connections(settings: Settings, facts: DatabaseFacts) -> Finding:
    workers = settings.server.workers
    wanted = workers * (settings.database.pool_max + _OWN_CONNECTIONS)
    found = f"{workers} workers may open {wanted} of {facts.max_connections} connections"
    if wanted <= facts.max_connections:
        return Finding("connections", "ok", found)
    advice = "Lower database.pool_max or server.workers, or raise max_connections."
    return Finding("connections", "failed", found, advice)


def _check_prices(versions: int) -> Finding:
    if versions:
        return Finding("prices", "ok", f"{versions} versions in the book")
    advice = "Run `tollkeeper price publish`, which publishes those that come with Tollkeeper."
    return Finding("prices", "failed", "the book is empty: every call is refused", advice)
