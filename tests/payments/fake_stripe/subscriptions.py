"""Subscriptions and their invoices: billed as time goes by, each by an intent that is charged."""

from __future__ import annotations

from calendar import monthrange
from contextlib import suppress
from datetime import UTC, datetime

from fake_stripe import intents, subscription_objects
from fake_stripe.state import Fault, Json, Params, State, invalid

DAY = 86_400
OPEN_FOR = 23 * 3600
TRIES = 3
OVER = ("canceled", "incomplete_expired")
PENDING_TAKES = {"items", "payment_behavior", "proration_behavior", "proration_date", "expand"}


# ── Products and prices ──────────────────────────────────────────────────────────────────────────


def create_product(state: State, params: Params) -> Json:
    if params.get("id") in state.objects:
        raise invalid("Product already exists.", "id", "resource_already_exists")
    made = state.keep(subscription_objects.product(state, params))
    state.tell("product.created", made)
    return made


def create_price(state: State, params: Params) -> Json:
    state.find(params.get("product"), "product", "product")
    key = params.get("lookup_key")
    if key is not None and any(price["lookup_key"] == key for price in state.all("price")):
        raise invalid(f"A price already uses the lookup key {key}", "lookup_key")
    made = state.keep(subscription_objects.price(state, params))
    state.tell("price.created", made)
    return made


def prices_like(state: State, params: Params) -> list[Json]:
    keys = params.get("lookup_keys")
    return [price for price in state.all("price") if keys is None or price["lookup_key"] in keys]


# ── Subscriptions ────────────────────────────────────────────────────────────────────────────────


def create(state: State, params: Params) -> Json:
    if params.get("payment_behavior") != "default_incomplete":
        raise invalid("The fake starts subscriptions incomplete", "payment_behavior")
    customer = state.find(params.get("customer"), "customer", "customer")
    price = state.find(params["items"][0]["price"], "price", "items[0][price]")
    made = state.keep(subscription_objects.subscription(state, params, price))
    _move_period(made, made["created"], price)
    _bill(state, made, price["unit_amount"], "subscription_create")
    intent = _intent(state, made)
    default = customer["invoice_settings"]["default_payment_method"]
    if default is not None:
        intent["payment_method"], intent["status"] = default, "requires_confirmation"
    state.tell("customer.subscription.created", made)
    return made


def update(state: State, made: Json, params: Params) -> Json:
    if made["status"] in OVER:
        raise invalid("A canceled subscription can only update its cancellation_details", "id")
    if "cancel_at_period_end" in params:
        made["cancel_at_period_end"] = params["cancel_at_period_end"] == "true"
    if "items" in params:
        _change_price(state, made, params)
    state.tell("customer.subscription.updated", made)
    return made


def _change_price(state: State, made: Json, params: Params) -> None:
    wanted = params["items"][0]
    item = made["items"]["data"][0]
    if wanted.get("id") != item["id"]:
        raise invalid("The fake has one item in a subscription", "items[0][id]")
    price = state.find(wanted["price"], "price", "items[0][price]")
    if price["recurring"]["interval"] != item["price"]["recurring"]["interval"]:
        raise invalid("The fake keeps the interval", "items[0][price]")
    if params.get("proration_behavior") == "none":
        item["price"] = price
        return
    if params.get("payment_behavior") != "pending_if_incomplete" or params.keys() - PENDING_TAKES:
        raise invalid("Not with pending_if_incomplete", "payment_behavior")
    if made["pending_update"] is not None:
        _void_pending(state, made)
    whole = item["current_period_end"] - item["current_period_start"]
    left = item["current_period_end"] - state.now()
    due = (price["unit_amount"] - item["price"]["unit_amount"]) * left // whole
    if due < intents.LEAST:
        item["price"] = price
        return
    made["pending_update"] = subscription_objects.pending_update(state, made, price)
    _bill(state, made, due, "subscription_update")
    _charge_default(state, made)


def cancel(state: State, made: Json) -> Json:
    if made["status"] in OVER:
        raise Fault(404, f"No such subscription: {made['id']}", code="resource_missing")
    return _end(state, made, "canceled")


def _end(state: State, made: Json, status: str) -> Json:
    made.update(status=status, canceled_at=state.now(), ended_at=state.now(), pending_update=None)
    state.tell("customer.subscription.deleted", made)
    return made


# ── Invoices ─────────────────────────────────────────────────────────────────────────────────────


def _bill(state: State, made: Json, amount: int, reason: str) -> None:
    intent = intents.create_payment(
        state,
        {"amount": str(amount), "currency": made["currency"], "customer": made["customer"]},
    )
    intent["setup_future_usage"] = "off_session"
    invoice = state.keep(subscription_objects.invoice(state, made, amount, reason))
    payment = subscription_objects.invoice_payment(state, invoice, intent)
    state.secret[invoice["id"]] = {"payments": [payment], "tries": 0, "told": None}
    made["latest_invoice"] = invoice["id"]
    state.tell("invoice.created", invoice)
    state.tell("invoice.finalized", invoice)


def _latest(state: State, made: Json) -> Json:
    return state.objects[made["latest_invoice"]]


def _intent(state: State, made: Json) -> Json:
    return intent_of(state, _latest(state, made))


def intent_of(state: State, invoice: Json) -> Json:
    payment = state.secret[invoice["id"]]["payments"][0]
    return state.objects[payment["payment"]["payment_intent"]]


def _charge_default(state: State, made: Json) -> None:
    """What Stripe tries by itself, with nobody there."""
    invoice = _latest(state, made)
    state.secret[invoice["id"]]["tries"] += 1
    invoice["attempt_count"] += 1
    customer = state.objects[made["customer"]]
    default = customer["invoice_settings"]["default_payment_method"]
    if default is not None:
        with suppress(Fault):
            intents.confirm_payment(
                state,
                intent_of(state, invoice),
                {"payment_method": default, "off_session": "true"},
            )


