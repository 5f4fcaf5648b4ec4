"""Intents: how a payment or a set-up comes to its end, by what its test card does."""

from __future__ import annotations

from fake_stripe import objects
from fake_stripe.cards import BY_TOKEN, Card, Decline
from fake_stripe.state import Fault, Json, Params, State, invalid, missing, snapshot

LEAST, MOST = 50, 99_999_999
BANK_REFUSED: Decline = ("card_declined", "insufficient_funds")

_MESSAGES = {
    "card_declined": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
    "payment_intent_authentication_failure": "The provided PaymentMethod has failed"
    " authentication.",
    "setup_intent_authentication_failure": "The provided PaymentMethod has failed authentication.",
}


def card_of(state: State, method: Json) -> Card:
    card: Card = state.secret[method["id"]]["card"]
    return card


def method_named(state: State, ref: object) -> Json:
    """Return a method; a test token stands for a new one each time it is used."""
    if str(ref) in BY_TOKEN:
        return objects.payment_method(state, BY_TOKEN[str(ref)])
    return state.find(ref, "payment_method", "payment_method")


def attach(state: State, method: Json, customer: str) -> Json:
    """Raises Fault when the method is another customer's, or its bank says no."""
    state.find(customer, "customer", "customer")
    if method["customer"] not in (None, customer):
        raise invalid(
            "This PaymentMethod is already attached to another customer",
            "payment_method",
            "payment_method_unexpected_state",
        )
    decline = card_of(state, method).on_attach
    if decline is not None:
        raise declined(decline)
    if method["customer"] is None:
        method["customer"] = customer
        state.tell("payment_method.attached", method)
    return method


def detach(state: State, method: Json) -> Json:
    if method["customer"] is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is"
            " impossible.",
            "payment_method",
            "payment_method_unexpected_state",
        )
    owner = state.objects[method["customer"]]
    settings = owner["invoice_settings"]
    method["customer"] = None
    state.secret[method["id"]]["used"] = True
    state.tell("payment_method.detached", method, {"customer": owner["id"]})
    if settings["default_payment_method"] == method["id"]:
        settings["default_payment_method"] = None
        state.tell("customer.updated", owner)
    return method


def error_of(decline: Decline, method: Json | None = None) -> Json:
    code, decline_code = decline
    error: Json = {
        "type": "card_error",
        "code": code,
        "message": _MESSAGES[code],
        "doc_url": f"https://docs.stripe.com/error-codes/{code}",
    }
    if decline_code is not None:
        error["decline_code"] = decline_code
    if method is not None:
        error["payment_method"] = snapshot(method)
    return error


def declined(decline: Decline, method: Json | None = None, **intent: Json) -> Fault:
    error = error_of(decline, method) | {name: snapshot(thing) for name, thing in intent.items()}
    fault = Fault(402, error["message"], kept=True)
    fault.body = {"error": error}
    return fault


# ── Payments ─────────────────────────────────────────────────────────────────────────────────────


def create_payment(state: State, params: Params) -> Json:
    try:
        amount = int(params["amount"])
    except (KeyError, ValueError):
        raise invalid("Invalid integer", "amount", "parameter_invalid_integer") from None
    if amount < LEAST:
        raise invalid("Amount must be at least $0.50 usd", "amount", "amount_too_small")
    if amount > MOST:
        raise invalid("Amount must be no more than $999,999.99", "amount", "amount_too_large")
    if "customer" in params:
        state.find(params["customer"], "customer", "customer")
    intent = objects.payment_intent(state, params)
    if "payment_method" in params:
        intent["payment_method"] = _usable(state, intent, params["payment_method"])["id"]
        intent["status"] = "requires_confirmation"
    state.keep(intent)
    state.tell("payment_intent.created", intent)
    return confirm_payment(state, intent, params) if params.get("confirm") == "true" else intent


def _usable(state: State, intent: Json, ref: object) -> Json:
    method = method_named(state, ref)
    if method["customer"] is not None and method["customer"] != intent["customer"]:
        raise invalid("The PaymentMethod belongs to another Customer", "payment_method")
    if state.secret[method["id"]].get("used"):
        raise invalid(
            "The provided PaymentMethod was previously used without being attached to a Customer,"
            " or was detached from one, and may not be used again.",
            "payment_method",
        )
    return method


