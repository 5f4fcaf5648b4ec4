"""How fast somebody may try: buckets in the database, which all processes fill together.

Each try puts something into the buckets of the account and of the address it comes from; they run
empty with time. A try that would make one overflow is refused, and adds nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tollkeeper.base.errors import RateLimited
from tollkeeper.console.rendering import say
from tollkeeper.console.signing_in import store
from tollkeeper.db import Connection


@dataclass(frozen=True, slots=True)
class Bucket:
    """`each` try takes so long to run off; `most` fit in."""

    name: str
    most: int
    each: timedelta

    @property
    def key(self) -> bytes:
        return hashlib.sha256(self.name.encode()).digest()


_ACCOUNT: Final = (8, timedelta(seconds=20))
# People of one office, or behind one proxy, share an address.
_ADDRESS: Final = (40, timedelta(seconds=3))


def buckets_of(act: str, email: str, address: str) -> list[Bucket]:
    """Return what a try counts in: for this act, the account's and the address's."""
    return [
        Bucket(f"{act} account {email.strip().lower()}", *_ACCOUNT),
        Bucket(f"{act} address {address}", *_ADDRESS),
    ]


async def count(tx: Connection, buckets: list[Bucket], now: datetime) -> None:
    """Raises RateLimited; the transaction is for this alone, and what went in comes out again."""
    await store.forget_buckets(tx, now)
    for bucket in sorted(buckets, key=lambda one: one.key):
        room = bucket.each * bucket.most
        empty_at = await store.fill_bucket(tx, bucket.key, bucket.each, room, now)
        if empty_at is not None:
            wait = empty_at + bucket.each - now - room
            seconds = max(1, -(-wait // timedelta(seconds=1)))
            raise RateLimited(say("pace.wait", count=seconds), retryAfterSeconds=seconds)


async def forget(tx: Connection, bucket: Bucket) -> None:
    """Whoever got in has nothing to wait for."""
    await store.empty_bucket(tx, bucket.key)
