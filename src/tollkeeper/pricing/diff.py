"""What an import would change in the book, for a person to read before it is published."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from tollkeeper.pricing.book import Book
from tollkeeper.pricing.content import same_terms, seal
from tollkeeper.pricing.model import PriceVersion

# announced: changes at a later date than the one compared at. missing: gone from the source.
Kind = Literal["new", "changed", "announced", "missing"]


@dataclass(frozen=True, slots=True)
class Change:
    """One model: what the source says of it (or the book, where it is missing there), and what
    the book said before."""

    kind: Kind
    version: PriceVersion
    before: PriceVersion | None = None


@dataclass(frozen=True, slots=True)
class Diff:
    at: datetime
    changes: tuple[Change, ...]
    unchanged: int
    history: tuple[PriceVersion, ...] = ()

    def to_publish(
        self, *, end_missing: bool = False, leave: Collection[tuple[str, str]] = ()
    ) -> list[PriceVersion]:
        """Give the versions that bring the book up to date.

        New models come with their history. A price that has changed holds from `at` on, and so
        does the end of models that the source no longer has, if that is wanted; announced prices
        keep their dates. Models in `leave`, by provider and name, stay as they are.
        """
        found = [*self.history]
        for change in self.changes:
            if change.kind == "announced":
                found.append(change.version)
            elif change.kind == "changed":
                found.append(seal(replace(change.version, effective_from=self.at)))
            elif change.kind == "missing" and end_missing:
                found.append(_end(change.version, self.at))
        return [version for version in found if (version.provider, version.model) not in leave]

    def count(self, kind: Kind) -> int:
        return sum(change.kind == kind for change in self.changes)


def compare(book: Book, versions: Iterable[PriceVersion], at: datetime) -> Diff:
    """Compare a source with the book, for the providers that the source covers.

    `at` is the moment from which what is found to have changed will hold. Only what a call would
    notice counts: prices, limits, names. A note, or a later date of checking, is no change.
    """
    schedules: dict[tuple[str, str], list[PriceVersion]] = defaultdict(list)
    for version in sorted(versions, key=lambda version: version.effective_from):
        schedules[version.provider, version.model].append(version)
    changes: list[Change] = []
    history: list[PriceVersion] = []
    unchanged = 0
    for (provider, model), schedule in sorted(schedules.items()):
        there = book.schedule(provider, model)
        if not there:
            changes.append(Change("new", _in_force(schedule, at) or schedule[0]))
            history += schedule
            continue
        found = [*_model_changes(there, schedule, at)]
        changes += found
        unchanged += not found
    changes += _missing(book, schedules, at)
    return Diff(at, tuple(changes), unchanged, tuple(history))


def _model_changes(
    there: Iterable[PriceVersion], schedule: Iterable[PriceVersion], at: datetime
) -> Iterator[Change]:
    before, after = _in_force(there, at), _in_force(schedule, at)
    if after is not None and (before is None or not same_terms(before, after)):
        yield Change("changed", after, before)
    for announced in schedule:
        if announced.effective_from > at:
            expected = _in_force(there, announced.effective_from)
            if expected is None or not same_terms(expected, announced):
                yield Change("announced", announced, expected)


def _missing(
    book: Book, schedules: Mapping[tuple[str, str], object], at: datetime
) -> Iterator[Change]:
    covered = {provider for provider, _ in schedules}
    for version in book.priced(at):
        if version.provider in covered and (version.provider, version.model) not in schedules:
            yield Change("missing", version)


def _in_force(schedule: Iterable[PriceVersion], at: datetime) -> PriceVersion | None:
    past = [version for version in schedule if version.effective_from <= at]
    return past[-1] if past else None


def _end(version: PriceVersion, moment: datetime) -> PriceVersion:
    return seal(
        replace(version, rates={}, service_tiers={}, ended=True, effective_from=moment, note="")
    )