def confirm_payment(state: State, intent: Json, params: Params) -> Json:
    if intent["status"] in ("succeeded", "canceled", "processing"):
        raise Fault(
            400,
            f"You cannot confirm this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
            payment_intent=snapshot(intent),
        )
    if "payment_method" in params:
        intent["payment_method"] = _usable(state, intent, params["payment_method"])["id"]
    if intent["payment_method"] is None:
        raise Fault(
            400,
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    method = state.objects[intent["payment_method"]]
    card, set_up = card_of(state, method), bool(state.secret[method["id"]]["set_up"])
    off_session = params.get("off_session") == "true"
    if card.on_charge is not None:
        raise fail_payment(state, intent, card.on_charge)
    if _must_authenticate(card, off_session=off_session, set_up=set_up):
        if off_session:
            raise fail_payment(state, intent, ("authentication_required", None))
        return _ask_customer(state, intent, params.get("return_url"))
    return take_money(state, intent)


def _must_authenticate(card: Card, *, off_session: bool, set_up: bool) -> bool:
    match card.authenticates:
        case "never":
            return False
        case "always":
            return True
        case "on_session":
            return not off_session
        case "unless_set_up":
            return not (off_session and set_up)


def _ask_customer(state: State, intent: Json, return_url: str | None) -> Json:
    intent["status"] = "requires_action"
    intent["last_payment_error"] = None
    intent["next_action"] = next_action(state, intent, return_url)
    state.tell("payment_intent.requires_action", intent)
    return intent


def next_action(state: State, intent: Json, return_url: str | None) -> Json:
    if return_url is None:
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
    url = f"{state.base}/3ds/{intent['id']}"
    return {
        "type": "redirect_to_url",
        "redirect_to_url": {"return_url": return_url, "url": url},
    }


def take_money(state: State, intent: Json) -> Json:
    """The one place where a card is charged."""
    method = state.objects[intent["payment_method"]]
    card = card_of(state, method)
    intent["next_action"] = intent["last_payment_error"] = None
    if card.kind == "us_bank_account":
        intent["status"] = "processing"
        state.tell("payment_intent.processing", intent)
        return intent
    return settle(state, intent)


def settle(state: State, intent: Json) -> Json:
    method = state.objects[intent["payment_method"]]
    paid = objects.charge(state, intent, method, None)
    fee = (intent["amount"] * 29 + 500) // 1000 + 30
    line = objects.balance_transaction(state, paid, "charge", "charge", intent["amount"], fee)
    paid["balance_transaction"] = line["id"]
    intent.update(
        status="succeeded",
        latest_charge=paid["id"],
        amount_received=intent["amount"],
        next_action=None,
        last_payment_error=None,
    )
    if intent["setup_future_usage"] is not None and intent["customer"] is not None:
        state.secret[method["id"]]["set_up"] = True
        attach(state, method, intent["customer"])
    elif method["customer"] is None:
        state.secret[method["id"]]["used"] = True
    state.tell("charge.succeeded", paid)
    state.tell("payment_intent.succeeded", intent)
    return intent


def fail_payment(state: State, intent: Json, decline: Decline) -> Fault:
    """Note that no money came, and return the error to answer with."""
    method = state.objects[intent["payment_method"]]
    error = error_of(decline, method)
    tried = objects.charge(state, intent, method, error)
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        latest_charge=tried["id"],
        last_payment_error={**error, "charge": tried["id"]},
        next_action=None,
    )
    state.tell("charge.failed", tried)
    state.tell("payment_intent.payment_failed", intent)
    return declined(decline, method, payment_intent=intent)


def cancel_payment(state: State, intent: Json, params: Params) -> Json:
    if intent["status"] in ("succeeded", "canceled", "processing"):
        raise Fault(
            400,
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )
    intent.update(
        status="canceled",
        canceled_at=state.now(),
        cancellation_reason=params.get("cancellation_reason"),
        next_action=None,
    )
    state.tell("payment_intent.canceled", intent)
    return intent


# ── Set-ups ──────────────────────────────────────────────────────────────────────────────────────


def create_setup(state: State, params: Params) -> Json:
    state.find(params.get("customer"), "customer", "customer")
    intent = objects.setup_intent(state, params)
    if "payment_method" in params:
        intent["payment_method"] = method_named(state, params["payment_method"])["id"]
        intent["status"] = "requires_confirmation"
    state.keep(intent)
    state.tell("setup_intent.created", intent)
    return confirm_setup(state, intent, params) if params.get("confirm") == "true" else intent


def confirm_setup(state: State, intent: Json, params: Params) -> Json:
    if intent["payment_method"] is None:
        raise missing("payment_method", None, "payment_method")
    method = state.objects[intent["payment_method"]]
    card = card_of(state, method)
    if card.on_attach is not None:
        raise fail_setup(state, intent, card.on_attach)
    if card.authenticates in ("always", "unless_set_up"):
        intent["status"] = "requires_action"
        intent["next_action"] = next_action(state, intent, params.get("return_url"))
        state.tell("setup_intent.requires_action", intent)
        return intent
    return finish_setup(state, intent)


def finish_setup(state: State, intent: Json) -> Json:
    method = state.objects[intent["payment_method"]]
    state.secret[method["id"]]["set_up"] = True
    attach(state, method, intent["customer"])
    intent.update(status="succeeded", next_action=None, last_setup_error=None)
    state.tell("setup_intent.succeeded", intent)
    return intent


def fail_setup(state: State, intent: Json, decline: Decline) -> Fault:
    method = state.objects[intent["payment_method"]]
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        last_setup_error=error_of(decline, method),
        next_action=None,
    )
    state.tell("setup_intent.setup_failed", intent)
    return declined(decline, method, setup_intent=intent)


# ── The bank's own page ──────────────────────────────────────────────────────────────────────────


def authenticate(state: State, ref: str, *, succeeds: bool) -> Json:
    """What the cardholder does at the bank. Returns the intent as it then is."""
    intent = state.objects[ref]
    if intent["status"] != "requires_action":
        return intent
    if intent["object"] == "setup_intent":
        if succeeds:
            return finish_setup(state, intent)
        fail_setup(state, intent, ("setup_intent_authentication_failure", None))
        return intent
    card = card_of(state, state.objects[intent["payment_method"]])
    if not succeeds:
        fail_payment(state, intent, ("payment_intent_authentication_failure", None))
    elif card.then_declines is not None:
        fail_payment(state, intent, card.then_declines)
    else:
        take_money(state, intent)
    return intent
