"""Whether a JSON value is what Stripe's SDK says it is."""

from __future__ import annotations

import inspect
import typing
from typing import Any, ForwardRef, get_args, get_origin

import stripe
import stripe.checkout
from stripe.billing_portal import Session as PortalSession

KINDS: dict[str, Any] = {
    "customer": stripe.Customer,
    "payment_method": stripe.PaymentMethod,
    "payment_intent": stripe.PaymentIntent,
    "setup_intent": stripe.SetupIntent,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "dispute": stripe.Dispute,
    "balance_transaction": stripe.BalanceTransaction,
    "checkout.session": stripe.checkout.Session,
    "billing_portal.session": PortalSession,
    "tax_id": stripe.TaxId,
    "product": stripe.Product,
    "price": stripe.Price,
    "subscription": stripe.Subscription,
    "invoice": stripe.Invoice,
    "event": stripe.Event,
}


def faults_of(value: Any, wanted: Any, place: str) -> list[str]:
    """Say where a value is not what an annotation of the SDK says."""
    kind = get_origin(wanted) or wanted
    if isinstance(wanted, ForwardRef | str):
        found = _faults_of_named(value, wanted, place)
    elif kind is typing.Union:
        found = min((faults_of(value, member, place) for member in get_args(wanted)), key=len)
    elif kind is list:
        (inner,) = get_args(wanted)
        found = [
            fault
            for position, item in enumerate(value if isinstance(value, list) else [value])
            for fault in faults_of(item, inner, f"{place}[{position}]")
        ]
    elif inspect.isclass(kind) and issubclass(kind, stripe.StripeObject):
        found = faults_of_object(value, wanted, place)
    elif kind is typing.Literal:
        found = [] if value in get_args(wanted) else [f"{place}: {value!r} is none of {wanted}"]
    else:
        found = [] if kind is Any or isinstance(value, kind) else [f"{place}: {value!r}: {wanted}"]
    return found


def _faults_of_named(value: Any, wanted: ForwardRef | str, place: str) -> list[str]:
    """Things that are named are given by their id, or whole."""
    name = wanted if isinstance(wanted, str) else wanted.__forward_arg__
    if isinstance(value, str):
        return []
    return faults_of_object(
        value, {kind.__name__: kind for kind in KINDS.values()}.get(name), place
    )


def faults_of_object(value: Any, kind: Any, place: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{place}: {value!r} is no object"]
    known = dict(getattr(kind, "__annotations__", {})) if get_origin(kind) is None else {}
    if not known:
        return []  # free-form, such as metadata
    found = [f"{place}.{name} is unknown" for name in value.keys() - known.keys()]
    for name, wanted in known.items():
        if name in value:
            found += faults_of(value[name], wanted, f"{place}.{name}")
        elif type(None) not in get_args(wanted) and get_origin(wanted) is not typing.ClassVar:
            found.append(f"{place}.{name} is missing")
    return found
