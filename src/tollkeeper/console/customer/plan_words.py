"""Plans as people read them: what they include and cost, and what changing to one costs now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from markupsafe import Markup

from tollkeeper.base.money import Money
from tollkeeper.console.customer.saying import sentence
from tollkeeper.console.rendering import say, say_with, show_count, show_day, show_money, show_price
from tollkeeper.payments import Subscription, to_nanos
from tollkeeper.plans import Consumable, PlanVersion
from tollkeeper.subscriptions import Effect, Prospect

_CAPACITIES: Final = ("api_keys", "projects", "seats")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A plan that is sold, in words."""

    code: str
    name: str
    fee: Markup | str
    includes: Sequence[Markup | str]
    current: bool
    coming: bool
    refused: str
    """Why it cannot be chosen, where it cannot."""


def offer_of(prospect: Prospect, *, current: bool, coming: bool) -> Offer:
    version, terms = prospect.version, prospect.version.terms
    capacities = [_say_capacity(name, most) for name, most in terms.capacities.items()]
    return Offer(
        code=version.code,
        name=version.name,
        fee=say_fee(version),
        includes=[*(_say_consumable(one) for one in terms.consumables), *capacities],
        current=current,
        coming=coming,
        refused="" if prospect.refused is None else sentence(prospect.refused),
    )


def say_fee(version: PlanVersion) -> Markup | str:
    terms = version.terms
    if terms.fee_minor == 0:
        return say("plan.free")
    fee = show_fee(terms.fee_minor, terms.currency)
    return say_with(f"plan.fee_{terms.interval}", fee=fee)


def show_fee(minor: int, currency: str) -> Markup:
    return show_money(Money(to_nanos(minor, currency)), currency)


def _say_consumable(one: Consumable) -> Markup:
    included = say("plan.includes", included=show_count(one.included), name=one.name)
    if not one.overage_allowed:
        return say_with("plan.then_stops", included=included)
    if one.overage_nanos is None:
        return say_with("plan.then_list", included=included)
    price = show_price(Money(one.overage_nanos))
    per = show_count(one.overage_per)
    return say_with("plan.then_price", included=included, price=price, per=per)


def _say_capacity(name: str, most: int) -> str:
    if name in _CAPACITIES:
        return say(f"plan.up_to_{name}", most=show_count(most))
    return say("plan.up_to", most=show_count(most), name=name)


def say_cost(prospect: Prospect, billed: Subscription | None, now: datetime) -> Markup | str:
    """What choosing a plan costs now, and what later; or why it is refused."""
    version, terms = prospect.version, prospect.version.terms
    ends = None if billed is None else billed.period_end
    match prospect.effect:
        case None:
            return sentence(prospect.refused or "")
        case Effect.FREE:
            return say("plan.costs_nothing")
        case Effect.LATER if ends is not None:
            return say_with("plan.costs_later", day=show_day(ends), fee=say_fee(version))
        case Effect.AT_ONCE if billed is not None and ends is not None:
            difference = _prorated(terms.fee_minor - billed.fee_minor, billed, now)
            due = show_fee(difference, terms.currency)
            return say_with(
                "plan.costs_difference", due=due, fee=say_fee(version), day=show_day(ends)
            )
        case Effect.KEPT | Effect.TAKEN_BACK:
            return say("plan.kept")
        case _:
            fee = show_fee(terms.fee_minor, terms.currency)
            return say_with(f"plan.costs_{terms.interval}", fee=fee)


def _prorated(difference: int, billed: Subscription, now: datetime) -> int:
    """The part for what is left of the period; what the processor charges may differ by cents."""
    if billed.period_start is None or billed.period_end is None:
        return difference
    whole = billed.period_end - billed.period_start
    left = max(billed.period_end - now, timedelta(0))
    return difference * int(left.total_seconds()) // max(1, int(whole.total_seconds()))
