"""What is sent and answered about plans that are paid for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.payments import Subscription, to_nanos

PlanCode = Annotated[str, Meta(min_length=1, max_length=64, examples=["pro"])]
MethodId = Annotated[str, Meta(max_length=100, examples=["met_01934f5e7a407cc08e1b746f6c6c6b65"])]
WebAddress = Annotated[
    str, Meta(pattern=r"^https?://\S+\Z", max_length=2000, examples=["https://example.com/billing"])
]


class NewPlanSubscription(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    plan: Annotated[PlanCode, Meta(description="The plan's code.")]
    payment_method_id: Annotated[
        MethodId | None,
        Meta(
            description="Becomes the default method, to which fees and purchases are charged; the"
            " default there is, if left out."
        ),
    ] = None
    return_url: Annotated[
        WebAddress | None, Meta(description="Where the customer is led from the bank.")
    ] = None


class PlanSubscriptionChange(NewPlanSubscription, frozen=True, kw_only=True):
    """Another plan."""


class PlanFee(Struct, frozen=True, kw_only=True, rename="camel"):
    """How the fee of a plan stands: `status` is `none` for a plan without one, else
    `requires_action` (the bank wants to see the customer, at `actionUrl`), `requires_payment` (try
    another card), `processing`, `active`, `past_due`, or `cancelled`. `plan` is what is billed;
    `nextPlan` what is asked for and holds once its difference is paid, or from `planFrom` on.
    """

    status: str
    id: str | None = None
    plan: str | None = None
    plan_from: datetime | None = None
    next_plan: str | None = None
    fee: Money | None = None
    currency: str | None = None
    interval: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    cancels_at_period_end: bool = False
    action_url: str | None = None
    failure_code: str | None = None
    past_due_since: datetime | None = None

    @classmethod
    def of(cls, billed: Subscription, plan: str | None, next_plan: str | None) -> PlanFee:
        return cls(
            id=show_id("sub", billed.subscription_id),
            status=billed.status.value,
            plan=plan,
            plan_from=billed.product_from,
            next_plan=next_plan,
            fee=Money(to_nanos(billed.fee_minor, billed.currency)),
            currency=billed.currency,
            interval=billed.interval,
            period_start=billed.period_start,
            period_end=billed.period_end,
            cancels_at_period_end=billed.cancels_at_period_end,
            action_url=billed.action_url,
            failure_code=billed.failure_code and billed.failure_code.value,
            past_due_since=billed.past_due_since,
        )
