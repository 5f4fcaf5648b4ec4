"""Subscriptions, as Stripe bills them.

A subscription is created incomplete and its first invoice paid in a second step, like every payment
here: of a creation whose answer was lost nothing was charged. It names no payment method of its
own, so that every invoice is charged to the customer's default one, as purchases are. A change that
costs more is pending until its invoice is paid; one that costs less only changes what is billed
next. Each act begins by looking, so that what was done already is not done again.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import stripe
import structlog

from tollkeeper.base.ids import read_id, show_id
from tollkeeper.payments.model import (
    Absent,
    Answer,
    Declined,
    Failure,
    FailureCode,
    Processing,
    RequiresAction,
)
from tollkeeper.payments.processors.stripe.failures import failure_of, unknown
from tollkeeper.payments.processors.stripe.shapes import (
    ORG,
    SUBSCRIPTION,
    metadata_of,
    moment,
    outcome_of,
    ref_of,
)
from tollkeeper.payments.subscription import (
    FeePaid,
    PaymentWay,
    Price,
    Stopping,
    SubscriptionAnswer,
    SubscriptionFact,
    SubscriptionRefused,
    SubscriptionSought,
    SubscriptionStatus,
)

_PAGE: Final = 100
_CLOCKS_DIFFER: Final = timedelta(hours=1)
_PRODUCT: Final = "pln"
# Without its invoice's payments there is no way from a subscription to what its customer must do.
_WHOLE: Final = ["latest_invoice.payments"]
_STATUS: Final = {
    "incomplete": SubscriptionStatus.REQUIRES_PAYMENT,
    "incomplete_expired": SubscriptionStatus.CANCELLED,
    "trialing": SubscriptionStatus.ACTIVE,
    "active": SubscriptionStatus.ACTIVE,
    "past_due": SubscriptionStatus.PAST_DUE,
    "unpaid": SubscriptionStatus.PAST_DUE,
    "paused": SubscriptionStatus.PAST_DUE,
    "canceled": SubscriptionStatus.CANCELLED,
}

_log = structlog.stdlib.get_logger(__name__)


async def start(
    client: stripe.StripeClient, sought: SubscriptionSought, price: Price, way: PaymentWay
) -> SubscriptionAnswer:
    found = await _find(client, sought)
    if found is None:
        key = show_id("sub", sought.subscription_id)
        made = await client.v1.subscriptions.create_async(
            {
                "customer": sought.customer_ref,
                "items": [{"price": await _price_ref(client, price)}],
                "payment_behavior": "default_incomplete",
                "description": price.product_name,
                "metadata": {ORG: show_id("org", sought.org_id), SUBSCRIPTION: key},
                "expand": _WHOLE,
            },
            {"idempotency_key": key},
        )
        found = await _read(client, made.id)
    if found.status != "incomplete":
        return await _fact(client, found)
    return await _pay_open(client, found, way)


async def change(
    client: stripe.StripeClient, sought: SubscriptionSought, price: Price, way: PaymentWay | None
) -> SubscriptionAnswer:
    found = await _find(client, sought)
    if found is None:
        return Absent()
    price_ref = await _price_ref(client, price)
    (item,) = found.items.data
    if item.price.id == price_ref:
        return await _fact(client, found)
    if way is None:
        await client.v1.subscriptions.update_async(
            found.id,
            {"items": [{"id": item.id, "price": price_ref}], "proration_behavior": "none"},
        )
        return await _fact(client, await _read(client, found.id))
    if found.pending_update is None:
        await client.v1.subscriptions.update_async(
            found.id,
            {
                "items": [{"id": item.id, "price": price_ref}],
                "proration_behavior": "always_invoice",
                "payment_behavior": "pending_if_incomplete",
            },
            {"idempotency_key": _key(sought, "change", way)},
        )
        found = await _read(client, found.id)
    if found.pending_update is None:
        return await _fact(client, found)
    answer = await _pay_open(client, found, way)
    if not isinstance(answer, SubscriptionFact) or answer.failure is None:
        return answer
    # Declined: the change is withdrawn, and everything is as it was.
    await _void(client, ref_of(found.latest_invoice))
    return replace(await _fact(client, await _read(client, found.id)), failure=answer.failure)


async def pay(
    client: stripe.StripeClient, sought: SubscriptionSought, way: PaymentWay
) -> SubscriptionAnswer:
    found = await _find(client, sought)
    return Absent() if found is None else await _pay_open(client, found, way)


async def stop(
    client: stripe.StripeClient, sought: SubscriptionSought, stopping: Stopping
) -> SubscriptionAnswer:
    found = await _find(client, sought)
    if found is None:
        return Absent()
    if _STATUS.get(found.status) is SubscriptionStatus.CANCELLED:
        return await _fact(client, found)
    if stopping is Stopping.NOW:
        invoice = found.latest_invoice
        await client.v1.subscriptions.cancel_async(found.id)
        if isinstance(invoice, stripe.Invoice) and invoice.status == "open":
            await _void(client, invoice.id)  # else somebody might pay it yet
    else:
        await client.v1.subscriptions.update_async(
            found.id, {"cancel_at_period_end": stopping is Stopping.AT_PERIOD_END}
        )
    return await _fact(client, await _read(client, found.id))


async def find(client: stripe.StripeClient, sought: SubscriptionSought) -> SubscriptionAnswer:
    found = await _find(client, sought)
    return Absent() if found is None else await _fact(client, found)


# ── Finding ──────────────────────────────────────────────────────────────────────────────────────


async def _read(client: stripe.StripeClient, ref: str) -> stripe.Subscription:
    return await client.v1.subscriptions.retrieve_async(ref, {"expand": _WHOLE})


async def _find(
    client: stripe.StripeClient, sought: SubscriptionSought
) -> stripe.Subscription | None:
    if sought.ref is not None:
        return await _read(client, sought.ref)
    since = int((sought.intended_at - _CLOCKS_DIFFER).timestamp())
    listed = await client.v1.subscriptions.list_async(
        {
            "customer": sought.customer_ref,
            "status": "all",
            "created": {"gte": since},
            "limit": _PAGE,
        }
    )
    key = show_id("sub", sought.subscription_id)
    async for subscription in listed.auto_paging_iter():
        if metadata_of(subscription).get(SUBSCRIPTION) == key:
            return await _read(client, subscription.id)
    return None


def _key(sought: SubscriptionSought, act: str, way: PaymentWay) -> str:
    return f"{show_id('sub', sought.subscription_id)}/{act}/{way.attempt}"


async def _price_ref(client: stripe.StripeClient, price: Price) -> str:
    """Return the price's ref, having made it and its product if need be: once for each fee."""
    product = show_id(_PRODUCT, price.product_id)
    key = f"{product}/{price.fee_minor}/{price.currency.lower()}/{price.interval}"
    listed = await client.v1.prices.list_async({"lookup_keys": [key], "active": True})
    if listed.data:
        return listed.data[0].id
    with suppress(stripe.InvalidRequestError):  # it is there already
        await client.v1.products.create_async({"id": product, "name": price.product_name})
    made = await client.v1.prices.create_async(
        {
            "product": product,
            "unit_amount": price.fee_minor,
            "currency": price.currency.lower(),
            "recurring": {"interval": price.interval},
            "lookup_key": key,
        },
        {"idempotency_key": key},
    )
    return made.id


