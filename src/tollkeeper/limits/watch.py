"""One limit, ready to be asked of every call: does it concern it, and what does it take?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Final
from uuid import UUID

import structlog

from tollkeeper.base.ids import show_id
from tollkeeper.ledger import Draw
from tollkeeper.limits.model import TAG_OF, Facts, Limit, Measure
from tollkeeper.limits.periods import Period, Span, span_at, zone_of

# The billing cycle of an organization, live or test, at a moment; None where it has none.
Cycle = Callable[[UUID, bool, datetime], tuple[datetime, datetime | None] | None]

# Longer ones are told apart by their hash: a counter's key has to fit into a page's index.
_LONGEST_SUBJECT: Final = 200
_KEPT_OF_SUBJECT: Final = 120
_NAMED: Final = ("project_id", "key_id", "member_id", "end_user", "provider")

_log = structlog.stdlib.get_logger(__name__)


class Watch:
    def __init__(self, limit: Limit, cycle: Cycle | None = None) -> None:
        self.limit = limit
        self._cycle = cycle
        self._by_cycle = limit.period is Period.BILLING_CYCLE
        self._zone = _zone(limit.time_zone)
        self._ceiling = limit.ceiling
        self._exact = [
            (name, value) for name in _NAMED if (value := getattr(limit, name)) is not None
        ]
        self._model = None if limit.model is None else model_pattern(limit.model)
        self._subject = None if limit.each is None else subject_of(limit.each)
        # Asked of every call, so they are worked out once.
        self._asks = bool(self._exact) or self._model is not None or limit.tag_name is not None
        self._by_tokens = limit.measure is Measure.TOKENS
        self._amount = 1 if limit.measure is Measure.REQUESTS else None
        self._alike = self._subject is None and not self._by_tokens
        # What it took last, which is mostly what it takes next.
        self._spans: dict[bool, Span] = {}
        self._draws: dict[bool, Draw] = {}

    def concerns(self, facts: Facts) -> bool:
        for name, value in self._exact:
            if getattr(facts, name) != value:
                return False
        if self._model is not None and (
            facts.model is None or self._model.fullmatch(facts.model) is None
        ):
            return False
        name = self.limit.tag_name
        return name is None or (
            facts.tags is not None and facts.tags.get(name) == self.limit.tag_value
        )

    def draw(self, facts: Facts, at: datetime, tokens: int) -> Draw | None:
        if self._asks and not self.concerns(facts):
            return None
        start = self.span(at, livemode=facts.livemode).start
        if self._alike:
            known = self._draws.get(facts.livemode)
            if known is None or known.period_start != start:
                known = self._draws[facts.livemode] = self._take(facts.livemode, start, "", tokens)
            return known
        subject = "" if self._subject is None else self._subject(facts)
        return None if subject is None else self._take(facts.livemode, start, subject, tokens)

    def _take(self, livemode: bool, start: datetime, subject: str, tokens: int) -> Draw:
        return Draw(
            limit_id=self.limit.limit_id,
            livemode=livemode,
            period_start=start,
            ceiling=self._ceiling,
            subject=subject,
            amount=tokens if self._by_tokens else self._amount,
        )

    def span(self, at: datetime, *, livemode: bool) -> Span:
        """Give the period at a moment. One that was begun anew by hand begins there."""
        if self._by_cycle:
            # A plan that is changed may move it at any time.
            return self._span_at(at, livemode=livemode)
        span = self._spans.get(livemode)
        if span is None or at < span.start or (span.end is not None and at >= span.end):
            span = self._spans[livemode] = self._span_at(at, livemode=livemode)
        return span

    def _span_at(self, at: datetime, *, livemode: bool) -> Span:
        limit = self.limit
        cycle = None
        if self._by_cycle and self._cycle is not None:
            cycle = self._cycle(limit.org_id, livemode, at)
        span = span_at(limit.period, self._zone, at) if cycle is None else Span(*cycle)
        reset_at = limit.reset_at(livemode=livemode)
        if reset_at is None or reset_at <= span.start:
            return span
        return span._replace(start=reset_at)


def _zone(name: str) -> tzinfo:
    """Take UTC for what another process knew and this one does not: a budget holds all the same."""
    try:
        return zone_of(name)
    except ValueError:
        _log.warning("time_zone_unknown", time_zone=name)
        return UTC


def model_pattern(text: str) -> re.Pattern[str]:
    """Read a model's name in which `*` stands for anything."""
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)


def subject_of(each: str) -> Callable[[Facts], str | None]:
    """Give what tells calls apart; None for a call that has no value of it."""
    if each.startswith(TAG_OF):
        name = each.removeprefix(TAG_OF)
        return lambda facts: _short(None if facts.tags is None else facts.tags.get(name))
    return _SUBJECTS[each]


def _short(text: str | None) -> str | None:
    if not text:
        return None
    text = text.replace("\0", "\ufffd")
    if len(text) <= _LONGEST_SUBJECT:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:_KEPT_OF_SUBJECT]}…{digest}"


def _id(prefix: str, value: UUID | None) -> str | None:
    return None if value is None else show_id(prefix, value)


_SUBJECTS: Final[dict[str, Callable[[Facts], str | None]]] = {
    "apiKey": lambda facts: _id("key", facts.key_id),
    "project": lambda facts: _id("prj", facts.project_id),
    "member": lambda facts: _id("mem", facts.member_id),
    "endUser": lambda facts: _short(facts.end_user),
    "model": lambda facts: _short(facts.model),
    "provider": lambda facts: _short(facts.provider),
}
