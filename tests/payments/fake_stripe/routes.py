"""Which request does what. Parameters that Stripe does not know are refused, as it does."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from fake_stripe import aftermath, checkout, intents, objects, subscriptions
from fake_stripe.state import Fault, Json, Params, State, expanded, invalid, listed

Act = Callable[[State, Params, str], Json]


@dataclass(frozen=True)
class Route:
    """`params` names the SDK's type of what the request takes, as `module:class`."""

    method: str
    path: re.Pattern[str]
    act: Act
    params: str


def known_params(name: str) -> frozenset[str]:
    return _known_params(name) | {"expand"}


@cache
def _known_params(name: str) -> frozenset[str]:
    module_name, class_name = name.split(":")
    module = importlib.import_module(f"stripe.params.{module_name}")
    return frozenset(getattr(module, class_name).__annotations__)


def find_route(method: str, path: str) -> tuple[Route, str]:
    """Return the route and the id in its path. Raises Fault for what the fake does not know."""
    for route in ROUTES:
        found = route.path.fullmatch(path)
        if found is not None and route.method == method:
            return route, "/".join(found.groups())
    raise Fault(404, f"Unrecognized request URL ({method}: {path})")


def run(state: State, method: str, path: str, params: Params) -> Json:
    route, ref = find_route(method, path)
    for name in params:
        if name not in known_params(route.params):
            raise invalid(f"Received unknown parameter: {name}", name, "parameter_unknown")
    checkout.expire_due(state)
    subscriptions.tick(state)
    try:
        done = route.act(state, params, ref)
    finally:
        subscriptions.tick(state)
    if done["object"] == "list":
        return done
    return expanded(state, done, list(params.get("expand", [])))


# ── Customers and methods ────────────────────────────────────────────────────────────────────────


def create_customer(state: State, params: Params, _: str) -> Json:
    made = state.keep(objects.customer(state, {}))
    _change_customer(state, made, params)
    state.tell("customer.created", made)
    return made


def update_customer(state: State, params: Params, ref: str) -> Json:
    found = state.find(ref, "customer")
    _change_customer(state, found, params)
    state.tell("customer.updated", found)
    return found


def _change_customer(state: State, customer: Json, params: Params) -> None:
    for name in ("name", "email", "description"):
        if name in params:
            customer[name] = params[name] or None
    if "address" in params:
        given: Any = params["address"] or None
        customer["address"] = given and objects.NO_ADDRESS | {
            name: text or None for name, text in given.items()
        }
    customer["metadata"].update(params.get("metadata", {}))
    default = params.get("invoice_settings", {}).get("default_payment_method")
    if default is not None:
        method = state.find(default, "payment_method", "invoice_settings[default_payment_method]")
        if method["customer"] != customer["id"]:
            raise invalid(
                "The payment method is not attached to this customer",
                "invoice_settings[default_payment_method]",
            )
        customer["invoice_settings"]["default_payment_method"] = default


def list_methods(state: State, params: Params, ref: str) -> Json:
    state.find(ref, "customer")
    found = [method for method in state.all("payment_method") if method["customer"] == ref]
    return listed(state, found, params, f"/v1/customers/{ref}/payment_methods")


def attach_method(state: State, params: Params, ref: str) -> Json:
    return intents.attach(state, intents.method_named(state, ref), params["customer"])


def create_tax_id(state: State, params: Params, ref: str) -> Json:
    owner = state.find(ref, "customer")
    if len(params["value"]) < 5:
        raise invalid("Invalid value for tax id", "value", "tax_id_invalid")
    return objects.tax_id(state, owner, params["type"], params["value"])


def list_tax_ids(state: State, params: Params, ref: str) -> Json:
    found = [known for known in state.all("tax_id") if known["customer"] == ref]
    return listed(state, found, params, f"/v1/customers/{ref}/tax_ids")


def delete_tax_id(state: State, _: Params, refs: str) -> Json:
    found = state.find(refs.split("/")[1], "tax_id")
    del state.objects[found["id"]]
    return {"id": found["id"], "object": "tax_id", "deleted": True}


def create_portal(state: State, params: Params, _: str) -> Json:
    state.find(params["customer"], "customer", "customer")
    return objects.portal_session(state, params)


# ── Lists ────────────────────────────────────────────────────────────────────────────────────────