# ── Paying what is open ──────────────────────────────────────────────────────────────────────────


async def _pay_open(
    client: stripe.StripeClient, found: stripe.Subscription, way: PaymentWay
) -> SubscriptionAnswer:
    ref, failure = _open_intent(found), None
    if ref is not None:
        failure = await _confirm(client, found.id, ref, way)
    fact = await _fact(client, await _read(client, found.id))
    return fact if failure is None else replace(fact, failure=failure)


async def _confirm(
    client: stripe.StripeClient, subscription_ref: str, ref: str, way: PaymentWay
) -> Failure | None:
    """Say why it was not even tried; how it went is asked for in any case."""
    intent = await client.v1.payment_intents.retrieve_async(ref)
    now = outcome_of(intent)
    if isinstance(now, RequiresAction) and now.url is not None:
        return None
    if intent.status in ("succeeded", "processing", "canceled"):
        return None
    try:
        await client.v1.payment_intents.confirm_async(
            ref,
            {"payment_method": way.method_ref, "return_url": way.return_url},
            {"idempotency_key": f"{subscription_ref}/{ref}/{way.attempt}"},
        )
    except stripe.CardError as error:
        return None if error.error is None else failure_of(error.error)
    except stripe.InvalidRequestError as error:
        _log.error("stripe_refused_fee", subscription=subscription_ref, reason=str(error))
        return Failure.of(FailureCode.METHOD_UNUSABLE, error.user_message or "")
    return None