def void(state: State, invoice: Json) -> Json:
    if invoice["status"] != "open":
        raise invalid(f"You can only void open invoices; this is {invoice['status']}", "invoice")
    invoice["status"] = "void"
    invoice["status_transitions"]["voided_at"] = state.now()
    with suppress(Fault):
        intents.cancel_payment(state, intent_of(state, invoice), {})
    state.tell("invoice.voided", invoice)
    made = _subscription_of(state, invoice)
    if made["pending_update"] is not None and invoice["billing_reason"] == "subscription_update":
        made["pending_update"] = None
        state.tell("customer.subscription.pending_update_expired", made)
    return invoice


def _void_pending(state: State, made: Json) -> None:
    void(state, _latest(state, made))


def _subscription_of(state: State, invoice: Json) -> Json:
    return state.objects[invoice["parent"]["subscription_details"]["subscription"]]


def invoices_of(state: State, params: Params) -> list[Json]:
    return [
        invoice
        for invoice in state.all("invoice")
        if params.get("status") in (None, invoice["status"])
        and params.get("subscription")
        in (None, invoice["parent"]["subscription_details"]["subscription"])
    ]


def subscriptions_of(state: State, params: Params) -> list[Json]:
    wanted = params.get("status")
    return [
        made
        for made in state.all("subscription")
        if params.get("customer") in (None, made["customer"])
        and (wanted in ("all", made["status"]) or (wanted is None and made["status"] not in OVER))
    ]


# ── As intents go, and time ──────────────────────────────────────────────────────────────────────


def tick(state: State) -> None:
    """Follow what became of intents, and do what the time has come for."""
    for invoice in state.all("invoice"):
        if invoice["status"] == "open":
            _follow(state, invoice)
    for made in state.all("subscription"):
        while made["status"] not in OVER and _come_due(state, made):
            for invoice in state.all("invoice"):
                if invoice["status"] == "open":
                    _follow(state, invoice)


def _follow(state: State, invoice: Json) -> None:
    intent, known = intent_of(state, invoice), state.secret[invoice["id"]]
    made = _subscription_of(state, invoice)
    if intent["status"] == "succeeded":
        _paid(state, made, invoice)
        return
    said = (intent["status"], intent["latest_charge"])
    if known["told"] == said:
        return
    known["told"] = said
    failed = intent["status"] == "requires_payment_method" and (
        intent["last_payment_error"] is not None or known["tries"] > 0
    )
    if not failed and intent["status"] != "requires_action":
        return
    if invoice["billing_reason"] == "subscription_cycle" and made["status"] == "active":
        made["status"] = "past_due"
        state.tell("customer.subscription.updated", made)
    what = "payment_failed" if failed else "payment_action_required"
    state.tell(f"invoice.{what}", invoice)


def _paid(state: State, made: Json, invoice: Json) -> None:
    total = invoice["total"]
    invoice.update(status="paid", amount_paid=total, amount_remaining=0, attempted=True)
    invoice["status_transitions"]["paid_at"] = state.now()
    state.secret[invoice["id"]]["payments"][0].update(status="paid", amount_paid=total)
    pending = made["pending_update"]
    if pending is not None and invoice["billing_reason"] == "subscription_update":
        item = made["items"]["data"][0]
        item["price"] = pending["subscription_items"][0]["price"]
        made["pending_update"] = None
        state.tell("customer.subscription.pending_update_applied", made)
    elif made["status"] in ("incomplete", "past_due"):
        made["status"] = "active"
    state.tell("invoice.paid", invoice)
    state.tell("invoice.payment_succeeded", invoice)
    state.tell("customer.subscription.updated", made)


def _come_due(state: State, made: Json) -> bool:
    now, item = state.now(), made["items"]["data"][0]
    pending = made["pending_update"]
    if pending is not None and pending["expires_at"] <= now:
        _void_pending(state, made)
        return True
    if made["status"] == "incomplete":
        return _expire(state, made, now)
    if made["status"] == "past_due":
        return _retry(state, made, now)
    if item["current_period_end"] > now:
        return False
    if made["cancel_at_period_end"]:
        _end(state, made, "canceled")
        return True
    _move_period(made, item["current_period_end"], item["price"])
    _bill(state, made, item["price"]["unit_amount"], "subscription_cycle")
    _charge_default(state, made)
    state.tell("customer.subscription.updated", made)
    return True


def _expire(state: State, made: Json, now: int) -> bool:
    if made["created"] + OPEN_FOR > now:
        return False
    _end(state, made, "incomplete_expired")
    with suppress(Fault):
        void(state, _latest(state, made))
    return True


def _retry(state: State, made: Json, now: int) -> bool:
    invoice = _latest(state, made)
    tries = state.secret[invoice["id"]]["tries"]
    if made["items"]["data"][0]["current_period_start"] + tries * DAY > now:
        return False
    if tries >= TRIES:
        _end(state, made, "canceled")
        return True
    state.secret[invoice["id"]]["told"] = None
    _charge_default(state, made)
    return True


def _move_period(made: Json, begin: int, price: Json) -> None:
    item = made["items"]["data"][0]
    anchor = datetime.fromtimestamp(made["billing_cycle_anchor"], UTC)
    months = 1 if price["recurring"]["interval"] == "month" else 12
    periods = 1
    while (end := _after(anchor, periods * months)) <= begin:
        periods += 1
    item["current_period_start"], item["current_period_end"] = begin, end


def _after(anchor: datetime, months: int) -> int:
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    day = min(anchor.day, monthrange(year, month + 1)[1])
    return int(anchor.replace(year=year, month=month + 1, day=day).timestamp())
