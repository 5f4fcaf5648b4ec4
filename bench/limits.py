"""Holds under six limits and an allowance, against holds under none.

    ./dev bench limits [--seconds N] [--rounds N]

64 callers hold and settle through one meter, as those of a serving process do; what differs is
only what their calls draw on. Both run in every round, on one PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from uuid import UUID

from _report import Row, middle, show
from _stand import Customer, populate, postgres
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.ids import named_uuid, uuid7
from tollkeeper.db import Database
from tollkeeper.ledger import Draw, HoldOutcome, NewHold
from tollkeeper.metering import Meter

_WALLETS = 1000
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
        rounds = asyncio.run(_rounds(server.url, customers, options.rounds, options.seconds))
    names = list(rounds[0])
    rows: list[Row] = [
        {"what": name, "holds/s": middle([r[name] for r in rounds])} for name in names
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
            for where in ("one wallet", "100 wallets", "1,000 wallets")
        ],
    )


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