def list_payments(state: State, params: Params, _: str) -> Json:
    found = [
        intent
        for intent in state.all("payment_intent")
        if params.get("customer") in (None, intent["customer"])
    ]
    return listed(state, found, params, "/v1/payment_intents")


def list_sessions(state: State, params: Params, _: str) -> Json:
    found = [
        session
        for session in state.all("checkout.session")
        if params.get("customer") in (None, session["customer"])
        and params.get("payment_intent") in (None, session["payment_intent"])
    ]
    return listed(state, found, params, "/v1/checkout/sessions")


def list_refunds(state: State, params: Params, _: str) -> Json:
    found = [
        refund
        for refund in state.all("refund")
        if params.get("payment_intent") in (None, refund["payment_intent"])
    ]
    return listed(state, found, params, "/v1/refunds")


def list_events(state: State, params: Params, _: str) -> Json:
    types = params.get("types", [])
    if len(types) > 20:
        raise invalid("You may ask for at most 20 types", "types")
    found = [event for event in state.all("event") if not types or event["type"] in types]
    return listed(state, found, params, "/v1/events")


def list_lines(state: State, params: Params, _: str) -> Json:
    return listed(state, state.all("balance_transaction"), params, "/v1/balance_transactions")


def list_prices(state: State, params: Params, _: str) -> Json:
    return listed(state, subscriptions.prices_like(state, params), params, "/v1/prices")


def list_subscriptions(state: State, params: Params, _: str) -> Json:
    found = subscriptions.subscriptions_of(state, params)
    return listed(state, found, params, "/v1/subscriptions")


def list_invoices(state: State, params: Params, _: str) -> Json:
    return listed(state, subscriptions.invoices_of(state, params), params, "/v1/invoices")


# ── The table ────────────────────────────────────────────────────────────────────────────────────


def _of(kind: str) -> Act:
    return lambda state, _, ref: state.find(ref, kind)


def _route(method: str, path: str, act: Act, params: str) -> Route:
    return Route(method, re.compile("/v1/" + path.replace("*", "([^/]+)")), act, params)


_PI = "_payment_intent"
_CS = "checkout._session"

