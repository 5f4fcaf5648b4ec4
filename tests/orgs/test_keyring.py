"""Keys are known without a query, and a revoked one is refused everywhere within a second."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from people import Acme, hire_operator

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.errors import Unauthenticated, Unavailable
from tollkeeper.db import Connection, Database
from tollkeeper.orgs import (
    ApiKey,
    Caller,
    KeyChange,
    KeyKind,
    KeyRing,
    archive_project,
    bearer_token,
    revoke_key,
    revoke_operator_key,
    update_key,
)

WRONG = "tk_live_" + "A" * 43
# A second is what is promised; a poll that comes late on a busy machine is no fault of the ring.
ON_A_BUSY_MACHINE = 4.0


class CountingDatabase:
    """A database that counts look-ups, and whose polling can be cut off."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.lookups = 0
        self.slow = 0.0
        self.cut_off = False

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        self.lookups += 1
        await asyncio.sleep(self.slow)
        async with self._database.connection() as connection:
            yield connection

    async def dedicated(self) -> Connection:
        if self.cut_off:
            raise Unavailable("cut off")
        return await self._database.dedicated()


@pytest.fixture
def counting(database: Database) -> CountingDatabase:
    return CountingDatabase(database)


@pytest.fixture
async def ring(counting: CountingDatabase, clock: MovableClock) -> AsyncIterator[KeyRing]:
    async with KeyRing.open(cast("Database", counting), clock) as opened:
        await until_trusted(opened)
        yield opened


async def until_trusted(ring: KeyRing) -> None:
    while ring._trusted_until < time.monotonic():  # noqa: ASYNC110 (nobody else needs an event)
        await asyncio.sleep(0.01)


async def seconds_until_refused(ring: KeyRing, secret: str, *, operators: bool = False) -> float:
    ask = ring.authenticate_operator if operators else ring.authenticate
    began = time.monotonic()
    while True:
        try:
            await ask(secret)
        except Unauthenticated:
            return time.monotonic() - began
        await asyncio.sleep(0.002)


async def test_a_key_names_its_caller(acme: Acme, ring: KeyRing) -> None:
    key, secret = await acme.key(kind=KeyKind.ADMIN, livemode=False, clamp=True, name="CI")
    assert secret.startswith("tk_test_")
    assert await ring.authenticate(secret) == Caller(
        key_id=key.key_id,
        org_id=acme.org_id,
        project_id=acme.project_id,
        kind=KeyKind.ADMIN,
        livemode=False,
        name="CI",
        clamp=True,
        expires_at=None,
    )


async def test_once_known_a_key_costs_no_query(
    acme: Acme, ring: KeyRing, counting: CountingDatabase
) -> None:
    _, secret = await acme.key()
    await ring.authenticate(secret)
    known = counting.lookups
    began = time.perf_counter()
    for _ in range(20_000):
        await ring.authenticate(secret)
    each = (time.perf_counter() - began) / 20_000
    assert counting.lookups == known
    assert each < 50e-6


async def test_many_at_once_ask_once(acme: Acme, ring: KeyRing, counting: CountingDatabase) -> None:
    secrets = [(await acme.key())[1] for _ in range(3)]
    counting.lookups, counting.slow = 0, 0.05
    found = await asyncio.gather(*(ring.authenticate(secrets[n % 3]) for n in range(300)))
    assert len({caller.key_id for caller in found}) == 3
    assert counting.lookups <= 2  # the first alone, then all that waited meanwhile


async def test_a_caller_who_leaves_takes_nobody_along(
    acme: Acme, ring: KeyRing, counting: CountingDatabase
) -> None:
    _, secret = await acme.key()
    counting.slow = 0.05
    impatient = asyncio.create_task(ring.authenticate(secret))
    patient = asyncio.create_task(ring.authenticate(secret))
    await asyncio.sleep(0.01)
    impatient.cancel()
    assert (await patient).org_id == acme.org_id


@pytest.mark.parametrize(
    "token", [None, "", "x", "tk_live_", WRONG[:-1], WRONG + "A", "sk-abc", "é"]
)
async def test_what_cannot_be_a_key_costs_no_query(
    ring: KeyRing, counting: CountingDatabase, token: str | None
) -> None:
    with pytest.raises(Unauthenticated):
        await ring.authenticate(token)
    assert counting.lookups == 0


async def test_a_wrong_key_is_remembered_for_a_while(
    ring: KeyRing, counting: CountingDatabase
) -> None:
    for _ in range(100):
        with pytest.raises(Unauthenticated, match="no such API key"):
            await ring.authenticate(WRONG)
    assert counting.lookups == 1


