"""Who looks at balances: a chore in every process, at the wallets that it has moved itself, and now
and then at all that could have something to say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from tollkeeper.base.ids import show_id
from tollkeeper.credits.topping_up import store
from tollkeeper.credits.topping_up.acts import TopUps, give_up_waiting, top_up
from tollkeeper.db import unavailable
from tollkeeper.notifications import Balance, note_balance

_LOOK_SECONDS: Final = 0.75
_SWEEP_SECONDS: Final = 30.0
_EXPIRE_SECONDS: Final = 60.0
_MOST: Final = 5_000

Wallets = list[tuple[UUID, UUID]]

_log = structlog.stdlib.get_logger(__name__)


class Chore(NamedTuple):
    name: str
    every_seconds: float
    run: Callable[[], Awaitable[int]]


def top_up_chores(top_ups: TopUps, take_moved: Callable[[], Wallets]) -> list[Chore]:
    """`take_moved` gives the wallets that were moved in this process since it was asked last.
    What a crash makes it forget, the sweep finds."""

    async def look() -> int:
        moved = take_moved()
        done = 0
        for start in range(0, len(moved), _MOST):
            done += await look_at(top_ups, moved[start : start + _MOST])
        return done

    async def sweep() -> int:
        return await look_at(top_ups, None)

    return [
        Chore("look_at_balances", _LOOK_SECONDS, look),
        Chore("sweep_balances", _SWEEP_SECONDS, sweep),
        Chore("give_up_auto_top_ups", _EXPIRE_SECONDS, lambda: give_up_waiting(top_ups)),
    ]


async def look_at(top_ups: TopUps, among: Wallets | None) -> int:
    """Begin the top-ups that are due and say what is to be said; `among` None looks at all.
    Returns how many there were."""
    till = top_ups.shop.till
    if among is not None and not among:
        return 0
    async with till.database.connection() as connection:
        due = await store.due(connection, till.clock.now(), among)
        crossed = await store.crossed(connection, top_ups.low_balance, among)
    for org_id, wallet_id in due:
        await _attempt(wallet_id, top_up(top_ups, org_id, wallet_id))
    for balance in crossed:
        await _attempt(balance.wallet_id, _say(top_ups, balance))
    return len(due) + len(crossed)


async def _say(top_ups: TopUps, balance: Balance) -> None:
    till = top_ups.shop.till
    async with till.database.transaction() as tx:
        await note_balance(tx, balance, till.clock.now())


async def _attempt(wallet_id: UUID, doing: Awaitable[object]) -> None:
    """One wallet's fault is no reason to leave out those behind it."""
    try:
        await doing
    except Exception as error:
        if unavailable(error):
            raise
        _log.exception("balance_not_looked_at", wallet=show_id("wal", wallet_id))
