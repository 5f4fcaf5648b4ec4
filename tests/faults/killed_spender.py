"""Spends until it is killed, and keeps a diary that outlives it.

    argv: the database's URL, the diary, then the purses as organization/wallet
    diary: "will <id> <purse> <amount> <verb>" before each call, and after it
           "did <id> <outcome> <balance>"

A call without an answer is asked again with its id, after a restart too: that is what the ledger's
callers do when they do not know what became of it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from ledger_purse import NOW, Purse
from tollkeeper import ledger
from tollkeeper.base.errors import Unavailable
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database

BATCHES = 3  # At once, on connections of their own.
VERBS = ("charge", "call", "settle")


class Wish(NamedTuple):
    name: UUID
    purse: int
    amount: int
    verb: str


class Diary:
    def __init__(self, path: Path) -> None:
        self.unanswered: dict[UUID, Wish] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                self._recall(line.split())
        self._file = path.open("a", buffering=1)

    def _recall(self, words: list[str]) -> None:
        # The last line may have been cut off by the end of its writer.
        if words[0] == "will" and len(words) == 5:
            wish = Wish(UUID(words[1]), int(words[2]), int(words[3]), words[4])
            self.unanswered[wish.name] = wish
        elif words[0] == "did" and len(words) == 4:
            self.unanswered.pop(UUID(words[1]), None)

    def will(self, wish: Wish) -> None:
        self._file.write(f"will {wish.name} {wish.purse} {wish.amount} {wish.verb}\n")

    def did(self, wish: Wish, result: ledger.ChargeResult) -> None:
        self._file.write(f"did {wish.name} {result.outcome} {result.balance_after}\n")


async def spend(url: str, diary: Diary, purses: list[Purse]) -> None:
    random = Random(os.getpid())  # noqa: S311 (nothing is kept secret by it)
    left = list(diary.unanswered.values())

    def wish() -> Wish:
        if left:
            return left.pop()
        made = Wish(
            uuid7(), random.randrange(len(purses)), random.randrange(4), random.choice(VERBS)
        )
        diary.will(made)
        return made

    async def lane() -> None:
        connection: Connection | None = None
        while True:
            batch = [wish() for _ in range(random.choice((1, 1, 5, 20)))]
            connection = await insist(url, connection, diary, purses, batch)

    await asyncio.gather(*(lane() for _ in range(BATCHES)))


async def insist(
    url: str,
    connection: Connection | None,
    diary: Diary,
    purses: list[Purse],
    batch: list[Wish],
) -> Connection:
    """Ask until there is an answer, over as many connections as it takes."""
    while True:
        try:
            connection = connection or await connect(url)
            for wish, result in zip(batch, await ask(connection, purses, batch), strict=True):
                diary.did(wish, result)
        except (psycopg.OperationalError, psycopg.InterfaceError, Unavailable):
            if connection is not None:
                await connection.close()
            connection = None
            await asyncio.sleep(0.05)
        else:
            return connection


async def connect(url: str) -> Connection:
    async with Database.open(url) as database:
        connection = await database.dedicated()
    await ledger.prepare(connection)
    return connection


async def ask(
    connection: Connection, purses: list[Purse], batch: list[Wish]
) -> list[ledger.ChargeResult]:
    answers: dict[UUID, Any] = {}
    for verb in VERBS:
        wishes = [wish for wish in batch if wish.verb == verb]
        if verb == "call":
            holds = [
                purses[wish.purse].hold(wish.amount + 1, wish.name, draws=counted(purses, wish))
                for wish in wishes
            ]
            await ledger.hold(connection, holds, NOW)
        charges = [
            purses[wish.purse].charge(
                wish.amount,
                wish.name,
                hold_id=wish.name if verb == "call" else None,
                draws=counted(purses, wish),
            )
            for wish in wishes
        ]
        act = ledger.charge if verb == "charge" else ledger.settle
        results = await act(connection, charges, NOW)
        answers |= {wish.name: result for wish, result in zip(wishes, results, strict=True)}
    return [answers[wish.name] for wish in batch]


def counted(purses: list[Purse], wish: Wish) -> tuple[ledger.Draw, ...]:
    """Every second purse counts what it pays, under its own id."""
    limit_id = purses[wish.purse].wallet_id
    counter = ledger.Draw(limit_id=limit_id, livemode=True, period_start=NOW, ceiling=None)
    return (counter,) if wish.purse % 2 else ()


if __name__ == "__main__":
    url, diary, *named = sys.argv[1:]
    addresses = [name.partition("/") for name in named]
    owned = [Purse(UUID(org_id), UUID(wallet_id)) for org_id, _, wallet_id in addresses]
    asyncio.run(spend(url, Diary(Path(diary)), owned))
