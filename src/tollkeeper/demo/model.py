"""The nouns of a demo: who is there, how they pay, and how much they call when."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from msgspec import Struct

# Calls of one organization are recorded together this often.
TICK: Final = timedelta(hours=1)
DAY: Final = 24
# The sandbox's money is that of test balances.
LIVEMODE: Final = False


class Wish(Struct, frozen=True, kw_only=True):
    """What is wanted. The year ends at `until`, a whole hour; the same wish makes the same data."""

    organizations: int
    calls: int
    seed: int
    months: int
    until: datetime


class Pipe(Protocol):
    """One end of a pipe between processes."""

    def send(self, obj: Any, /) -> None: ...
    def recv(self) -> Any: ...
    def poll(self, timeout: float = ..., /) -> bool: ...
    def close(self) -> None: ...


class Pays(StrEnum):
    ITSELF = "itself"
    """By auto top-up."""
    BY_HAND = "by hand"
    """Somebody buys when the balance is low, or a little later."""
    ONCE = "once"
    """And then never again: it runs dry."""


class Person(Struct, frozen=True):
    member_id: UUID
    name: str
    email: str
    role: str


class Key(Struct, frozen=True):
    key_id: UUID
    project: int
    member: int | None
    name: str


class Project(Struct, frozen=True):
    project_id: UUID
    name: str


class Organization(Struct, frozen=True, kw_only=True):
    """`counts` are its calls by tick, from the first tick of the demo on."""

    number: int
    org_id: UUID
    wallet_id: UUID
    name: str
    domain: str
    home: int
    app: int
    founded: int
    pays: Pays
    people: tuple[Person, ...]
    projects: tuple[Project, ...]
    keys: tuple[Key, ...]
    admin_key: UUID
    counts: list[int]

    def calls_between(self, first: int, last: int) -> int:
        return sum(self.counts[first:last])


class World(Struct, frozen=True, kw_only=True):
    """`pauses` are the ticks in which anything but calls happens, in order."""

    wish: Wish
    start: datetime
    ticks: int
    pauses: tuple[int, ...]
    organizations: tuple[Organization, ...]

    def at(self, tick: int) -> datetime:
        return self.start + tick * TICK

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """The ticks from each pause up to the next."""
        return list(zip(self.pauses, (*self.pauses[1:], self.ticks), strict=True))
