"""The sandbox's documents as this room's values."""

from __future__ import annotations

from typing import Final

from tollkeeper.payments.model import (
    Answer,
    Declined,
    Failure,
    FailureCode,
    Processing,
    RequiresAction,
    Succeeded,
    Unpaid,
)
from tollkeeper.payments.processors import (
    DisputeFact,
    MethodOnFile,
    Movement,
    RefundFact,
    TaxId,
)
from tollkeeper.payments.processors.sandbox.acts import card_of
from tollkeeper.payments.processors.sandbox.model import (
    Dispute,
    Line,
    OnFile,
    Page,
    Payment,
    Refund,
    TaxNumber,
)

_EXP_MONTH: Final = 12
_EXP_YEAR: Final = 2034


def failure_of(code: FailureCode | None) -> Failure:
    return Failure.of(code or FailureCode.CARD_DECLINED)


def answer_of(payment: Payment, page: Page | None, bank_url: str) -> Answer:
    ref = payment.ref
    if payment.status == "succeeded":
        return Succeeded(ref=ref, method_ref=payment.method)
    if payment.status == "processing":
        return Processing(ref=ref)
    if page is not None and page.status == "open":
        return Unpaid(ref=ref)  # on its page any card may still be tried
    if page is not None and page.status == "expired":
        return Declined(ref=ref, failure=Failure.of(FailureCode.PAGE_EXPIRED))
    return _unpaid(payment, bank_url)


def _unpaid(payment: Payment, bank_url: str) -> Answer:
    match payment.status:
        case "requires_action":
            return RequiresAction(ref=payment.ref, url=bank_url if payment.at_bank else None)
        case "failed":
            return Declined(ref=payment.ref, failure=failure_of(payment.failure))
        case "canceled":
            return Declined(ref=payment.ref, failure=Failure.of(FailureCode.CANCELED))
        case _:
            return Unpaid(ref=payment.ref)


def on_file(method: OnFile) -> MethodOnFile:
    card = card_of(method)
    is_card = card.kind == "card"
    return MethodOnFile(
        ref=method.ref,
        kind=card.kind,
        brand=card.brand,
        last4=card.number[-4:],
        exp_month=_EXP_MONTH if is_card else None,
        exp_year=_EXP_YEAR if is_card else None,
        added_at=method.created_at,
    )


def tax_id_of(number: TaxNumber) -> TaxId:
    return TaxId(ref=number.ref, type=number.type, value=number.value, verification="unavailable")


def refund_of(refund: Refund, payment: Payment) -> RefundFact:
    return RefundFact(
        ref=refund.ref,
        status=refund.status,
        payment_ref=refund.payment,
        org_id=payment.org_id,
        payment_id=payment.payment_id,
        refund_id=refund.refund_id,
        amount_minor=refund.amount,
        currency=refund.currency,
        detail=refund.detail,
        created_at=refund.created_at,
    )


def dispute_of(dispute: Dispute, payment: Payment) -> DisputeFact:
    return DisputeFact(
        ref=dispute.ref,
        status=dispute.status,
        payment_ref=payment.ref,
        org_id=payment.org_id,
        payment_id=payment.payment_id,
        amount_minor=dispute.amount,
        currency=dispute.currency,
        reason=dispute.reason,
        evidence_due_at=dispute.due_at,
        created_at=dispute.created_at,
    )


def movement_of(line: Line) -> Movement:
    return Movement(
        ref=line.ref,
        kind=line.movement,
        source_ref=line.source,
        payment_ref=line.payment,
        org_id=line.org_id,
        payment_id=line.payment_id,
        refund_id=line.refund_id,
        amount_minor=line.amount,
        fee_minor=line.fee,
        currency=line.currency,
        given_minor=line.amount,
        given_currency=line.currency,
        created_at=line.created_at,
    )
