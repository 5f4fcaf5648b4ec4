"""One believable event of each type, for the test button and the reference page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from tollkeeper.base.money import NANOS_PER_UNIT, Money
from tollkeeper.notifications import events
from tollkeeper.notifications.events import Event, EventType

_SOME: Final = "0193f5e7a4007cc08e1b746f6c6c6b65"
_PURCHASE: Final = f"pur_{_SOME}"
_NOON: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_LATER: Final = datetime(2026, 12, 1, tzinfo=UTC)


def _dollars(whole: int) -> Money:
    return Money(whole * NANOS_PER_UNIT)


_ALL: Final[list[Event]] = [
    events.CreditPurchased(
        purchase_id=_PURCHASE,
        amount=_dollars(25),
        total=Money(26_250_000_000),
        currency="USD",
        balance=_dollars(29),
    ),
    events.CreditPurchaseFailed(
        purchase_id=_PURCHASE,
        amount=_dollars(25),
        currency="USD",
        reason="card_declined",
        message="The card was declined.",
    ),
    events.CreditRefunded(
        purchase_id=_PURCHASE, refund_id=f"ref_{_SOME}", amount=_dollars(10), currency="USD"
    ),
    events.CreditExpiring(
        lot_id=f"lot_{_SOME}", amount=_dollars(3), currency="USD", expires_at=_LATER
    ),
    events.CreditBalanceLow(
        wallet_id=f"wal_{_SOME}",
        available=Money(4_998_120_000),
        threshold=_dollars(5),
        currency="USD",
    ),
    events.CreditBalanceDepleted(wallet_id=f"wal_{_SOME}", available=_dollars(0), currency="USD"),
    events.CreditAutoRechargeTriggered(
        purchase_id=_PURCHASE,
        amount=_dollars(25),
        threshold=_dollars(5),
        available=Money(4_998_120_000),
        currency="USD",
    ),
    events.CreditAutoRechargeActionRequired(
        purchase_id=_PURCHASE,
        amount=_dollars(25),
        currency="USD",
        action_url="https://billing.example.com/confirm/7f3a",
        expires_at=_LATER,
    ),
    events.CreditAutoRechargeSuspended(
        reason="card_declined", message="The card was declined.", failures=3
    ),
    events.UsageLimitReached(
        limit_id=f"bud_{_SOME}",
        limit_name="Research",
        percent=80,
        spent=_dollars(80),
        limit=_dollars(100),
        currency="USD",
        resets_at=_LATER,
    ),
    events.UsageSpike(
        spent=_dollars(42), usual=_dollars(3), currency="USD", start=_NOON, end=_LATER
    ),
    events.AllowanceExhausted(allowance="1,000 free calls", period_end=_LATER),
    events.DisputeOpened(
        dispute_id=f"dis_{_SOME}",
        purchase_id=_PURCHASE,
        amount=_dollars(25),
        currency="USD",
        reason="fraudulent",
    ),
    events.PaymentMethodExpiring(
        payment_method_id=f"met_{_SOME}", brand="visa", last4="4242", exp_month=11, exp_year=2026
    ),
    events.WebhookEndpointDisabled(
        webhook_id=f"whk_{_SOME}",
        url="https://example.com/hooks",
        failing_since=_NOON,
        failure="answered 500",
    ),
]

EXAMPLES: Final[dict[EventType, Event]] = {event.type: event for event in _ALL}
