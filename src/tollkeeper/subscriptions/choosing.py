"""What choosing a plan would do: said before anybody is asked to agree, held to when they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tollkeeper import payments, plans
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.db import Connection
from tollkeeper.payments import (
    Subscription,
    SubscriptionBusy,
    SubscriptionFixed,
    SubscriptionStatus,
)
from tollkeeper.plans import AlreadySubscribed, PlanVersion, Source
from tollkeeper.subscriptions.model import FeeDesk, Subscriber, price_of, product_of, ref_of


class Effect(StrEnum):
    """What becomes of a plan that is chosen."""

    FREE = "free"
    """It holds from now on, and costs nothing."""
    BOUGHT = "bought"
    """Its fee is paid now."""
    AT_ONCE = "at_once"
    """It holds now; the difference for the rest of the period is paid."""
    LATER = "later"
    """It begins when the period ends, and nothing is paid until then."""
    TAKEN_BACK = "taken_back"
    """It holds on, instead of a cheaper one that was to come; it is paid for already."""
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """`refused` says why choosing it would do nothing; then there is no `effect`."""

    version: PlanVersion
    effect: Effect | None
    refused: str | None


async def foresee(
    connection: Connection,
    desk: FeeDesk,
    who: Subscriber,
    wanted: Sequence[PlanVersion],
    now: datetime,
) -> list[Prospect]:
    """Say of each plan what choosing it would do now, as `change` and `subscribe` would do it."""
    billed = await payments.open_subscription(connection, who.org_id, livemode=who.livemode)
    held = await plans.read_subscription(connection, who.org_id, who.livemode)
    versions = await plans.read_plans(connection)
    in_force = None if billed is None else await plan_in_force(connection, billed, versions, now)

    def effect_of(version: PlanVersion) -> Effect:
        if billed is not None:
            return effect_on_billed(desk, billed, in_force, version)
        check_free_to_buy(held, versions, now)
        if version.terms.fee_minor == 0:
            return Effect.FREE
        price_of(version)
        desk.till.processors.serving(livemode=who.livemode)
        return Effect.BOUGHT

    found: list[Prospect] = []
    for version in wanted:
        try:
            found.append(Prospect(version=version, effect=effect_of(version), refused=None))
        except TollkeeperError as error:
            found.append(Prospect(version=version, effect=None, refused=error.detail))
    return found


def effect_on_billed(
    desk: FeeDesk, billed: Subscription, in_force: str | None, version: PlanVersion
) -> Effect:
    """Say what a change of what is billed does. Raises SubscriptionBusy, SubscriptionFixed."""
    if version.terms.fee_minor == 0:
        if version.code != desk.default_plan:
            raise SubscriptionFixed("Cancel first, and subscribe to that plan when it has ended")
        return Effect.LATER if billed.status.begun else Effect.FREE
    wanted = price_of(version)
    if billed.next_product_id == wanted.product_id:
        return Effect.AT_ONCE
    if billed.status is not SubscriptionStatus.ACTIVE:
        raise SubscriptionBusy("A fee is due: pay it first by subscribing again, or cancel")
    if billed.product_id == wanted.product_id:
        return Effect.KEPT
    payments.check_change(billed, wanted)
    if in_force is not None and product_of(in_force) == billed.product_id:
        return Effect.LATER if wanted.fee_minor < billed.fee_minor else Effect.AT_ONCE
    if in_force == version.code:
        return Effect.TAKEN_BACK
    raise SubscriptionBusy("A cheaper plan begins when this period ends; take that back first")


async def plan_in_force(
    connection: Connection, billed: Subscription, versions: Sequence[PlanVersion], now: datetime
) -> str | None:
    """Say which plan is had by what is billed."""
    held = await plans.subscription_by_ref(
        connection, billed.org_id, Source.PROCESSOR, ref_of(billed)
    )
    if held is None:
        return None
    at = held.version_id
    if held.next_version_id is not None and held.next_at is not None and held.next_at <= now:
        at = held.next_version_id
    return next((one.code for one in versions if one.version_id == at), None)


def check_free_to_buy(
    held: plans.Subscription | None, versions: Sequence[PlanVersion], now: datetime
) -> None:
    """A plan with a fee that an operator gave is not bought over. Raises AlreadySubscribed."""
    if held is None or held.source is Source.PROCESSOR or held.status is plans.Status.CANCELLED:
        return
    if held.cancel_at is not None and held.cancel_at <= now:
        return
    if any(one.version_id == held.version_id and one.terms.fee_minor for one in versions):
        raise AlreadySubscribed("This organization's plan is arranged with the operator")
