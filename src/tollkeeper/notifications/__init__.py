"""What organizations are told: in a list, by mail, and by webhooks."""

from tollkeeper.notifications.balances.crossing import Balance, Told, cross, note_balance
from tollkeeper.notifications.delivery import Courier
from tollkeeper.notifications.endpoints.routes import webhook_routes
from tollkeeper.notifications.endpoints.store import failing_endpoints
from tollkeeper.notifications.errors import TooManyWebhooks, WebhookDisabled, WebhookNotFound
from tollkeeper.notifications.events import (
    CATALOGUE,
    AllowanceExhausted,
    CreditAutoRechargeActionRequired,
    CreditAutoRechargeSuspended,
    CreditAutoRechargeTriggered,
    CreditBalanceDepleted,
    CreditBalanceLow,
    CreditExpiring,
    CreditPurchased,
    CreditPurchaseFailed,
    CreditRefunded,
    DisputeOpened,
    Event,
    EventType,
    PaymentMethodExpiring,
    Severity,
    UsageLimitReached,
    UsageSpike,
    WebhookEndpointDisabled,
)
from tollkeeper.notifications.handlers import notification_handlers
from tollkeeper.notifications.mail import Mailer, MailServer, SmtpMailer
from tollkeeper.notifications.outbox import notify
from tollkeeper.notifications.routes import notice_routes
from tollkeeper.notifications.store import list_notices

__all__ = [
    "CATALOGUE",
    "AllowanceExhausted",
    "Balance",
    "Courier",
    "CreditAutoRechargeActionRequired",
    "CreditAutoRechargeSuspended",
    "CreditAutoRechargeTriggered",
    "CreditBalanceDepleted",
    "CreditBalanceLow",
    "CreditExpiring",
    "CreditPurchaseFailed",
    "CreditPurchased",
    "CreditRefunded",
    "DisputeOpened",
    "Event",
    "EventType",
    "MailServer",
    "Mailer",
    "PaymentMethodExpiring",
    "Severity",
    "SmtpMailer",
    "Told",
    "TooManyWebhooks",
    "UsageLimitReached",
    "UsageSpike",
    "WebhookDisabled",
    "WebhookEndpointDisabled",
    "WebhookNotFound",
    "cross",
    "failing_endpoints",
    "list_notices",
    "note_balance",
    "notice_routes",
    "notification_handlers",
    "notify",
    "webhook_routes",
]
