"""The price book: an immutable snapshot in memory, asked on every call."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from tollkeeper.pricing.errors import ModelNotPriced
from tollkeeper.pricing.markup import NO_MARKUP, OWN, Markup, Markups
from tollkeeper.pricing.model import PriceVersion

SNAPSHOT: Final = "<snapshot>"
# 2024-08-06, 20250929, 202506, 0709 (month and day, or year and month), 001
_SNAPSHOT_TAIL: Final = re.compile(r"(?:\d{4}-\d{2}-\d{2}|\d{8}|\d{6}|\d{3,4})$")
# Clients choose the names they ask for, so what is remembered must be bounded.
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """The versions of one model, in the order in which they take effect."""

    versions: tuple[PriceVersion, ...]
    starts: tuple[datetime, ...]

    def at(self, moment: datetime) -> PriceVersion | None:
        index = bisect_right(self.starts, moment)
        return self.versions[index - 1] if index else None


class Book:
    """Every price version and mark-up that is published. Answers never change: a new revision
    is a new Book."""

    def __init__(
        self,
        versions: Iterable[PriceVersion] = (),
        markups: Iterable[tuple[datetime, Markups]] = (),
        revision: object = None,
    ) -> None:
        self.revision = revision
        self._by_id: dict[UUID, PriceVersion] = {version.id: version for version in versions}
        self._schedules = _schedules(self._by_id.values())
        self._aliases = _aliases(self._schedules)
        self._markups = sorted(markups, key=_moment)
        self._found: dict[tuple[str, str], Schedule] = {}

    def find(self, provider: str, model: str, at: datetime) -> PriceVersion:
        """Find what `model`, by its name or an alias, costs at a moment.

        Raises ModelNotPriced when there is no price, none yet, or none any more.
        """
        schedule = self._found.get((provider, model)) or self._look_up(provider, model)
        version = None if schedule is None else schedule.at(at)
        if version is None:
            raise ModelNotPriced(
                f"There is no price for {_title(provider, model)}", provider=provider, model=model
            )
        if version.ended:
            ended = version.effective_from.astimezone(UTC).date().isoformat()
            raise ModelNotPriced(
                f"The price of {_title(provider, model)} ended on {ended}",
                provider=provider,
                model=model,
                ended=ended,
            )
        return version

    def find_sku(self, sku: str, at: datetime) -> PriceVersion:
        """Find what an operator's own SKU costs. Raises ModelNotPriced."""
        return self.find(OWN, sku, at)

    def version(self, version_id: UUID) -> PriceVersion | None:
        return self._by_id.get(version_id)

    def markup(self, provider: str, model: str, plan: str | None, at: datetime) -> Markup:
        """Find the mark-up in force, `model` being the name in the book."""
        index = bisect_right(self._markups, at, key=_moment)
        return self._markups[index - 1][1].find(provider, model, plan) if index else NO_MARKUP

    def schedule(self, provider: str, model: str) -> tuple[PriceVersion, ...]:
        """Give every version of a model by its own name, past and future, ended or not."""
        found = self._schedules.get((provider, model))
        return () if found is None else found.versions

    def priced(self, at: datetime) -> Iterator[PriceVersion]:
        """List what can be sold at a moment, by provider and model."""
        for _, schedule in sorted(self._schedules.items()):
            version = schedule.at(at)
            if version is not None and not version.ended:
                yield version

    def __iter__(self) -> Iterator[PriceVersion]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def _look_up(self, provider: str, model: str) -> Schedule | None:
        schedule = self._schedules.get((provider, model))
        if schedule is None:
            name = self._aliases.get((provider, model)) or self._aliases.get(
                (provider, _SNAPSHOT_TAIL.sub(SNAPSHOT, model))
            )
            schedule = None if name is None else self._schedules[provider, name]
        if schedule is not None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[provider, model] = schedule
        return schedule


def _schedules(versions: Iterable[PriceVersion]) -> Mapping[tuple[str, str], Schedule]:
    grouped: dict[tuple[str, str], list[PriceVersion]] = defaultdict(list)
    for version in versions:
        grouped[version.provider, version.model].append(version)
    found: dict[tuple[str, str], Schedule] = {}
    for name, group in grouped.items():
        ordered = tuple(sorted(group, key=lambda version: version.effective_from))
        found[name] = Schedule(ordered, tuple(version.effective_from for version in ordered))
    return found


def _aliases(schedules: Mapping[tuple[str, str], Schedule]) -> Mapping[tuple[str, str], str]:
    """Map each alias to its model: the newest version's word, and of two models the newer's."""
    newest = sorted(
        (schedule.versions[-1] for schedule in schedules.values()),
        key=lambda version: (version.effective_from, version.model),
    )
    return {
        (version.provider, alias): version.model for version in newest for alias in version.aliases
    }


def _moment(dated: tuple[datetime, Markups]) -> datetime:
    return dated[0]


def _title(provider: str, model: str) -> str:
    return f"the SKU {model}" if provider == OWN else f"the model {model} of {provider}"
