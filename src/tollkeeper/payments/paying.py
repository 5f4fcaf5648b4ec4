"""A payment from its intent to its end.

Written down, committed, asked for under its own id, and what came of it written down again, in one
transaction with what follows from it. Whoever hears of an outcome first, the caller, a webhook or
the poller, records it here; the others find it recorded.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from tollkeeper import orgs
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection
from tollkeeper.orgs import By
from tollkeeper.payments import store
from tollkeeper.payments.methods import customers
from tollkeeper.payments.methods import store as method_store
from tollkeeper.payments.model import (
    Absent,
    Answer,
    Declined,
    Failure,
    FailureCode,
    NewPayment,
    Payment,
    PaymentChanged,
    PaymentStatus,
    Processing,
    RequiresAction,
    Succeeded,
    Unknown,
    Unpaid,
)
from tollkeeper.payments.processors import Charge, PaymentPage, Processor, Sought
from tollkeeper.payments.till import Till

# An act at the processor is over by then, however it went. What the processor knows nothing of
# after this long was never asked for.
OVER_BY: Final = timedelta(minutes=5)

_FIRST_CHECK: Final = timedelta(seconds=30)
_NEXT_CHECK: Final = timedelta(seconds=5)
_TRIES: Final = 4

_log = structlog.stdlib.get_logger(__name__)


class Stale(Exception):
    """The payment changed while the processor was being asked about it; ask again."""


async def intend_payment(tx: Connection, till: Till, new: NewPayment, now: datetime) -> Payment:
    """Write down a payment that is to be made; nobody is asked for money yet.

    The same `payment_id` again gives the payment there is. Raises PaymentsNotConfigured.
    """
    processor = till.processors.serving(livemode=new.livemode)
    await store.insert_payment(tx, new, processor.name, now, now + _FIRST_CHECK)
    return await get_payment(tx, new.org_id, new.payment_id)


async def get_payment(connection: Connection, org_id: UUID, payment_id: UUID) -> Payment:
    """Raises NotFound."""
    found = await store.read_payment(connection, org_id, payment_id)
    if found is None:
        raise NotFound(f"There is no payment {show_id('pay', payment_id)}")
    return found


async def charge(till: Till, org_id: UUID, payment_id: UUID, by: By | None = None) -> Payment:
    """Take the money from the payment's method, once, and return the payment as it then is.

    Safe to call again, from anywhere: one that is not `requires_payment` any more is left alone.
    Without an answer it is `processing`, and asked about later. `by` is who has it taken that was
    meant before.
    """
    async with till.database.transaction() as tx:
        payment = await _lock(tx, org_id, payment_id)
        method_id = payment.method_id
        if payment.status is not PaymentStatus.REQUIRES_PAYMENT or method_id is None:
            return payment
        payment = await _set_out(tx, till, payment)
    answer = await _pay(till, payment, method_id)
    if isinstance(answer, Unknown):
        answer = Processing(ref=payment.ref)
    try:
        async with till.database.transaction() as tx:
            charged = await record(tx, till, payment, answer)
            await _note(tx, till, by, "payment.resume", charged)
            return charged
    except Stale:
        return await ask(till, org_id, payment_id)


async def _set_out(tx: Connection, till: Till, payment: Payment) -> Payment:
    """Say that somebody is on their way to the processor with it, however long it was only meant:
    whoever hears until then that the processor knows nothing of it has heard nothing new."""
    now = till.clock.now()
    await store.write_payment(tx, replace(payment, sent_at=now), now + _FIRST_CHECK)
    return await get_payment(tx, payment.org_id, payment.payment_id)


async def _pay(till: Till, payment: Payment, method_id: UUID) -> Answer:
    async with till.database.connection() as connection:
        method = await method_store.read_method(connection, payment.org_id, method_id)
    if method is None or method.removed_at is not None or method.processor != payment.processor:
        # It may be gone since it was charged, by who did not live to write that down.
        found = await find(till, payment)
        if not isinstance(found, Absent | Unpaid):
            return found
        ref = found.ref if isinstance(found, Unpaid) else None
        return Declined(ref=ref, failure=Failure.of(FailureCode.METHOD_UNUSABLE))
    processor = _processor(till, payment)
    customer_ref = await customers.ensure(till, payment.org_id, livemode=payment.livemode)
    return await processor.pay(
        Charge(
            org_id=payment.org_id,
            payment_id=payment.payment_id,
            customer_ref=customer_ref,
            method_ref=method.ref,
            method_kind=method.kind,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            description=payment.description,
            off_session=payment.off_session,
            return_url=payment.return_url,
            intended_at=payment.intended_at,
        )
    )


async def open_page(till: Till, org_id: UUID, payment_id: UUID, by: By | None = None) -> Payment:
    """Have the processor make the page on which the payment is paid; it has its address then.

    Raises ProcessorUnavailable, ProcessorRefused; the same call again is safe.
    """
    payment = await _load(till, org_id, payment_id)
    if payment.status.final or payment.page is None or payment.page_ref is not None:
        return payment
    customer_ref = await customers.ensure(till, org_id, livemode=payment.livemode)
    page = await _processor(till, payment).open_page(
        PaymentPage(
            org_id=org_id,
            payment_id=payment_id,
            customer_ref=customer_ref,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            description=payment.description,
            kind=payment.page,
            save_method=payment.save_method,
            return_url=payment.return_url,
            cancel_url=payment.cancel_url,
        )
    )
    async with till.database.transaction() as tx:
        locked = await _lock(tx, org_id, payment_id)
        shown = replace(
            locked,
            page_ref=page.ref,
            page_url=page.url,
            page_secret=page.secret,
            page_expires_at=page.expires_at,
        )
        await store.write_payment(tx, shown, till.clock.now() + _FIRST_CHECK)
        opened = await get_payment(tx, org_id, payment_id)
        await _note(tx, till, by, "payment.resume", opened)
    if opened.status.final:
        # Given up while the page was being made: nobody is to pay on it.
        async with till.database.connection() as connection:
            sought = await _sought(connection, opened)
        await _processor(till, opened).cancel_payment(sought)
    return opened


async def resume(
    till: Till,
    org_id: UUID,
    payment_id: UUID,
    return_url: str,
    method_id: UUID | None = None,
    *,
    by: By | None = None,
) -> Payment:
    """Try a payment again that failed, or needs its customer, now that the customer is there.

    It is the same payment, so it is charged once. One that needs action has its `action_url` then.
    """
    payment = await _load(till, org_id, payment_id)
    waits = payment.status in (PaymentStatus.REQUIRES_ACTION, PaymentStatus.FAILED)
    if not waits or payment.page is not None:
        return payment
    async with till.database.connection() as connection:
        chosen = method_id or payment.method_id
        method = chosen and await method_store.read_method(connection, org_id, chosen)
        sought = await _sought(connection, payment)
    if not method or method.removed_at is not None or sought.ref is None:
        return payment
    processor, failed = _processor(till, payment), payment.failure
    try:
        payment = await _begin_attempt(till, replace(payment, method_id=method.method_id), by)
        answer = await processor.resume(sought, method.ref, return_url, payment.version)
        if isinstance(answer, Absent) and failed is not None:
            answer = Declined(ref=None, failure=failed)  # nothing was tried: it is as it was
        return await _write_down(till, payment, answer)
    except Stale:
        return await ask(till, org_id, payment_id)


async def _begin_attempt(till: Till, seen: Payment, by: By | None) -> Payment:
    """Give an attempt a version of its own, by which the processor makes it once: whatever came
    of the attempt before, and with whatever method, this is another one. Raises Stale.

    One that failed is under way again, and so is asked about if no answer comes. Not before the
    attempt is over: until then the processor may still tell of the one that failed.
    """
    async with till.database.transaction() as tx:
        locked = await _lock(tx, seen.org_id, seen.payment_id)
        if locked.version != seen.version:
            raise Stale
        check_at = till.clock.now() + _NEXT_CHECK
        if seen.status is PaymentStatus.FAILED:
            seen = replace(_going_on(seen), status=PaymentStatus.PROCESSING)
            check_at = till.clock.now() + OVER_BY
        await store.write_payment(tx, seen, check_at)
        begun = await get_payment(tx, seen.org_id, seen.payment_id)
        if begun.status is not locked.status:
            await till.handlers.tell(tx, PaymentChanged(begun, locked.status))
        await _note(tx, till, by, "payment.resume", begun)
        return begun


async def cancel(till: Till, org_id: UUID, payment_id: UUID, by: By | None = None) -> Payment:
    """Make sure that it can no longer be paid. One that is paid already is returned as such; one
    that the processor gives no answer about, or that somebody is on their way with, stays
    unfinished."""
    payment = await _load(till, org_id, payment_id)
    if payment.status.final:
        return payment
    async with till.database.connection() as connection:
        sought = await _sought(connection, payment)
    answer = await _processor(till, payment).cancel_payment(sought)
    sent_at = payment.sent_at
    if isinstance(answer, Absent) and (sent_at is None or till.clock.now() - sent_at >= OVER_BY):
        answer = Declined(ref=None, failure=Failure.of(FailureCode.CANCELED))
    try:
        return await _write_down(till, payment, answer, given_up_by=by)
    except Stale:
        # Such as when its webhook was here first.
        payment, _ = await _ask(till, org_id, payment_id, given_up_by=by)
        return payment


async def ask(till: Till, org_id: UUID, payment_id: UUID) -> Payment:
    """Ask the processor what became of a payment, and write it down."""
    payment, _ = await _ask(till, org_id, payment_id)
    return payment


async def _ask(
    till: Till, org_id: UUID, payment_id: UUID, *, given_up_by: By | None = None
) -> tuple[Payment, Answer]:
    payment = await _load(till, org_id, payment_id)
    answer: Answer = Unknown("not asked")
    for _ in range(_TRIES):
        if payment.status is PaymentStatus.SUCCEEDED:
            break
        answer = await find(till, payment)
        try:
            return await _write_down(till, payment, answer, given_up_by=given_up_by), answer
        except Stale:
            payment = await _load(till, org_id, payment_id)
    return payment, answer


async def conclude(till: Till, org_id: UUID, payment_id: UUID) -> Payment:
    """Ask, and give up what nobody can be about to pay any more: its process died on the way."""
    payment, answer = await _ask(till, org_id, payment_id)
    begun = payment.page_ref is not None or payment.status is PaymentStatus.REQUIRES_ACTION
    since = payment.sent_at or payment.intended_at
    if payment.status.final or begun or till.clock.now() - since < OVER_BY:
        return payment
    if isinstance(answer, Unpaid):
        async with till.database.connection() as connection:
            sought = await _sought(connection, payment)
        answer = await _processor(till, payment).cancel_payment(sought)
    if not isinstance(answer, Absent | Declined):
        return payment
    _log.warning("payment_was_never_sent", payment=show_id("pay", payment_id))
    never = Declined(ref=payment.ref, failure=Failure.of(FailureCode.NEVER_SENT))
    try:
        return await _write_down(till, payment, never)
    except Stale:
        return payment


async def find(till: Till, payment: Payment) -> Answer:
    async with till.database.connection() as connection:
        sought = await _sought(connection, payment)
    return await _processor(till, payment).find_payment(sought)


async def _sought(connection: Connection, payment: Payment) -> Sought:
    customer = await method_store.read_customer(
        connection, payment.org_id, payment.processor, livemode=payment.livemode
    )
    return Sought(
        org_id=payment.org_id,
        payment_id=payment.payment_id,
        customer_ref=None if customer is None else customer.ref,
        ref=payment.ref,
        paged=payment.page is not None,
        page_ref=payment.page_ref,
        intended_at=payment.intended_at,
    )


# ── Writing down what was heard ──────────────────────────────────────────────────────────────────


async def _write_down(
    till: Till,
    seen: Payment,
    answer: Answer,
    *,
    given_up_by: By | None = None,
) -> Payment:
    async with till.database.transaction() as tx:
        written = await record(tx, till, seen, answer)
        if written.status is PaymentStatus.FAILED:
            await _note(tx, till, given_up_by, "payment.cancel", written)
        return written


async def record(tx: Connection, till: Till, seen: Payment, answer: Answer) -> Payment:
    """Write down an answer about a payment as it was `seen` before asking, and tell the handlers.

    Locks the payment, before anything that its handlers lock. Raises Stale when it has changed
    since, unless the answer is that it is paid: that holds whatever else was heard.
    """
    locked = await _lock(tx, seen.org_id, seen.payment_id)
    if locked.version != seen.version and not isinstance(answer, Succeeded):
        raise Stale
    now = till.clock.now()
    after = _after(replace(locked, method_id=seen.method_id), answer, now)
    if after is None:
        return locked
    await store.write_payment(tx, after, now + _NEXT_CHECK)
    written = await get_payment(tx, seen.org_id, seen.payment_id)
    if written.status is not locked.status:
        _log.info(
            "payment_changed",
            payment=show_id("pay", seen.payment_id),
            was=locked.status.value,
            status=written.status.value,
        )
        await till.handlers.tell(tx, PaymentChanged(written, locked.status))
    return written


def _going_on(payment: Payment) -> Payment:
    return replace(
        payment,
        action_url=None,
        failure_code=None,
        failure_retryable=None,
        failure_detail=None,
        settled_at=None,
    )


def _after(payment: Payment, answer: Answer, now: datetime) -> Payment | None:
    """Say how a payment stands after an answer; None when nothing is new."""
    if payment.status is PaymentStatus.SUCCEEDED:
        return None
    going_on = _going_on(payment)
    after: Payment | None = None
    match answer:
        case Succeeded(ref=ref, method_ref=method_ref):
            after = replace(
                going_on,
                status=PaymentStatus.SUCCEEDED,
                ref=ref,
                method_ref=method_ref,
                settled_at=now,
            )
        case Processing(ref=ref):
            after = replace(going_on, status=PaymentStatus.PROCESSING, ref=ref or payment.ref)
        case RequiresAction(ref=ref, url=url):
            known = payment.action_url if payment.status is PaymentStatus.REQUIRES_ACTION else None
            after = replace(
                going_on, status=PaymentStatus.REQUIRES_ACTION, ref=ref, action_url=url or known
            )
        case Declined(ref=ref, failure=failure) if payment.status is not PaymentStatus.FAILED:
            after = replace(
                payment,
                status=PaymentStatus.FAILED,
                ref=ref or payment.ref,
                action_url=None,
                failure_code=failure.code,
                failure_retryable=failure.retryable,
                failure_detail=failure.detail,
                settled_at=now,
            )
        case Unpaid(ref=ref) if ref is not None:
            after = replace(payment, ref=ref)
        case Declined() | Unpaid() | Absent() | Unknown():
            pass
    return None if after == payment else after


async def _note(tx: Connection, till: Till, by: By | None, what: str, payment: Payment) -> None:
    told = {"livemode": payment.livemode, "paymentId": show_id("pay", payment.payment_id)}
    await orgs.note(tx, by, what, payment.org_id, till.clock.now(), **told)


async def _load(till: Till, org_id: UUID, payment_id: UUID) -> Payment:
    async with till.database.connection() as connection:
        return await get_payment(connection, org_id, payment_id)


async def _lock(tx: Connection, org_id: UUID, payment_id: UUID) -> Payment:
    found = await store.lock_payment(tx, org_id, payment_id)
    if found is None:
        raise NotFound(f"There is no payment {show_id('pay', payment_id)}")
    return found


def _processor(till: Till, payment: Payment) -> Processor:
    return till.processors.named(payment.processor, livemode=payment.livemode)
