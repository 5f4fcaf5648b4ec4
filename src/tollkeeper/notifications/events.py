"""Everything customers are told of: what it is called, what it carries, and how it is said.

The reference page, the API's document, mails, webhooks and the list of notices come from here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from tollkeeper.base.money import NANOS_PER_UNIT, Money, NumberText, parse_nanos, say_nanos
from tollkeeper.http import encode_json

_COUNTED: Final = ("tokens", "requests")


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class EventType(StrEnum):
    CREDIT_PURCHASED = "credit_purchased"
    CREDIT_PURCHASE_FAILED = "credit_purchase_failed"
    CREDIT_REFUNDED = "credit_refunded"
    CREDIT_EXPIRING = "credit_expiring"
    CREDIT_BALANCE_LOW = "credit_balance_low"
    CREDIT_BALANCE_DEPLETED = "credit_balance_depleted"
    CREDIT_AUTO_RECHARGE_TRIGGERED = "credit_auto_recharge_triggered"
    CREDIT_AUTO_RECHARGE_ACTION_REQUIRED = "credit_auto_recharge_action_required"
    CREDIT_AUTO_RECHARGE_SUSPENDED = "credit_auto_recharge_suspended"
    USAGE_LIMIT_REACHED = "usage_limit_reached"
    USAGE_SPIKE = "usage_spike"
    ALLOWANCE_EXHAUSTED = "allowance_exhausted"
    DISPUTE_OPENED = "dispute_opened"
    PAYMENT_METHOD_EXPIRING = "payment_method_expiring"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint_disabled"


class Event(Struct, frozen=True, kw_only=True, rename="camel"):
    """What happened. A subclass's docstring says when; its fields are the event's `data`."""

    type: ClassVar[EventType]
    severity: ClassVar[Severity] = Severity.INFO
    title: ClassVar[str]

    def sentence(self) -> str:
        """Say it to a person, in one sentence."""
        return self.title


class CreditPurchased(Event, frozen=True):
    """Credit was bought, by hand or by auto top-up, and is in the balance."""

    type: ClassVar = EventType.CREDIT_PURCHASED
    title: ClassVar = "Credit purchased"
    purchase_id: str
    amount: Money
    total: Money
    currency: str
    balance: Money

    def sentence(self) -> str:
        credit, balance = say(self.amount, self.currency), say(self.balance, self.currency)
        return f"{credit} of credit was added; the balance is now {balance}."


class CreditPurchaseFailed(Event, frozen=True):
    """A payment for credit failed. `reason` is a stable code, `message` says it in words."""

    type: ClassVar = EventType.CREDIT_PURCHASE_FAILED
    severity: ClassVar = Severity.WARNING
    title: ClassVar = "Payment failed"
    purchase_id: str
    amount: Money
    currency: str
    reason: str
    message: str

    def sentence(self) -> str:
        return f"The payment for {say(self.amount, self.currency)} of credit failed: {self.message}"


class CreditRefunded(Event, frozen=True):
    """A purchase was refunded, whole or in part, and its credit taken back."""

    type: ClassVar = EventType.CREDIT_REFUNDED
    title: ClassVar = "Purchase refunded"
    purchase_id: str
    refund_id: str
    amount: Money
    currency: str

    def sentence(self) -> str:
        return f"{say(self.amount, self.currency)} was refunded and taken off the balance."


class CreditExpiring(Event, frozen=True):
    """Credit is about to expire unspent."""

    type: ClassVar = EventType.CREDIT_EXPIRING
    severity: ClassVar = Severity.WARNING
    title: ClassVar = "Credit expires soon"
    lot_id: str
    amount: Money
    currency: str
    expires_at: datetime

    def sentence(self) -> str:
        return f"{say(self.amount, self.currency)} of credit expires on {day(self.expires_at)}."


class CreditBalanceLow(Event, frozen=True):
    """The available balance fell to the threshold. Once per crossing: it is armed again when the
    balance has risen clearly above."""

    type: ClassVar = EventType.CREDIT_BALANCE_LOW
    severity: ClassVar = Severity.WARNING
    title: ClassVar = "Credit is running low"
    wallet_id: str
    available: Money
    threshold: Money
    currency: str

    def sentence(self) -> str:
        return f"{say(self.available, self.currency)} of credit is left."


class CreditBalanceDepleted(Event, frozen=True):
    """Nothing is left to spend; calls are refused with 402. Once per crossing."""

    type: ClassVar = EventType.CREDIT_BALANCE_DEPLETED
    severity: ClassVar = Severity.CRITICAL
    title: ClassVar = "Credit is used up"
    wallet_id: str
    available: Money
    currency: str

    def sentence(self) -> str:
        left = say(self.available, self.currency)
        return f"The credit is used up (available: {left}), and calls are refused."


class CreditAutoRechargeTriggered(Event, frozen=True):
    """The balance fell below the threshold, and auto top-up bought credit."""

    type: ClassVar = EventType.CREDIT_AUTO_RECHARGE_TRIGGERED
    title: ClassVar = "Auto top-up"
    purchase_id: str
    amount: Money
    threshold: Money
    available: Money
    currency: str

    def sentence(self) -> str:
        amount, threshold = say(self.amount, self.currency), say(self.threshold, self.currency)
        return f"The balance fell below {threshold}, so {amount} of credit was bought."


class CreditAutoRechargeActionRequired(Event, frozen=True):
    """The bank wants the cardholder's consent for an auto top-up; the link is for that."""

    type: ClassVar = EventType.CREDIT_AUTO_RECHARGE_ACTION_REQUIRED
    severity: ClassVar = Severity.CRITICAL
    title: ClassVar = "Your bank asks for your consent"
    purchase_id: str
    amount: Money
    currency: str
    action_url: str
    expires_at: datetime

    def sentence(self) -> str:
        amount, until = say(self.amount, self.currency), moment(self.expires_at)
        return (
            f"The bank wants consent to the auto top-up of {amount}. Give it before {until}:"
            f" {self.action_url}"
        )


