"""Sums of the calls, made beside the calling: a process of its own, as they cost more than it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from typing import Final

from tollkeeper import metering
from tollkeeper.db import Database
from tollkeeper.demo.model import Pipe, World

# Long enough that calls of the same hour are added up together.
_PAUSE_SECONDS: Final = 4.0


def run(url: str, world: World, mine: Sequence[int], pipe: Pipe) -> None:
    """Keep the sums of these organizations up until there is a word in the pipe, then finish them
    and say so."""
    # Whoever started this one decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_run(url, world, mine, pipe))


async def _run(url: str, world: World, mine: Sequence[int], pipe: Pipe) -> None:
    organizations = [world.organizations[number] for number in mine]
    wallets = [(org.org_id, org.wallet_id) for org in organizations]
    async with Database.open(url, max_size=2) as database:
        while not pipe.poll(_PAUSE_SECONDS):
            await metering.add_up(database, wallets)
        await metering.add_up(database, wallets)
    pipe.send(None)
