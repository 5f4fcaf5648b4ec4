"""Calls under six limits and an allowance, against calls under none.

    ./dev bench limits [--seconds N] [--rounds N]

Over HTTP: a charge, as in `hotpath`, by customers with six budgets each and a plan, and by others
without. Of the ledger alone: 64 callers hold through one meter, and what differs is what their
holds draw on. Both run in every round, on one PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle, product
from uuid import UUID

import httpx

from _load import wrk
from _report import Row, middle, show
from _stand import Customer, populate, postgres, serving
from hotpath import CHARGE
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.ids import named_uuid, uuid7
from tollkeeper.db import Database
from tollkeeper.ledger import Draw, HoldOutcome, NewHold
from tollkeeper.metering import Meter
from tollkeeper.orgs import create_operator_key

_WALLETS = 1000
_CUSTOMERS = 100
_CALLERS = 64
_LIMITS = 6
_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_PLENTY = 10**15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with postgres() as server:
        customers = populate(server.url, _WALLETS)
        served = _charges(server.url, options.rounds, options.seconds)
        held = asyncio.run(_rounds(server.url, customers, options.rounds, options.seconds))
    rounds = [{**one, **other} for one, other in zip(served, held, strict=True)]
    names = list(rounds[0])
    rows: list[Row] = [
        {"what": name, "per second": middle([r[name] for r in rounds])} for name in names
    ]
    show(
        "limits",
        rows,
        [
            (
                f"limited per unlimited, {where}",
                middle([r[f"{where}, six and an allowance"] / r[f"{where}, none"] for r in rounds]),
                "≥ 0.8",
            )
            for where in ("HTTP, 100 wallets", "one wallet", "100 wallets", "1,000 wallets")
        ],
    )


def _charges(url: str, rounds: int, seconds: float) -> list[dict[str, float]]:
    free, limited = populate(url, _CUSTOMERS), populate(url, _CUSTOMERS)
    operator = asyncio.run(_operator_key(url))
    with serving(url, "--workers", str(max(1, (os.cpu_count() or 1) - 1))) as base:
        with httpx.Client(
            base_url=f"{base}/api/v1/operator", headers={"authorization": f"Bearer {operator}"}
        ) as api:
            _limit(api, limited)
        time.sleep(2)  # until every worker knows
        told: list[dict[str, float]] = []
        for number in range(rounds + 1):
            told.append({})
            for what, who in (("none", free), ("six and an allowance", limited)):
                keys = ",".join(f'"{customer.key}"' for customer in who)
                script = CHARGE % (keys, f"{os.getpid()}-{number}-{what[:3]}-")
                load = wrk(base, connections=_CALLERS, seconds=seconds, script=script)
                told[-1][f"HTTP, 100 wallets, {what}"] = load.per_second
        return told[1:]


async def _operator_key(url: str) -> str:
    async with Database.open(url) as database, database.transaction() as tx:
        _, secret = await create_operator_key(
            tx, key_id=uuid7(), name="bench", chance=os.urandom(32), now=datetime.now(UTC)
        )
    return secret


def _limit(api: httpx.Client, customers: Sequence[Customer]) -> None:
    tokens = {"code": "tokens", "covers": [{"units": ["tokens"]}], "included": 10**14}
    plan = {"code": "bench", "name": "Bench", "consumables": [tokens]}
    api.post("/plans", json={"plan": plan, "reason": "bench"}).raise_for_status()
    for customer in customers:
        path = f"/organizations/org_{customer.org_id.hex}"
        wanted = {"plan": "bench", "reason": "bench", "livemode": False}
        api.put(f"{path}/plan", json=wanted).raise_for_status()
        for measure, period in (*product(("cost", "tokens", "requests"), ("day", "month")),):
            budget = {"name": f"{measure} {period}", "measure": measure, "period": period}
            asked = {**budget, "amount": 1_000_000_000, "reason": "bench"}
            api.post(f"{path}/budgets", json=asked).raise_for_status()


async def _rounds(
    url: str, customers: Sequence[Customer], rounds: int, seconds: float
) -> list[dict[str, float]]:
    async with Database.open(url) as database, Meter.open(database, SystemClock()) as meter:
        told: list[dict[str, float]] = []
        for _ in range(rounds + 1):
            told.append({})
            for where, count in (("one wallet", 1), ("100 wallets", 100), ("1,000 wallets", 1000)):
                for what, limited in (("none", False), ("six and an allowance", True)):
                    rate = await _hold(meter, customers[:count], seconds, limited=limited)
                    told[-1][f"{where}, {what}"] = rate
        return told[1:]  # the first one warms up


async def _hold(
    meter: Meter, customers: Sequence[Customer], seconds: float, *, limited: bool
) -> float:
    whose = cycle([(c, _draws(c.org_id) if limited else ()) for c in customers])
    end = time.monotonic() + seconds
    done = 0

    async def call() -> None:
        nonlocal done
        while time.monotonic() < end:
            customer, draws = next(whose)
            hold = NewHold(
                org_id=customer.org_id,
                wallet_id=customer.wallet_id,
                hold_id=uuid7(),
                amount=1_000,
                expires_at=datetime.now(UTC) + timedelta(minutes=10),
                draws=draws,
            )
            result = await meter.hold(hold)
            if result.outcome is not HoldOutcome.PLACED:
                raise SystemExit(f"a hold was {result.outcome}")
            done += 1

    began = time.monotonic()
    await asyncio.gather(*(call() for _ in range(_CALLERS)))
    return done / (time.monotonic() - began)


def _draws(org_id: UUID) -> tuple[Draw, ...]:
    def draw(name: str, amount: int | None, covers: int | None = None) -> Draw:
        return Draw(
            limit_id=named_uuid(org_id, name),
            livemode=False,
            period_start=_DAY,
            ceiling=_PLENTY,
            amount=amount,
            covers=covers,
        )

    budgets = [draw(f"budget {n}", (None, 1, 500)[n % 3]) for n in range(_LIMITS)]
    return (*budgets, draw("allowance", 500, 1_000))


if __name__ == "__main__":
    main()
