"""Disputes as the processor has them: heard of, written down, told to whoever holds the credit."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog

from tollkeeper.base.ids import named_uuid, show_id
from tollkeeper.db import Connection
from tollkeeper.payments import store
from tollkeeper.payments.model import Dispute, DisputeChanged, DisputeStatus, Payment
from tollkeeper.payments.processors import DisputeFact
from tollkeeper.payments.till import Till

# What is heard late never takes back what is known. A lost dispute can still be won on appeal.
_ORDER: Final = (
    DisputeStatus.INQUIRY,
    DisputeStatus.CLOSED,
    DisputeStatus.OPEN,
    DisputeStatus.LOST,
    DisputeStatus.WON,
)
_OVER: Final = (DisputeStatus.CLOSED, DisputeStatus.LOST, DisputeStatus.WON)

_log = structlog.stdlib.get_logger(__name__)


async def record_dispute(
    tx: Connection, till: Till, payment: Payment, fact: DisputeFact
) -> Dispute:
    """Write down how a dispute stands, and tell the handlers if that is news."""
    locked = await store.lock_payment(tx, payment.org_id, payment.payment_id) or payment
    known = {
        dispute.ref: dispute
        for dispute in await store.disputes_of(tx, payment.org_id, payment.payment_id)
    }.get(fact.ref)
    if known is not None and _ORDER.index(fact.status) <= _ORDER.index(known.status):
        return known
    amount_minor = _amount(locked, known, fact)
    now = till.clock.now()
    settled_at = now if fact.status in _OVER else None
    if known is None:
        dispute = Dispute(
            org_id=payment.org_id,
            dispute_id=named_uuid(payment.org_id, f"dispute/{payment.processor}/{fact.ref}"),
            payment_id=payment.payment_id,
            livemode=payment.livemode,
            processor=payment.processor,
            ref=fact.ref,
            status=fact.status,
            amount_minor=amount_minor,
            currency=payment.currency,
            reason=fact.reason,
            evidence_due_at=fact.evidence_due_at,
            opened_at=fact.created_at,
            settled_at=settled_at,
            version=0,
        )
        await store.insert_dispute(tx, dispute)
    else:
        dispute = replace(
            known,
            status=fact.status,
            amount_minor=amount_minor,
            reason=fact.reason,
            evidence_due_at=fact.evidence_due_at,
            settled_at=settled_at,
            version=known.version + 1,
        )
        await store.write_dispute(tx, dispute)
    was = None if known is None else known.status
    _log.info(
        "dispute_changed", dispute=show_id("dis", dispute.dispute_id), status=fact.status.value
    )
    await till.handlers.tell(tx, DisputeChanged(dispute, locked, was))
    return dispute


def _amount(payment: Payment, known: Dispute | None, fact: DisputeFact) -> int:
    """What a dispute takes, in the payment's own currency: settled when it takes it. Banks that
    name another currency than was paid mean the whole."""
    if known is not None and known.status is DisputeStatus.OPEN:
        return known.amount_minor
    return fact.amount_minor if fact.currency == payment.currency else payment.amount_minor
