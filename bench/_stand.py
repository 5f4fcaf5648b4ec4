"""The product on the bench: an embedded server, the schema, organizations with money, `serve`."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from tollkeeper import ledger, orgs, pricing
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database, EmbeddedServer, migrate
from tollkeeper.db.binaries import choose_account, find_binaries

_READY_SECONDS = 60
# What a server with a few gigabytes of memory would be given; durable, as in production.
_POSTGRES = {"shared_buffers": "2GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min"}


@dataclass(frozen=True, slots=True)
class Customer:
    org_id: UUID
    wallet_id: UUID
    key: str


@contextmanager
def postgres(kept: Path | None = None) -> Generator[EmbeddedServer]:
    """Run a durable server of its own in a directory that is removed afterwards, unless `kept`."""
    directory = kept or Path(tempfile.mkdtemp(prefix="tollkeeper-bench-"))
    directory.mkdir(exist_ok=True)
    directory.chmod(0o711)
    try:
        with EmbeddedServer(directory / "data", settings=_POSTGRES) as server:
            asyncio.run(migrate(server.url))
            yield server
    finally:
        if kept is None:
            shutil.rmtree(directory, ignore_errors=True)


def populate(url: str, count: int, *, livemode: bool = False) -> list[Customer]:
    """Make organizations with an ADMIN key each and more money than the bench can spend."""
    return asyncio.run(_populate(url, count, livemode))


async def _populate(url: str, count: int, livemode: bool) -> list[Customer]:
    async with Database.open(url) as database, database.transaction() as tx:
        await pricing.install_catalogue(tx, "bench", datetime.now(UTC))
        return [await _customer(tx, number, livemode) for number in range(count)]


async def _customer(tx: Connection, number: int, livemode: bool) -> Customer:
    now = datetime.now(UTC)
    org_id, project_id, wallet_id = uuid7(), uuid7(), uuid7()
    await orgs.create_org(tx, org_id=org_id, name=f"Bench {number}", now=now)
    await orgs.create_project(tx, org_id=org_id, project_id=project_id, name="main", now=now)
    new = orgs.NewKey(
        org_id=org_id,
        key_id=uuid7(),
        project_id=project_id,
        name="bench",
        kind=orgs.KeyKind.ADMIN,
        livemode=livemode,
    )
    _, secret = await orgs.create_key(tx, new, chance=os.urandom(32), now=now)
    await ledger.open_wallet(
        tx, org_id=org_id, wallet_id=wallet_id, livemode=livemode, currency="USD", now=now
    )
    posting = ledger.Posting(
        org_id=org_id,
        wallet_id=wallet_id,
        entry_id=uuid7(),
        kind=ledger.EntryKind.GRANT,
        amount=10**17,
        lot=ledger.NewLot(kind=ledger.LotKind.PROMOTIONAL),
    )
    await ledger.post(tx, posting, now)
    return Customer(org_id, wallet_id, secret)


@contextmanager
def serving(url: str, *options: str, settings: Mapping[str, str] | None = None) -> Generator[str]:
    """Run `tollkeeper serve` on a database and give its base URL."""
    port = free_port()
    environment = {**os.environ, "DATABASE_URL": url, **(settings or {})}
    command = [sys.executable, "-m", "tollkeeper", "serve", "--port", str(port), *options]
    with running(command, f"http://127.0.0.1:{port}/readyz", environment):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running(
    command: Sequence[str],
    ready_url: str,
    environment: Mapping[str, str] | None = None,
    *,
    post: bool = False,
) -> Generator[subprocess.Popen[bytes]]:
    """Run a server until the block ends, beginning when it answers."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + _READY_SECONDS
            while not _answers(ready_url, b"{}" if post else None):
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    raise SystemExit(f"{command} did not start:\n{output.read().decode()}")
                time.sleep(0.1)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_program(name: str) -> str:
    return str(find_binaries(choose_account(Path(tempfile.gettempdir()))) / name)


def _answers(url: str, body: bytes | None) -> bool:
    try:
        with urllib.request.urlopen(url, body, timeout=2) as answer:
            return answer.status < 500
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
