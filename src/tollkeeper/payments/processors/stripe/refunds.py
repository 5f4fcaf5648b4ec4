"""Refunds, as Stripe makes them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import stripe
import structlog

from tollkeeper.base.ids import show_id
from tollkeeper.payments.model import Absent
from tollkeeper.payments.processors import RefundAnswer, RefundOrder, RefundRejected
from tollkeeper.payments.processors.stripe.failures import unknown
from tollkeeper.payments.processors.stripe.shapes import ORG, REFUND, metadata_of, refund_of

_KEYS_KEPT: Final = timedelta(hours=20)
_PAGE: Final = 100

_log = structlog.stdlib.get_logger(__name__)


async def make(client: stripe.StripeClient, order: RefundOrder, now: datetime) -> RefundAnswer:
    if now - order.intended_at > _KEYS_KEPT:
        found = await find(client, order)
        if not isinstance(found, Absent):
            return found
    refund_id = show_id("ref", order.refund_id)
    try:
        refund = await client.v1.refunds.create_async(
            {
                "payment_intent": order.payment_ref,
                "amount": order.amount_minor,
                "reason": "requested_by_customer",
                "metadata": {ORG: show_id("org", order.org_id), REFUND: refund_id},
            },
            {"idempotency_key": refund_id},
        )
    except (stripe.InvalidRequestError, stripe.CardError) as error:
        # More than is left of the payment, or a dispute that has it already.
        _log.error("stripe_refused_refund", refund=refund_id, reason=str(error), code=error.code)
        return RefundRejected(error.user_message or error.code or "refused")
    except stripe.StripeError as error:
        return unknown(error)
    return refund_of(refund)


async def find(client: stripe.StripeClient, order: RefundOrder) -> RefundAnswer:
    refund_id = show_id("ref", order.refund_id)
    try:
        listed = await client.v1.refunds.list_async(
            {"payment_intent": order.payment_ref, "limit": _PAGE}
        )
        async for refund in listed.auto_paging_iter():
            if metadata_of(refund).get(REFUND) == refund_id:
                return refund_of(refund)
    except stripe.StripeError as error:
        return unknown(error)
    return Absent()
