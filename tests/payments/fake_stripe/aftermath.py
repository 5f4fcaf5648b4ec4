"""What happens to a payment afterwards: refunds, disputes, banks that take their days."""

from __future__ import annotations

from fake_stripe import intents, objects
from fake_stripe.state import Fault, Json, Params, State, invalid

DISPUTE_FEE = 1500


def charge_of(state: State, intent_ref: str) -> Json:
    intent = state.find(intent_ref, "payment_intent", "payment_intent")
    if intent["status"] != "succeeded":
        raise Fault(
            400,
            "This PaymentIntent does not have a successful charge to refund.",
            code="payment_intent_unexpected_state",
        )
    return state.objects[intent["latest_charge"]]


def refund(state: State, params: Params) -> Json:
    paid = charge_of(state, str(params.get("payment_intent")))
    left = paid["amount"] - paid["amount_refunded"]
    amount = int(params.get("amount", left))
    if paid["disputed"]:
        raise Fault(400, f"Charge {paid['id']} has been charged back.", code="charge_disputed")
    if left == 0:
        raise Fault(
            400, f"Charge {paid['id']} has already been refunded.", code="charge_already_refunded"
        )
    if not 0 < amount <= left:
        raise invalid(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
            "amount",
        )
    card = intents.card_of(state, state.objects[paid["payment_method"]])
    status = "pending" if card.refunds == "later" else "succeeded"
    made = objects.refund(state, paid, amount, params, status)
    line = objects.balance_transaction(state, made, "refund", "refund", -amount)
    made["balance_transaction"] = line["id"]
    paid["amount_refunded"] += amount
    paid["refunded"] = paid["amount_refunded"] == paid["amount"]
    state.tell("refund.created", made)
    state.tell("charge.refunded", paid)
    if card.refunds == "fails":
        fail_refund(state, made)
    return made


def finish_refund(state: State, made: Json) -> None:
    made["status"] = "succeeded"
    state.tell("refund.updated", made)


def fail_refund(state: State, made: Json) -> None:
    paid = state.objects[made["charge"]]
    made.update(status="failed", failure_reason="expired_or_canceled_card")
    line = objects.balance_transaction(
        state, made, "refund_failure", "refund_failure", made["amount"]
    )
    made["failure_balance_transaction"] = line["id"]
    paid["amount_refunded"] -= made["amount"]
    paid["refunded"] = False
    state.tell("refund.updated", made)
    state.tell("refund.failed", made)


def open_dispute(
    state: State, intent_ref: str, amount: int | None, *, inquiry: bool, reason: str
) -> Json:
    paid = charge_of(state, intent_ref)
    status = "warning_needs_response" if inquiry else "needs_response"
    made = objects.dispute(state, paid, amount or paid["amount"], status, reason)
    paid["disputed"] = True
    state.tell("charge.dispute.created", made)
    if not inquiry:
        _withdraw(state, made)
    return made


def escalate(state: State, made: Json) -> None:
    """An inquiry that becomes a dispute."""
    made["status"] = "needs_response"
    state.tell("charge.dispute.updated", made)
    _withdraw(state, made)


def _withdraw(state: State, made: Json) -> None:
    line = objects.balance_transaction(
        state, made, "dispute", "adjustment", -made["amount"], DISPUTE_FEE
    )
    made["balance_transactions"].append(line)
    state.tell("charge.dispute.funds_withdrawn", made)


def close_dispute(state: State, made: Json, outcome: str) -> None:
    """`outcome` is won, lost, or warning_closed."""
    made["status"] = outcome
    if outcome == "won":
        line = objects.balance_transaction(
            state, made, "dispute_reversal", "adjustment", made["amount"]
        )
        made["balance_transactions"].append(line)
        state.tell("charge.dispute.funds_reinstated", made)
    state.tell("charge.dispute.closed", made)


def finish_processing(state: State, intent: Json, *, succeeds: bool) -> Json:
    """What the bank says after its days."""
    if succeeds:
        return intents.settle(state, intent)
    intents.fail_payment(state, intent, intents.BANK_REFUSED)
    return intent
