"""Starts processes that race each other on the test's database."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from courses import Acts, Race

from tollkeeper import ledger
from tollkeeper.db import Connection, Database

RACER = Path(__file__).with_name("racer.py")
SECONDS = 120


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with await database.dedicated() as connection:
        await ledger.prepare(connection)
        yield connection


@pytest.fixture
def race(database_url: str) -> Race:
    """Runs each list of acts in a process of its own, all at once; gives back their answers."""

    async def race(*courses: Acts, lanes: int = 6) -> list[list[Any]]:
        return await asyncio.to_thread(_race, database_url, courses, lanes)

    return race


def _race(url: str, courses: Sequence[Acts], lanes: int) -> list[list[Any]]:
    racers = [_start({"url": url, "lanes": lanes, "acts": acts}) for acts in courses]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n", "it told why on standard error"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        told = [racer.communicate(timeout=SECONDS)[0] for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    assert [racer.returncode for racer in racers] == [0] * len(racers), "told on standard error"
    return [json.loads(text) for text in told]


def _start(job: dict[str, Any]) -> subprocess.Popen[str]:
    tests = str(RACER.parents[1])
    racer = subprocess.Popen(
        [sys.executable, RACER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]),
        },
    )
    assert racer.stdin is not None
    racer.stdin.write(json.dumps(job) + "\n")
    racer.stdin.flush()
    return racer
