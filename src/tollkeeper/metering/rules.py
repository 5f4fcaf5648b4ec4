"""What a call is subject to beside the balance: the limits it draws on, and the customer's plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.money import NANOS_PER_UNIT, Money
from tollkeeper.ledger import ChargeResult, Draw, HoldResult, Short
from tollkeeper.limits import Facts, LimitBook, Period
from tollkeeper.metering.paying import Purse
from tollkeeper.metering.worth import convert_lines, worth_in
from tollkeeper.plans import (
    Consumable,
    PlanBook,
    Terms,
    allowance_exhausted,
    bound_draws,
    consumable_of,
    draws_of,
    overage_of,
)
from tollkeeper.pricing import TOKENS, Overage, PriceVersion, Quantity, Rating

# A converted part may be a nano more than its share of the converted whole.
_ROUNDING: Final = 1


class Worst(Struct, frozen=True, kw_only=True):
    """What a call comes to at most, in dollars; see `plans.bound_draws`.

    `amounts` are what each bound costs by itself, `beside_nanos` what is no bound's.
    """

    version: PriceVersion
    bounds: Mapping[str, int]
    amount_nanos: int
    amounts: Mapping[str, int]
    operation: str | None
    beside_nanos: int = 0
    modalities: Collection[str] | None = None


class Refusal(Struct, frozen=True, kw_only=True):
    """Which call was refused, for the error that says so. `required` is nanos of its currency."""

    facts: Facts
    purse: Purse
    at: datetime
    required: int
    top_up_url: str | None
    affordable_max_tokens: int | None = None


class Rules:
    """One per process. Both books may be missing: then nothing is limited, nothing included."""

    def __init__(self, limits: LimitBook | None = None, plans: PlanBook | None = None) -> None:
        self._limits = limits
        self._plans = plans

    def concern(self, facts: Facts, at: datetime) -> bool:
        """Say whether there is anything to draw on."""
        limited = self._limits is not None and self._limits.limit(facts.org_id)
        return limited or self._terms(facts, at) is not None

    def overage(
        self, facts: Facts, version: PriceVersion, operation: str | None, at: datetime
    ) -> Overage | None:
        """Give the prices of the customer's plan that replace those of the book."""
        return overage_of(self._terms(facts, at), version, operation)

    def draws_of(
        self,
        facts: Facts,
        rating: Rating,
        *,
        version: PriceVersion,
        operation: str | None,
        purse: Purse,
        at: datetime,
        happened_at: datetime | None = None,
    ) -> tuple[Draw, ...]:
        """Say what a call draws on that was rated, in dollars, and is paid from this wallet.

        Where it happened in a cycle that is over, no allowance pays for it.
        """
        terms = self._terms(facts, at)
        draws: tuple[Draw, ...] = ()
        if terms is not None and (happened_at is None or happened_at >= terms.cycle_start):
            draws = draws_of(
                terms,
                convert_lines(rating.lines, purse.usd_value),
                livemode=facts.livemode,
                provider=version.provider,
                model=version.model,
                operation=operation,
            )
        if self._limits is None:
            return draws
        limited = self._limits.draws(facts, at, tokens_in(rating.usage))
        return (*draws, *_in_currency(limited, purse))

    def draws_before(
        self, facts: Facts, worst: Worst, *, purse: Purse, at: datetime
    ) -> tuple[Draw, ...]:
        """Say what a call draws on at most that has yet to be made."""
        terms = self._terms(facts, at)
        draws: tuple[Draw, ...] = ()
        if terms is not None:
            draws = bound_draws(
                terms,
                worst.version,
                worst.bounds,
                worst.amount_nanos,
                worst.amounts,
                livemode=facts.livemode,
                operation=worst.operation,
                beside_nanos=worst.beside_nanos,
                modalities=worst.modalities,
            )
            draws = tuple(_converted(draw, purse) for draw in draws)
        if self._limits is None:
            return draws
        limited = self._limits.draws(facts, at, tokens_in(worst.bounds))
        return (*draws, *_in_currency(limited, purse))

    def refuse(self, result: HoldResult | ChargeResult, refused: Refusal) -> TollkeeperError | None:
        """Make the error that names the tightest limit, or None where it was only the money."""
        terms = self._terms(refused.facts, refused.at)
        short = min(result.limits, key=self._tightness, default=None)
        if short is not None:
            consumable = None if terms is None else consumable_of(terms, short.limit_id)
            if terms is None or consumable is None:
                return self._over_limit(short, refused)
            return self._exhausted(terms, consumable, short, result.spendable, refused)
        return None

    def _terms(self, facts: Facts, at: datetime) -> Terms | None:
        return None if self._plans is None else self._plans.terms(facts.org_id, facts.livemode, at)

    def _tightness(self, short: Short) -> tuple[bool, int]:
        """A budget before a rate, which passes by itself; then what leaves the smallest part."""
        limit = None if self._limits is None else self._limits.find(short.limit_id)
        is_rate = limit is not None and limit.period is Period.MINUTE
        return is_rate, short.room * NANOS_PER_UNIT // max(short.asked, 1)

    def _over_limit(self, short: Short, refused: Refusal) -> TollkeeperError | None:
        if self._limits is None:
            return None
        return self._limits.refusal(
            short.limit_id,
            required=short.asked,
            room=short.room,
            affordable_max_tokens=refused.affordable_max_tokens,
            top_up_url=refused.top_up_url,
            livemode=refused.facts.livemode,
        )

    def _exhausted(
        self,
        terms: Terms,
        consumable: Consumable,
        short: Short,
        spendable: int,
        refused: Refusal,
    ) -> TollkeeperError | None:
        if self._plans is None:
            return None
        members: dict[str, object] = {
            "required": Money(refused.required),
            "available": Money(max(spendable, 0)),
            "currency": refused.purse.currency,
        }
        if refused.affordable_max_tokens is not None:
            members["affordableMaxTokens"] = refused.affordable_max_tokens
        return allowance_exhausted(
            terms,
            consumable,
            asked=short.asked,
            left=max(short.room, 0),
            upgrades=self._plans.upgrades(terms, consumable.code, refused.at),
            top_up_url=refused.top_up_url,
            beside=members,
        )


FREE: Final = Rules()


def tokens_in(usage: Mapping[str, Quantity]) -> int:
    """Count the tokens, read and written."""
    return sum(int(count) for unit, count in usage.items() if unit in TOKENS)


def only_counted(draws: Sequence[Draw]) -> tuple[Draw, ...]:
    """Give the draws of what has happened already: nothing of it is refused any more."""
    return tuple(
        replace(draw, ceiling=None) if draw.covers is None else replace(draw, whole=False)
        for draw in draws
    )


def _in_currency(draws: Sequence[Draw], purse: Purse) -> Sequence[Draw]:
    """Have budgets, which are in dollars, count what another currency is worth."""
    if purse.usd_value == NANOS_PER_UNIT:
        return draws
    return [replace(draw, worth=purse.usd_value) if draw.amount is None else draw for draw in draws]


def _converted(draw: Draw, purse: Purse) -> Draw:
    if purse.usd_value == NANOS_PER_UNIT or draw.covers is None:
        return draw
    return replace(draw, covers=max(0, worth_in(draw.covers, purse.usd_value) - _ROUNDING))
