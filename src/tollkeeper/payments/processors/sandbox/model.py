"""What the sandbox keeps. Each kind is a document of its own in `sandbox_object`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal
from uuid import UUID

from msgspec import Struct

from tollkeeper.payments.model import DisputeStatus, FailureCode, RefundStatus
from tollkeeper.payments.processors import MovementKind
from tollkeeper.payments.subscription import Interval


class Delivery(StrEnum):
    """How the sandbox's webhooks about a payment are delivered."""

    ONCE = "once"
    TWICE = "twice"
    LATE = "late"
    NEVER = "never"


class Document(Struct, kw_only=True):
    kind: ClassVar[str]
    prefix: ClassVar[str]

    ref: str
    created_at: datetime


class Customer(Document, kw_only=True):
    kind = "customer"
    prefix = "sbcus"

    name: str
    email: str | None = None
    default_method: str | None = None


class OnFile(Document, kw_only=True):
    """A way to pay. `set_up` is whether its bank was asked when it was kept."""

    kind = "method"
    prefix = "sbmet"

    customer: str
    number: str
    attached: bool = False
    set_up: bool = False


class Setup(Document, kw_only=True):
    kind = "setup"
    prefix = "sbset"

    customer: str
    method: str | None = None
    status: Literal["open", "requires_action", "succeeded", "failed"] = "open"
    failure: FailureCode | None = None
    return_url: str = ""


class Payment(Document, kw_only=True):
    kind = "payment"
    prefix = "sbpay"

    customer: str
    org_id: UUID
    payment_id: UUID
    amount: int
    currency: str
    description: str
    status: Literal["open", "requires_action", "processing", "succeeded", "failed", "canceled"] = (
        "open"
    )
    method: str | None = None
    save_method: bool = False
    # Whether the bank's page is open to the customer; off session nobody is there to see it.
    at_bank: bool = False
    return_url: str = ""
    failure: FailureCode | None = None
    refunded: int = 0
    disputed: bool = False
    settled_at: datetime | None = None
    # A subscription's fee says so, and what time it is for; `payment_id` is the sandbox's own then.
    subscription: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    delivery: Delivery = Delivery.ONCE


class Change(Struct, kw_only=True):
    """A subscription's next price, which holds once its fee is paid."""

    product_id: UUID
    amount: int
    fee: str
    expires_at: datetime


class Subscription(Document, kw_only=True):
    """`periods` have begun since the anchor; `fee` is the payment of the last of them."""

    kind = "subscription"
    prefix = "sbsub"

    customer: str
    org_id: UUID
    subscription_id: UUID
    product_id: UUID
    name: str
    amount: int
    currency: str
    interval: Interval
    anchor: datetime
    periods: int = 1
    period_end: datetime
    period_start: datetime
    status: Literal["incomplete", "active", "past_due", "canceled"] = "incomplete"
    cancels: bool = False
    fee: str = ""
    tries: int = 1
    change: Change | None = None
    # When something is to happen by itself; None when it is over.
    due_at: datetime | None = None


class Page(Document, kw_only=True):
    """A page that asks for a method: to pay with (`payment`), or to keep (`setup`)."""

    kind = "page"
    prefix = "sbpag"

    customer: str
    payment: str | None
    setup: str | None
    return_url: str
    cancel_url: str | None
    expires_at: datetime
    embedded: bool = False
    status: Literal["open", "complete", "expired"] = "open"


class Refund(Document, kw_only=True):
    kind = "refund"
    prefix = "sbref"

    payment: str
    org_id: UUID
    refund_id: UUID | None
    amount: int
    currency: str
    status: RefundStatus
    detail: str = ""


class Dispute(Document, kw_only=True):
    kind = "dispute"
    prefix = "sbdis"

    payment: str
    amount: int
    currency: str
    status: DisputeStatus
    reason: str
    due_at: datetime


class Line(Document, kw_only=True):
    """A line of the sandbox's account of us."""

    kind = "line"
    prefix = "sblin"

    movement: MovementKind
    source: str
    payment: str
    org_id: UUID
    payment_id: UUID | None
    refund_id: UUID | None = None
    amount: int
    fee: int
    currency: str


class TaxNumber(Document, kw_only=True):
    kind = "tax_id"
    prefix = "sbtax"

    customer: str
    type: str
    value: str
    removed: bool = False
