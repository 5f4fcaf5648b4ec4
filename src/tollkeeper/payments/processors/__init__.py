"""What the product asks of whoever moves the money: one protocol, two who speak it.

Every act carries an id of ours, under which the processor does it once however often it is asked.
Nothing here is called inside a database transaction.

Acts answer with values. What raises:
- ProcessorUnavailable: no answer. The act may have happened; the same call again is safe.
- ProcessorRefused: the request itself is refused (a wrong API key, an unknown customer). The
  processor's words are for the log.
Payments and refunds raise neither: their outcome is always an Answer or a RefundAnswer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from tollkeeper.payments.errors import PaymentsNotConfigured
from tollkeeper.payments.model import (
    Absent,
    Answer,
    DisputeStatus,
    Failure,
    PageKind,
    RefundStatus,
    Unknown,
)
from tollkeeper.payments.subscription import (
    PaymentWay,
    Price,
    Stopping,
    SubscriptionAnswer,
    SubscriptionSought,
    SubscriptionTouched,
)

# ── Customers and their ways to pay ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    line1: str
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerDetails:
    name: str
    email: str | None = None
    address: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodOnFile:
    """A way to pay as the processor describes it; `kind` is its word, such as `card`."""

    ref: str
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """Everything a customer can pay with, and which of it is the default."""

    methods: list[MethodOnFile]
    default_ref: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSetup:
    """Keep a method for later; `token` is what the processor's own form gave the browser."""

    setup_id: UUID
    customer_ref: str
    token: str
    return_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupSucceeded:
    method_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupRequiresAction:
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupDeclined:
    failure: Failure


@dataclass(frozen=True, slots=True)
class SetupPending:
    """The bank takes its time; the method is on file when it has agreed."""


SetupAnswer = SetupSucceeded | SetupRequiresAction | SetupDeclined | SetupPending


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupPage:
    """Have the processor's own page ask for a method to keep."""

    setup_id: UUID
    org_id: UUID
    customer_ref: str
    kind: PageKind
    return_url: str
    cancel_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxId:
    """`type` in Stripe's words, such as `eu_vat`."""

    ref: str
    type: str
    value: str
    verification: str


# ── Payments ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Take money from a method on file, with its holder there or not.

    `intended_at` is when the payment was written down here: processors forget idempotency keys
    after a day, so what is older is looked for before it is made.
    """

    org_id: UUID
    payment_id: UUID
    customer_ref: str
    method_ref: str
    method_kind: str
    amount_minor: int
    currency: str
    description: str
    off_session: bool
    return_url: str
    intended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPage:
    """Have the processor's own page take the money; the method is kept if `save_method`."""

    org_id: UUID
    payment_id: UUID
    customer_ref: str
    amount_minor: int
    currency: str
    description: str
    kind: PageKind
    save_method: bool
    return_url: str
    cancel_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the processor: at `url` when it is hosted, by `secret` when it is embedded."""

    ref: str
    url: str | None
    secret: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """All we know of a payment whose outcome is asked for: refs are missing where an answer was
    lost, and then it is found by its id. `paged` is one that is paid on the processor's page."""

    org_id: UUID
    payment_id: UUID
    customer_ref: str | None
    ref: str | None
    paged: bool
    page_ref: str | None
    intended_at: datetime


# ── Refunds and disputes ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOrder:
    org_id: UUID
    refund_id: UUID
    payment_ref: str
    amount_minor: int
    intended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundFact:
    """A refund as the processor has it. Ids are ours, as far as it knows them: one that was made
    in its dashboard has no `refund_id`."""

    ref: str
    status: RefundStatus
    payment_ref: str | None
    org_id: UUID | None
    payment_id: UUID | None
    refund_id: UUID | None
    amount_minor: int
    currency: str
    detail: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RefundRejected:
    """The processor will not do it: nothing was refunded, and the same request never will be."""

    detail: str


RefundAnswer = RefundFact | RefundRejected | Absent | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeFact:
    ref: str
    status: DisputeStatus
    payment_ref: str | None
    org_id: UUID | None
    payment_id: UUID | None
    amount_minor: int
    currency: str
    reason: str
    evidence_due_at: datetime | None
    created_at: datetime


# ── What the processor's books say ───────────────────────────────────────────────────────────────


class MovementKind(StrEnum):
    PAYMENT = "payment"
    REFUND = "refund"
    REFUND_FAILED = "refund_failed"
    """A refund's money that came back to us."""
    DISPUTE = "dispute"
    DISPUTE_REVERSED = "dispute_reversed"
    FEE = "fee"
    OTHER = "other"
    """Payouts and what else has nothing to do with customers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One line of the processor's account of us: `net = amount - fee`, negative when money left.

    `source_ref` names the charge, refund or dispute; `payment_ref` the payment it belongs to.
    `given_minor` of `given_currency` is what that itself says: the line is in the currency of our
    account, into which the processor may have changed it.
    """

    ref: str
    kind: MovementKind
    source_ref: str | None
    payment_ref: str | None
    org_id: UUID | None
    payment_id: UUID | None
    refund_id: UUID | None
    amount_minor: int
    fee_minor: int
    currency: str
    given_minor: int
    given_currency: str
    created_at: datetime


# ── What the processor tells by itself ───────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEvent:
    """An event as it was sent; `body` is exactly what was signed, where it came by webhook."""

    processor: str
    event_id: str
    type: str
    created_at: datetime
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentTouched:
    ref: str | None
    page_ref: str | None = None
    org_id: UUID | None = None
    payment_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundTouched:
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeTouched:
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodsTouched:
    customer_ref: str


