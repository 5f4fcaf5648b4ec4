"""Past usage by `POST /metering/events`: de-duplication, rating, balance, records, roll-ups.

    ./dev bench ingest [--seconds N] [--rounds N]

Batches are sent over four connections, from 100 wallets' keys in turn. The rate counts only what
is in the ledger when the load ends; then the roll-ups are waited for.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import aiohttp
import msgspec
import uvloop

from _report import Row, middle, show
from _stand import Customer, populate, postgres, serving

_SENDERS = 4
_WALLETS = 100
_SIZES = (100, 1_000, 10_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    figures: dict[int, list[float]] = {size: [] for size in _SIZES}
    with postgres() as server:
        customers = populate(server.url, _WALLETS)
        with serving(server.url) as base:
            for _ in range(options.rounds):
                for size in _SIZES:
                    rate = uvloop.run(_load(base, customers, size, options.seconds))
                    figures[size].append(rate)
    rows: list[Row] = [
        {"events per call": size, "events per second": middle(rates)}
        for size, rates in figures.items()
    ]
    show("ingest", rows, [("events/s in batches of 1,000", middle(figures[1_000]), "≥ 20,000")])


async def _load(base: str, customers: Sequence[Customer], size: int, seconds: float) -> float:
    counts = [0] * _SENDERS
    began = time.perf_counter()

    async def send(session: aiohttp.ClientSession, place: int) -> None:
        turn = place
        while time.perf_counter() - began < seconds:
            customer = customers[turn % len(customers)]
            turn += _SENDERS
            name = f"{began}-{place}-{turn}-"
            counts[place] += await _send(session, base, customer, _batch(name, size))

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(send(session, place) for place in range(_SENDERS)))
    return sum(counts) / (time.perf_counter() - began)


def _batch(name: str, size: int) -> bytes:
    when = datetime.now(UTC).isoformat()
    return msgspec.json.encode(
        [
            {
                "id": f"{name}{n}",
                "time": when,
                "provider": "openai",
                "model": "gpt-4.1-mini",
                "usage": {"input": 1200 + n % 50, "output": 300},
            }
            for n in range(size)
        ]
    )


async def _send(session: aiohttp.ClientSession, base: str, customer: Customer, body: bytes) -> int:
    headers = {"authorization": f"Bearer {customer.key}", "content-type": "application/json"}
    url = f"{base}/api/v1/metering/events"
    async with session.post(url, data=body, headers=headers) as answer:
        text = await answer.read()
        accepted = text.count(b'"accepted"')
        if answer.status >= 400 or accepted == 0:
            raise SystemExit(f"{answer.status} {text[:500]!r}")
        return accepted


if __name__ == "__main__":
    main()
