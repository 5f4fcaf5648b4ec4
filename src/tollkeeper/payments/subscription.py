"""The nouns of subscriptions: a fee that a processor takes each period, until it is told to stop.

The processor keeps the calendar and charges the customer's default method; what is here follows it.
A fee is not credit: it is billed for being subscribed, and nothing is posted for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from tollkeeper.payments.model import Absent, Failure, FailureCode, Unknown

Interval = Literal["month", "year"]


class SubscriptionStatus(StrEnum):
    """Where a subscription stands. `cancelled` is for ever."""

    REQUIRES_PAYMENT = "requires_payment"
    """Meant; its first fee is not paid. With a failure, another card may be tried."""
    REQUIRES_ACTION = "requires_action"
    """The bank wants to see the customer before the first fee is paid."""
    PROCESSING = "processing"
    """The first fee is under way; banks take their days."""
    ACTIVE = "active"
    PAST_DUE = "past_due"
    """A later fee was not paid; the processor tries again, and so may the customer."""
    CANCELLED = "cancelled"

    @property
    def begun(self) -> bool:
        return self in (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE)


class SubscriptionAct(StrEnum):
    """What the processor is to be told, and has not confirmed yet."""

    START = "start"
    CHANGE = "change"
    PAY = "pay"
    """Pay what is due now, with the customer there."""
    CANCEL = "cancel"
    """End it when its period ends."""
    KEEP = "keep"
    """Do not end it after all."""
    END = "end"
    """End it now."""


class Stopping(StrEnum):
    AT_PERIOD_END = "at_period_end"
    NOW = "now"
    NOT = "not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What is billed each period. `product_id` is ours, and the same for as long as the product
    has its name; the fee may differ from one subscription to another."""

    product_id: UUID
    product_name: str
    fee_minor: int
    currency: str
    interval: Interval


# ── What a processor is asked, and answers ───────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSought:
    """All we know of a subscription: without a ref it is found by its id."""

    org_id: UUID
    subscription_id: UUID
    customer_ref: str
    ref: str | None
    intended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentWay:
    """With what an open fee is paid while its customer is there, and where they go after."""

    method_ref: str
    return_url: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeePaid:
    """One fee that was paid. `ref` is the processor's invoice."""

    ref: str
    amount_minor: int
    currency: str
    period_start: datetime
    period_end: datetime
    paid_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionFact:
    """A subscription as the processor has it now.

    `product_id` is None for a price that is none of ours. `change_waits` says that a change has
    been asked for and is made when its fee is paid: at `action_url` where the bank wants that.
    """

    ref: str
    status: SubscriptionStatus
    product_id: UUID | None
    fee_minor: int
    period_start: datetime
    period_end: datetime
    cancels_at_period_end: bool
    change_waits: bool
    action_url: str | None
    failure: Failure | None
    fees: tuple[FeePaid, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRefused:
    """The processor will not do it: nothing was done, and asking again changes nothing."""

    failure: Failure


SubscriptionAnswer = SubscriptionFact | SubscriptionRefused | Absent | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionTouched:
    """Something happened to a subscription; ids are ours, where the event says them."""

    ref: str
    org_id: UUID | None
    subscription_id: UUID | None


# ── What we keep ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    org_id: UUID
    subscription_id: UUID
    livemode: bool
    price: Price
    return_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """`product_from` is when the product holds from: for one that costs less, the period's end.
    `next_…` is a change that is asked for and not made; `act` what the processor has yet to hear.
    """

    org_id: UUID
    subscription_id: UUID
    livemode: bool
    processor: str
    status: SubscriptionStatus
    product_id: UUID
    product_name: str
    product_from: datetime
    fee_minor: int
    currency: str
    interval: Interval
    next_product_id: UUID | None
    next_product_name: str | None
    next_fee_minor: int | None
    next_at_period_end: bool
    cancels_at_period_end: bool
    act: SubscriptionAct | None
    act_number: int
    return_url: str
    ref: str | None
    period_start: datetime | None
    period_end: datetime | None
    action_url: str | None
    failure_code: FailureCode | None
    failure_retryable: bool | None
    failure_detail: str | None
    past_due_since: datetime | None
    intended_at: datetime
    acted_at: datetime
    ended_at: datetime | None
    checks: int
    version: int

    @property
    def failure(self) -> Failure | None:
        if self.failure_code is None:
            return None
        return Failure(self.failure_code, bool(self.failure_retryable), self.failure_detail or "")

    @property
    def price(self) -> Price:
        return Price(
            product_id=self.product_id,
            product_name=self.product_name,
            fee_minor=self.fee_minor,
            currency=self.currency,
            interval=self.interval,
        )

    @property
    def next_price(self) -> Price | None:
        if self.next_product_id is None or self.next_fee_minor is None:
            return None
        return Price(
            product_id=self.next_product_id,
            product_name=self.next_product_name or "",
            fee_minor=self.next_fee_minor,
            currency=self.currency,
            interval=self.interval,
        )


@dataclass(frozen=True, slots=True)
class SubscriptionChanged:
    """Told within the transaction that writes it; `was` is how it stood before."""

    subscription: Subscription
    was: Subscription


@dataclass(frozen=True, slots=True)
class SubscriptionFeePaid:
    """Told once for each fee, after the change that it brings."""

    subscription: Subscription
    fee: FeePaid
