"""What an organization calls for: models, sizes, rhythm, end users, and what goes wrong. Pure:
everything follows from the seed."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec import Struct

from tollkeeper import pricing
from tollkeeper.demo import cast
from tollkeeper.demo.model import LIVEMODE, TICK, Key, Organization
from tollkeeper.ledger import NewCharge
from tollkeeper.metering import Call, failed_call, new_charge, usage_id_of
from tollkeeper.pricing import Book, PriceVersion, Rating

# Calls end within their tick, so that nothing is recorded before something that was earlier.
_LONGEST: Final = timedelta(seconds=90)
_READS_AGAIN: Final = 0.8
_VISIT: Final = timedelta(minutes=12)
_VISIT_CALLS: Final = 14
_FAILS, _BREAKS_OFF = 0.021, 0.03
_FAILURES: Final = (
    (429, "The provider is rate limiting"),
    (500, "The provider had an internal error"),
    (503, "The provider is overloaded"),
    (400, "The prompt is longer than the model's context"),
)


class Habit(NamedTuple):
    """One thing that is called for: tokens are medians, `cached` the share that is read again."""

    share: float
    provider: str
    model: str
    operation: str
    read: int
    wrote: int
    cached: float = 0.0
    thinks: float = 0.0


class App(NamedTuple):
    """A kind of product. `nightly` works at night, `weekends` is how busy those are."""

    habits: tuple[Habit, ...]
    weekends: float
    nightly: bool = False
    threads: float = 0.0
    end_users: int = 0


APPS: Final = (
    App(  # a support assistant
        (
            Habit(0.62, "openai", "gpt-4.1-mini", "chat.completions", 7800, 420, 0.5),
            Habit(0.23, "openai", "text-embedding-3-small", "embeddings", 480, 0),
            Habit(0.15, "anthropic", "claude-haiku-4-5", "messages", 8200, 560, 0.6),
        ),
        weekends=0.55,
        threads=0.7,
        end_users=900,
    ),
    App(  # a coding agent
        (
            Habit(0.55, "anthropic", "claude-sonnet-4-5", "messages", 24000, 900, 0.85),
            Habit(0.25, "openai", "gpt-5", "responses", 15000, 700, 0.75, 1.4),
            Habit(0.2, "anthropic", "claude-haiku-4-5", "messages", 9000, 420, 0.6),
        ),
        weekends=0.3,
        threads=0.9,
        end_users=60,
    ),
    App(  # documents, read at night
        (
            Habit(0.7, "google", "gemini-2.5-flash", "chat.completions", 16000, 480),
            Habit(0.2, "openai", "gpt-5-mini", "responses", 11000, 500, 0.2, 0.8),
            Habit(0.1, "mistral", "mistral-large-latest", "chat.completions", 7200, 600),
        ),
        weekends=0.7,
        nightly=True,
    ),
    App(  # a consumer product
        (
            Habit(0.5, "openai", "gpt-4o-mini", "chat.completions", 4200, 700, 0.3),
            Habit(0.3, "groq", "llama-3.3-70b-versatile", "chat.completions", 3600, 640),
            Habit(0.2, "deepseek", "deepseek-chat", "chat.completions", 5400, 900, 0.4),
        ),
        weekends=1.25,
        threads=0.4,
        end_users=6000,
    ),
)


class Visit(NamedTuple):
    """Somebody who calls several times for the same thing."""

    habit: Habit
    key: Key
    tags: dict[str, str]
    thread_id: str | None
    end_user: str | None


class Made(Struct, frozen=True):
    """A call with what it costs; one that failed has no rating."""

    call: Call
    charge: NewCharge
    version: PriceVersion | None = None
    rating: Rating | None = None


class Caller:
    """One organization at work. Asked for its ticks in order, each once."""

    def __init__(self, org: Organization, seed: int, book: Book) -> None:
        self.org = org
        self._chance = random.Random(f"{seed}/calls/{org.number}")  # noqa: S311 (no secret)
        self._book = book
        self._app = APPS[org.app]
        self._shares = [habit.share for habit in self._app.habits]
        self._number = 0
        self._thread = 0

    def calls(self, tick: int, begins: datetime) -> list[Made]:
        """People come for a while and call several times: what they do stays the same meanwhile."""
        left, made = self.org.counts[tick], list[Made]()
        while left:
            count = min(left, 1 + int(self._chance.expovariate(1 / _VISIT_CALLS)))
            left -= count
            visit = self._visit()
            since = (TICK - _LONGEST - _VISIT) * self._chance.random()
            for _ in range(count):
                made.append(self._call(begins + since + _VISIT * self._chance.random(), visit))
        return made

    def mean_cost(self, at: datetime, tries: int = 200) -> int:
        """What a call costs on average, in nanos. Uses up chances: not for who calls."""
        costs = [self._call(at, self._visit()).charge.amount for _ in range(tries)]
        return sum(costs) // tries

    def _visit(self) -> Visit:
        chance, app = self._chance, self._app
        if app.threads and chance.random() > app.threads:
            self._thread += 1
        end_user = int(app.end_users * chance.random() ** 3)
        return Visit(
            habit=chance.choices(app.habits, self._shares)[0],
            key=self.org.keys[int(len(self.org.keys) * chance.random() ** 1.6)],
            tags={"feature": cast.FEATURES[int(5 * chance.random() ** 2)]},
            thread_id=f"thread-{self._thread}" if app.threads else None,
            end_user=f"user-{end_user}" if app.end_users else None,
        )

    def _call(self, started_at: datetime, visit: Visit) -> Made:
        self._number += 1
        habit, key = visit.habit, visit.key
        member = None if key.member is None else self.org.people[key.member].member_id
        request_id = f"req-{self.org.number}-{self._number}"
        call = Call(
            org_id=self.org.org_id,
            wallet_id=self.org.wallet_id,
            usage_id=usage_id_of(self.org.org_id, request_id, livemode=LIVEMODE),
            started_at=started_at,
            livemode=LIVEMODE,
            operation=habit.operation,
            project_id=self.org.projects[key.project].project_id,
            key_id=key.key_id,
            member_id=member,
            request_id=request_id,
            provider=habit.provider,
            model=habit.model,
            thread_id=visit.thread_id,
            end_user=visit.end_user,
            tags=visit.tags,
            input=cast.PROMPTS[int(10 * self._chance.random())],
        )
        return self._happened(call, habit)

    def _happened(self, call: Call, habit: Habit) -> Made:
        chance = self._chance
        fate = chance.random()
        took = min(int(1000 * chance.lognormvariate(0.5, 0.7)) + habit.wrote * 4, 60_000)
        if fate < _FAILS:
            status, error = chance.choice(_FAILURES)
            failed = failed_call(call, status=status, error=error, duration_ms=took)
            return Made(call, failed)
        broke_off = fate < _BREAKS_OFF and habit.wrote > 0
        usage = self._usage(habit, 0.4 if broke_off else 1.0)
        version = self._version(habit, call.started_at)
        rating = pricing.rate(version, usage)
        charge = new_charge(
            call,
            rating,
            status=499 if broke_off else 200,
            source="partial" if broke_off else "provider",
            duration_ms=took,
            error="The client closed the connection" if broke_off else None,
        )
        return Made(call, charge, version, rating)

    def _usage(self, habit: Habit, share: float) -> dict[str, int]:
        chance = self._chance
        read = int(habit.read * chance.lognormvariate(0.0, 0.6)) + 12
        usage = {"input": read}
        if habit.cached and chance.random() < _READS_AGAIN:
            cached = int(read * habit.cached * (0.7 + 0.4 * chance.random()))
            usage = {"input": read - cached, "cache_read": cached}
        if habit.wrote:
            usage["output"] = int(habit.wrote * share * chance.lognormvariate(0.0, 0.7)) + 1
        if habit.thinks:
            usage["reasoning"] = int(habit.wrote * habit.thinks * chance.lognormvariate(0.0, 0.5))
        return usage

    def _version(self, habit: Habit, at: datetime) -> PriceVersion:
        return self._book.find(habit.provider, habit.model, at)