@dataclass(frozen=True, slots=True)
class Irrelevant:
    """Understood, and of no interest; such as a payment of another product of the same account."""


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A type we know nothing of. It is kept, and can be replayed once we do."""


Happening = (
    PaymentTouched
    | RefundTouched
    | DisputeTouched
    | MethodsTouched
    | SubscriptionTouched
    | Irrelevant
    | NotUnderstood
)


# ── The protocol ─────────────────────────────────────────────────────────────────────────────────


class Processor(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def livemode(self) -> bool: ...

    def dispute_url(self, ref: str) -> str:
        """Where an operator answers a dispute."""
        ...

    # Customers and their ways to pay.

    async def create_customer(
        self, customer_id: UUID, org_id: UUID, details: CustomerDetails
    ) -> str:
        """Return the customer's ref."""
        ...

    async def update_customer(self, customer_ref: str, details: CustomerDetails) -> None: ...

    async def set_up_method(self, setup: MethodSetup) -> SetupAnswer: ...

    async def open_setup_page(self, page: SetupPage) -> Page: ...

    async def list_methods(self, customer_ref: str) -> Wallet: ...

    async def set_default_method(self, customer_ref: str, method_ref: str) -> None: ...

    async def detach_method(self, method_ref: str) -> None:
        """Forget a method; one that is forgotten already is no error."""
        ...

    async def add_tax_id(self, tax_id: UUID, customer_ref: str, kind: str, value: str) -> TaxId: ...

    async def list_tax_ids(self, customer_ref: str) -> list[TaxId]: ...

    async def remove_tax_id(self, customer_ref: str, tax_id_ref: str) -> None: ...

    async def portal_link(self, customer_ref: str, return_url: str) -> str:
        """Return an address at which the customer manages methods without another login."""
        ...

    # Payments.

    async def pay(self, charge: Charge) -> Answer:
        """Charge a method once. The same `payment_id` again gives the present outcome."""
        ...

    async def resume(
        self, payment: Sought, method_ref: str, return_url: str, attempt: int
    ) -> Answer:
        """Try a payment again with its customer there: one that needs action then has a url.

        Each `attempt` is made once. The payment stays the same one, so it is charged once.
        """
        ...

    async def open_page(self, page: PaymentPage) -> Page: ...

    async def find_payment(self, payment: Sought) -> Answer:
        """Ask what became of a payment, by our id alone if need be; nothing is set in motion."""
        ...

    async def cancel_payment(self, payment: Sought) -> Answer:
        """Make sure that it can no longer be paid, its page included; what is paid stays paid."""
        ...

    # Refunds, disputes.

    async def refund(self, order: RefundOrder) -> RefundAnswer: ...

    async def find_refund(self, order: RefundOrder) -> RefundAnswer: ...

    async def read_refund(self, ref: str) -> RefundFact: ...

    async def read_dispute(self, ref: str) -> DisputeFact: ...

    # Subscriptions. They are billed to the customer's default method; each act says how the
    # subscription is after it, and done again it changes nothing. None raises.

    async def start_subscription(
        self, sought: SubscriptionSought, price: Price, way: PaymentWay
    ) -> SubscriptionAnswer:
        """Start it and pay the first fee; the same id again gives the one there is."""
        ...

    async def change_subscription(
        self, sought: SubscriptionSought, price: Price, way: PaymentWay | None
    ) -> SubscriptionAnswer:
        """Bill another price: with a `way` at once, paying the difference for what is left of the
        period; without one from the next period on. A difference that is declined changes nothing.
        """
        ...

    async def pay_subscription(
        self, sought: SubscriptionSought, way: PaymentWay
    ) -> SubscriptionAnswer:
        """Try to pay the fee that is open, with the customer there."""
        ...

    async def stop_subscription(
        self, sought: SubscriptionSought, stopping: Stopping
    ) -> SubscriptionAnswer: ...

    async def find_subscription(self, sought: SubscriptionSought) -> SubscriptionAnswer: ...

    # Books and events.

    def movements(self, since: datetime, until: datetime) -> AsyncIterator[Movement]:
        """Stream what moved money in `[since, until)`, newest first."""
        ...

    def events(self, since: datetime) -> AsyncIterator[RawEvent]:
        """Stream events that are not older than `since`, newest first, delivered or not."""
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> RawEvent:
        """Read a webhook. Raises WebhookSignatureInvalid when it is not the processor's own, or
        too old; headers have lower-case names."""
        ...

    def understand(self, event: RawEvent) -> Happening:
        """Say what an event is about. Its details are asked for anew: they may have changed."""
        ...


@dataclass(frozen=True, slots=True)
class Processors:
    """Who takes the money: one for live balances, one for those of test mode."""

    all: tuple[Processor, ...] = field(default=())

    def serving(self, *, livemode: bool) -> Processor:
        """Raises PaymentsNotConfigured."""
        for processor in self.all:
            if processor.livemode == livemode:
                return processor
        mode = "live" if livemode else "test"
        raise PaymentsNotConfigured(f"No payment processor is configured for {mode} balances")

    def named(self, name: str, *, livemode: bool) -> Processor:
        """Return the one that a payment was begun with. Raises PaymentsNotConfigured."""
        for processor in self.all:
            if (processor.name, processor.livemode) == (name, livemode):
                return processor
        raise PaymentsNotConfigured(f"The payment processor {name} is no longer configured")
