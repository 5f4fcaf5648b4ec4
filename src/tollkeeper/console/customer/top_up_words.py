"""Auto top-up in sentences: what it will do, how it stands, and what to do when it does not pay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from tollkeeper.base.money import Money
from tollkeeper.console.rendering import TEXTS, say, say_with, show_moment, show_money, show_price
from tollkeeper.credits import AutoTopUp, TopUp, TopUpState

_BADGES: Final = {
    TopUpState.OFF: "",
    TopUpState.ACTIVE: "good",
    TopUpState.COOLING_DOWN: "",
    TopUpState.SUSPENDED: "bad",
    TopUpState.CAPPED: "warn",
}
_DISPUTED: Final = "disputed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a setting does, whether it is kept or only typed so far. Of `amount` and `target` one
    is set."""

    enabled: bool
    threshold: Money
    amount: Money | None
    target: Money | None
    monthly_cap: Money

    @classmethod
    def of(cls, known: TopUp) -> Plan:
        amount, target = known.amount_nanos, known.target_nanos
        return cls(
            enabled=known.enabled,
            threshold=Money(known.threshold_nanos),
            amount=None if amount is None else Money(amount),
            target=None if target is None else Money(target),
            monthly_cap=Money(known.monthly_cap_nanos),
        )

    @classmethod
    def kept(cls, known: AutoTopUp) -> Plan:
        return cls(
            enabled=known.enabled,
            threshold=known.threshold,
            amount=known.amount,
            target=known.target_balance,
            monthly_cap=known.monthly_cap,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How it stands: a badge, a sentence on what holds it up, and one on what to do."""

    state: TopUpState
    badge: str
    label: str
    why: str
    remedy: str

    @property
    def suspended(self) -> bool:
        return self.state is TopUpState.SUSPENDED


def say_plan(plan: Plan, card: str | None) -> str:
    if not plan.enabled:
        return say("top_up.plan_off")
    which = "fixed" if plan.amount is not None else "target"
    return say_with(
        f"top_up.plan_{which}",
        threshold=show_price(plan.threshold),
        amount=show_price(plan.amount or plan.target or Money(0)),
        card=card or say("top_up.default_card"),
        cap=show_price(plan.monthly_cap),
    )


def standing_of(known: AutoTopUp) -> Standing:
    failure = known.last_failure
    code = known.suspended_reason or (failure.code if failure is not None else None)
    held_up = known.state in (TopUpState.SUSPENDED, TopUpState.COOLING_DOWN)
    return Standing(
        state=known.state,
        badge=_BADGES[known.state],
        label=say(f"top_up.state_{known.state}"),
        why=_why(known),
        remedy=say(f"top_up_failure.{_known(code)}") if code and held_up else "",
    )


def _why(known: AutoTopUp) -> str | Markup:
    until = "" if known.retry_at is None else show_moment(known.retry_at)
    failed = known.last_failure
    if known.state is TopUpState.COOLING_DOWN:
        key = "rests" if failed is None else "tries_again"
        return say_with(f"top_up.{key}", until=until)
    if known.state is TopUpState.CAPPED:
        bought, cap = show_money(known.bought_this_month), show_price(known.monthly_cap)
        return say_with("top_up.capped", until=until, bought=bought, cap=cap)
    if known.suspended_reason == _DISPUTED:
        return say("top_up.disputed")
    if known.state is TopUpState.SUSPENDED:
        at = "" if failed is None else show_moment(failed.at)
        return say_with("top_up.suspended", at=at)
    return ""


def _known(code: str) -> str:
    return code if code in TEXTS["top_up_failure"] else "refused"
