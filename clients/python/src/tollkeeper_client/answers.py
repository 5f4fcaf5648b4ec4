"""What Tollkeeper answers. Money is a Decimal, exact to the nano."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """`next_cursor` asks for what comes after; None on the last page."""

    data: list[T]
    next_cursor: str | None


@dataclass(frozen=True)
class AutoTopUpBrief:
    enabled: bool
    threshold: Decimal | None


@dataclass(frozen=True)
class Balance:
    """Amounts are of `consumption_currency`; `balances` are what is owned in each, None where
    there is no balance in a currency."""

    can_consume: bool
    consumption_currency: str
    balances: dict[str, Decimal | None]
    available: Decimal
    held: Decimal
    posted: Decimal
    low_balance: bool
    lifetime_added: Decimal
    lifetime_spent: Decimal
    auto_top_up: AutoTopUpBrief


@dataclass(frozen=True)
class Quote:
    credit: Decimal
    fee: Decimal
    tax: Decimal
    total: Decimal
    currency: str


@dataclass(frozen=True)
class Purchase:
    """`amount` is the credit, `total` what is paid; at `action_url` the customer goes on."""

    id: str
    status: str
    type: str
    amount: Decimal
    fee: Decimal
    tax: Decimal
    total: Decimal
    currency: str
    balance_after: Decimal | None
    livemode: bool
    created_at: datetime
    succeeded_at: datetime | None
    payment_method_id: str | None
    action_url: str | None
    client_secret: str | None
    expires_at: datetime | None
    failure_code: str | None
    failure_message: str | None


@dataclass(frozen=True)
class TopUpFailure:
    code: str
    at: datetime


@dataclass(frozen=True)
class AutoTopUp:
    enabled: bool
    state: str
    threshold: Decimal
    amount: Decimal | None
    target_balance: Decimal | None
    monthly_cap: Decimal
    bought_this_month: Decimal
    currency: str
    payment_method_id: str | None
    suspended_reason: str | None
    retry_at: datetime | None
    last_failure: TopUpFailure | None
    consent: str


@dataclass(frozen=True)
class PaymentMethod:
    id: str
    type: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    expired: bool
    is_default: bool
    created_at: datetime


@dataclass(frozen=True)
class UsageRecord:
    """One call. `timestamp` is when it was made, `recorded_at` when it was charged."""

    id: str
    timestamp: datetime
    recorded_at: datetime
    operation: str | None
    input: str | None
    project_id: str | None
    thread_id: str | None
    cost: Decimal
    currency: str
    balance_after: Decimal
    status: int
    duration_ms: int | None
    key_id: str | None
    provider: str | None
    model: str | None
    source: str
    request_id: str | None
    end_user: str | None
    tags: dict[str, str] | None
    late: bool
    error: str | None


@dataclass(frozen=True)
class Transaction:
    id: str
    timestamp: datetime
    type: str
    amount: Decimal
    currency: str
    balance_after: Decimal
    purchase_id: str | None
    description: str | None


@dataclass(frozen=True)
class EstimateLine:
    """`amount` for `quantity` of `unit` at `price` for every `per`."""

    sku: str
    unit: str
    quantity: Decimal
    price: Decimal
    per: int
    amount: Decimal


@dataclass(frozen=True)
class Estimate:
    cost: Decimal
    currency: str
    lines: list[EstimateLine]


@dataclass(frozen=True)
class Hold:
    """`amount` is of `currency`, that of the balance it is held in."""

    id: str
    amount: Decimal
    currency: str
    expires_at: datetime


@dataclass(frozen=True)
class Receipt:
    """`balance` is what was left right after. `late`: the hold had ended before."""

    cost: Decimal
    currency: str
    balance: Decimal
    usage_id: str
    late: bool = False


@dataclass(frozen=True)
class Voided:
    """`state` says how the hold ended: `voided`, or before that `settled` or `expired`."""

    id: str
    state: str


@dataclass(frozen=True)
class EventResult:
    id: str | None
    status: str
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class EventsTaken:
    """One result for each event, in the order they were sent."""

    accepted: int
    duplicate: int
    rejected: int
    results: list[EventResult]


@dataclass(frozen=True)
class Message:
    """A verified webhook. `id` is the same on every try: keep it to take each message once."""

    id: str
    type: str
    timestamp: datetime
    organization_id: str
    livemode: bool
    data: dict[str, Any]
