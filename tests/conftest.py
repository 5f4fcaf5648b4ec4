"""One PostgreSQL server per test run, and a fresh database for each test that asks for one."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest
from psycopg import sql

from recycling import Databases
from tollkeeper.db import Connection, Database, EmbeddedServer, migrate
from tollkeeper.db.users import exclusive

_PREFIX = f"tollkeeper-tests-{os.getuid()}-"
_TEMPLATE = "migrated_template"
_RUN = pytest.StashKey["Run"]()


class Run:
    """One run of pytest: its directory, locked as long as the run lives."""

    def __init__(self) -> None:
        sweep_dead_runs()
        # Not under pytest's own directory: it is closed to the user whom root runs servers as.
        self.directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.directory.chmod(0o711)
        self._lock = os.open(self.directory / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def end(self) -> None:
        os.close(self._lock)
        sweep_dead_runs()


def sweep_dead_runs() -> None:
    """Stop the servers and remove the directories of runs that ended, or were killed."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if directory.stat().st_uid != os.getuid():
                continue
            with (directory / "run.lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for pid_file in directory.rglob("postmaster.pid"):
                    stop_server(int(pid_file.read_text().split()[0]), directory)
                shutil.rmtree(directory, ignore_errors=True)
        except (FileNotFoundError, BlockingIOError):
            continue


def stop_server(pid: int, directory: Path) -> None:
    with suppress(psutil.NoSuchProcess):
        # PostgreSQL writes it negative while the cluster is being made.
        process = psutil.Process(abs(pid))
        if any(str(directory) in word for word in process.cmdline()):
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=30)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[_RUN] = Run()


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(_RUN, None)
    if run is not None:
        run.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: what is left at the end of a parallel run is short."""
    items.sort(key=lambda item: item.path.name != "test_histories.py")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["run_directory"] = str(node.config.stash[_RUN].directory)


@pytest.fixture(scope="session")
def run_directory(request: pytest.FixtureRequest) -> Path:
    """The directory that the processes of this test run share."""
    worker = getattr(request.config, "workerinput", None)
    if worker is not None:
        return Path(worker["run_directory"])
    return request.config.stash[_RUN].directory


@pytest.fixture
def reachable_dir(run_directory: Path) -> Iterator[Path]:
    """An empty directory where an embedded server can live, also when root runs the tests."""
    directory = run_directory / uuid4().hex[:8]
    directory.mkdir(mode=0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def server(run_directory: Path) -> Iterator[EmbeddedServer]:
    """The server of this test run: fast, and not durable."""
    settings = {
        "max_connections": "400",
        "shared_buffers": "128MB",
        # A connection that was given up while it was made holds up whoever drops a database.
        "authentication_timeout": "10s",
    }
    with EmbeddedServer(run_directory / "server", settings=settings, durable=False) as running:
        yield running


@pytest.fixture(scope="session")
async def template(server: EmbeddedServer, run_directory: Path) -> str:
    """The name of a database with every migration applied; tests get clones of it."""
    with exclusive(run_directory / "template.lock"), _admin(server) as admin:
        found = admin.execute("SELECT FROM pg_database WHERE datname = %s", (_TEMPLATE,))
        if found.fetchone() is None:
            draft = sql.Identifier("template_draft")
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(draft))
            admin.execute(sql.SQL("CREATE DATABASE {}").format(draft))
            await migrate(server.url_of("template_draft"))
            admin.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(draft, sql.Identifier(_TEMPLATE))
            )
    return _TEMPLATE


@pytest.fixture(scope="session")
def databases(server: EmbeddedServer, template: str) -> Iterator[Databases]:
    """The databases that tests of this process leave to one another."""
    found = Databases(server.url_of("postgres"), template, server.url_of)
    yield found
    found.close()


@pytest.fixture
def database_url(server: EmbeddedServer, databases: Databases) -> Iterator[str]:
    """The address of a migrated database without a row in it, gone or emptied after the test."""
    name = databases.take(f"test_{uuid4().hex}")
    yield server.url_of(name)
    databases.give_back(name)


@pytest.fixture(scope="session")
def shared_database_url(server: EmbeddedServer, template: str) -> Iterator[str]:
    """The address of a migrated database for tests that leave no trace in it."""
    yield from _database(server, template)


@pytest.fixture
def empty_database_url(server: EmbeddedServer) -> Iterator[str]:
    """The address of a database without any schema."""
    yield from _database(server, "template1")


@pytest.fixture
def owner_url(database_url: str) -> str:
    """The address as the superuser uses it, to break a row by hand.

    It is the same one: `Database.open` is what takes on the application's role.
    """
    return database_url


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator[Connection]:
    """A superuser's autocommit connection to the test's database."""
    async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The test's database as the application sees it."""
    async with Database.open(database_url) as opened:
        yield opened


def _admin(server: EmbeddedServer) -> psycopg.Connection:
    return psycopg.connect(server.url_of("postgres"), autocommit=True)


def _database(server: EmbeddedServer, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with _admin(server) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    yield server.url_of(name)
    with _admin(server) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
