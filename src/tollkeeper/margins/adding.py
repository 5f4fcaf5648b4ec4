"""What calls were charged and what they cost, added up from their records."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Hashable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

from tollkeeper.db import Database
from tollkeeper.margins import store
from tollkeeper.margins.model import Margin, Part, Window

_WALLETS: Final = 200
_RECORDS: Final = 5_000
# A record may be written this much before its call began by its reporter's clock.
_AHEAD: Final = timedelta(hours=1)

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where calls are read: `late` is how long after a call its record may be written, `free` the
    providers whose calls cost nothing."""

    database: Database
    late: timedelta
    free: Collection[str] = ()


async def margins(
    source: Source, window: Window, key: Callable[[Part], K], org_id: UUID | None = None
) -> dict[K, Margin]:
    """Add up live calls under keys. Memory grows with the keys, not with the calls."""
    found: dict[K, Margin] = {}
    async with aclosing(_parts(source, window, org_id)) as parts:
        async for part in parts:
            found.setdefault(key(part), Margin()).add(part)
    return found


async def _parts(source: Source, window: Window, org_id: UUID | None) -> AsyncGenerator[Part]:
    since, until = window.since - _AHEAD, window.until + source.late
    last = None
    while True:
        async with source.database.connection() as connection:
            wallets = await store.ranges(
                connection, since, until, org_id=org_id, after=last, limit=_WALLETS
            )
        for wallet in wallets:
            async for part in _parts_of(source, wallet, window):
                yield part
        if len(wallets) < _WALLETS:
            return
        last = wallets[-1]


async def _parts_of(source: Source, wallet: store.Range, window: Window) -> AsyncGenerator[Part]:
    for above in range(wallet.above, wallet.upto, _RECORDS):
        within = replace(wallet, above=above, upto=min(above + _RECORDS, wallet.upto))
        async with source.database.connection() as connection:
            found = await store.parts(connection, within, window.since, window.until, source.free)
        for part in found:
            yield part
    async with source.database.connection() as connection:
        for part in await store.corrected(connection, wallet, window.since, window.until):
            yield part