ROUTES = (
    _route("POST", "customers", create_customer, "_customer_create_params:CustomerCreateParams"),
    _route(
        "GET", "customers/*", _of("customer"), "_customer_retrieve_params:CustomerRetrieveParams"
    ),
    _route("POST", "customers/*", update_customer, "_customer_update_params:CustomerUpdateParams"),
    _route(
        "GET",
        "customers/*/payment_methods",
        list_methods,
        "_customer_payment_method_list_params:CustomerPaymentMethodListParams",
    ),
    _route(
        "POST",
        "customers/*/tax_ids",
        create_tax_id,
        "_customer_tax_id_create_params:CustomerTaxIdCreateParams",
    ),
    _route(
        "GET",
        "customers/*/tax_ids",
        list_tax_ids,
        "_customer_tax_id_list_params:CustomerTaxIdListParams",
    ),
    _route(
        "DELETE",
        "customers/*/tax_ids/*",
        delete_tax_id,
        "_customer_tax_id_delete_params:CustomerTaxIdDeleteParams",
    ),
    _route(
        "GET",
        "payment_methods/*",
        _of("payment_method"),
        "_payment_method_retrieve_params:PaymentMethodRetrieveParams",
    ),
    _route(
        "POST",
        "payment_methods/*/attach",
        attach_method,
        "_payment_method_attach_params:PaymentMethodAttachParams",
    ),
    _route(
        "POST",
        "payment_methods/*/detach",
        lambda state, _, ref: intents.detach(state, state.find(ref, "payment_method")),
        "_payment_method_detach_params:PaymentMethodDetachParams",
    ),
    _route(
        "POST",
        "setup_intents",
        lambda state, params, _: intents.create_setup(state, params),
        "_setup_intent_create_params:SetupIntentCreateParams",
    ),
    _route(
        "GET",
        "setup_intents/*",
        _of("setup_intent"),
        "_setup_intent_retrieve_params:SetupIntentRetrieveParams",
    ),
    _route(
        "POST",
        "payment_intents",
        lambda state, params, _: intents.create_payment(state, params),
        f"{_PI}_create_params:PaymentIntentCreateParams",
    ),
    _route("GET", "payment_intents", list_payments, f"{_PI}_list_params:PaymentIntentListParams"),
    _route(
        "GET",
        "payment_intents/*",
        _of("payment_intent"),
        f"{_PI}_retrieve_params:PaymentIntentRetrieveParams",
    ),
    _route(
        "POST",
        "payment_intents/*/confirm",
        lambda state, params, ref: intents.confirm_payment(
            state, state.find(ref, "payment_intent"), params
        ),
        f"{_PI}_confirm_params:PaymentIntentConfirmParams",
    ),
    _route(
        "POST",
        "payment_intents/*/cancel",
        lambda state, params, ref: intents.cancel_payment(
            state, state.find(ref, "payment_intent"), params
        ),
        f"{_PI}_cancel_params:PaymentIntentCancelParams",
    ),
    _route("GET", "charges/*", _of("charge"), "_charge_retrieve_params:ChargeRetrieveParams"),
    _route(
        "POST",
        "refunds",
        lambda state, params, _: aftermath.refund(state, params),
        "_refund_create_params:RefundCreateParams",
    ),
    _route("GET", "refunds", list_refunds, "_refund_list_params:RefundListParams"),
    _route("GET", "refunds/*", _of("refund"), "_refund_retrieve_params:RefundRetrieveParams"),
    _route("GET", "disputes/*", _of("dispute"), "_dispute_retrieve_params:DisputeRetrieveParams"),
    _route(
        "POST",
        "checkout/sessions",
        lambda state, params, _: checkout.create(state, params),
        f"{_CS}_create_params:SessionCreateParams",
    ),
    _route("GET", "checkout/sessions", list_sessions, f"{_CS}_list_params:SessionListParams"),
    _route(
        "GET",
        "checkout/sessions/*",
        _of("checkout.session"),
        f"{_CS}_retrieve_params:SessionRetrieveParams",
    ),
    _route(
        "POST",
        "checkout/sessions/*/expire",
        lambda state, _, ref: checkout.expire(state, state.find(ref, "checkout.session")),
        f"{_CS}_expire_params:SessionExpireParams",
    ),
    _route(
        "POST",
        "billing_portal/sessions",
        create_portal,
        "billing_portal._session_create_params:SessionCreateParams",
    ),
    _route("GET", "events", list_events, "_event_list_params:EventListParams"),
    _route("GET", "events/*", _of("event"), "_event_retrieve_params:EventRetrieveParams"),
    _route(
        "GET",
        "balance_transactions",
        list_lines,
        "_balance_transaction_list_params:BalanceTransactionListParams",
    ),
    _route(
        "POST",
        "products",
        lambda state, params, _: subscriptions.create_product(state, params),
        "_product_create_params:ProductCreateParams",
    ),
    _route("GET", "prices", list_prices, "_price_list_params:PriceListParams"),
    _route(
        "POST",
        "prices",
        lambda state, params, _: subscriptions.create_price(state, params),
        "_price_create_params:PriceCreateParams",
    ),
    _route(
        "POST",
        "subscriptions",
        lambda state, params, _: subscriptions.create(state, params),
        "_subscription_create_params:SubscriptionCreateParams",
    ),
    _route(
        "GET",
        "subscriptions",
        list_subscriptions,
        "_subscription_list_params:SubscriptionListParams",
    ),
    _route(
        "GET",
        "subscriptions/*",
        _of("subscription"),
        "_subscription_retrieve_params:SubscriptionRetrieveParams",
    ),
    _route(
        "POST",
        "subscriptions/*",
        lambda state, params, ref: subscriptions.update(
            state, state.find(ref, "subscription"), params
        ),
        "_subscription_update_params:SubscriptionUpdateParams",
    ),
    _route(
        "DELETE",
        "subscriptions/*",
        lambda state, _, ref: subscriptions.cancel(state, state.find(ref, "subscription")),
        "_subscription_cancel_params:SubscriptionCancelParams",
    ),
    _route("GET", "invoices", list_invoices, "_invoice_list_params:InvoiceListParams"),
    _route(
        "POST",
        "invoices/*/void",
        lambda state, _, ref: subscriptions.void(state, state.find(ref, "invoice")),
        "_invoice_void_invoice_params:InvoiceVoidInvoiceParams",
    ),
)
