"""Payments, as Stripe makes them.

A payment is made in two steps, create and confirm, though Stripe takes both in one. Between them
nothing can be charged, so a creation whose answer was lost is harmless, and of a confirmation
whose answer was lost we know which intent to ask about. One intent is paid at most once: so a
payment is charged at most once even after Stripe has forgotten its idempotency key.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import stripe
import stripe.checkout

from tollkeeper.base.ids import show_id
from tollkeeper.payments.model import (
    Absent,
    Answer,
    Declined,
    Failure,
    FailureCode,
    PageKind,
    Processing,
    RequiresAction,
    Succeeded,
    Unknown,
    Unpaid,
)
from tollkeeper.payments.processors import Charge, PaymentPage, Sought
from tollkeeper.payments.processors.stripe.failures import UNEXPECTED_STATE, answer_to, unknown
from tollkeeper.payments.processors.stripe.shapes import (
    PAYMENT,
    metadata_of,
    outcome_of,
    payment_metadata,
    ref_of,
)

if TYPE_CHECKING:
    from stripe.params import PaymentIntentConfirmParams
    from stripe.params.checkout import SessionCreateParams

# Stripe keeps idempotency keys for a day; what is nearly that old is looked for before it is made.
_KEYS_KEPT: Final = timedelta(hours=20)
# Between our clock and Stripe's.
_CLOCKS_DIFFER: Final = timedelta(hours=1)
_PAGE: Final = 100
_REPLAYED: Final = "idempotent-replayed"


async def pay(client: stripe.StripeClient, charge: Charge, now: datetime) -> Answer:
    try:
        intent = await _find_old(client, charge, now) or await _create(client, charge)
        if intent.status != "requires_confirmation":
            return outcome_of(intent)
        return await _confirm(
            client,
            intent.id,
            {"off_session": True} if charge.off_session else {"return_url": charge.return_url},
            f"{show_id('pay', charge.payment_id)}/confirm",
        )
    except stripe.StripeError as error:
        return answer_to(error)


async def _find_old(
    client: stripe.StripeClient, charge: Charge, now: datetime
) -> stripe.PaymentIntent | None:
    if now - charge.intended_at < _KEYS_KEPT:
        return None
    return await _find_intent(
        client,
        Sought(
            org_id=charge.org_id,
            payment_id=charge.payment_id,
            customer_ref=charge.customer_ref,
            ref=None,
            paged=False,
            page_ref=None,
            intended_at=charge.intended_at,
        ),
    )


async def _create(client: stripe.StripeClient, charge: Charge) -> stripe.PaymentIntent:
    intent = await client.v1.payment_intents.create_async(
        {
            "amount": charge.amount_minor,
            "currency": charge.currency.lower(),
            "customer": charge.customer_ref,
            "payment_method": charge.method_ref,
            "allowed_payment_method_types": [charge.method_kind],
            "description": charge.description,
            "metadata": payment_metadata(charge.org_id, charge.payment_id),
        },
        {"idempotency_key": show_id("pay", charge.payment_id)},
    )
    return await _present(client, intent)


async def _confirm(
    client: stripe.StripeClient,
    ref: str,
    how: PaymentIntentConfirmParams,
    key: str,
) -> Answer:
    try:
        intent = await client.v1.payment_intents.confirm_async(ref, how, {"idempotency_key": key})
        return outcome_of(await _present(client, intent))
    except stripe.InvalidRequestError as error:
        if error.code != UNEXPECTED_STATE:
            raise
        # Somebody was faster: what it has come to is what counts.
        return outcome_of(await client.v1.payment_intents.retrieve_async(ref))


async def _present(
    client: stripe.StripeClient, intent: stripe.PaymentIntent
) -> stripe.PaymentIntent:
    """A replayed answer tells how things stood when it was first given."""
    response = intent.last_response
    if response is None or _REPLAYED not in response.headers:
        return intent
    return await client.v1.payment_intents.retrieve_async(intent.id)


async def resume(
    client: stripe.StripeClient, payment: Sought, method_ref: str, return_url: str, attempt: int
) -> Answer:
    try:
        intent = await _find_intent(client, payment)
        if intent is None:
            return Absent()
        now = outcome_of(intent)
        may_go_on = isinstance(now, Declined | Unpaid) and intent.status != "canceled"
        if may_go_on or (isinstance(now, RequiresAction) and now.url is None):
            return await _confirm(
                client,
                intent.id,
                {"payment_method": method_ref, "return_url": return_url},
                f"{show_id('pay', payment.payment_id)}/resume/{attempt}",
            )
    except stripe.StripeError as error:
        return answer_to(error)
    return now


async def find(client: stripe.StripeClient, payment: Sought) -> Answer:
    try:
        session = await _find_session(client, payment) if payment.paged else None
        if session is not None:
            return _outcome_on(session)
        intent = await _find_intent(client, payment)
    except stripe.StripeError as error:
        return unknown(error)
    return Absent() if intent is None else outcome_of(intent)


async def cancel(client: stripe.StripeClient, payment: Sought) -> Answer:
    try:
        session = await _find_session(client, payment) if payment.paged else None
        if session is not None:
            await _unless_too_late(client.v1.checkout.sessions.expire_async(session.id))
        intent = await _find_intent(client, payment)
        if intent is not None:
            await _unless_too_late(client.v1.payment_intents.cancel_async(intent.id))
    except stripe.StripeError as error:
        return unknown(error)
    answer = await find(client, payment)
    if isinstance(answer, Declined):
        return Declined(ref=answer.ref, failure=Failure.of(FailureCode.CANCELED))
    return answer


async def _unless_too_late(act: Awaitable[object]) -> None:
    with suppress(stripe.InvalidRequestError):  # it is over: what came of it is asked for next
        await act


async def _find_intent(client: stripe.StripeClient, payment: Sought) -> stripe.PaymentIntent | None:
    if payment.ref is not None:
        return await client.v1.payment_intents.retrieve_async(payment.ref)
    if payment.customer_ref is None:
        return None
    # Not Stripe's search, which may be minutes behind: this list is not.
    listed = await client.v1.payment_intents.list_async(
        {
            "customer": payment.customer_ref,
            "created": {"gte": _not_before(payment.intended_at)},
            "limit": _PAGE,
        }
    )
    async for intent in listed.auto_paging_iter():
        if _is(payment, intent):
            return intent
    return None


async def _find_session(
    client: stripe.StripeClient, payment: Sought
) -> stripe.checkout.Session | None:
    if payment.page_ref is not None:
        return await client.v1.checkout.sessions.retrieve_async(
            payment.page_ref, {"expand": ["payment_intent"]}
        )
    if payment.customer_ref is None:
        return None
    listed = await client.v1.checkout.sessions.list_async(
        {
            "customer": payment.customer_ref,
            "created": {"gte": _not_before(payment.intended_at)},
            "limit": _PAGE,
            "expand": ["data.payment_intent"],
        }
    )
    async for session in listed.auto_paging_iter():
        if _is(payment, session):
            return session
    return None


def _not_before(intended_at: datetime) -> int:
    return int((intended_at - _CLOCKS_DIFFER).timestamp())


def _is(payment: Sought, thing: object) -> bool:
    return metadata_of(thing).get(PAYMENT) == show_id("pay", payment.payment_id)


def _outcome_on(session: stripe.checkout.Session) -> Answer:
    """Say what became of a payment on a page: a card declined there is not the last one tried."""
    intent = session.payment_intent
    answer = outcome_of(intent) if isinstance(intent, stripe.PaymentIntent) else None
    if isinstance(answer, Succeeded | Processing):
        return answer
    if session.status == "open":
        return Unpaid(ref=ref_of(intent))
    if session.status == "expired":
        return Declined(ref=ref_of(intent), failure=Failure.of(FailureCode.PAGE_EXPIRED))
    return answer or Unknown("The page is complete, and names no payment")


async def open_page(client: stripe.StripeClient, page: PaymentPage) -> stripe.checkout.Session:
    metadata = payment_metadata(page.org_id, page.payment_id)
    params: SessionCreateParams = {
        "mode": "payment",
        "customer": page.customer_ref,
        "client_reference_id": show_id("pay", page.payment_id),
        "metadata": metadata,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": page.currency.lower(),
                    "unit_amount": page.amount_minor,
                    "product_data": {"name": page.description},
                },
            }
        ],
        "payment_intent_data": {"description": page.description, "metadata": metadata},
    }
    if page.save_method:
        params["payment_intent_data"]["setup_future_usage"] = "off_session"
    return await client.v1.checkout.sessions.create_async(
        {**params, **shown_as(page.kind, page.return_url, page.cancel_url)},
        {"idempotency_key": f"{show_id('pay', page.payment_id)}/page"},
    )


def shown_as(kind: PageKind, return_url: str, cancel_url: str | None) -> SessionCreateParams:
    """Say how a page is shown, and where it leads when it is done."""
    if kind is PageKind.EMBEDDED:
        return {"ui_mode": "embedded_page", "return_url": return_url}
    hosted: SessionCreateParams = {"ui_mode": "hosted_page", "success_url": return_url}
    if cancel_url is not None:
        hosted["cancel_url"] = cancel_url
    return hosted