async def test_wrong_keys_do_not_fill_memory(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.orgs.keyring._MOST_REFUSED", 10)
    for number in range(50):
        with pytest.raises(Unauthenticated):
            await ring.authenticate(f"tk_live_{number:043d}")
    assert len(ring._refused) == 10


async def test_expiry_is_checked_each_time(acme: Acme, ring: KeyRing, clock: MovableClock) -> None:
    _, secret = await acme.key(expires_at=clock.now() + timedelta(hours=1))
    await ring.authenticate(secret)
    clock.advance(timedelta(minutes=59, seconds=59))
    await ring.authenticate(secret)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(Unauthenticated, match="expired"):
        await ring.authenticate(secret)


async def test_operator_keys_and_api_keys_are_told_apart(
    acme: Acme, ring: KeyRing, clock: MovableClock, owner: Connection
) -> None:
    key_id, operator = await hire_operator(acme.database, clock.now())
    await owner.execute("UPDATE operator_key SET changed_at = changed_at - interval '1 hour'")
    _, secret = await acme.key()
    assert (await ring.authenticate_operator(operator)).key_id == key_id
    with pytest.raises(Unauthenticated, match="operator key"):
        await ring.authenticate(operator)
    with pytest.raises(Unauthenticated, match="operator key"):
        await ring.authenticate_operator(secret)
    async with acme.database.transaction() as tx:
        await revoke_operator_key(tx, key_id, clock.now())
    took = await seconds_until_refused(ring, operator, operators=True)
    assert took < ON_A_BUSY_MACHINE
    with pytest.raises(Unauthenticated, match="revoked"):
        await ring.authenticate_operator(operator)


async def aged(acme: Acme, owner: Connection) -> tuple[ApiKey, str]:
    """Make a key whose making is too long ago for polls to look back to."""
    key, secret = await acme.key()
    await owner.execute("UPDATE api_key SET changed_at = changed_at - interval '1 hour'")
    return key, secret


async def test_a_revoked_key_is_refused_within_a_second(
    acme: Acme, ring: KeyRing, owner: Connection
) -> None:
    took: list[float] = []
    for _ in range(5):
        key, secret = await aged(acme, owner)
        await ring.authenticate(secret)
        async with acme.database.transaction() as tx:
            await revoke_key(tx, acme.org_id, key.key_id, acme.now)
        took.append(await seconds_until_refused(ring, secret))
        with pytest.raises(Unauthenticated, match="was revoked"):
            await ring.authenticate(secret)
    assert sorted(took)[2] < 1.0
    assert max(took) < ON_A_BUSY_MACHINE


async def test_a_revocation_that_commits_late_is_not_missed(acme: Acme, ring: KeyRing) -> None:
    key, secret = await acme.key()
    await ring.authenticate(secret)
    async with acme.database.transaction() as tx:
        await revoke_key(tx, acme.org_id, key.key_id, acme.now)
        await asyncio.sleep(1.2)  # several polls pass that cannot see it
        await ring.authenticate(secret)
    assert await seconds_until_refused(ring, secret) < ON_A_BUSY_MACHINE


async def test_a_transaction_that_polls_do_not_look_back_to_is_reviewed(
    acme: Acme, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.orgs.keyring._OVERLAP_SECONDS", 0)
    monkeypatch.setattr("tollkeeper.orgs.keyring._REVIEW_SECONDS", 0.5)
    key, secret = await acme.key()
    await ring.authenticate(secret)
    async with acme.database.transaction() as tx:
        await revoke_key(tx, acme.org_id, key.key_id, acme.now)
        await asyncio.sleep(0.7)
    assert await seconds_until_refused(ring, secret) < ON_A_BUSY_MACHINE


async def test_changes_arrive_too(
    acme: Acme, ring: KeyRing, counting: CountingDatabase, owner: Connection
) -> None:
    key, secret = await aged(acme, owner)
    assert (await ring.authenticate(secret)).clamp is False
    known = counting.lookups
    async with acme.database.transaction() as tx:
        change = KeyChange(name="New", clamp=True)
        await update_key(tx, acme.org_id, key.key_id, change, acme.now)
    caller = await ring.authenticate(secret)
    async with asyncio.timeout(ON_A_BUSY_MACHINE):
        while caller.name != "New":
            await asyncio.sleep(0.02)
            caller = await ring.authenticate(secret)
    assert caller.clamp
    assert counting.lookups == known


async def test_whose_a_key_was_is_known_when_it_lets_nobody_in(
    acme: Acme, ring: KeyRing, clock: MovableClock
) -> None:
    key, secret = await acme.key(expires_at=clock.now() + timedelta(hours=1))
    known = await ring.recognize(secret)
    assert known == await ring.authenticate(secret)
    clock.advance(timedelta(hours=2))
    assert await ring.recognize(secret) == known
    async with acme.database.transaction() as tx:
        await revoke_key(tx, acme.org_id, key.key_id, clock.now())
    await seconds_until_refused(ring, secret)
    assert await ring.recognize(secret) == known
    for no_key in (secret[:-1] + ("A" if secret[-1] != "A" else "B"), "nothing"):
        with pytest.raises(Unauthenticated):
            await ring.recognize(no_key)


async def test_archiving_a_project_revokes_its_keys(
    acme: Acme, ring: KeyRing, owner: Connection
) -> None:
    _, secret = await aged(acme, owner)
    await ring.authenticate(secret)
    async with acme.database.transaction() as tx:
        await archive_project(tx, acme.org_id, acme.project_id, acme.now)
    assert await seconds_until_refused(ring, secret) < ON_A_BUSY_MACHINE


async def test_without_polls_memory_is_not_trusted(
    acme: Acme, ring: KeyRing, counting: CountingDatabase, owner: Connection
) -> None:
    key, secret = await acme.key()
    await ring.authenticate(secret)
    counting.cut_off = True
    cut = await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE %s AND pid <> pg_backend_pid()",
        ("%changed AS%",),
    )
    assert await cut.fetchall() == [(True,)]
    counting.lookups = 0
    async with acme.database.transaction() as tx:
        await revoke_key(tx, acme.org_id, key.key_id, acme.now)
    assert await seconds_until_refused(ring, secret) < ON_A_BUSY_MACHINE
    _, another = await acme.key()
    counting.lookups = 0
    for _ in range(5):
        await ring.authenticate(another)
    assert counting.lookups == 5  # a query per call
    counting.cut_off = False
    await until_trusted(ring)
    counting.lookups = 0
    await ring.authenticate(another)
    assert counting.lookups == 0


async def test_an_outage_is_said_to_be_one(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: Any) -> None:
        raise Unavailable("The database does not answer")

    monkeypatch.setattr("tollkeeper.orgs.store.find_keys", lost)
    outcomes = await asyncio.gather(
        *(ring.authenticate(WRONG) for _ in range(5)), return_exceptions=True
    )
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)


