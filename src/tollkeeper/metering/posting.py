"""Calls of the past: they post in any case, where they are covered if they are anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from tollkeeper.ledger import ChargeOutcome, ChargeResult, NewCharge
from tollkeeper.metering.meter import Meter
from tollkeeper.metering.paying import Purse, last_resort

_NOT_COVERED = (ChargeOutcome.INSUFFICIENT, ChargeOutcome.FROZEN)


class Past(Struct, frozen=True):
    """A call that has happened: who may pay, in order, and its charge to one of them."""

    purses: Sequence[Purse]
    charge: Callable[[Purse], NewCharge]


async def post_past(meter: Meter, pasts: Sequence[Past]) -> list[ChargeResult | Exception]:
    """Charge each to the first wallet that covers it, or else to that of dollars, below zero.

    Raises Unavailable; then any part may have been posted, and the list is safe to repeat.
    """
    answers: dict[int, ChargeResult | Exception] = {}
    left = list(range(len(pasts)))
    wallets = [_asked(past.purses) for past in pasts]
    for nth in range(max(map(len, wallets), default=0)):
        asked = [place for place in left if len(wallets[place]) > nth]
        charges = [pasts[place].charge(wallets[place][nth]) for place in asked]
        answers.update(zip(asked, await meter.charge_many(charges), strict=True))
        left = [place for place in left if not _is_posted(answers.get(place))]
    charges = [pasts[place].charge(last_resort(pasts[place].purses)) for place in left]
    answers.update(zip(left, await meter.settle_many(charges), strict=True))
    return [answers[place] for place in range(len(pasts))]


def _asked(purses: Sequence[Purse]) -> Sequence[Purse]:
    """Give those that are asked whether they cover a call; what pays anyhow is not, at the end."""
    return purses[:-1] if purses[-1] is last_resort(purses) else purses


def _is_posted(answer: ChargeResult | Exception | None) -> bool:
    """Tell whether there is an answer that another wallet would not change."""
    if isinstance(answer, ChargeResult):
        return answer.outcome not in _NOT_COVERED
    return answer is not None
