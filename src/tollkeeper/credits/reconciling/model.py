"""The nouns of reconciling: what is compared, and what can be found.

A case is everything about one payment: the processor's lines and our rows. Amounts are in the
smallest unit of their currency; those of the processor are negative when money left us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from tollkeeper.payments.model import DisputeStatus, PaymentStatus, RefundStatus
from tollkeeper.payments.processors import MovementKind

# ── What is compared ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` up to, and without, `until`."""

    since: datetime
    until: datetime

    def holds(self, moment: datetime | None) -> bool:
        return moment is not None and self.since <= moment < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the processor's books. `source_ref` is the charge, refund or dispute."""

    ref: str
    kind: MovementKind
    source_ref: str | None
    amount_minor: int
    currency: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedEntry:
    """An entry of the ledger; `reversed` when a later one took it back."""

    entry_id: UUID
    amount: int
    posted_at: datetime
    reversed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedRefund:
    """`entries` took credit away, `released` gave it back."""

    refund_id: UUID
    ref: str | None
    status: RefundStatus
    amount_minor: int
    currency: str
    settled_at: datetime | None
    entries: Sequence[BookedEntry]
    released: Sequence[BookedEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedDispute:
    """`entries` took credit away, `released` gave it back."""

    dispute_id: UUID
    ref: str
    status: DisputeStatus
    amount_minor: int
    currency: str
    opened_at: datetime
    settled_at: datetime | None
    entries: Sequence[BookedEntry]
    released: Sequence[BookedEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedPayment:
    ref: str | None
    status: PaymentStatus
    amount_minor: int
    currency: str
    settled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedPurchase:
    purchase_id: UUID
    status: str
    credit_nanos: int
    total_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Lines outside the window are there to find the other half of what lies inside. `purchase` is
    None where nothing is kept of what was bought but its entry."""

    org_id: UUID
    payment_id: UUID
    payment: BookedPayment | None
    purchase: BookedPurchase | None
    lines: Sequence[Line]
    credits: Sequence[BookedEntry]
    refunds: Sequence[BookedRefund]
    disputes: Sequence[BookedDispute]


# ── What is found ────────────────────────────────────────────────────────────────────────────────


class Kind(StrEnum):
    """What can be wrong, in words that stay the same."""

    MISSING_HERE = "missing_here"
    MISSING_AT_PROCESSOR = "missing_at_processor"
    AMOUNT_DIFFERS = "amount_differs"
    CURRENCY_DIFFERS = "currency_differs"
    STATUS_DIFFERS = "status_differs"
    CHARGED_TWICE = "charged_twice"
    CREDIT_WITHOUT_PAYMENT = "credit_without_payment"
    PAYMENT_WITHOUT_CREDIT = "payment_without_credit"
    CREDITED_TWICE = "credited_twice"
    CREDIT_DIFFERS = "credit_differs"
    REFUND_WITHOUT_ENTRY = "refund_without_entry"
    DISPUTE_WITHOUT_ENTRY = "dispute_without_entry"

    @property
    def advice(self) -> str:
        return _ADVICE[self]


_ADVICE: Mapping[Kind, str] = {
    Kind.MISSING_HERE: "Replay the processor's events of that time (`tollkeeper webhooks replay`);"
    " what is still missing then was made by hand or lost with a backup: grant its credit, or"
    " refund it at the processor.",
    Kind.MISSING_AT_PROCESSOR: "Look it up at the processor by its reference. If no money came,"
    " take the credit back (`tollkeeper adjust`); if the account was changed, reconcile against"
    " the old one.",
    Kind.AMOUNT_DIFFERS: "Compare both with the invoice; correct the balance (`tollkeeper adjust`)"
    " or refund the difference at the processor.",
    Kind.CURRENCY_DIFFERS: "Compare both with the invoice; refund at the processor and sell anew if"
    " the customer was charged in the wrong currency.",
    Kind.STATUS_DIFFERS: "Replay the processor's events of that time (`tollkeeper webhooks"
    " replay`): how things are now is asked for and written down.",
    Kind.CHARGED_TWICE: "Refund all charges but one at the processor, and report it as a fault.",
    Kind.CREDIT_WITHOUT_PAYMENT: "Take the credit back (`tollkeeper adjust`), or say in an"
    " adjustment's reason why it stays.",
    Kind.PAYMENT_WITHOUT_CREDIT: "Give the credit that was paid for (`tollkeeper grant`), or refund"
    " the payment, and report it as a fault.",
    Kind.CREDITED_TWICE: "Take back all but one (`tollkeeper adjust`), and report it as a fault.",
    Kind.CREDIT_DIFFERS: "Correct the balance by the difference (`tollkeeper adjust`).",
    Kind.REFUND_WITHOUT_ENTRY: "Take the refunded credit off the balance (`tollkeeper refund`).",
    Kind.DISPUTE_WITHOUT_ENTRY: "Take the disputed credit off the balance, or give it back if the"
    " dispute was won (`tollkeeper adjust`).",
}


class About(StrEnum):
    """What a difference is in."""

    PAYMENT = "payment"
    REFUND = "refund"
    DISPUTE = "dispute"
    PURCHASE = "purchase"
    ENTRY = "entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`name` is our id of it, shown, or the processor's reference where we have none; `said` is
    what each side says, for a person."""

    kind: Kind
    about: About
    name: str
    at: datetime
    org_id: UUID | None
    payment_id: UUID | None
    said: str


@dataclass(slots=True, kw_only=True)
class Day:
    """Sums of one day of the processor's, in one currency; what belongs to no payment of ours is
    only counted as `foreign`. Refunds and disputes are negative, what came back of them included.
    """

    day: date
    currency: str
    payments: int = 0
    paid_minor: int = 0
    booked: int = 0
    booked_minor: int = 0
    refunds: int = 0
    refunded_minor: int = 0
    booked_refunds: int = 0
    booked_refunded_minor: int = 0
    disputes: int = 0
    disputed_minor: int = 0
    fees_minor: int = 0
    foreign: int = 0
    foreign_minor: int = 0
    differences: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """`differences` holds the first thousand; `counts` says how many there are of each kind.
    `usual` is one over all that was to be looked at, not over a window that somebody chose."""

    reconciliation_id: UUID
    processor: str
    livemode: bool
    window: Window
    began_at: datetime
    ended_at: datetime
    movements: int
    counts: Mapping[Kind, int]
    days: Sequence[Day]
    differences: Sequence[Difference]
    usual: bool

    @property
    def clean(self) -> bool:
        return not self.counts
