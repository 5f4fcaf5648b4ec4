"""What pages hear without asking: the balance, new calls, top-ups, purchases.

One watcher in each process looks at all organizations that somebody has a page of open, and at
none when nobody has. What has changed is handed on in memory: a page that takes long to read it
gets the newest only. No connection to the database is held while a page waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import msgspec
import structlog

from tollkeeper.base.errors import RateLimited, Unavailable
from tollkeeper.base.tasks import end_tasks
from tollkeeper.console.model import Session
from tollkeeper.db import Connection

Owner = tuple[UUID, bool]  # organization, live mode

EVERY_SECONDS: Final = 0.4
# Many pages that open at once share a look.
_GATHER_SECONDS: Final = 0.05
HEARTBEAT_SECONDS: Final = 15.0
RECHECK_SECONDS: Final = 30.0
_PATIENCE_SECONDS: Final = 5.0
_RETRY_MS: Final = 2_000
# More pages than anybody looks at; a browser closes the streams of those that are hidden.
_MOST_PER_SESSION: Final = 24

_log = structlog.stdlib.get_logger(__name__)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """How something stands. Where the `mark` is another one, something has changed."""

    mark: str
    money: bool
    data: Mapping[str, object] = field(default_factory=dict[str, object])


State = Mapping[str, News]
Look = Callable[[Sequence[Owner]], Awaitable[Mapping[Owner, State]]]
Glance = Callable[[Connection, Session], Awaitable[State]]
Check = Callable[[Session], Awaitable[Session | None]]


class Listener:
    """One open page: what it has not been told yet."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._marks: dict[str, str] = {}
        self._fresh: dict[str, News] = {}
        self._stirred = asyncio.Event()

    def tell(self, state: State) -> None:
        for name, news in state.items():
            if self._marks.get(name) == news.mark or (news.money and not self.session.sees_money):
                continue
            self._marks[name] = news.mark
            self._fresh[name] = news
            self._stirred.set()

    def stir(self) -> None:
        self._stirred.set()

    async def wait(self, seconds: float) -> dict[str, News]:
        """Return what is new, by name; nothing when the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        self._stirred.clear()
        fresh, self._fresh = self._fresh, {}
        return fresh


class Live:
    """One per process. `look` reads how organizations stand."""

    def __init__(
        self,
        look: Look,
        *,
        every: float = EVERY_SECONDS,
        heartbeat: float = HEARTBEAT_SECONDS,
        recheck: float = RECHECK_SECONDS,
    ) -> None:
        self._look = look
        self._every = every
        self._heartbeat = heartbeat
        self._recheck = recheck
        self._listeners: dict[Owner, set[Listener]] = {}
        self._new = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def listening(self) -> int:
        return sum(len(found) for found in self._listeners.values())

    async def close(self) -> None:
        """End every stream, so that stopping waits for none."""
        self._closed = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.stir()
        if self._watching is not None:
            await end_tasks(self._watching)

    def check_room(self, session: Session) -> None:
        """Raises RateLimited when a session has more pages open than anybody looks at."""
        beside = self._listeners.get((session.org_id, session.livemode), ())
        same = sum(one.session.session_id == session.session_id for one in beside)
        if same >= _MOST_PER_SESSION:
            raise RateLimited("Too many pages are open")

    async def events(self, session: Session, check: Check) -> AsyncGenerator[bytes]:
        """Write the stream of a page, until it is left, its session is over or we stop."""
        now = asyncio.get_running_loop().time
        yield b"retry: %d\n\n" % _RETRY_MS
        checked = now()
        with self._listen(session) as listener:
            while not self._closed:
                fresh = await listener.wait(self._heartbeat)
                if now() - checked >= self._recheck:
                    checked = now()
                    if not await _lasts(session, check):
                        return
                yield b"".join(_write(name, news) for name, news in fresh.items()) or b": \n\n"

    @contextmanager
    def _listen(self, session: Session) -> Generator[Listener]:
        owner = (session.org_id, session.livemode)
        beside = self._listeners.setdefault(owner, set())
        listener = Listener(session)
        beside.add(listener)
        self._new.set()
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            yield listener
        finally:
            beside.discard(listener)
            if not beside and self._listeners.get(owner) is beside:
                del self._listeners[owner]

    async def _watch(self) -> None:
        while self._listeners and not self._closed:
            await asyncio.sleep(_GATHER_SECONDS)
            self._new.clear()
            found: Mapping[Owner, State] = {}
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    found = await self._look(list(self._listeners))
            except Exception as error:  # noqa: BLE001 (whatever it was, the next look may succeed)
                _log.warning("live_look_failed", reason=str(error) or type(error).__name__)
            for owner, state in found.items():
                for listener in self._listeners.get(owner, ()):
                    listener.tell(state)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._new.wait()


async def _lasts(session: Session, check: Check) -> bool:
    try:
        found = await check(session)
    except Unavailable:
        return True  # Nothing is known, so nothing is told either.
    return found is not None and found.role is session.role


def _write(name: str, news: News) -> bytes:
    data = _encode({"mark": news.mark, **news.data})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
