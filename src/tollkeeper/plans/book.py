"""Knows every plan and who subscribes to it, so that a call learns its terms without a query."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from tollkeeper.base.clock import Clock
from tollkeeper.db import Database
from tollkeeper.plans import store
from tollkeeper.plans.covering import Coverage
from tollkeeper.plans.cycles import Interval, cycle_at
from tollkeeper.plans.errors import CapacityExceeded
from tollkeeper.plans.model import PlanVersion, Status, Subscription
from tollkeeper.plans.terms import (
    DEFAULT_ANCHOR,
    FOR_EVER,
    State,
    Terms,
    scope_of,
    state_at,
    terms_of,
)

Who = tuple[UUID, bool]

# A change is visible later than the moment it notes; polls look back this far.
_OVERLAP_SECONDS: Final = 60
_MOST_KNOWN: Final = 100_000
_YEAR_IN_MONTHS: Final = 12
# So long after a change, calls may end that began before it (`ttlSeconds` of a hold).
_LONGEST_CALL: Final = timedelta(days=1)


class _Past(NamedTuple):
    """What an organization had until this process heard of a change at once."""

    subscription: Subscription
    until: datetime


class PlanBook:
    """One per process. `refresh` reads what changed; dates do their work without being asked.

    With a clock it also knows, for as long as calls last, what was before a change at once.
    """

    def __init__(
        self, database: Database, default: str | None = None, clock: Clock | None = None
    ) -> None:
        self._database = database
        self._default = default
        self._clock = clock
        self._revision: object = None
        self._versions: dict[UUID, PlanVersion] = {}
        self._by_code: dict[str, list[PlanVersion]] = {}
        self._coverages: dict[UUID, Coverage] = {}
        self._intervals: dict[UUID, Interval] = {}
        self._subscriptions: dict[Who, Subscription] = {}
        # The oldest first; and those whose last change was the longest ago.
        self._past: dict[Who, list[_Past]] = {}
        self._polled_at: datetime | None = None
        self._terms: dict[Who, Terms] = {}
        self._asked: set[Who] = set()

    async def refresh(self) -> int:
        """Read what changed since the last time, and say how many organizations it touched."""
        async with self._database.connection() as connection:
            asked_at, changed = await store.subscriptions_changed_since(
                connection, self._polled_at, _OVERLAP_SECONDS
            )
            # After them: whatever version they name is there by now.
            revision = await store.read_revision(connection)
            if revision != self._revision:
                self._learn_plans(await store.read_plans(connection))
                self._revision = revision
        self._polled_at = asked_at
        return sum([self._learn(subscription) for subscription in changed])

    def terms(self, org_id: UUID, livemode: bool, at: datetime) -> Terms | None:
        """Say what the organization's plan gives in the cycle that contains `at`.

        None without a plan, and where there is no default plan.
        """
        self._asked.add((org_id, livemode))
        return self.look_up(org_id, livemode, at)

    def look_up(self, org_id: UUID, livemode: bool, at: datetime) -> Terms | None:
        """The same, for whoever does not use anything by it."""
        who = (org_id, livemode)
        past = self._past.get(who)
        if past is not None and at < past[-1].until:
            return self._look_back(who, past, at)
        known = self._terms.get(who)
        if known is not None and known.cycle_start <= at < known.until:
            return known
        terms = self._work_out(who, self._subscriptions.get(who), at)
        # What was is asked for once, by an event that comes late.
        if terms is not None and (known is None or known.cycle_start <= terms.cycle_start):
            if len(self._terms) >= _MOST_KNOWN:
                self._terms.clear()
            self._terms[who] = terms
        return terms

    def cycle_start(self, org_id: UUID, livemode: bool, at: datetime) -> datetime:
        """Say when the billing cycle that contains `at` began; without a plan, the month."""
        terms = self.look_up(org_id, livemode, at)
        if terms is not None:
            return terms.cycle_start
        return cycle_at(DEFAULT_ANCHOR, "UTC", Interval.MONTH, at).start

    def subscription(self, org_id: UUID, livemode: bool) -> Subscription | None:
        return self._subscriptions.get((org_id, livemode))

    def version(self, version_id: UUID) -> PlanVersion | None:
        return self._versions.get(version_id)

    def find(self, code: str, at: datetime) -> PlanVersion | None:
        """Give the version of a plan that is in force."""
        return next((one for one in self._by_code.get(code, ()) if one.effective_from <= at), None)

    def default_version(self, at: datetime) -> PlanVersion | None:
        """Give what organizations without a subscription have."""
        return None if self._default is None else self.find(self._default, at)

    def sold(self, at: datetime) -> list[PlanVersion]:
        """List the plans that may be subscribed to, cheapest first."""
        found = [self.find(code, at) for code in self._by_code]
        return sorted((one for one in found if one is not None and not one.retired_at), key=_price)

    def upgrades(self, terms: Terms, code: str, at: datetime) -> list[str]:
        """Name the plans that include more of a consumable in a year, cheapest first."""
        now = yearly_units(self._versions[terms.version_id], code)
        return [one.code for one in self.sold(at) if yearly_units(one, code) > now]

    def check_capacity(
        self, org_id: UUID, name: str, wanted: int, *, at: datetime, livemode: bool = True
    ) -> None:
        """Raise CapacityExceeded if the plan has room for fewer; a name it leaves out is free."""
        terms = self.look_up(org_id, livemode, at)
        if terms is None:
            return
        most = self._versions[terms.version_id].terms.capacities.get(name)
        if most is None or wanted <= most:
            return
        more = [
            version.code
            for version in self.sold(at)
            if version.terms.capacities.get(name, wanted) >= wanted
        ]
        raise CapacityExceeded(
            f"The plan {terms.plan_name} has room for {most} {name}",
            capacity=name,
            most=most,
            plan=terms.plan,
            upgradePlans=more,
        )

    def take_asked(self) -> list[Who]:
        """Give, once, whose terms were asked for since the last time."""
        asked, self._asked = self._asked, set()
        return list(asked)

    def _look_back(self, who: Who, past: list[_Past], at: datetime) -> Terms | None:
        held = next(one for one in past if at < one.until)
        terms = self._work_out(who, held.subscription, at)
        return None if terms is None else replace(terms, until=min(terms.until, held.until))

    def _work_out(self, who: Who, subscription: Subscription | None, at: datetime) -> Terms | None:
        if subscription is not None and at >= subscription.started_at:
            state = state_at(subscription, self._intervals, at)
            if state is not None:
                return self._terms_of(who, subscription.subscription_id, state, subscription, at)
        version = self.default_version(at)
        if version is None:
            return None
        later = [one.effective_from for one in self._by_code[version.code]]
        until = min((one for one in later if one > at), default=FOR_EVER)
        if subscription is not None and at < subscription.started_at:
            until = min(until, subscription.started_at)
        return self._terms_of(who, None, State(version.version_id, DEFAULT_ANCHOR, until), None, at)

    def _terms_of(
        self,
        who: Who,
        subscription_id: UUID | None,
        state: State,
        subscription: Subscription | None,
        at: datetime,
    ) -> Terms:
        org_id, livemode = who
        version = self._versions[state.version_id]
        interval = version.terms.interval
        zone = "UTC" if subscription is None else subscription.zone
        return terms_of(
            version,
            self._coverages[version.version_id],
            cycle_at(state.anchor, zone, interval, at),
            scope_of(subscription_id or org_id, interval, state.anchor),
            org_id=org_id,
            livemode=livemode,
            subscription_id=subscription_id,
            until=state.until,
        )

    def _learn_plans(self, versions: Iterable[PlanVersion]) -> None:
        self._versions = {version.version_id: version for version in versions}
        self._intervals = {one: known.terms.interval for one, known in self._versions.items()}
        self._coverages = {
            one: self._coverages.get(one) or Coverage(known.terms.consumables)
            for one, known in self._versions.items()
        }
        self._by_code = {}
        for version in sorted(self._versions.values(), key=_newest_first):
            self._by_code.setdefault(version.code, []).append(version)
        self._terms.clear()

    def _learn(self, subscription: Subscription) -> bool:
        who = (subscription.org_id, subscription.livemode)
        known = self._subscriptions.get(who)
        if subscription.status is Status.CANCELLED:
            if known is None or known.subscription_id != subscription.subscription_id:
                return False
            del self._subscriptions[who]
        elif known == subscription:
            return False
        else:
            self._subscriptions[who] = subscription
        self._terms.pop(who, None)
        if (
            self._clock is not None
            and known is not None
            and _gives(known) != _gives(self._subscriptions.get(who))
        ):
            self._keep_past(who, known, self._clock.now())
        return True

    def _keep_past(self, who: Who, known: Subscription, now: datetime) -> None:
        """A call that is under way is charged by the terms under which it was let through."""
        forgotten = now - _LONGEST_CALL
        recent = [one for one in self._past.pop(who, ()) if one.until > forgotten]
        while self._past and self._past[oldest := next(iter(self._past))][-1].until <= forgotten:
            del self._past[oldest]
        self._past[who] = [*recent, _Past(known, now)]


def _gives(subscription: Subscription | None) -> object:
    if subscription is None:
        return None
    return subscription.subscription_id, subscription.version_id, subscription.anchor


def yearly_fee(version: PlanVersion) -> int:
    """Give what a plan costs in twelve months."""
    return version.terms.fee_minor * _cycles_of_year(version)


def yearly_units(version: PlanVersion, code: str) -> int:
    """Give what a plan includes of a consumable in twelve months."""
    included = (one.included for one in version.terms.consumables if one.code == code)
    return next(included, 0) * _cycles_of_year(version)


def _cycles_of_year(version: PlanVersion) -> int:
    return _YEAR_IN_MONTHS if version.terms.interval is Interval.MONTH else 1


def _price(version: PlanVersion) -> tuple[int, str]:
    return yearly_fee(version), version.code


def _newest_first(version: PlanVersion) -> float:
    return -version.effective_from.timestamp()
