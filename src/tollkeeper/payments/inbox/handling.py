"""What events lead to.

An event says that something happened to a thing, not how the thing is: events come twice, late and
in any order. So the processor is asked how the thing is now, and that is written down, in one
transaction with the mark that the event is handled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

import structlog

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.db import Connection
from tollkeeper.payments import store
from tollkeeper.payments.disputes import record_dispute
from tollkeeper.payments.errors import ProcessorUnavailable
from tollkeeper.payments.inbox import store as inbox_store
from tollkeeper.payments.inbox.store import EventState, InboxEvent
from tollkeeper.payments.methods import keeping
from tollkeeper.payments.methods import store as method_store
from tollkeeper.payments.model import Payment, PaymentStatus, Unknown
from tollkeeper.payments.paying import Stale, ask, find, record
from tollkeeper.payments.processors import (
    DisputeFact,
    DisputeTouched,
    Irrelevant,
    MethodsTouched,
    NotUnderstood,
    PaymentTouched,
    Processor,
    RefundFact,
    RefundTouched,
    SubscriptionTouched,
)
from tollkeeper.payments.refunding import record_refund
from tollkeeper.payments.subscribing import acting as subscribing
from tollkeeper.payments.subscribing import store as subscription_store
from tollkeeper.payments.subscribing.recording import record as record_subscription
from tollkeeper.payments.till import Till

# Within one round; what is left is taken on in the next.
_BATCH: Final = 50
# An event can be listed a little after the time it carries.
_OVERLAP: Final = timedelta(minutes=10)
# How far back Stripe keeps events.
_FURTHEST: Final = timedelta(days=29)
_TRIES: Final = 5

_log = structlog.stdlib.get_logger(__name__)


async def handle_pending(till: Till) -> int:
    """Handle what is waiting; the body of a background job, safe in many processes at once.

    Returns how many were handled. One that fails is tried again later, ever more rarely.
    """
    async with till.database.connection() as connection:
        due = await inbox_store.claim_due(connection, names(till), till.clock.now(), _BATCH)
    return sum([await handle(till, event) for event in due])


def names(till: Till) -> list[str]:
    """Which processors are configured, as the stores ask for them: others must wait."""
    return [
        f"{processor.name}{'true' if processor.livemode else 'false'}"
        for processor in till.processors.all
    ]


async def handle_new(till: Till, processor: str, event_id: str) -> bool:
    """Handle an event that has just come in, unless somebody else already does."""
    async with till.database.connection() as connection:
        event = await inbox_store.claim_one(connection, processor, event_id, till.clock.now())
    return event is not None and await handle(till, event)


async def handle(till: Till, event: InboxEvent) -> bool:
    """Handle one claimed event. Returns whether it is done with."""
    try:
        for _ in range(_TRIES):
            try:
                await _handle(till, event)
            except Stale:
                continue
            return True
        reason = "what it is about keeps changing"
    except TollkeeperError as error:
        reason = f"{error.code}: {error.detail}"
    except Exception as error:  # noqa: BLE001 (one bad event must not keep the others waiting)
        reason = f"{type(error).__name__}: {error}"
        _log.exception("event_failed", processor=event.processor, inbox_event=event.event_id)
    _log.warning(
        "event_not_handled",
        processor=event.processor,
        inbox_event=event.event_id,
        type=event.type,
        attempts=event.attempts,
        reason=reason,
    )
    async with till.database.connection() as connection:
        await inbox_store.note_error(connection, event, reason)
    return False


async def _handle(till: Till, event: InboxEvent) -> None:
    processor = till.processors.named(event.processor, livemode=event.livemode)
    happening = processor.understand(event.raw)
    match happening:
        case PaymentTouched():
            await _payment_touched(till, event, happening)
        case RefundTouched(ref=ref):
            await _refund_touched(till, event, processor, ref)
        case DisputeTouched(ref=ref):
            await _dispute_touched(till, event, processor, ref)
        case MethodsTouched(customer_ref=ref):
            await _methods_touched(till, event, processor, ref)
        case SubscriptionTouched():
            await _subscription_touched(till, event, happening)
        case Irrelevant():
            await _mark(till, event, EventState.IGNORED)
        case NotUnderstood():
            await _mark(till, event, EventState.NOT_UNDERSTOOD)
        case _:
            assert_never(happening)


async def _payment_touched(till: Till, event: InboxEvent, touched: PaymentTouched) -> None:
    async with till.database.connection() as connection:
        payment = await _payment_of(connection, event, touched)
    if payment is None:
        # A payment of another product on the same account.
        await _mark(till, event, EventState.IGNORED)
        return
    answer = await find(till, payment)
    if isinstance(answer, Unknown):
        raise ProcessorUnavailable(answer.reason)
    async with till.database.transaction() as tx:
        if await inbox_store.lock_pending(tx, event):
            await record(tx, till, payment, answer)
            await inbox_store.mark(tx, event, EventState.HANDLED, till.clock.now())


async def _payment_of(
    connection: Connection, event: InboxEvent, touched: PaymentTouched
) -> Payment | None:
    if touched.org_id is not None and touched.payment_id is not None:
        return await store.read_payment(connection, touched.org_id, touched.payment_id)
    found = None
    if touched.ref is not None:
        found = await store.read_payment_by_ref(connection, event.processor, touched.ref)
    if found is None and touched.page_ref is not None:
        found = await store.read_payment_by_page(connection, event.processor, touched.page_ref)
    return found


async def _refund_touched(till: Till, event: InboxEvent, processor: Processor, ref: str) -> None:
    fact = await processor.read_refund(ref)
    payment = await _paid(till, processor, fact)
    if payment is None:
        await _mark(till, event, EventState.IGNORED)
        return
    async with till.database.transaction() as tx:
        if await inbox_store.lock_pending(tx, event):
            await record_refund(tx, till, payment, fact)
            await inbox_store.mark(tx, event, EventState.HANDLED, till.clock.now())


async def _dispute_touched(till: Till, event: InboxEvent, processor: Processor, ref: str) -> None:
    fact = await processor.read_dispute(ref)
    payment = await _paid(till, processor, fact)
    if payment is None:
        await _mark(till, event, EventState.IGNORED)
        return
    async with till.database.transaction() as tx:
        if await inbox_store.lock_pending(tx, event):
            await record_dispute(tx, till, payment, fact)
            await inbox_store.mark(tx, event, EventState.HANDLED, till.clock.now())


async def _paid(till: Till, processor: Processor, fact: RefundFact | DisputeFact) -> Payment | None:
    """Return the payment that money goes back of; None when it is not one of ours.

    That it was paid is written down before that it goes back, in whatever order we hear of it.
    """
    async with till.database.connection() as connection:
        payment = None
        if fact.org_id is not None and fact.payment_id is not None:
            payment = await store.read_payment(connection, fact.org_id, fact.payment_id)
        if payment is None and fact.payment_ref is not None:
            payment = await store.read_payment_by_ref(connection, processor.name, fact.payment_ref)
    if payment is None or payment.status is PaymentStatus.SUCCEEDED:
        return payment
    asked = await ask(till, payment.org_id, payment.payment_id)
    if asked.status is not PaymentStatus.SUCCEEDED:
        raise ProcessorUnavailable("Money goes back of a payment that is not known to be paid")
    return asked


async def _methods_touched(
    till: Till, event: InboxEvent, processor: Processor, customer_ref: str
) -> None:
    async with till.database.connection() as connection:
        customer = await method_store.read_customer_by_ref(connection, processor.name, customer_ref)
    if customer is None:
        await _mark(till, event, EventState.IGNORED)
        return
    wallet = await processor.list_methods(customer_ref)
    async with till.database.transaction() as tx:
        if await inbox_store.lock_pending(tx, event):
            if not await keeping.apply(tx, till, customer, wallet):
                raise Stale
            await inbox_store.mark(tx, event, EventState.HANDLED, till.clock.now())


async def _subscription_touched(
    till: Till, event: InboxEvent, touched: SubscriptionTouched
) -> None:
    async with till.database.connection() as connection:
        seen = await subscription_store.read_by_ref(connection, event.processor, touched.ref)
        if seen is None and touched.org_id is not None and touched.subscription_id is not None:
            seen = await subscription_store.read(
                connection, touched.org_id, touched.subscription_id
            )
    if seen is None:
        # A subscription to another product on the same account.
        await _mark(till, event, EventState.IGNORED)
        return
    answer = await subscribing.ask(till, seen)
    if isinstance(answer, Unknown):
        raise ProcessorUnavailable(answer.reason)
    async with till.database.transaction() as tx:
        if await inbox_store.lock_pending(tx, event):
            await record_subscription(tx, till, seen, answer)
            await inbox_store.mark(tx, event, EventState.HANDLED, till.clock.now())


async def _mark(till: Till, event: InboxEvent, state: EventState) -> None:
    async with till.database.connection() as connection:
        await inbox_store.mark(connection, event, state, till.clock.now())


# ── Events that never came ───────────────────────────────────────────────────────────────────────


async def catch_up(till: Till) -> int:
    """Ask each processor for events that no webhook brought, and keep them as if one had.

    The body of a background job. Returns how many were new; `handle_pending` handles them.
    """
    return sum([await _catch_up(till, processor) for processor in till.processors.all])


async def _catch_up(till: Till, processor: Processor) -> int:
    now = till.clock.now()
    async with till.database.connection() as connection:
        known = await inbox_store.read_cursor(
            connection, processor.name, livemode=processor.livemode
        )
    since = max((known or now) - _OVERLAP, now - _FURTHEST)
    new = 0
    async for raw in processor.events(since):
        async with till.database.connection() as connection:
            new += await inbox_store.insert(connection, raw, now, livemode=processor.livemode)
    async with till.database.connection() as connection:
        await inbox_store.write_cursor(connection, processor.name, now, livemode=processor.livemode)
    return new


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which events to replay; what is None is not asked about."""

    event_ids: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    states: tuple[EventState, ...] | None = None
    since: datetime | None = None


async def replay(till: Till, processor: str, which: Which) -> int:
    """Have events handled again, as if they had just come in. Returns how many.

    It does no harm to what was done already: only how things are now is written down.
    """
    async with till.database.connection() as connection:
        return await replay_in(connection, processor, which, till.clock.now())


async def replay_in(connection: Connection, processor: str, which: Which, now: datetime) -> int:
    """The same, beside what else is written down."""
    return await inbox_store.replay(
        connection,
        processor,
        now,
        event_ids=which.event_ids,
        types=which.types,
        states=which.states,
        since=which.since,
    )
