"""Whether there is room for one more project, member or key: whoever sells plans says how many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.db import Connection
from tollkeeper.orgs import store
from tollkeeper.orgs.model import Caller


class Capacity(StrEnum):
    """What there may be so many of; its value is the name in plans."""

    PROJECTS = "projects"
    SEATS = "seats"
    API_KEYS = "api_keys"


def _unlimited(_caller: Caller, _capacity: Capacity, _wanted: int) -> None:
    """Let there be any number."""


@dataclass(frozen=True, slots=True)
class Capacities:
    """`check` raises one of `refusals` where the caller's organization may not have so many."""

    check: Callable[[Caller, Capacity, int], None] = _unlimited
    refusals: tuple[type[TollkeeperError], ...] = ()

    async def check_made(self, tx: Connection, caller: Caller, capacity: Capacity) -> None:
        """Raise if what was just made in `tx` is one too many, which then was never made.

        The organization was locked before, so that two who make one at once count each other.
        """
        count = await store.count_made(tx, capacity, caller.org_id)
        self.check(caller, capacity, count)


UNLIMITED: Final = Capacities()
