"""The sandbox's webhooks: signed as Stripe signs, so that what verifies them is put to the test."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from tollkeeper.base.ids import read_id
from tollkeeper.payments.errors import WebhookSignatureInvalid
from tollkeeper.payments.processors import (
    DisputeTouched,
    Happening,
    MethodsTouched,
    NotUnderstood,
    PaymentTouched,
    RawEvent,
    RefundTouched,
    SubscriptionTouched,
)

HEADER: Final = "tollkeeper-sandbox-signature"
_TOLERANCE: Final = timedelta(minutes=5)


class _Event(msgspec.Struct):
    id: str
    type: str
    created: datetime
    about: dict[str, str]


def sign(body: bytes, secret: str, now: datetime) -> str:
    at = int(now.timestamp())
    return f"t={at},v1={_mac(body, secret, at)}"


def _mac(body: bytes, secret: str, at: int) -> str:
    return hmac.digest(secret.encode(), b"%d." % at + body, "sha256").hex()


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> RawEvent:
    parts: dict[str, str] = {}
    for part in headers.get(HEADER, "").split(","):
        name, _, value = part.partition("=")
        parts[name] = value
    try:
        at = int(parts.get("t", ""))
        signed_at = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        raise WebhookSignatureInvalid(f"{HEADER} is missing, or not of the form t=…,v1=…") from None
    if not hmac.compare_digest(parts.get("v1", "").encode(), _mac(body, secret, at).encode()):
        raise WebhookSignatureInvalid(f"{HEADER} does not sign this body with our secret")
    if abs(now - signed_at) > _TOLERANCE:
        raise WebhookSignatureInvalid(f"{HEADER} is older than {_TOLERANCE}, or from the future")
    return raw_event(body)


def raw_event(body: bytes) -> RawEvent:
    try:
        event = msgspec.json.decode(body, type=_Event)
    except msgspec.DecodeError as fault:
        raise WebhookSignatureInvalid(f"This is signed, but no event: {fault}") from None
    return RawEvent(
        processor="sandbox",
        event_id=event.id,
        type=event.type,
        created_at=event.created,
        body=body,
    )


def understand(raw: RawEvent) -> Happening:
    about = msgspec.json.decode(raw.body, type=_Event).about
    match raw.type.split(".")[0]:
        case "payment" | "page":
            return PaymentTouched(
                ref=about["payment"],
                org_id=read_id("org", about["org_id"]),
                payment_id=read_id("pay", about["payment_id"]),
            )
        case "refund":
            return RefundTouched(ref=about["refund"])
        case "dispute":
            return DisputeTouched(ref=about["dispute"])
        case "method":
            return MethodsTouched(customer_ref=about["customer"])
        case "subscription":
            return SubscriptionTouched(ref=about["subscription"], org_id=None, subscription_id=None)
        case _:
            return NotUnderstood()
