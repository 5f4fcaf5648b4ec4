"""One process of a race: reads what to do, says that it is ready, waits for the start, tells.

    stdin:  a JSON line {"url", "lanes", "acts": [[verb, …], …]}, then a line when the race begins
    stdout: "ready", then a JSON line with one answer for each act

`lanes` is how many connections share the acts, each taking the next one when it is free.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ledger_purse import NOW, Purse
from tollkeeper import ledger
from tollkeeper.db import Connection, Database

Act = list[Any]


async def race(job: dict[str, Any]) -> list[Any]:
    async with Database.open(job["url"], max_size=2) as database:
        lanes = [await database.dedicated() for _ in range(job["lanes"])]
        for lane in lanes:
            await ledger.prepare(lane)
        waiting = list(enumerate(job["acts"]))[::-1]
        answers: list[Any] = [None] * len(waiting)

        async def run(lane: Connection) -> None:
            while waiting:
                place, act = waiting.pop()
                answers[place] = await do(lane, act)

        tell("ready")
        await asyncio.to_thread(sys.stdin.readline)
        try:
            await asyncio.gather(*map(run, lanes))
        finally:
            for lane in lanes:
                await lane.close()
    return answers


async def do(lane: Connection, act: Act) -> Any:
    """A batch is [verb, items, instant]; an item is [organization, wallet, id, amount, *draws]."""
    verb, items, *rest = act
    now = datetime.fromisoformat(rest[0]) if rest else NOW
    if verb in ("hold", "settle", "charge"):
        batch = holds(items) if verb == "hold" else charges(items, held=verb == "settle")
        return [result.outcome for result in await getattr(ledger, verb)(lane, batch, now)]
    if verb == "call":
        return await call(lane, items, now)
    if verb == "void":
        return list(await ledger.void(lane, [(*purse(i).address, UUID(i[2])) for i in items], now))
    if verb == "post":
        return [await post(lane, item, now) for item in items]
    expire = {"expire holds": ledger.expire_holds, "expire lots": ledger.expire_due_lots}
    return await expire[verb](lane, now)


async def call(lane: Connection, items: Sequence[Act], now: datetime) -> list[str]:
    """Hold, and settle what was placed."""
    placed = await ledger.hold(lane, holds(items), now)
    go = [i for i, r in zip(items, placed, strict=True) if r.outcome == "placed"]
    settled = iter(await ledger.settle(lane, charges(go, held=True), now))
    return [next(settled).outcome if r.outcome == "placed" else r.outcome for r in placed]


async def post(lane: Connection, item: Act, now: datetime) -> int:
    async with lane.transaction():
        return (await ledger.post(lane, purse(item).posting(item[3]), now)).seq


def purse(item: Act) -> Purse:
    return Purse(UUID(item[0]), UUID(item[1]))


def holds(items: Sequence[Act]) -> list[ledger.NewHold]:
    return [purse(item).hold(item[3], UUID(item[2]), draws=draws(item)) for item in items]


def charges(items: Sequence[Act], *, held: bool) -> list[ledger.NewCharge]:
    return [
        purse(item).charge(
            item[3], UUID(item[2]), hold_id=UUID(item[2]) if held else None, draws=draws(item)
        )
        for item in items
    ]


def draws(item: Act) -> tuple[ledger.Draw, ...]:
    """What follows the amount: [limit, ceiling, units, covers, period] each."""
    return tuple(
        ledger.Draw(
            limit_id=UUID(limit),
            livemode=True,
            period_start=datetime.fromisoformat(period),
            ceiling=ceiling,
            amount=units,
            covers=covers,
        )
        for limit, ceiling, units, covers, period in item[4:]
    )


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    tell(json.dumps(asyncio.run(race(json.loads(sys.stdin.readline())))))
