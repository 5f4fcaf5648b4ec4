"""What this room works with, and how plans and what is billed for them find each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper import plans
from tollkeeper.base.ids import named_uuid, show_id
from tollkeeper.db import Connection
from tollkeeper.orgs import By
from tollkeeper.payments import Price, Subscription, Till, to_nanos
from tollkeeper.plans import PlanVersion

# Plans belong to no organization.
_PLANS: Final = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeDesk:
    """`grace` is how long a plan is kept whose fee is not paid; `default_plan` what is had then."""

    till: Till
    billing_page: str
    grace: timedelta
    default_plan: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    org_id: UUID
    livemode: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A plan that somebody (`by`) wants; `run_id` is the id of what may begin with it."""

    subscriber: Subscriber
    plan: str
    run_id: UUID
    method_id: UUID | None
    return_url: str
    by: By | None = None


def product_of(plan: str) -> UUID:
    """Name a plan at processors: the same product in all its versions."""
    return named_uuid(_PLANS, f"plan/{plan}")


def ref_of(subscription: Subscription) -> str:
    """Name what is billed in the room of plans."""
    return show_id("sub", subscription.subscription_id)


def price_of(version: PlanVersion) -> Price:
    """Raises AmountNotPayable for a plan in a currency in which no payment can be made."""
    to_nanos(version.terms.fee_minor, version.terms.currency)
    return Price(
        product_id=product_of(version.code),
        product_name=version.name,
        fee_minor=version.terms.fee_minor,
        currency=version.terms.currency,
        interval=version.terms.interval.value,
    )


async def plan_of(connection: Connection, product_id: UUID | None) -> str | None:
    """Say which plan a product stands for."""
    for version in await plans.read_plans(connection):
        if product_of(version.code) == product_id:
            return version.code
    return None


async def sold_plan(connection: Connection, plan: str, now: datetime) -> PlanVersion:
    """Return the version of a plan that is sold. Raises PlanNotFound, PlanRetired."""
    known = [
        version
        for version in await plans.read_plans(connection)
        if version.code == plan and version.effective_from <= now
    ]
    if not known:
        raise plans.PlanNotFound(f"There is no plan {plan}")
    version = max(known, key=lambda one: one.effective_from)
    if version.retired_at is not None:
        raise plans.PlanRetired(f"The plan {plan} is not sold any more")
    return version
