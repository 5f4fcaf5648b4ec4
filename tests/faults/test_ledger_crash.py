"""`kill -9` under load, of those who spend and of PostgreSQL: nothing lost, nothing twice (B2).

The ledger alone; the same of a whole call through the gateway is for a file beside this one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import psycopg
import pytest

from ledger_purse import NOW, Purse, findings, open_purse
from tollkeeper import ledger
from tollkeeper.db import Connection, Database, EmbeddedServer, migrate

ROUNDS = 20
SPENDERS = 3
CREDIT = 10**12
SPENDER = Path(__file__).with_name("killed_spender.py")


class Answered(NamedTuple):
    outcome: str
    amount: int
    balance: int


class Spenders:
    """Processes that spend, each with its diary; whoever is killed is started again."""

    def __init__(self, url: str, directory: Path, purses: list[Purse]) -> None:
        self.diaries = [directory / f"diary{nth}" for nth in range(SPENDERS)]
        self._arguments = [f"{purse.org_id}/{purse.wallet_id}" for purse in purses]
        self._url = url
        self._running = [self._start(diary) for diary in self.diaries]

    def kill(self, nth: int) -> None:
        self._running[nth].kill()
        self._running[nth].wait()

    def kill_all(self) -> None:
        for nth in range(SPENDERS):
            self.kill(nth)

    def restart(self, nth: int) -> None:
        assert self._running[nth].returncode == -signal.SIGKILL, "it ended by itself"
        self._running[nth] = self._start(self.diaries[nth])

    def answers(self) -> int:
        return sum(diary.read_text().count("did ") for diary in self.diaries if diary.exists())

    def wait_for_answers(self, more: int, seconds: float = 60) -> None:
        wanted, until = self.answers() + more, time.monotonic() + seconds
        while self.answers() < wanted:
            assert time.monotonic() < until, "nobody spends any more"
            assert all(each.poll() is None for each in self._running), "it ended by itself"
            time.sleep(0.02)

    def _start(self, diary: Path) -> subprocess.Popen[bytes]:
        tests = str(SPENDER.parents[1])
        inherited = os.environ.get("PYTHONPATH", "")
        return subprocess.Popen(
            [sys.executable, SPENDER, self._url, diary, *self._arguments],
            env=os.environ | {"PYTHONPATH": f"{tests}{os.pathsep}{inherited}"},
        )


@contextmanager
def spending(url: str, directory: Path, purses: list[Purse]) -> Generator[Spenders]:
    spenders = Spenders(url, directory, purses)
    try:
        yield spenders
    finally:
        spenders.kill_all()


@pytest.mark.timeout(600)
async def test_nothing_is_lost_and_nothing_is_charged_twice(
    reachable_dir: Path, tmp_path: Path
) -> None:
    with EmbeddedServer(reachable_dir) as server:
        await migrate(server.url)
        async with Database.open(server.url) as database:
            async with await database.dedicated() as connection:
                purses = [await open_purse(connection, CREDIT) for _ in range(4)]
            with spending(server.url, tmp_path, purses) as spenders:
                for nth in range(ROUNDS):
                    spenders.wait_for_answers(100)
                    make_trouble(nth, spenders, server)
                spenders.wait_for_answers(100)
            async with await database.dedicated() as connection:
                let_statements_end(server)
                await assert_all_is_there_once(connection, purses, spenders)
                await assert_holds_come_back(connection, purses)


def make_trouble(nth: int, spenders: Spenders, server: EmbeddedServer) -> None:
    what = nth % 4
    if what == 0:
        spenders.kill(nth // 4 % SPENDERS)
        spenders.restart(nth // 4 % SPENDERS)
    elif what == 1:
        kill_postmaster(server)
    elif what == 2:
        kill_backend(server)
    else:
        spenders.kill_all()
        kill_postmaster(server)
        for each in range(SPENDERS):
            spenders.restart(each)


def kill_postmaster(server: EmbeddedServer) -> None:
    """Its user starts it again within a second."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


def kill_backend(server: EmbeddedServer) -> None:
    """One server process of one spender: PostgreSQL then ends all others and recovers."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'tollkeeper' LIMIT 1"
        ).fetchone()
    if found is not None:
        os.kill(found[0], signal.SIGKILL)


def let_statements_end(server: EmbeddedServer) -> None:
    """What a killed process had sent, its server process still brings to an end."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        while connection.execute(
            "SELECT FROM pg_stat_activity"
            " WHERE application_name = 'tollkeeper' AND state = 'active'"
        ).fetchall():
            time.sleep(0.05)


async def assert_all_is_there_once(
    connection: Connection, purses: list[Purse], spenders: Spenders
) -> None:
    wishes, answers = read_diaries(spenders.diaries)
    cursor = await connection.execute(
        "SELECT usage_id, amount, balance_after FROM usage_record ORDER BY org_id, wallet_id, seq"
    )
    rows = await cursor.fetchall()
    records = {usage_id: (amount, balance) for usage_id, amount, balance in rows}
    assert len(records) == len(rows), "one record for each call"
    assert set(records) <= set(wishes), "nobody is charged for what nobody asked for"
    assert len(answers) > 100 * ROUNDS
    for name, (outcome, amount, balance) in answers.items():
        assert outcome in ("posted", "exists")
        assert records[name] == (amount, balance), name
    spent = sum(amount for amount, _ in records.values())
    left = sum([(await purse.balance(connection))[0] for purse in purses])
    assert left == len(purses) * CREDIT - spent
    await assert_counters_agree(connection, purses)
    later = NOW + timedelta(days=1)
    assert await findings(connection, later, slack=timedelta(days=2)) == []


async def assert_counters_agree(connection: Connection, purses: list[Purse]) -> None:
    """What was counted is what was paid. (That what is held is held, `verify` says.)"""
    cursor = await connection.execute("SELECT limit_id, used FROM counter")
    counted = dict(await cursor.fetchall())
    assert counted == {
        purse.wallet_id: CREDIT - (await purse.balance(connection))[0] for purse in purses[1::2]
    }


def read_diaries(diaries: list[Path]) -> tuple[dict[UUID, int], dict[UUID, Answered]]:
    wishes: dict[UUID, int] = {}
    answers: dict[UUID, Answered] = {}
    for line in (line for diary in diaries for line in diary.read_text().splitlines()):
        words = line.split()
        if words[0] == "will" and len(words) == 5:
            wishes[UUID(words[1])] = int(words[3])
        elif words[0] == "did" and line.count(" ") == 3:
            name = UUID(words[1])
            answers[name] = Answered(words[2], wishes[name], int(words[3]))
    return wishes, answers


async def assert_holds_come_back(connection: Connection, purses: list[Purse]) -> None:
    """Those whose process died hold until their time is over, and then no more."""
    later = NOW + timedelta(hours=1)
    while await ledger.expire_holds(connection, later):
        pass
    assert [(await purse.balance(connection))[1] for purse in purses] == [0] * len(purses)
    assert await findings(connection, later) == []
