"""Stripe's events: whether one is Stripe's own, and what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, cast

import msgspec
import stripe

from tollkeeper.payments.errors import WebhookSignatureInvalid
from tollkeeper.payments.processors import (
    DisputeTouched,
    Happening,
    Irrelevant,
    MethodsTouched,
    NotUnderstood,
    PaymentTouched,
    RawEvent,
    RefundTouched,
    SubscriptionTouched,
)
from tollkeeper.payments.processors.stripe.shapes import ORG, PAYMENT, SUBSCRIPTION, id_in, moment

HEADER: Final = "stripe-signature"
# As long as Stripe's own libraries allow: long enough for clocks that differ.
TOLERANCE: Final = timedelta(minutes=5)

# What an endpoint at Stripe is to be subscribed to, and what is asked for where it is not.
_TYPES_OF_PAYMENTS: Final = (
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "payment_method.attached",
    "payment_method.detached",
    "payment_method.updated",
    "payment_method.automatically_updated",
    "customer.updated",
)
_TYPES_OF_SUBSCRIPTIONS: Final = (
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
)
# Stripe takes at most twenty in one question.
TYPES_ASKED: Final = (_TYPES_OF_PAYMENTS, _TYPES_OF_SUBSCRIPTIONS)
TYPES: Final = (*_TYPES_OF_PAYMENTS, *_TYPES_OF_SUBSCRIPTIONS)
# They say again, of a charge, what its payment, refund or dispute says.
_KNOWN_ELSEWHERE: Final = (
    "charge.",
    "setup_intent.",
    "payment_intent.",
    "customer.",
    "balance.",
    "invoice.",
    "invoice_payment.",
    "invoiceitem.",
    "price.",
    "product.",
)


class _Data(msgspec.Struct):
    object: dict[str, Any]
    previous_attributes: dict[str, Any] | None = None


class _Event(msgspec.Struct):
    id: str
    type: str
    created: int
    livemode: bool
    data: _Data


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> RawEvent:
    given = headers.get(HEADER)
    try:
        stripe.WebhookSignature.verify_header(body, given, secret)  # pyright: ignore[reportUnknownMemberType] (half typed there)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        raise WebhookSignatureInvalid(f"{HEADER} does not sign this body with our secret") from None
    if abs(now - moment(_signed_at(given or ""))) > TOLERANCE:
        raise WebhookSignatureInvalid(f"{HEADER} is older than {TOLERANCE}, or from the future")
    return raw_event(body)


def _signed_at(header: str) -> int:
    # The SDK has read it already: the signature covers it, so it is a number.
    return next(int(part[2:]) for part in header.split(",") if part.startswith("t="))


class _Head(msgspec.Struct):
    """What every event has, whatever it is about."""

    id: str
    type: str
    created: int | str = 0


def raw_event(body: bytes) -> RawEvent:
    try:
        head = msgspec.json.decode(body, type=_Head)
    except msgspec.DecodeError as fault:
        raise WebhookSignatureInvalid(f"This is signed, but no event: {fault}") from None
    created = head.created if isinstance(head.created, int) else 0  # v2 events write it as text
    return RawEvent(
        processor="stripe",
        event_id=head.id,
        type=head.type,
        created_at=moment(created),
        body=body,
    )


def understand(raw: RawEvent, *, livemode: bool) -> Happening:
    if raw.type not in TYPES:
        known = raw.type.startswith(_KNOWN_ELSEWHERE)
        return Irrelevant() if known else NotUnderstood()
    try:
        event = msgspec.json.decode(raw.body, type=_Event)
    except msgspec.DecodeError:
        return NotUnderstood()
    if event.livemode != livemode:
        return Irrelevant()
    if event.type in _TYPES_OF_SUBSCRIPTIONS:
        return _about_subscription(event.data.object)
    return _about(event)


def _about(event: _Event) -> Happening:
    thing = event.data.object
    metadata = cast("Mapping[str, str] | None", thing.get("metadata"))
    ref = str(thing.get("id"))
    match event.type.split(".")[0]:
        case "payment_intent":
            return PaymentTouched(
                ref=ref, org_id=id_in(metadata, ORG), payment_id=id_in(metadata, PAYMENT)
            )
        case "checkout" if thing.get("mode") == "payment":
            return PaymentTouched(
                ref=thing.get("payment_intent"),
                page_ref=ref,
                org_id=id_in(metadata, ORG),
                payment_id=id_in(metadata, PAYMENT),
            )
        case "refund":
            return RefundTouched(ref=ref)
        case "charge":
            return DisputeTouched(ref=ref)
        case "customer":
            return MethodsTouched(customer_ref=ref)
        case _:
            return _about_methods(event, thing)


def _about_subscription(thing: Mapping[str, Any]) -> Happening:
    """What an event about a subscription, or about an invoice of one, says of it."""
    ref, metadata = thing.get("id"), thing.get("metadata")
    if thing.get("object") == "invoice":
        parent = cast("Mapping[str, Any]", thing.get("parent") or {})
        details = cast("Mapping[str, Any]", parent.get("subscription_details") or {})
        ref, metadata = details.get("subscription"), details.get("metadata")
    if not isinstance(ref, str):
        return Irrelevant()
    said = cast("Mapping[str, str] | None", metadata)
    return SubscriptionTouched(
        ref=ref, org_id=id_in(said, ORG), subscription_id=id_in(said, SUBSCRIPTION)
    )


def _about_methods(event: _Event, thing: Mapping[str, Any]) -> Happening:
    # A method that was detached has no customer any more; the event says whose it was.
    before = (event.data.previous_attributes or {}).get("customer")
    customer = thing.get("customer") or before
    return MethodsTouched(customer_ref=customer) if isinstance(customer, str) else Irrelevant()
