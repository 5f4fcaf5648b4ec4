"""What organizations are told: in a list, by mail, and by webhooks."""

from tollkeeper.notifications.balances.crossing import Balance, Told, cross, note_balance
from tollkeeper.notifications.delivery import Courier
from tollkeeper.notifications.endpoints.acts import (
    change_endpoint,
    create_endpoint,
    delete_endpoint,
    get_delivery,
    get_endpoint,
    make_secret,
    redeliver,
    rotate_secret,
    send_test,
)
from tollkeeper.notifications.endpoints.routes import webhook_routes
from tollkeeper.notifications.endpoints.store import failing_endpoints, list_endpoints
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
from tollkeeper.notifications.mail import Mailer, MailServer, SmtpMailer, mailer_of, write_address
from tollkeeper.notifications.model import Delivery, DeliveryState, Endpoint, Notice, Recipient
from tollkeeper.notifications.outbox import notify
from tollkeeper.notifications.routes import notice_routes
from tollkeeper.notifications.shapes import CreateWebhook
from tollkeeper.notifications.store import choose as choose_mail
from tollkeeper.notifications.store import (
    count_unread,
    list_deliveries,
    list_notices,
    recipients,
)
from tollkeeper.notifications.store import mark_read as mark_notices

__all__ = [
    "CATALOGUE",
    "AllowanceExhausted",
    "Balance",
    "Courier",
    "CreateWebhook",
    "CreditAutoRechargeActionRequired",
    "CreditAutoRechargeSuspended",
    "CreditAutoRechargeTriggered",
    "CreditBalanceDepleted",
    "CreditBalanceLow",
    "CreditExpiring",
    "CreditPurchaseFailed",
    "CreditPurchased",
    "CreditRefunded",
    "Delivery",
    "DeliveryState",
    "DisputeOpened",
    "Endpoint",
    "Event",
    "EventType",
    "MailServer",
    "Mailer",
    "Notice",
    "PaymentMethodExpiring",
    "Recipient",
    "Severity",
    "SmtpMailer",
    "Told",
    "TooManyWebhooks",
    "UsageLimitReached",
    "UsageSpike",
    "WebhookDisabled",
    "WebhookEndpointDisabled",
    "WebhookNotFound",
    "change_endpoint",
    "choose_mail",
    "count_unread",
    "create_endpoint",
    "cross",
    "delete_endpoint",
    "failing_endpoints",
    "get_delivery",
    "get_endpoint",
    "list_deliveries",
    "list_endpoints",
    "list_notices",
    "mailer_of",
    "make_secret",
    "mark_notices",
    "note_balance",
    "notice_routes",
    "notification_handlers",
    "notify",
    "recipients",
    "redeliver",
    "rotate_secret",
    "send_test",
    "webhook_routes",
    "write_address",
]
