"""Random histories: the ledger in the database agrees with the ledger on paper after each act.

A history that fails is shortened and shown in the accountants' language: paste it into
tests/ledger/test_examples.py. For a longer search than the tests' own:

    TOLLKEEPER_HISTORIES=20000 TOLLKEEPER_SEED=1 pytest tests/properties/test_histories.py -n 4
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from stories import OPENING, Step, shorten, show, tell

from ledger_in_database import InDatabase
from ledger_language import Player, batches, read
from ledger_on_paper import Paper
from tollkeeper import ledger
from tollkeeper.db import Connection, Database

HISTORIES = int(os.environ.get("TOLLKEEPER_HISTORIES", "1200"))
SEED = int(os.environ.get("TOLLKEEPER_SEED", "0"))
SHARES = 8  # Tests that the processes of one run can take from each other.
LENGTH = 30

pytestmark = pytest.mark.timeout(900 + HISTORIES)


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with await database.dedicated() as connection:
        await ledger.prepare(connection)
        yield connection


@pytest.mark.parametrize("share", range(SHARES))
async def test_the_ledger_agrees_with_paper(connection: Connection, share: int) -> None:
    for seed in range(SEED + share, SEED + HISTORIES, SHARES):
        # Verifying after each act costs as much as all the rest: one history in ten.
        await hold_true(connection, tell(seed, LENGTH), thorough=seed // SHARES % 10 == 0)


async def test_the_ledger_agrees_with_paper_for_long(connection: Connection) -> None:
    for seed in range(SEED, SEED + HISTORIES // 400):
        await hold_true(connection, tell(-1 - seed, 400), thorough=False)


async def hold_true(connection: Connection, story: list[Step], *, thorough: bool) -> None:
    fault = await play(connection, story, thorough=thorough)
    if fault is None:
        return

    async def fails(shorter: list[Step]) -> bool:
        return await play(connection, shorter, thorough=thorough) is not None

    shortest = await shorten(story, fails)
    fault = await play(connection, shortest, thorough=thorough)
    pytest.fail(f"{OPENING}\n{show(shortest)}\n\n{fault}", pytrace=False)


async def play(connection: Connection, story: list[Step], *, thorough: bool) -> str | None:
    """Tell both ledgers the same, and return what they disagree about."""
    real, paper = InDatabase(connection), Paper()
    players = Player(real), Player(paper)
    try:
        for player in players:
            await player.play(OPENING)
        for nth, step in enumerate(story):
            outcomes = [await player.act(step) for player in players]
            assert same_words(*outcomes), outcomes
            await real.agrees_with(paper)
            if thorough or nth == len(story) - 1:
                assert await real.verify() == []
    except KeyError:
        return None  # It speaks of a name that was never given, once it has been shortened.
    except Exception as fault:  # noqa: BLE001 (whatever it is, it is what the history shows)
        return f"{type(fault).__name__}: {fault}"
    finally:
        await real.end()
    return None


def same_words(ours: list[str], expected: list[str]) -> bool:
    """What is left to spend is, within a batch, that of another moment of it."""
    if len(ours) == 1:
        return ours == expected
    return [_without_left(outcome) for outcome in ours] == [_without_left(o) for o in expected]


def _without_left(outcome: str) -> str:
    # An amount and the balance after it are two numbers, what is left is one.
    word, *numbers = outcome.split()
    return outcome if len(numbers) > 1 else word


def test_what_is_written_can_be_read() -> None:
    for seed in range(200):
        story = tell(seed, LENGTH)
        assert list(batches(read(show(story)))) == story
