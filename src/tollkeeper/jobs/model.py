"""The nouns of this room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

JsonValue = str | int | bool | None | list[Any] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Queue:
    """Jobs with a worker and slots of their own: what is slow there holds up only its like."""

    name: str
    at_once: int


DEFAULT: Final = Queue("default", at_once=8)


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of work, by a name that stays the same for as long as jobs of it may wait.

    A job that raises is tried again after `pause`, twice that, and so on up to `longest_pause`,
    until it has been tried `tries` times. What then remains is kept as failed.
    """

    name: str
    tries: int = 25
    pause: timedelta = timedelta(seconds=2)
    longest_pause: timedelta = timedelta(hours=1)
    queue: Queue = DEFAULT

    def pause_after(self, tried: int) -> timedelta | None:
        """Say how long to wait after `tried` attempts that failed; None is not again."""
        if tried >= self.tries:
            return None
        return min(self.pause * 2 ** min(tried - 1, 30), self.longest_pause)


@dataclass(frozen=True, slots=True)
class Handler:
    """Who does a kind of work. Run with the job's arguments, now and then more than once."""

    task: Task
    run: Callable[..., Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Work at the times of a cron line, in UTC, once for all workers together."""

    task: Task
    cron: str
    run: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much of one kind of work waits, runs, and has failed for the last time."""

    task: str
    waiting: int
    running: int
    failed: int
    waits_until: datetime | None


@dataclass(frozen=True, slots=True)
class FailedJob:
    """What was tried as often as its kind of work allows."""

    job_id: int
    task: str
    arguments: dict[str, Any]
    tried: int
    ended_at: datetime | None
