"""Refunds: written down, committed, asked for under their own id, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import named_uuid, show_id
from tollkeeper.db import Connection
from tollkeeper.payments import store
from tollkeeper.payments.errors import RefundRefused
from tollkeeper.payments.minor import show_minor
from tollkeeper.payments.model import (
    Absent,
    DisputeStatus,
    Payment,
    PaymentStatus,
    Refund,
    RefundChanged,
    RefundStatus,
    Unknown,
)
from tollkeeper.payments.processors import (
    RefundAnswer,
    RefundFact,
    RefundOrder,
    RefundRejected,
)
from tollkeeper.payments.till import Till

_FIRST_CHECK: Final = timedelta(seconds=30)
_NEXT_CHECK: Final = timedelta(minutes=1)
_HAS_THE_MONEY: Final = (DisputeStatus.OPEN, DisputeStatus.LOST)
# What is heard late never takes back what is known. A refund that succeeded can fail weeks later,
# when the bank sends the money back.
_ORDER: Final = tuple(RefundStatus)

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRefund:
    org_id: UUID
    refund_id: UUID
    payment_id: UUID
    amount_minor: int
    reason: str


async def intend_refund(tx: Connection, new: NewRefund, now: datetime) -> Refund:
    """Write down a refund that is to be made; nothing is sent yet.

    The same `refund_id` again gives the refund there is. Raises NotFound, RefundRefused: more than
    is left of the payment, one that is not paid, one whose money a dispute has taken.
    """
    payment = await store.lock_payment(tx, new.org_id, new.payment_id)
    if payment is None:
        raise NotFound(f"There is no payment {show_id('pay', new.payment_id)}")
    known = await store.read_refund(tx, new.org_id, new.refund_id)
    if known is not None:
        if (known.payment_id, known.amount_minor) != (new.payment_id, new.amount_minor):
            raise RefundRefused("There is another refund with this id")
        return known
    await _check(tx, payment, new.amount_minor)
    refund = Refund(
        org_id=new.org_id,
        refund_id=new.refund_id,
        payment_id=new.payment_id,
        livemode=payment.livemode,
        processor=payment.processor,
        ours=True,
        status=RefundStatus.REQUESTED,
        amount_minor=new.amount_minor,
        currency=payment.currency,
        reason=new.reason,
        ref=None,
        failure_detail=None,
        intended_at=now,
        settled_at=None,
        version=0,
    )
    await store.insert_refund(tx, refund, now + _FIRST_CHECK)
    return refund


async def _check(tx: Connection, payment: Payment, amount_minor: int) -> None:
    if payment.status is not PaymentStatus.SUCCEEDED:
        raise RefundRefused("This payment has not succeeded, so there is nothing to refund")
    disputes = await store.disputes_of(tx, payment.org_id, payment.payment_id)
    if any(dispute.status in _HAS_THE_MONEY for dispute in disputes):
        raise RefundRefused("This payment is disputed: its money has already been taken back")
    refunds = await store.refunds_of(tx, payment.org_id, payment.payment_id)
    given = sum(r.amount_minor for r in refunds if r.status is not RefundStatus.FAILED)
    left = payment.amount_minor - given
    if not 0 < amount_minor <= left:
        shown = show_minor(left, payment.currency)
        raise RefundRefused(f"At most {shown} of this payment can be refunded", left=left)


async def get_refund(connection: Connection, org_id: UUID, refund_id: UUID) -> Refund:
    """Raises NotFound."""
    found = await store.read_refund(connection, org_id, refund_id)
    if found is None:
        raise NotFound(f"There is no refund {show_id('ref', refund_id)}")
    return found


async def refund(till: Till, org_id: UUID, refund_id: UUID) -> Refund:
    """Have the processor send the money back, once, and return the refund as it then is.

    Safe to call again, from anywhere. Without an answer it stays `requested`, and is asked for
    again later under the same id.
    """
    async with till.database.connection() as connection:
        wanted = await get_refund(connection, org_id, refund_id)
        payment = await store.read_payment(connection, org_id, wanted.payment_id)
    if wanted.status is not RefundStatus.REQUESTED or payment is None or payment.ref is None:
        return wanted
    processor = till.processors.named(wanted.processor, livemode=wanted.livemode)
    answer = await processor.refund(_order(wanted, payment.ref))
    return await _write_down(till, wanted, answer)


async def ask_refund(till: Till, org_id: UUID, refund_id: UUID) -> Refund:
    """Ask what became of a refund; one that never reached the processor is sent again."""
    async with till.database.connection() as connection:
        known = await get_refund(connection, org_id, refund_id)
        payment = await store.read_payment(connection, org_id, known.payment_id)
    if known.status is RefundStatus.REQUESTED or payment is None or payment.ref is None:
        return await refund(till, org_id, refund_id)
    processor = till.processors.named(known.processor, livemode=known.livemode)
    if known.ref is not None:
        return await _write_down(till, known, await processor.read_refund(known.ref))
    return await _write_down(till, known, await processor.find_refund(_order(known, payment.ref)))


def _order(refund: Refund, payment_ref: str) -> RefundOrder:
    return RefundOrder(
        org_id=refund.org_id,
        refund_id=refund.refund_id,
        payment_ref=payment_ref,
        amount_minor=refund.amount_minor,
        intended_at=refund.intended_at,
    )


async def _write_down(till: Till, known: Refund, answer: RefundAnswer) -> Refund:
    if isinstance(answer, Absent | Unknown):
        return known
    async with till.database.transaction() as tx:
        return await _record(tx, till, known.org_id, known.payment_id, known.refund_id, answer)


async def record_refund(tx: Connection, till: Till, payment: Payment, fact: RefundFact) -> Refund:
    """Write down a refund as the processor has it, ours or one made in its dashboard."""
    ours = fact.refund_id if fact.org_id == payment.org_id else None
    refund_id = ours or named_uuid(payment.org_id, f"refund/{payment.processor}/{fact.ref}")
    return await _record(tx, till, payment.org_id, payment.payment_id, refund_id, fact)


async def _record(
    tx: Connection,
    till: Till,
    org_id: UUID,
    payment_id: UUID,
    refund_id: UUID,
    said: RefundFact | RefundRejected,
) -> Refund:
    now = till.clock.now()
    payment = await store.lock_payment(tx, org_id, payment_id)
    if payment is None:
        raise NotFound(f"There is no payment {show_id('pay', payment_id)}")
    known = await store.read_refund(tx, org_id, refund_id)
    if known is None:
        if isinstance(said, RefundRejected):
            raise NotFound(f"There is no refund {show_id('ref', refund_id)}")
        known = _foreign(payment, refund_id, said)
        await store.insert_refund(tx, known, now + _NEXT_CHECK)
        was = None
    else:
        was = known.status
    status = RefundStatus.FAILED if isinstance(said, RefundRejected) else said.status
    if was is not None and _ORDER.index(status) <= _ORDER.index(was):
        return known
    settled = status in (RefundStatus.SUCCEEDED, RefundStatus.FAILED)
    after = replace(
        known,
        status=status,
        ref=known.ref if isinstance(said, RefundRejected) else said.ref,
        failure_detail=said.detail or None,
        settled_at=now if settled else None,
    )
    await store.write_refund(tx, after, now + _NEXT_CHECK)
    written = await get_refund(tx, org_id, refund_id)
    _log.info("refund_changed", refund=show_id("ref", refund_id), status=status.value)
    await till.handlers.tell(tx, RefundChanged(written, payment, was))
    return written


def _foreign(payment: Payment, refund_id: UUID, fact: RefundFact) -> Refund:
    return Refund(
        org_id=payment.org_id,
        refund_id=refund_id,
        payment_id=payment.payment_id,
        livemode=payment.livemode,
        processor=payment.processor,
        ours=False,
        status=RefundStatus.REQUESTED,
        amount_minor=fact.amount_minor,
        currency=fact.currency,
        reason="made at the payment processor",
        ref=fact.ref,
        failure_detail=None,
        intended_at=fact.created_at,
        settled_at=None,
        version=0,
    )
