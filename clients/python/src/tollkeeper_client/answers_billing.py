"""What Tollkeeper answers of credit, invoices and who is billed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tollkeeper_client.answers import PaymentMethod


@dataclass(frozen=True)
class Entry:
    """One movement of the balance; `seq` counts them without gaps."""

    id: str
    seq: int
    timestamp: datetime
    kind: str
    amount: Decimal
    balance_after: Decimal
    currency: str
    lot_id: str | None
    reason: str | None


@dataclass(frozen=True)
class Lot:
    """Credit that arrived together, and what is left of it."""

    id: str
    kind: str
    label: str | None
    granted: Decimal
    drawn: Decimal
    expired: Decimal
    taken_back: Decimal
    left: Decimal
    currency: str
    priority: int
    arrived_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class Invoice:
    id: str
    number: str
    type: str
    purchase_id: str | None
    corrects_id: str | None
    corrects_number: str | None
    issued_at: datetime
    currency: str
    net: Decimal
    tax: Decimal
    total: Decimal
    livemode: bool


@dataclass(frozen=True)
class Party:
    name: str
    address: list[str]
    country: str | None
    tax_ids: list[str]
    email: str | None


@dataclass(frozen=True)
class InvoiceLine:
    description: str
    detail: str | None
    net: Decimal


@dataclass(frozen=True)
class InvoiceTax:
    label: str
    rate_percent: str
    base: Decimal
    tax: Decimal
    reverse_charge: bool
    note: str | None


@dataclass(frozen=True)
class PaidBy:
    method: str | None
    last4: str | None
    at: datetime


@dataclass(frozen=True)
class InvoiceInFull(Invoice):
    language: str
    seller: Party
    buyer: Party
    lines: list[InvoiceLine]
    taxes: list[InvoiceTax]
    paid_by: PaidBy | None
    reason: str | None
    footer: str | None


@dataclass(frozen=True)
class Movement:
    kind: str
    amount: Decimal
    timestamp: datetime
    description: str | None


@dataclass(frozen=True)
class SkuCost:
    sku: str | None
    unit: str | None
    quantity: Decimal | None
    amount: Decimal


@dataclass(frozen=True)
class Statement:
    """`opening` and all that moved add up to `closing`, to the nano."""

    month: str
    start: datetime
    end: datetime
    complete: bool
    currency: str
    livemode: bool
    opening: Decimal
    purchases: Decimal
    refunds: Decimal
    other: Decimal
    consumption: Decimal
    closing: Decimal
    movements: list[Movement]
    consumption_by_sku: list[SkuCost]


@dataclass(frozen=True)
class Profile:
    name: str
    kind: str
    address: dict[str, str]
    tax_ids: list[dict[str, str]]
    emails: list[str]
    updated_at: datetime


@dataclass(frozen=True)
class PaymentMethodSetup:
    """A method on its way to be one: at `action_url` the customer goes on."""

    id: str
    status: str
    action_url: str | None = None
    client_secret: str | None = None
    expires_at: datetime | None = None
    payment_method: PaymentMethod | None = None


@dataclass(frozen=True)
class PurchaseOptions:
    currency: str
    minimum: Decimal
    maximum: Decimal
    presets: list[Decimal]
    processor: str | None
    publishable_key: str | None


@dataclass(frozen=True)
class PortalSession:
    url: str
