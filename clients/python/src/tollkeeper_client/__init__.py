"""Tollkeeper's Python client: `Tollkeeper`, `AsyncTollkeeper`, and what they answer and raise."""

from tollkeeper_client import error_codes
from tollkeeper_client.answers import (
    AutoTopUp,
    Balance,
    Estimate,
    EventsTaken,
    Hold,
    Message,
    Page,
    PaymentMethod,
    Purchase,
    Quote,
    Receipt,
    Transaction,
    UsageRecord,
    Voided,
)
from tollkeeper_client.asgi import TollMiddleware
from tollkeeper_client.asking import Event
from tollkeeper_client.charging import Charge
from tollkeeper_client.client_async import AsyncTollkeeper
from tollkeeper_client.client_sync import Tollkeeper
from tollkeeper_client.errors import (
    AlreadyCharged,
    Conflict,
    ConnectionFailed,
    Forbidden,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
    ModelNotPriced,
    NotFound,
    PaymentMethodDeclined,
    PaymentRequired,
    PurchaseInProgress,
    RateLimited,
    TollkeeperError,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    WalletFrozen,
)
from tollkeeper_client.tolling import Toll
from tollkeeper_client.webhooks import WebhookNotVerified, verify_webhook
from tollkeeper_client.wsgi import TollWsgiMiddleware

__all__ = [
    "AlreadyCharged",
    "AsyncTollkeeper",
    "AutoTopUp",
    "Balance",
    "Charge",
    "Conflict",
    "ConnectionFailed",
    "Estimate",
    "Event",
    "EventsTaken",
    "Forbidden",
    "Hold",
    "IdempotencyKeyReused",
    "InsufficientCredits",
    "InvalidRequest",
    "Message",
    "ModelNotPriced",
    "NotFound",
    "Page",
    "PaymentMethod",
    "PaymentMethodDeclined",
    "PaymentRequired",
    "Purchase",
    "PurchaseInProgress",
    "Quote",
    "RateLimited",
    "Receipt",
    "Toll",
    "TollMiddleware",
    "TollWsgiMiddleware",
    "Tollkeeper",
    "TollkeeperError",
    "Transaction",
    "Unauthenticated",
    "Unavailable",
    "Unprocessable",
    "UsageRecord",
    "Voided",
    "WalletFrozen",
    "WebhookNotVerified",
    "error_codes",
    "verify_webhook",
]
