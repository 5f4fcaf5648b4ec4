"""The nouns of this room: what a payment is, and what a processor can answer.

Amounts are integers of the currency's smallest unit (`amount_minor`: cents), because that is what
processors take. `ref` is always the processor's name for a thing, `…_id` always ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID


class PaymentStatus(StrEnum):
    """Where a payment stands. `succeeded` is for ever; `failed` unless money arrives after all."""

    REQUIRES_PAYMENT = "requires_payment"
    """Meant to be made; nobody has paid yet."""
    REQUIRES_ACTION = "requires_action"
    """The customer's bank wants to see the customer."""
    PROCESSING = "processing"
    """Under way; banks take their days."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in (PaymentStatus.SUCCEEDED, PaymentStatus.FAILED)


class RefundStatus(StrEnum):
    REQUESTED = "requested"
    """Meant to be made; the processor has not said anything yet."""
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The money stays with us, or came back."""


class DisputeStatus(StrEnum):
    INQUIRY = "inquiry"
    """The bank asks; no money has moved."""
    OPEN = "open"
    """The money has been taken back for as long as it is argued about."""
    WON = "won"
    LOST = "lost"
    CLOSED = "closed"
    """An inquiry that came to nothing."""


class FailureCode(StrEnum):
    """Why no money came, in words that stay the same whatever processor says them."""

    CARD_DECLINED = "card_declined"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    EXPIRED_CARD = "expired_card"
    INCORRECT_NUMBER = "incorrect_number"
    INCORRECT_CVC = "incorrect_cvc"
    LIMIT_EXCEEDED = "limit_exceeded"
    NOT_SUPPORTED = "not_supported"
    AUTHENTICATION_FAILED = "authentication_failed"
    PROCESSING_ERROR = "processing_error"
    METHOD_UNUSABLE = "method_unusable"
    AMOUNT_REFUSED = "amount_refused"
    REFUSED = "refused"
    CANCELED = "canceled"
    PAGE_EXPIRED = "page_expired"
    NEVER_SENT = "never_sent"

    @property
    def retryable(self) -> bool:
        """Whether the same card may work later, without its holder doing anything."""
        match self:
            case (
                FailureCode.INSUFFICIENT_FUNDS
                | FailureCode.LIMIT_EXCEEDED
                | FailureCode.PROCESSING_ERROR
                | FailureCode.CANCELED
                | FailureCode.PAGE_EXPIRED
                | FailureCode.NEVER_SENT
            ):
                return True
            case (
                FailureCode.CARD_DECLINED
                | FailureCode.EXPIRED_CARD
                | FailureCode.INCORRECT_NUMBER
                | FailureCode.INCORRECT_CVC
                | FailureCode.NOT_SUPPORTED
                | FailureCode.AUTHENTICATION_FAILED
                | FailureCode.METHOD_UNUSABLE
                | FailureCode.AMOUNT_REFUSED
                | FailureCode.REFUSED
            ):
                return False
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why no money came. `detail` is the processor's own sentence."""

    code: FailureCode
    retryable: bool
    detail: str = ""

    @classmethod
    def of(cls, code: FailureCode, detail: str = "") -> Failure:
        return cls(code, code.retryable, detail)


# ── What a processor answers about a payment ─────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """The money is ours. `method_ref` is what it was paid with."""

    ref: str
    method_ref: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """Under way. `ref` is None when an answer was lost, so that we can only ask by our id."""

    ref: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiresAction:
    """`url` is where the customer confirms; None until `resume` asks for one."""

    ref: str
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """No money. `ref` is None when the processor made nothing at all."""

    ref: str | None
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaid:
    """The processor knows of it and waits: for its page to be filled in, or for our word."""

    ref: str | None


@dataclass(frozen=True, slots=True)
class Absent:
    """The processor knows nothing of it, so it was never charged."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or none that says what happened: ask later by our id."""

    reason: str


