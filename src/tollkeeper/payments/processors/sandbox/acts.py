"""What happens in the sandbox, each act in one transaction: its documents, its account of us, and
the events it will tell. The one place where a sandbox card is charged is `_take_money`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import Connection
from tollkeeper.payments.model import DisputeStatus, FailureCode, RefundStatus
from tollkeeper.payments.processors import MovementKind
from tollkeeper.payments.processors.sandbox import store
from tollkeeper.payments.processors.sandbox.cards import BY_NUMBER, Authenticates, Card
from tollkeeper.payments.processors.sandbox.model import (
    Customer,
    Delivery,
    Dispute,
    Line,
    OnFile,
    Page,
    Payment,
    Refund,
    Setup,
)

LATE: Final = timedelta(seconds=60)
_EVIDENCE_TIME: Final = timedelta(days=7)
_DISPUTE_FEE: Final = 1500


def card_of(method: OnFile) -> Card:
    return BY_NUMBER[method.number]


def fee_on(amount: int) -> int:
    """What a processor would keep: 2.9 % and 30 cents."""
    return (amount * 29 + 500) // 1000 + 30


# ── Methods ──────────────────────────────────────────────────────────────────────────────────────


async def new_method(tx: Connection, customer: str, card: Card, now: datetime) -> OnFile:
    method = OnFile(
        ref=store.new_ref(OnFile), created_at=now, customer=customer, number=card.number
    )
    await store.insert(tx, method, parent=customer)
    return method


async def set_up(tx: Connection, setup: Setup, card: Card, return_url: str, now: datetime) -> Setup:
    """Try to keep a card: done, declined, or to be confirmed at its bank."""
    if card.declined_at_setup is not None:
        setup.status, setup.failure = "failed", card.declined_at_setup
    else:
        method = await new_method(tx, setup.customer, card, now)
        setup.method, setup.return_url, setup.failure = method.ref, return_url, None
        setup.status = "requires_action"
        if card.authenticates is Authenticates.NEVER:
            await _attach(tx, setup, now)
    await store.write(tx, setup)
    return setup


async def _attach(tx: Connection, setup: Setup, now: datetime) -> None:
    method = await store.lock(tx, OnFile, setup.method or "")
    if method is not None:
        method.attached = method.set_up = True
        await store.write(tx, method)
    setup.status = "succeeded"
    await tell(tx, "method.attached", {"customer": setup.customer}, now)


async def answer_setup(tx: Connection, setup: Setup, now: datetime, *, approved: bool) -> Setup:
    """What the cardholder says at the bank."""
    if setup.status == "requires_action":
        if approved:
            await _attach(tx, setup, now)
        else:
            setup.status, setup.failure = "failed", FailureCode.AUTHENTICATION_FAILED
        await store.write(tx, setup)
        await _close_page_of(tx, setup.ref)
    return setup


async def detach(tx: Connection, method: OnFile, now: datetime) -> None:
    if not method.attached:
        return
    method.attached = False
    await store.write(tx, method)
    customer = await store.lock(tx, Customer, method.customer)
    if customer is not None and customer.default_method == method.ref:
        customer.default_method = None
        await store.write(tx, customer)
    await tell(tx, "method.detached", {"customer": method.customer}, now)


# ── Payments ─────────────────────────────────────────────────────────────────────────────────────


async def confirm(
    tx: Connection,
    payment: Payment,
    method: OnFile,
    now: datetime,
    *,
    off_session: bool,
    return_url: str,
) -> Payment:
    """Try to take the money from a method."""
    card = card_of(method)
    payment.method, payment.return_url, payment.failure = method.ref, return_url, None
    payment.at_bank = False
    if card.declined is not None:
        await fail(tx, payment, card.declined, now)
    elif _asks_bank(card, method, off_session=off_session):
        payment.status, payment.at_bank = "requires_action", not off_session
        await store.write(tx, payment)
        await _tell_payment(tx, "payment.requires_action", payment, now)
    else:
        await _take_money(tx, payment, card, now)
    return payment


def _asks_bank(card: Card, method: OnFile, *, off_session: bool) -> bool:
    if card.authenticates is Authenticates.UNLESS_SET_UP:
        return not (off_session and method.set_up)
    return card.authenticates is Authenticates.ALWAYS


async def answer_payment(
    tx: Connection, payment: Payment, now: datetime, *, approved: bool
) -> Payment:
    """What the cardholder says at the bank."""
    if payment.status == "requires_action" and payment.at_bank:
        payment.at_bank = False
        method = await store.read(tx, OnFile, payment.method or "")
        card = BY_NUMBER[method.number] if method is not None else None
        if not approved or card is None:
            await fail(tx, payment, FailureCode.AUTHENTICATION_FAILED, now)
        elif card.declined_after is not None:
            await fail(tx, payment, card.declined_after, now)
        else:
            await _take_money(tx, payment, card, now)
    return payment


async def _take_money(tx: Connection, payment: Payment, card: Card, now: datetime) -> None:
    if card.takes_days:
        payment.status = "processing"
        await store.write(tx, payment)
        await _tell_payment(tx, "payment.processing", payment, now)
        return
    await settle(tx, payment, now)
    if card.disputed:
        await open_dispute(tx, payment, now, inquiry=False)


async def settle(tx: Connection, payment: Payment, now: datetime) -> None:
    """The money is there."""
    payment.status, payment.failure, payment.settled_at = "succeeded", None, now
    await store.write(tx, payment)
    await _note(tx, MovementKind.PAYMENT, payment.ref, payment, payment.amount, now)
    if payment.save_method and payment.method is not None:
        method = await store.lock(tx, OnFile, payment.method)
        if method is not None and not method.attached:
            method.attached = method.set_up = True
            await store.write(tx, method)
            await tell(tx, "method.attached", {"customer": payment.customer}, now)
    await _tell_payment(tx, "payment.succeeded", payment, now)
    await _close_page_of(tx, payment.ref)


async def fail(tx: Connection, payment: Payment, code: FailureCode, now: datetime) -> None:
    payment.status, payment.failure, payment.at_bank = "failed", code, False
    await store.write(tx, payment)
    await _tell_payment(tx, "payment.failed", payment, now)


async def cancel(tx: Connection, payment: Payment, now: datetime) -> None:
    if payment.status in ("succeeded", "processing", "canceled"):
        return
    payment.status, payment.at_bank = "canceled", False
    await store.write(tx, payment)
    await _tell_payment(tx, "payment.canceled", payment, now)


async def _close_page_of(tx: Connection, ref: str) -> None:
    for page in await store.list_of(tx, Page, ref):
        if page.status == "open":
            page.status = "complete"
            await store.write(tx, page)


async def expire(tx: Connection, page: Page, payment: Payment | None, now: datetime) -> None:
    """Nobody pays on this page any more."""
    page.status = "expired"
    await store.write(tx, page)
    if payment is not None:
        await _tell_payment(tx, "page.expired", payment, now)


# ── Afterwards ───────────────────────────────────────────────────────────────────────────────────


async def refund(tx: Connection, payment: Payment, made: Refund, our_id: str | None) -> bool:
    """Return False when it was made before. The caller has seen that so much is left."""
    if not await store.insert(tx, made, parent=payment.ref, our_id=our_id):
        return False
    now = made.created_at
    payment.refunded += made.amount
    await store.write(tx, payment)
    line = await _note(tx, MovementKind.REFUND, made.ref, payment, -made.amount, now)
    line.refund_id = made.refund_id
    await store.write(tx, line)
    await _tell_payment(tx, "refund.created", payment, now, refund=made.ref)
    method = await store.read(tx, OnFile, payment.method or "")
    if method is not None and card_of(method).refund_fails:
        await finish_refund(tx, payment, made, now, succeeds=False)
    return True


async def finish_refund(
    tx: Connection, payment: Payment, made: Refund, now: datetime, *, succeeds: bool
) -> None:
    """What the bank says of a refund in the end."""
    if succeeds:
        made.status = RefundStatus.SUCCEEDED
    else:
        made.status, made.detail = RefundStatus.FAILED, "The bank sent the money back"
        payment.refunded -= made.amount
        await store.write(tx, payment)
        line = await _note(tx, MovementKind.REFUND_FAILED, made.ref, payment, made.amount, now)
        line.refund_id = made.refund_id
        await store.write(tx, line)
    await store.write(tx, made)
    await _tell_payment(tx, "refund.updated", payment, now, refund=made.ref)


async def open_dispute(
    tx: Connection, payment: Payment, now: datetime, *, inquiry: bool
) -> Dispute:
    dispute = Dispute(
        ref=store.new_ref(Dispute),
        created_at=now,
        payment=payment.ref,
        amount=payment.amount,
        currency=payment.currency,
        status=DisputeStatus.INQUIRY if inquiry else DisputeStatus.OPEN,
        reason="fraudulent",
        due_at=now + _EVIDENCE_TIME,
    )
    await store.insert(tx, dispute, parent=payment.ref)
    payment.disputed = not inquiry
    await store.write(tx, payment)
    if not inquiry:
        await _withdraw(tx, payment, dispute, now)
    await _tell_payment(tx, "dispute.created", payment, now, dispute=dispute.ref)
    return dispute


async def close_dispute(
    tx: Connection, payment: Payment, dispute: Dispute, status: DisputeStatus, now: datetime
) -> None:
    """Move it to where the bank has put it: open after an inquiry, won, lost, closed."""
    if status is DisputeStatus.OPEN:
        payment.disputed = True
        await _withdraw(tx, payment, dispute, now)
    elif status is DisputeStatus.WON:
        payment.disputed = False
        await _note(tx, MovementKind.DISPUTE_REVERSED, dispute.ref, payment, dispute.amount, now)
    dispute.status = status
    await store.write(tx, dispute)
    await store.write(tx, payment)
    await _tell_payment(tx, "dispute.updated", payment, now, dispute=dispute.ref)


async def _withdraw(tx: Connection, payment: Payment, dispute: Dispute, now: datetime) -> None:
    line = await _note(tx, MovementKind.DISPUTE, dispute.ref, payment, -dispute.amount, now)
    line.fee = _DISPUTE_FEE
    await store.write(tx, line)


async def _note(
    tx: Connection, kind: MovementKind, source: str, payment: Payment, amount: int, now: datetime
) -> Line:
    line = Line(
        ref=store.new_ref(Line),
        created_at=now,
        movement=kind,
        source=source,
        payment=payment.ref,
        org_id=payment.org_id,
        payment_id=None if payment.subscription is not None else payment.payment_id,
        amount=amount,
        fee=fee_on(amount) if kind is MovementKind.PAYMENT else 0,
        currency=payment.currency,
    )
    await store.insert(tx, line, parent=payment.ref)
    return line


# ── Telling ──────────────────────────────────────────────────────────────────────────────────────


async def _tell_payment(
    tx: Connection, type_: str, payment: Payment, now: datetime, **more: str
) -> None:
    if payment.subscription is not None:
        fee_of = {"subscription": payment.subscription}
        await tell(tx, "subscription.fee", fee_of, now, payment.delivery)
        return
    about = {
        "payment": payment.ref,
        "org_id": show_id("org", payment.org_id),
        "payment_id": show_id("pay", payment.payment_id),
        **more,
    }
    await tell(tx, type_, about, now, payment.delivery)


async def tell(
    tx: Connection,
    type_: str,
    about: dict[str, str],
    now: datetime,
    delivery: Delivery = Delivery.ONCE,
) -> None:
    """Have an event delivered, in the way that the thing it is about was asked to be."""
    event_id = f"sbevt_{uuid7().hex}"
    body = {"id": event_id, "type": type_, "created": now.isoformat(), "about": about}
    when = {Delivery.NEVER: None, Delivery.LATE: now + LATE}
    await store.insert_event(
        tx,
        store.Event(
            event_id=event_id,
            type=type_,
            created_at=now,
            body=msgspec.json.encode(body).decode(),
            deliver_at=when.get(delivery, now),
            times=2 if delivery is Delivery.TWICE else 1,
            delivered=0,
        ),
    )