def _open_intent(found: stripe.Subscription) -> str | None:
    """Return the payment of an invoice that is still to be paid."""
    invoice = found.latest_invoice
    if not isinstance(invoice, stripe.Invoice) or invoice.status != "open":
        return None
    for payment in [] if invoice.payments is None else invoice.payments.data:
        ref = ref_of(payment.payment.payment_intent)
        if ref is not None and payment.status == "open":
            return ref
    return None


async def _void(client: stripe.StripeClient, invoice_ref: str | None) -> None:
    if invoice_ref is not None:
        with suppress(stripe.InvalidRequestError):  # it is paid or void: that is found next
            await client.v1.invoices.void_invoice_async(invoice_ref)


# ── As our values ────────────────────────────────────────────────────────────────────────────────


async def _fact(client: stripe.StripeClient, found: stripe.Subscription) -> SubscriptionFact:
    intent = _open_intent(found)
    outcome: Answer | None = None
    if intent is not None:
        outcome = outcome_of(await client.v1.payment_intents.retrieve_async(intent))
    status = _STATUS.get(found.status, SubscriptionStatus.PAST_DUE)
    if status is SubscriptionStatus.REQUIRES_PAYMENT:
        if isinstance(outcome, RequiresAction):
            status = SubscriptionStatus.REQUIRES_ACTION
        elif isinstance(outcome, Processing):
            status = SubscriptionStatus.PROCESSING
    item = found.items.data[0]
    return SubscriptionFact(
        ref=found.id,
        status=status,
        product_id=_product_id(ref_of(item.price.product)),
        fee_minor=item.price.unit_amount or 0,
        period_start=moment(item.current_period_start),
        period_end=moment(item.current_period_end),
        cancels_at_period_end=found.cancel_at_period_end,
        change_waits=found.pending_update is not None,
        action_url=outcome.url if isinstance(outcome, RequiresAction) else None,
        failure=outcome.failure if isinstance(outcome, Declined) else None,
        fees=await _fees(client, found.id),
    )


def _product_id(ref: str | None) -> UUID | None:
    try:
        return read_id(_PRODUCT, ref or "")
    except ValueError:
        return None


async def _fees(client: stripe.StripeClient, ref: str) -> tuple[FeePaid, ...]:
    """The newest; an hour of silence misses one at the most."""
    listed = await client.v1.invoices.list_async(
        {"subscription": ref, "status": "paid", "limit": _PAGE}
    )
    return tuple(_fee_of(invoice) for invoice in listed.data if invoice.amount_paid > 0)


def _fee_of(invoice: stripe.Invoice) -> FeePaid:
    # The invoice's own period is the one before; what is billed is in its lines.
    periods = [line.period for line in invoice.lines.data]
    paid_at = invoice.status_transitions.paid_at or invoice.created
    return FeePaid(
        ref=invoice.id,
        amount_minor=invoice.amount_paid,
        currency=invoice.currency.upper(),
        period_start=moment(
            max((period.start for period in periods), default=invoice.period_start)
        ),
        period_end=moment(max((period.end for period in periods), default=invoice.period_end)),
        paid_at=moment(paid_at),
    )


async def answered(act: Awaitable[SubscriptionAnswer]) -> SubscriptionAnswer:
    """Await an act. A request that is refused is so for good; every other error is no answer."""
    try:
        return await act
    except stripe.InvalidRequestError as error:
        _log.error("stripe_refused_subscription", reason=str(error), code=error.code)
        code = FailureCode.REFUSED
        if error.code in ("amount_too_small", "amount_too_large"):
            code = FailureCode.AMOUNT_REFUSED
        return SubscriptionRefused(failure=Failure.of(code, error.user_message or ""))
    except stripe.StripeError as error:
        return unknown(error)