Answer = Succeeded | Processing | RequiresAction | Declined | Unpaid | Absent | Unknown


# ── What we keep ─────────────────────────────────────────────────────────────────────────────────


class PageKind(StrEnum):
    """How the processor's own page is shown."""

    HOSTED = "hosted"
    """By its address, to which the customer is sent."""
    EMBEDDED = "embedded"
    """Within a page of ours, by its client secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """A payment that is meant to be made. `subject_id` is what is bought with it.

    With a `method_id` it is charged to that method, `off_session` when the customer is not there;
    without one it is paid on a `page`.
    """

    org_id: UUID
    payment_id: UUID
    livemode: bool
    subject_id: UUID
    amount_minor: int
    currency: str
    description: str
    return_url: str
    cancel_url: str | None = None
    method_id: UUID | None = None
    off_session: bool = False
    page: PageKind | None = None
    save_method: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    org_id: UUID
    payment_id: UUID
    livemode: bool
    processor: str
    subject_id: UUID
    status: PaymentStatus
    amount_minor: int
    currency: str
    description: str
    return_url: str
    cancel_url: str | None
    method_id: UUID | None
    off_session: bool
    page: PageKind | None
    save_method: bool
    page_ref: str | None
    page_url: str | None
    page_secret: str | None
    page_expires_at: datetime | None
    ref: str | None
    method_ref: str | None
    action_url: str | None
    failure_code: FailureCode | None
    failure_retryable: bool | None
    failure_detail: str | None
    intended_at: datetime
    settled_at: datetime | None
    checks: int
    version: int
    sent_at: datetime | None

    @property
    def failure(self) -> Failure | None:
        if self.failure_code is None:
            return None
        return Failure(self.failure_code, bool(self.failure_retryable), self.failure_detail or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """`ours` is False for one that was made in the processor's own dashboard."""

    org_id: UUID
    refund_id: UUID
    payment_id: UUID
    livemode: bool
    processor: str
    ours: bool
    status: RefundStatus
    amount_minor: int
    currency: str
    reason: str
    ref: str | None
    failure_detail: str | None
    intended_at: datetime
    settled_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    org_id: UUID
    dispute_id: UUID
    payment_id: UUID
    livemode: bool
    processor: str
    ref: str
    status: DisputeStatus
    amount_minor: int
    currency: str
    reason: str
    evidence_due_at: datetime | None
    opened_at: datetime
    settled_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A card, or another way to pay, that is on file."""

    org_id: UUID
    method_id: UUID
    livemode: bool
    processor: str
    ref: str
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    is_default: bool
    added_at: datetime
    removed_at: datetime | None

    def expired(self, now: datetime) -> bool:
        """Cards are good to the end of the month they name."""
        if self.exp_year is None or self.exp_month is None:
            return False
        return (self.exp_year, self.exp_month) < (now.year, now.month)


# ── What upper rooms hear of, within the transaction that writes it ──────────────────────────────


@dataclass(frozen=True, slots=True)
class PaymentChanged:
    payment: Payment
    was: PaymentStatus


@dataclass(frozen=True, slots=True)
class RefundChanged:
    """`was` is None for a refund we hear of for the first time from the processor."""

    refund: Refund
    payment: Payment
    was: RefundStatus | None


@dataclass(frozen=True, slots=True)
class DisputeChanged:
    dispute: Dispute
    payment: Payment
    was: DisputeStatus | None


@dataclass(frozen=True, slots=True)
class MethodAdded:
    method: Method


@dataclass(frozen=True, slots=True)
class MethodRemoval:
    """A customer wants to remove a method. A handler that raises refuses."""

    method: Method


@dataclass(frozen=True, slots=True)
class MethodRemoved:
    """A method is gone: removed by us, or in the processor's own portal."""

    method: Method


Change = (
    PaymentChanged | RefundChanged | DisputeChanged | MethodAdded | MethodRemoval | MethodRemoved
)
