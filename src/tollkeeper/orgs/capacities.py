"""Whether there is room for one more project, member or key: whoever sells plans says how many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.db import Connection
from tollkeeper.orgs import capacities_store


class Capacity(StrEnum):
    """What there may be so many of; its value is the name in plans."""

    PROJECTS = "projects"
    SEATS = "seats"
    API_KEYS = "api_keys"


class Maker(Protocol):
    """For whom something is made, by a key or by somebody who is signed in."""

    @property
    def org_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...


def _unlimited(_maker: Maker, _capacity: Capacity, _wanted: int) -> None:
    """Let there be any number."""


@dataclass(frozen=True, slots=True)
class Capacities:
    """`check` raises one of `refusals` where the caller's organization may not have so many."""

    check: Callable[[Maker, Capacity, int], None] = _unlimited
    refusals: tuple[type[TollkeeperError], ...] = ()

    async def check_made(self, tx: Connection, maker: Maker, capacity: Capacity) -> None:
        """Raise if what was just made in `tx` is one too many, which then was never made.

        The organization was locked before, so that two who make one at once count each other.
        """
        count = await capacities_store.count_made(tx, capacity, maker.org_id)
        self.check(maker, capacity, count)


UNLIMITED: Final = Capacities()
