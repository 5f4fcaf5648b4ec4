"""Whose receivers are being called: a few at once for each organization, so that one whose are slow
leaves room for the others'."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

AT_ONCE: Final = 4
_FIRST_GUESS_SECONDS: Final = 1.0
_LONGEST_WAIT_SECONDS: Final = 600.0


@dataclass(slots=True)
class _Line:
    running: int = 0
    seconds: float = _FIRST_GUESS_SECONDS  # about how long one takes
    free_at: float = 0.0  # when those that were told to wait will have had their turn


class Turns:
    """`seconds` is a clock that never goes back."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._lines: dict[UUID, _Line] = {}
        self._seconds = seconds

    def has_room(self, org_id: UUID) -> bool:
        line = self._lines.get(org_id)
        return line is None or line.running < AT_ONCE

    @contextmanager
    def taken(self, org_id: UUID) -> Generator[None]:
        line = self._lines.setdefault(org_id, _Line())
        line.running += 1
        began = self._seconds()
        try:
            yield
        finally:
            now = self._seconds()
            line.running -= 1
            line.seconds = (line.seconds + now - began) / 2
            if not line.running and line.free_at <= now:
                del self._lines[org_id]

    def wait(self, org_id: UUID) -> timedelta:
        """Say when to come back to an organization that has no room: behind all who were told so
        before, if each takes as long as the last ones did."""
        line, now = self._lines.setdefault(org_id, _Line()), self._seconds()
        line.free_at = max(line.free_at, now) + line.seconds / AT_ONCE
        return timedelta(seconds=min(line.free_at - now, _LONGEST_WAIT_SECONDS))