async def test_use_is_written_down_later(acme: Acme, ring: KeyRing, clock: MovableClock) -> None:
    key, secret = await acme.key()
    await ring.authenticate(secret)
    assert await last_use(acme, key.key_id) is None
    await ring.flush_last_used()
    assert await last_use(acme, key.key_id) == clock.now()
    clock.advance(timedelta(minutes=1))
    await ring.flush_last_used()
    assert await last_use(acme, key.key_id) == clock.now() - timedelta(minutes=1)


async def test_rings_that_write_down_the_same_keys_do_not_deadlock(
    acme: Acme, database: Database, clock: MovableClock
) -> None:
    secrets = [(await acme.key())[1] for _ in range(50)]
    async with KeyRing.open(database, clock) as one, KeyRing.open(database, clock) as other:
        for _ in range(10):
            clock.advance(timedelta(seconds=1))
            for secret in secrets:
                await one.authenticate(secret)
            for secret in reversed(secrets):
                await other.authenticate(secret)
            await asyncio.gather(one.flush_last_used(), other.flush_last_used())
    async with database.connection() as connection:
        found = await connection.execute("SELECT count(DISTINCT last_used_at) FROM api_key")
        assert await found.fetchone() == (1,)


async def last_use(acme: Acme, key_id: Any) -> Any:
    async with acme.database.connection() as connection:
        found = await connection.execute(
            "SELECT last_used_at FROM api_key WHERE key_id = %s", (key_id,)
        )
        row = await found.fetchone()
    return row and row[0]


async def test_every_process_refuses_within_a_second(acme: Acme) -> None:
    key, secret = await acme.key()
    script = str(Path(__file__).with_name("ring_process.py"))
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, script, acme.database.url, secret, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert (await process.stdout.readline()).strip() == b"admitted"
        async with acme.database.transaction() as tx:
            await revoke_key(tx, acme.org_id, key.key_id, acme.now)
        revoked = time.time()
        for process in processes:
            assert process.stdout is not None
            word, moment = (await process.stdout.readline()).split()
            assert word == b"refused"
            assert float(moment) - revoked < ON_A_BUSY_MACHINE
    finally:
        for process in processes:
            if process.returncode is None:
                process.terminate()
            await process.wait()


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ([], None),
        ([(b"authorization", b"Bearer abc")], "abc"),
        ([(b"authorization", b"bearer  abc ")], "abc"),
        ([(b"authorization", b"Basic abc")], None),
        ([(b"authorization", b"Basic abc"), (b"x-api-key", b"def")], "def"),
        ([(b"x-api-key", b"def"), (b"authorization", b"Bearer abc")], "abc"),
        ([(b"x-api-key", b" def ")], "def"),
    ],
)
def test_the_key_of_a_request(headers: list[tuple[bytes, bytes]], token: str | None) -> None:
    assert bearer_token(headers) == token
