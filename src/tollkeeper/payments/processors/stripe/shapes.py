"""Stripe's objects as this room's values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast
from uuid import UUID

import stripe
import stripe.checkout

from tollkeeper.base.ids import read_id, show_id
from tollkeeper.payments.model import (
    Answer,
    Declined,
    DisputeStatus,
    Failure,
    FailureCode,
    Processing,
    RefundStatus,
    RequiresAction,
    Succeeded,
    Unknown,
    Unpaid,
)
from tollkeeper.payments.processors import (
    DisputeFact,
    MethodOnFile,
    Movement,
    MovementKind,
    Page,
    RefundFact,
    TaxId,
)
from tollkeeper.payments.processors.stripe.failures import AUTHENTICATION_REQUIRED, failure_of

T = TypeVar("T")

# The metadata by which our own things are known again, whatever we have forgotten.
ORG: Final = "tollkeeper_org"
PAYMENT: Final = "tollkeeper_payment"
REFUND: Final = "tollkeeper_refund"
SUBSCRIPTION: Final = "tollkeeper_subscription"

_REFUND_STATUS: Final = {
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
}
# An appeal comes after a loss: the money is gone until it is won.
_DISPUTE_STATUS: Final = {
    "warning_needs_response": DisputeStatus.INQUIRY,
    "warning_under_review": DisputeStatus.INQUIRY,
    "warning_closed": DisputeStatus.CLOSED,
    "prevented": DisputeStatus.CLOSED,
    "needs_response": DisputeStatus.OPEN,
    "under_review": DisputeStatus.OPEN,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
    "appeal_needs_response": DisputeStatus.LOST,
    "appeal_under_review": DisputeStatus.LOST,
}
_MOVEMENTS: Final = {
    "charge": MovementKind.PAYMENT,
    "refund": MovementKind.REFUND,
    "partial_capture_reversal": MovementKind.REFUND,
    "refund_failure": MovementKind.REFUND_FAILED,
    "charge_failure": MovementKind.REFUND,
    "dispute": MovementKind.DISPUTE,
    "dispute_reversal": MovementKind.DISPUTE_REVERSED,
    "fee": MovementKind.FEE,
    "network_cost": MovementKind.FEE,
}


def payment_metadata(org_id: UUID, payment_id: UUID) -> dict[str, str]:
    return {ORG: show_id("org", org_id), PAYMENT: show_id("pay", payment_id)}


def id_in(metadata: Mapping[str, str] | None, name: str) -> UUID | None:
    """Return the id of ours that the metadata holds, None where it holds none that is sane."""
    text = (metadata or {}).get(name)
    prefix = {ORG: "org", PAYMENT: "pay", REFUND: "ref", SUBSCRIPTION: "sub"}[name]
    try:
        return read_id(prefix, text or "")
    except ValueError:
        return None


def metadata_of(thing: object) -> dict[str, str]:
    found: object = getattr(thing, "metadata", None)
    if isinstance(found, stripe.StripeObject):
        return cast("dict[str, str]", found.to_dict())
    return cast("dict[str, str]", found) if isinstance(found, dict) else {}


def ref_of(thing: object) -> str | None:
    """Return the id of something that Stripe gives as an id or, when it is expanded, whole."""
    if thing is None or isinstance(thing, str):
        return thing
    return cast("str | None", getattr(thing, "id", None))


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def outcome_of(intent: stripe.PaymentIntent) -> Answer:
    match intent.status:
        case "succeeded":
            return Succeeded(ref=intent.id, method_ref=ref_of(intent.payment_method))
        case "processing" | "requires_capture":
            return Processing(ref=intent.id)
        case "requires_action":
            return RequiresAction(ref=intent.id, url=action_url(intent.next_action))
        case "requires_payment_method" | "requires_confirmation" | "canceled":
            return _unpaid(intent)
        case other:
            return Unknown(f"Stripe calls the payment {other!r}")


def _unpaid(intent: stripe.PaymentIntent) -> Answer:
    if intent.status == "canceled":
        return Declined(ref=intent.id, failure=Failure.of(FailureCode.CANCELED))
    if intent.status == "requires_confirmation" or intent.last_payment_error is None:
        return Unpaid(ref=intent.id)
    refusal = Lenient(intent.last_payment_error)
    if AUTHENTICATION_REQUIRED in (refusal.code, refusal.decline_code):
        return RequiresAction(ref=intent.id, url=None)
    return Declined(ref=intent.id, failure=failure_of(refusal))


class Lenient:
    """An error within an object has only the members that apply."""

    def __init__(self, refusal: stripe.StripeObject) -> None:
        self.code = _optional(refusal, "code")
        self.decline_code = _optional(refusal, "decline_code")
        self.advice_code = _optional(refusal, "advice_code")
        self.message = _optional(refusal, "message")


def _optional(thing: object, name: str) -> str | None:
    return cast("str | None", getattr(thing, name, None))


def action_url(
    action: stripe.PaymentIntent.NextAction | stripe.SetupIntent.NextAction | None,
) -> str | None:
    if action is None or action.type != "redirect_to_url" or action.redirect_to_url is None:
        return None
    return action.redirect_to_url.url


def method_of(method: stripe.PaymentMethod) -> MethodOnFile:
    of_kind = getattr(method, method.type, None)
    said: dict[str, Any] = of_kind.to_dict() if isinstance(of_kind, stripe.StripeObject) else {}
    return MethodOnFile(
        ref=method.id,
        kind=method.type,
        brand=said.get("display_brand") or said.get("brand") or said.get("bank_name"),
        last4=said.get("last4"),
        exp_month=said.get("exp_month"),
        exp_year=said.get("exp_year"),
        added_at=moment(method.created),
    )


def page_of(session: stripe.checkout.Session) -> Page:
    return Page(
        ref=session.id,
        url=session.url,
        secret=session.client_secret,
        expires_at=moment(session.expires_at),
    )


def tax_id_of(tax_id: stripe.TaxId) -> TaxId:
    status = tax_id.verification.status if tax_id.verification is not None else "unavailable"
    return TaxId(ref=tax_id.id, type=tax_id.type, value=tax_id.value, verification=status)


def refund_of(refund: stripe.Refund) -> RefundFact:
    metadata, of_payment = metadata_of(refund), metadata_of(refund.payment_intent)
    return RefundFact(
        ref=refund.id,
        status=_REFUND_STATUS.get(refund.status or "", RefundStatus.PENDING),
        payment_ref=ref_of(refund.payment_intent),
        org_id=id_in(metadata, ORG) or id_in(of_payment, ORG),
        payment_id=id_in(of_payment, PAYMENT),
        refund_id=id_in(metadata, REFUND),
        amount_minor=refund.amount,
        currency=refund.currency.upper(),
        detail=_optional(refund, "failure_reason") or "",
        created_at=moment(refund.created),
    )


def dispute_of(dispute: stripe.Dispute) -> DisputeFact:
    due = dispute.evidence_details.due_by
    of_payment = metadata_of(dispute.payment_intent)
    return DisputeFact(
        ref=dispute.id,
        status=_DISPUTE_STATUS.get(dispute.status, DisputeStatus.OPEN),
        payment_ref=ref_of(dispute.payment_intent),
        org_id=id_in(of_payment, ORG),
        payment_id=id_in(of_payment, PAYMENT),
        amount_minor=dispute.amount,
        currency=dispute.currency.upper(),
        reason=dispute.reason,
        evidence_due_at=None if due is None else moment(due),
        created_at=moment(dispute.created),
    )


def movement_of(line: stripe.BalanceTransaction) -> Movement:
    source = line.source
    metadata = metadata_of(source)
    given_minor, given_currency = _given(line)
    return Movement(
        ref=line.id,
        kind=_MOVEMENTS.get(line.reporting_category, MovementKind.OTHER),
        source_ref=ref_of(source),
        payment_ref=ref_of(getattr(source, "payment_intent", None)),
        org_id=id_in(metadata, ORG),
        payment_id=id_in(metadata, PAYMENT),
        refund_id=id_in(metadata, REFUND),
        amount_minor=line.amount,
        fee_minor=line.fee,
        currency=line.currency.upper(),
        given_minor=given_minor,
        given_currency=given_currency,
        created_at=moment(line.created),
    )


def _given(line: stripe.BalanceTransaction) -> tuple[int, str]:
    amount: object = getattr(line.source, "amount", None)
    currency = _optional(line.source, "currency")
    if not isinstance(amount, int) or currency is None:
        return line.amount, line.currency.upper()
    return (-amount if line.amount < 0 else amount), currency.upper()
