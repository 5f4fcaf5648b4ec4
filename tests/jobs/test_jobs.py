"""Jobs over a real database, with workers that are killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from procrastinate.schema import SchemaManager
from worker_process import QUICK, WORK

from outages import outage
from tollkeeper.db import Connection, Database
from tollkeeper.db.included import procrastinate_migrations
from tollkeeper.jobs import Handler, Schedule, Task, enqueue, job_upkeep, working

PROCESS = Path(__file__).with_name("worker_process.py")


async def waiting(database: Database) -> list[tuple[str, str]]:
    async with database.connection() as connection:
        found = await connection.execute(
            "SELECT args ->> 'key', status::text FROM procrastinate_jobs ORDER BY id"
        )
        return [(str(key), str(status)) for key, status in await found.fetchall()]


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 (another process makes it true)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def process(
    url: str, name: str, seconds: float
) -> AsyncGenerator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, PROCESS, url, name, str(seconds), stdout=subprocess.PIPE
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def began(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None
    async with asyncio.timeout(30):
        return (await child.stdout.readline()).decode().strip()


async def done(database: Database) -> list[tuple[str, str]]:
    async with database.connection() as connection:
        found = await connection.execute("SELECT who, what FROM audit_log ORDER BY audit_id")
        return [(str(who), str(what)) for who, what in await found.fetchall()]


async def test_2_a_job_commits_with_its_cause_or_vanishes_with_it(database: Database) -> None:
    class Undone(Exception):
        pass

    with pytest.raises(Undone):
        async with database.transaction() as tx:
            await enqueue(tx, WORK, key="never")
            raise Undone
    assert await waiting(database) == []
    async with database.transaction() as tx:
        await enqueue(tx, WORK, key="a")
        assert await waiting(database) == []
    assert await waiting(database) == [("a", "todo")]


async def test_once_adds_nothing_and_leaves_the_transaction_whole(database: Database) -> None:
    async with database.transaction() as tx:
        assert await enqueue(tx, WORK, once="wallet 1", key="a")
        assert not await enqueue(tx, WORK, once="wallet 1", key="b")
        assert await enqueue(tx, WORK, once="wallet 2", key="c")
    assert await waiting(database) == [("a", "todo"), ("c", "todo")]


async def test_a_job_of_once_that_is_retried_does_not_meet_its_like(database: Database) -> None:
    runs: list[str] = []

    async def work(key: str) -> None:
        runs.append(key)
        if key == "a" and runs.count("a") == 1:
            async with database.transaction() as tx:
                assert await enqueue(tx, brief, once="same", key="b")
            raise RuntimeError("this time it fails")

    brief = Task("tests.once", pause=timedelta(milliseconds=100))
    async with database.transaction() as tx:
        await enqueue(tx, brief, once="same", key="a")
    async with working(database, [Handler(brief, work)], pace=QUICK):
        await until(lambda: _none_left(database))
    assert Counter(runs) == {"a": 2, "b": 1}


async def test_a_lock_lets_one_run_at_a_time(database: Database) -> None:
    running = most = 0

    async def work(key: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02 if key else 0)
        running -= 1

    async with database.transaction() as tx:
        for number in range(6):
            await enqueue(tx, WORK, lock="org 1", key=str(number))
    async with working(database, [Handler(WORK, work)], pace=QUICK):
        await until(lambda: _none_left(database))
    assert most == 1


async def test_a_job_that_fails_is_tried_again_and_then_kept(database: Database) -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("no")

    hopeless = Task("tests.hopeless", tries=3, pause=timedelta(milliseconds=10))
    async with database.transaction() as tx:
        await enqueue(tx, hopeless)

    async def failed() -> bool:
        return [status for _, status in await waiting(database)] == ["failed"]

    async with working(database, [Handler(hopeless, work)], pace=QUICK):
        await until(failed)
    assert tries == 3


def test_pauses_grow_and_end() -> None:
    task = Task("t", tries=4, pause=timedelta(seconds=2), longest_pause=timedelta(seconds=5))
    seconds = [pause and pause.total_seconds() for pause in map(task.pause_after, range(1, 6))]
    assert seconds == [2, 4, 5, None, None]


async def test_at_is_the_earliest_moment(database: Database) -> None:
    ran: list[float] = []

    async def work() -> None:
        ran.append(asyncio.get_running_loop().time())

    begun = asyncio.get_running_loop().time()
    async with database.transaction() as tx:
        await enqueue(tx, WORK, at=datetime.now(UTC) + timedelta(seconds=1))
    async with working(database, [Handler(WORK, work)], pace=QUICK):
        await until(lambda: _none_left(database))
    assert ran[0] - begun > 0.9


async def test_schedules_run_once_for_all_workers(database: Database) -> None:
    runs: list[int] = []

    async def work() -> None:
        runs.append(int(asyncio.get_running_loop().time()))

    schedule = Schedule(Task("tests.every_second"), "* * * * * */1", work)
    async with (
        working(database, [], [schedule], pace=QUICK),
        working(database, [], [schedule], pace=QUICK),
    ):
        await asyncio.sleep(3.5)
    assert 2 <= len(runs) <= 4


async def test_4_a_killed_workers_job_is_done_once_elsewhere_and_its_lock_is_freed(
    database: Database, database_url: str
) -> None:
    async with database.transaction() as tx:
        await enqueue(tx, WORK, lock="org 1", key="a")
        await enqueue(tx, WORK, lock="org 1", key="b")
    async with process(database_url, "first", 60) as first:
        assert await began(first) == "began a"
        first.kill()
        await first.wait()
    (_, _, rescue), _ = job_upkeep(database, QUICK)
    assert await rescue() == 0  # its heart may still beat
    async with process(database_url, "second", 0):

        async def both() -> bool:
            await rescue()
            return len(await done(database)) == 2

        await until(both)
        await until(lambda: _none_left(database))
    assert sorted(await done(database)) == [("second", "a"), ("second", "b")]


async def test_two_workers_share_and_do_each_job_once(
    database: Database, database_url: str
) -> None:
    async with database.transaction() as tx:
        for number in range(40):
            await enqueue(tx, WORK, key=str(number))

    async def all_done() -> bool:
        return len(await done(database)) >= 40

    async with process(database_url, "one", 0.1), process(database_url, "two", 0.1):
        await until(all_done)
        await until(lambda: _none_left(database))
    made = await done(database)
    assert sorted(int(key) for _, key in made) == list(range(40))


async def test_8_a_job_of_a_newer_version_waits_for_its_worker(database: Database) -> None:
    ran: list[str] = []

    async def work(key: str) -> None:
        ran.append(key)

    async def put_back() -> bool:
        async with database.connection() as connection:
            found = await connection.execute(
                "SELECT FROM procrastinate_jobs"
                " WHERE status = 'todo' AND scheduled_at IS NOT NULL AND attempts = 0"
            )
            return found.rowcount == 1

    newer = Task("tests.of_the_next_version", tries=1)
    async with working(database, [Handler(WORK, work)], pace=QUICK):
        async with database.transaction() as tx:
            await enqueue(tx, newer, lock="org 1", once="org 1", key="newer")
            await enqueue(tx, WORK, key="known")
        await until(put_back)
        await until(lambda: _is(ran, ["known"]))
    async with working(database, [Handler(WORK, work), Handler(newer, work)], pace=QUICK):
        await until(lambda: _none_left(database))
    assert ran == ["known", "newer"]


async def test_a_worker_that_stops_gives_its_job_back(database: Database) -> None:
    started = asyncio.Event()

    async def work(key: str) -> None:
        started.set()
        await asyncio.sleep(60 if key else 0)

    async with database.transaction() as tx:
        await enqueue(tx, WORK, key="a")
    async with working(database, [Handler(WORK, work)], pace=QUICK):
        await started.wait()
    assert await waiting(database) == [("a", "todo")]


async def test_a_worker_stops_also_while_the_database_is_away(
    database: Database, owner: Connection
) -> None:
    """What it still has to say there fails, which is no reason to begin anew."""
    async with AsyncExitStack() as away, asyncio.timeout(60), working(database, [], pace=QUICK):
        await until(lambda: _is_there(database))
        await away.enter_async_context(outage(owner))
    async with database.connection() as connection:
        await connection.execute("SELECT 1")


async def test_the_migration_makes_the_librarys_newest_schema(owner: Connection) -> None:
    await owner.execute("CREATE SCHEMA fresh")
    await owner.execute("SET search_path = fresh")
    await owner.execute(SchemaManager.get_schema())
    await owner.execute("SET search_path = public")

    async def described(schema: str) -> set[str]:
        found = await owner.execute(
            """
            SELECT 'column', relname || '.' || attname || ' '
                   || format_type(atttypid, atttypmod) || attnotnull
            FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
            WHERE relnamespace = %(s)s::regnamespace AND attnum > 0 AND NOT attisdropped
                AND relkind = 'r'
            UNION ALL
            SELECT 'function', proname || pg_get_function_arguments(oid) || prosrc FROM pg_proc
            WHERE pronamespace = %(s)s::regnamespace
            UNION ALL
            SELECT 'index', pg_get_indexdef(indexrelid) FROM pg_index
            JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = %(s)s::regnamespace
            UNION ALL
            SELECT 'trigger', tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
            WHERE relnamespace = %(s)s::regnamespace AND NOT tgisinternal
            """,
            {"s": schema},
        )
        return {
            " ".join(f"{kind} {text}".replace(f"{schema}.", "").split())
            for kind, text in await found.fetchall()
        }

    ours, theirs = await described("queue"), await described("fresh")
    assert len(theirs) > 50
    assert theirs - ours == set()
    assert max(procrastinate_migrations()) == "03.04.00_50", "write a migration that includes more"


async def _is(found: list[str], wanted: list[str]) -> bool:
    return found == wanted


async def _is_there(database: Database) -> bool:
    async with database.connection() as connection:
        found = await connection.execute("SELECT 1 FROM procrastinate_workers")
        return found.rowcount == 1


async def _none_left(database: Database) -> bool:
    return await waiting(database) == []