class CreditAutoRechargeSuspended(Event, frozen=True):
    """Auto top-up failed several times, or a payment was disputed, and it has stopped until it is
    saved again or has another payment method. `reason` is a stable code."""

    type: ClassVar = EventType.CREDIT_AUTO_RECHARGE_SUSPENDED
    severity: ClassVar = Severity.CRITICAL
    title: ClassVar = "Auto top-up is suspended"
    reason: str
    message: str
    failures: int

    def sentence(self) -> str:
        if not self.failures:
            return f"Auto top-up is suspended: {self.message}"
        times = "once" if self.failures == 1 else f"{self.failures} times"
        return f"Auto top-up failed {times} and is suspended: {self.message}"


class UsageLimitReached(Event, frozen=True):
    """Usage reached a share of a limit, such as 80 or 100 percent of a budget's amount. `currency`
    is `tokens` or `requests` where these are limited; `subject` is whose share it is where each
    has one."""

    type: ClassVar = EventType.USAGE_LIMIT_REACHED
    severity: ClassVar = Severity.WARNING
    title: ClassVar = "Spending limit reached"
    limit_id: str
    limit_name: str
    percent: int
    spent: Money
    limit: Money
    currency: str
    subject: str | None = None
    resets_at: datetime | None = None

    def sentence(self) -> str:
        if self.currency in _COUNTED:
            spent, limit = _count(self.spent), f"{_count(self.limit)} {self.currency}"
        else:
            spent, limit = say(self.spent, self.currency), say(self.limit, self.currency)
        whose = f" for {self.subject}" if self.subject else ""
        return f"{self.percent} % of “{self.limit_name}”{whose} is spent: {spent} of {limit}."


class UsageSpike(Event, frozen=True):
    """Spending is far above what is usual."""

    type: ClassVar = EventType.USAGE_SPIKE
    severity: ClassVar = Severity.WARNING
    title: ClassVar = "Unusual spending"
    spent: Money
    usual: Money
    currency: str
    start: datetime
    end: datetime

    def sentence(self) -> str:
        spent, usual = say(self.spent, self.currency), say(self.usual, self.currency)
        return f"{spent} was spent since {moment(self.start)}, where {usual} is usual."


class AllowanceExhausted(Event, frozen=True):
    """What a plan includes is used up for this period."""

    type: ClassVar = EventType.ALLOWANCE_EXHAUSTED
    severity: ClassVar = Severity.WARNING
    title: ClassVar = "Allowance used up"
    allowance: str
    period_end: datetime

    def sentence(self) -> str:
        return f"The allowance “{self.allowance}” is used up until {day(self.period_end)}."


class DisputeOpened(Event, frozen=True):
    """A cardholder disputes a payment with the bank. `reason` is the processor's code."""

    type: ClassVar = EventType.DISPUTE_OPENED
    severity: ClassVar = Severity.CRITICAL
    title: ClassVar = "A payment is disputed"
    dispute_id: str
    purchase_id: str
    amount: Money
    currency: str
    reason: str

    def sentence(self) -> str:
        return f"The payment of {say(self.amount, self.currency)} is disputed ({self.reason})."


class PaymentMethodExpiring(Event, frozen=True):
    """A card is good to the end of this month and no longer. Told on the 1st and the 15th."""

    type: ClassVar = EventType.PAYMENT_METHOD_EXPIRING
    severity: ClassVar = Severity.WARNING
    title: ClassVar = "A card expires"
    payment_method_id: str
    brand: str | None
    last4: str | None
    exp_month: int
    exp_year: int

    def sentence(self) -> str:
        card = f"{(self.brand or 'card').capitalize()} ending in {self.last4 or '????'}"
        return f"The {card} expires at the end of {self.exp_month:02}/{self.exp_year}; add another."


class WebhookEndpointDisabled(Event, frozen=True):
    """Deliveries to a webhook endpoint failed for days, or it answered 410; it is switched off."""

    type: ClassVar = EventType.WEBHOOK_ENDPOINT_DISABLED
    severity: ClassVar = Severity.WARNING
    title: ClassVar = "A webhook is switched off"
    webhook_id: str
    url: str
    failing_since: datetime
    failure: str

    def sentence(self) -> str:
        since = moment(self.failing_since)
        return f"The webhook {self.url} has failed since {since} and is switched off."


CATALOGUE: Final[dict[EventType, type[Event]]] = {
    kind.type: kind for kind in Event.__subclasses__()
}


def encode_data(event: Event) -> str:
    return encode_json(event).decode()


def decode_data(type_: EventType, data: str) -> Event:
    """Read an event back from what `encode_data` wrote."""
    return msgspec.json.Decoder(
        CATALOGUE[type_], dec_hook=_read_money, float_hook=NumberText
    ).decode(data)


def _read_money(type_: type, value: object) -> object:
    if type_ is not Money:
        raise RuntimeError(f"{type_.__name__} is not read from JSON")
    return Money(parse_nanos(str(value)))


def say(amount: Money, currency: str) -> str:
    """Write an amount for people; its digits are in the event's data."""
    return say_nanos(amount.nanos, currency)


def _count(amount: Money) -> str:
    return f"{amount.nanos // NANOS_PER_UNIT:,}"


def day(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d}"


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
