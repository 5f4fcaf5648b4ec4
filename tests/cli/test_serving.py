"""`serve` and `worker`: what they need, what they say, how they stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from commands import Command, kept_environ

from tollkeeper.ops.server import listen


@contextmanager
def running(url: str, cwd: Path, *arguments: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A command that runs until it is stopped, with the first thing it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tollkeeper", *arguments],
        cwd=cwd,
        env={**kept_environ(), "DATABASE_URL": url},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        yield process, process.stderr.readline()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def stop(process: subprocess.Popen[str]) -> int:
    os.kill(process.pid, signal.SIGTERM)
    return process.wait(30)


def runs_of(base: str) -> dict[str, str]:
    with urllib.request.urlopen(f"{base}/metrics") as answer:  # noqa: S310 (our own server)
        text = answer.read().decode()
    lines = [line for line in text.splitlines() if line.startswith("tollkeeper_job_runs_total")]
    return {line.split('job="')[1].split('"')[0]: line.split()[-1] for line in lines}


def test_it_serves_what_is_migrated_and_stops_when_told(database_url: str, tmp_path: Path) -> None:
    with running(database_url, tmp_path, "serve", "--port", "0", "--no-jobs") as (process, said):
        base = said.removeprefix("Serving at ").strip().removesuffix("/api/v1")
        with urllib.request.urlopen(f"{base}/healthz") as answer:  # noqa: S310 (our own server)
            assert json.load(answer) == {"status": "ok"}
        assert "expire_holds" not in runs_of(base)
        assert stop(process) == 0


def test_it_refuses_a_database_that_is_not_migrated(
    command: Command, empty_database_url: str
) -> None:
    done = command("serve", "--port", "0", status=4, DATABASE_URL=empty_database_url)
    assert "Run `tollkeeper migrate`" in done.err
    alone = command("worker", status=4, DATABASE_URL=empty_database_url)
    assert "Run `tollkeeper migrate`" in alone.err


def test_it_refuses_an_address_in_use(command: Command) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        done = command("serve", "--port", str(port), status=4)
    assert done.err.startswith(f"tollkeeper: Port {port} of 127.0.0.1 is in use")


def test_a_worker_does_the_jobs_alone(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO idempotency VALUES (gen_random_uuid(), 'old', '', gen_random_uuid(),"
            " 'running', now() - interval '2 days', now() - interval '1 day', now())"
        )
        with running(database_url, tmp_path, "worker") as (process, said):
            assert said.startswith("Running refresh_prices, ")
            while connection.execute("SELECT count(*) FROM idempotency").fetchone() != (0,):
                assert process.poll() is None
            assert stop(process) == 0
