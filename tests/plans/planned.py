"""Plans that the tests of this room share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tollkeeper.plans import Consumable, Coverage, Cycle, Matcher, PlanTerms, PlanVersion, Terms
from tollkeeper.plans.terms import FOR_EVER, terms_of
from tollkeeper.pricing import PriceVersion, Rate, seal

START = datetime(2027, 1, 1, tzinfo=UTC)
END = datetime(2027, 2, 1, tzinfo=UTC)
ORG = UUID(int=7)
DOLLAR = 1_000_000_000
MTOK = 1_000_000


def consumable(code: str, included: int, *covers: Matcher, **more: Any) -> Consumable:
    return Consumable(
        code=code,
        name=code,
        included=included,
        covers=covers or (Matcher(units=("tokens",)),),
        **more,
    )


def terms(*consumables: Consumable, **more: Any) -> Terms:
    version = PlanVersion(
        version_id=UUID(int=1),
        code="pro",
        name="Pro",
        effective_from=START,
        terms=PlanTerms(consumables=consumables),
        published_at=START,
        published_by="test",
    )
    return terms_of(
        version,
        Coverage(consumables),
        Cycle(START, END),
        UUID(int=2),
        org_id=ORG,
        livemode=True,
        subscription_id=None,
        until=FOR_EVER,
        **more,
    )


def model(**prices: int) -> PriceVersion:
    """`prices` are nanos for a million of each unit."""
    return seal(
        PriceVersion(
            provider="acme",
            model="m1",
            effective_from=START,
            source="a test",
            rates={unit: Rate(price, MTOK) for unit, price in prices.items()},
        )
    )
