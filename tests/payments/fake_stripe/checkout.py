"""Checkout: sessions, and what their page does when its form is sent."""

from __future__ import annotations

from html import escape

from fake_stripe import intents, objects
from fake_stripe.cards import BY_NUMBER, CARDS
from fake_stripe.state import Fault, Json, Params, State, invalid


def create(state: State, params: Params) -> Json:
    if params.get("mode") not in ("payment", "setup"):
        raise invalid("The fake knows the modes payment and setup", "mode")
    hosted = params.get("ui_mode", "hosted_page") == "hosted_page"
    needed, refused = ("success_url", "return_url") if hosted else ("return_url", "success_url")
    if needed not in params:
        raise invalid(f"{needed} is required with this ui_mode", needed, "parameter_missing")
    if refused in params or (not hosted and "cancel_url" in params):
        raise invalid(f"{refused} is not taken with this ui_mode", refused)
    if "customer" in params:
        state.find(params["customer"], "customer", "customer")
    session = objects.checkout_session(state, params)
    if not session["created"] + 1800 <= session["expires_at"] <= session["created"] + 86_400:
        raise invalid("expires_at must be from 30 minutes to 24 hours away", "expires_at")
    if params["mode"] == "setup":
        given = {"customer": params["customer"], **params.get("setup_intent_data", {})}
        session["setup_intent"] = intents.create_setup(state, given)["id"]
    state.secret[session["id"]] = {"intent": dict(params.get("payment_intent_data", {}))}
    return state.keep(session)


def expire(state: State, session: Json) -> Json:
    if session["status"] != "open":
        raise invalid(f"Only open sessions can be expired; this is {session['status']}", "session")
    session["status"], session["url"] = "expired", None
    if session["payment_intent"] is not None:
        intent = state.objects[session["payment_intent"]]
        if intent["status"] not in ("succeeded", "canceled", "processing"):
            intents.cancel_payment(state, intent, {"cancellation_reason": "expired"})
    state.tell("checkout.session.expired", session)
    return session


def expire_due(state: State) -> None:
    for session in state.all("checkout.session"):
        if session["status"] == "open" and session["expires_at"] <= state.now():
            expire(state, session)


def submit(state: State, session: Json, number: str) -> str | None:
    """Send the form with a card. Returns where the browser goes, None to stay and try again."""
    if session["status"] != "open":
        raise invalid("This page is over", "session")
    method = objects.payment_method(state, BY_NUMBER[number.replace(" ", "")])
    intent = _intent(state, session)
    here = f"{state.base}/pay/{session['id']}/done"
    params: Params = {"payment_method": method["id"], "return_url": here}
    try:
        if session["mode"] == "setup":
            intent["payment_method"] = method["id"]
            intents.confirm_setup(state, intent, params)
        else:
            intents.confirm_payment(state, intent, params)
    except Fault as fault:
        state.secret[session["id"]]["said"] = str(fault)
        return None
    if intent["status"] == "requires_action":
        return str(intent["next_action"]["redirect_to_url"]["url"])
    return finish(state, session)


def _intent(state: State, session: Json) -> Json:
    """A payment's intent is made when the form is first sent, as Stripe does."""
    ref = session["setup_intent"] or session["payment_intent"]
    if ref is not None:
        return state.objects[ref]
    given = {
        **state.secret[session["id"]]["intent"],
        "amount": session["amount_total"],
        "currency": session["currency"],
        "customer": session["customer"],
    }
    intent = intents.create_payment(state, given)
    session["payment_intent"] = intent["id"]
    return intent


def finish(state: State, session: Json) -> str | None:
    """Close the session if its intent is done; return where the browser goes."""
    ref = session["setup_intent"] or session["payment_intent"]
    intent = state.objects.get(str(ref), {"status": None})
    if intent["status"] not in ("succeeded", "processing"):
        return None
    if session["status"] == "open":
        session["status"], session["url"] = "complete", None
        if session["mode"] == "payment" and intent["status"] == "succeeded":
            session["payment_status"] = "paid"
        state.tell("checkout.session.completed", session)
    back = str(session["success_url"] or session["return_url"])
    return back.replace("{CHECKOUT_SESSION_ID}", session["id"])


def page(state: State, session: Json) -> str:
    said = escape(state.secret[session["id"]].get("said", ""))
    options = "".join(
        f"<option value='{card.number}'>{card.number} {card.token}</option>"
        for card in CARDS
        if card.kind == "card"
    )
    amount = session["amount_total"]
    title = "Save a card" if amount is None else f"Pay {amount / 100:.2f} {session['currency']}"
    return (
        f"<!doctype html><title>Fake Stripe</title><h1>{title}</h1><p role='alert'>{said}</p>"
        f"<form method='post'><select name='card'>{options}</select><button>Send</button></form>"
    )
