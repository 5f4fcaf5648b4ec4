"""Customers and their ways to pay, as Stripe keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import stripe

from tollkeeper.base.ids import show_id
from tollkeeper.payments.processors import (
    CustomerDetails,
    MethodSetup,
    Page,
    SetupAnswer,
    SetupDeclined,
    SetupPage,
    SetupPending,
    SetupRequiresAction,
    SetupSucceeded,
    Wallet,
)
from tollkeeper.payments.processors.stripe.charging import shown_as
from tollkeeper.payments.processors.stripe.failures import failure_of
from tollkeeper.payments.processors.stripe.shapes import (
    ORG,
    Lenient,
    action_url,
    method_of,
    page_of,
    ref_of,
)

if TYPE_CHECKING:
    from stripe.params import CustomerUpdateParams
    from stripe.params.checkout import SessionCreateParams

_PAGE: Final = 100
_NOT_ATTACHED: Final = ("resource_missing", "payment_method_unexpected_state")


def described(details: CustomerDetails) -> CustomerUpdateParams:
    params: CustomerUpdateParams = {"name": details.name, "email": details.email or ""}
    address = details.address
    empty: Literal[""] = ""
    params["address"] = empty
    if address is not None:
        params["address"] = {
            "line1": address.line1,
            "line2": address.line2 or "",
            "city": address.city or "",
            "state": address.state or "",
            "postal_code": address.postal_code or "",
            "country": address.country,
        }
    return params


async def set_up(client: stripe.StripeClient, setup: MethodSetup) -> SetupAnswer:
    key = show_id("set", setup.setup_id)
    try:
        intent = await client.v1.setup_intents.create_async(
            {
                "customer": setup.customer_ref,
                "payment_method": setup.token,
                "confirm": True,
                "usage": "off_session",
                "automatic_payment_methods": {"enabled": True},
                "return_url": setup.return_url,
                "metadata": {"tollkeeper_setup": key},
            },
            {"idempotency_key": key},
        )
    except stripe.CardError as error:
        if error.error is None:
            raise
        return SetupDeclined(failure=failure_of(error.error))
    except stripe.InvalidRequestError as error:
        # The token is the customer's: one that is used up, or made up, is no fault of ours.
        if error.error is None or error.param not in ("payment_method", None):
            raise
        return SetupDeclined(failure=failure_of(error.error))
    return _answer_of(intent)


def _answer_of(intent: stripe.SetupIntent) -> SetupAnswer:
    method, url = ref_of(intent.payment_method), action_url(intent.next_action)
    if intent.status == "succeeded" and method is not None:
        return SetupSucceeded(method_ref=method)
    if intent.status == "requires_action" and url is not None:
        return SetupRequiresAction(url=url)
    if intent.last_setup_error is not None:
        return SetupDeclined(failure=failure_of(Lenient(intent.last_setup_error)))
    return SetupPending()


async def open_setup_page(client: stripe.StripeClient, page: SetupPage) -> Page:
    key = show_id("set", page.setup_id)
    metadata = {ORG: show_id("org", page.org_id), "tollkeeper_setup": key}
    params: SessionCreateParams = {
        "mode": "setup",
        "currency": "usd",
        "customer": page.customer_ref,
        "client_reference_id": key,
        "metadata": metadata,
        "setup_intent_data": {"metadata": metadata},
    }
    session = await client.v1.checkout.sessions.create_async(
        {**params, **shown_as(page.kind, page.return_url, page.cancel_url)},
        {"idempotency_key": key},
    )
    return page_of(session)


async def list_methods(client: stripe.StripeClient, customer_ref: str) -> Wallet:
    customer = await client.v1.customers.retrieve_async(customer_ref)
    settings = customer.invoice_settings
    listed = await client.v1.customers.payment_methods.list_async(customer_ref, {"limit": _PAGE})
    methods = [method_of(method) async for method in listed.auto_paging_iter()]
    default = None if settings is None else ref_of(settings.default_payment_method)
    return Wallet(methods=methods, default_ref=default)


async def detach(client: stripe.StripeClient, method_ref: str) -> None:
    try:
        await client.v1.payment_methods.detach_async(method_ref)
    except stripe.InvalidRequestError as error:
        if error.code not in _NOT_ATTACHED and "not attached" not in (error.user_message or ""):
            raise
