"""A summary of costs in words and as a chart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from babel import Locale
from babel.dates import format_date, format_datetime

from tollkeeper.base.money import NANOS_PER_UNIT, say_exactly
from tollkeeper.console.customer import usage_page
from tollkeeper.console.customer.analytics_asked import Asked
from tollkeeper.console.customer.chart import HEIGHT, TOP, Chart, Words, draw
from tollkeeper.console.customer.narrowing import address
from tollkeeper.console.customer.summing import Slot, Summary
from tollkeeper.console.rendering import say, show_count

_LOCALE: Final = Locale.parse("en_US")
_SCALES: Final = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K"))


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the template asks. Without `money` it says nothing of costs."""

    asked: Asked
    summary: Summary
    money: bool
    now: datetime

    top = TOP
    height = HEIGHT

    @property
    def chart(self) -> Chart:
        in_money = self.asked.measure == "cost"
        currency = self.asked.currency
        return draw(
            self.summary.slots,
            [self._measure(slot) for slot in self.summary.before],
            self._measure,
            Words(
                exact=_exact(currency) if in_money else show_count,
                short=on_axis(currency) if in_money else _short_count,
                label=self._label,
            ),
            lines=self.asked.shape == "lines",
            begun=sum(slot.start <= self.now for slot in self.summary.slots),
        )

    def calls_in(self, slot: Slot) -> str:
        """Where the calls of an interval are listed."""
        return self._calls(slot.start, slot.end, {})

    def calls_of(self, query: Mapping[str, str]) -> str:
        """Where the calls of a group are listed."""
        return self._calls(self.asked.start, self.asked.end, query)

    def when(self, slot: Slot) -> str:
        at = slot.start.astimezone(self.asked.zone)
        last = (slot.end - timedelta(microseconds=1)).astimezone(self.asked.zone)
        if self.asked.each == "hour":
            return format_datetime(at, "EEE, MMM d, HH:mm", locale=_LOCALE)
        if self.asked.each == "day":
            return _say_day(at.date())
        ends = format_date(last, "MMM d, y", _LOCALE)
        return f"{format_date(at, 'MMM d', _LOCALE)} to {ends}"

    def title(self, slot: Slot, when: str) -> str:
        """An interval with what its calls came to."""
        calls = say("analytics.calls_of", count=show_count(slot.calls))
        cost = f"{_exact(self.asked.currency)(slot.amount)}, " if self.money else ""
        return f"{when}: {cost}{calls}"

    def _measure(self, slot: Slot) -> int:
        return slot.amount if self.asked.measure == "cost" else slot.calls

    def _label(self, slot: Slot) -> str:
        """An interval as the axis names it."""
        asked = self.asked
        at = slot.start.astimezone(asked.zone)
        if asked.each == "hour":
            short = asked.last - asked.first < timedelta(days=2)
            return format_datetime(at, "HH:mm" if short else "MMM d, HH:mm", locale=_LOCALE)
        return format_date(at, "MMM y" if asked.each == "month" else "MMM d", _LOCALE)

    def _calls(self, start: datetime, end: datetime, query: Mapping[str, str]) -> str:
        said = {
            **self.asked.said,
            **query,
            "from": start.isoformat(),
            "to": end.isoformat(),
            "zone": self.asked.zone.key,
            "currency": self.asked.currency,
        }
        return address(usage_page.PATH, said)


@lru_cache(maxsize=1_000)
def _say_day(day: date) -> str:
    return format_date(day, "EEE, MMM d, y", _LOCALE)


def _exact(currency: str) -> Callable[[int], str]:
    return lambda nanos: say_exactly(nanos, currency)


def on_axis(currency: str) -> Callable[[int, int], str]:
    """As many decimals as the steps have, and two where they have any."""

    def short(nanos: int, step: int) -> str:
        whole, rest = divmod(nanos, NANOS_PER_UNIT)
        decimals = len(f"{step % NANOS_PER_UNIT:09d}".rstrip("0"))
        fine = nanos and decimals
        said = f"{whole}.{rest:09d}"[: max(decimals, 2) - 9 or None] if fine else _scaled(whole)
        return f"${said}" if currency == "USD" else said

    return short


def _short_count(count: int, _: int) -> str:
    return _scaled(count)


def _scaled(count: int) -> str:
    for scale, letter in _SCALES:
        if count >= scale:
            tenths = count * 10 // scale
            return f"{tenths // 10}{f'.{tenths % 10}' if tenths % 10 else ''}{letter}"
    return str(count)
