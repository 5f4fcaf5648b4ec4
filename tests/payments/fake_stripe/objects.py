"""Things as Stripe shows them, with every member that its SDK says is there."""

from __future__ import annotations

from typing import Any

from fake_stripe.cards import Card
from fake_stripe.state import Json, Params, State

NO_ADDRESS: Json = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def customer(state: State, params: Params) -> Json:
    return {
        "id": state.new_id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": state.now(),
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": params.get("description"),
        "discount": None,
        "email": params.get("email"),
        "invoice_prefix": "FAKE0001",
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": dict(params.get("metadata", {})),
        "name": params.get("name"),
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def payment_method(state: State, card: Card) -> Json:
    made: Json = {
        "id": state.new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": dict(NO_ADDRESS),
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
        "created": state.now(),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": card.kind,
    }
    state.secret[made["id"]] = {"card": card, "set_up": False}
    made[card.kind] = _card(card) if card.kind == "card" else _bank_account(card)
    return state.keep(made)


def _card(card: Card) -> Json:
    return {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": "US",
        "display_brand": card.brand,
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"fake{card.number[-8:]}",
        "funding": "credit",
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _bank_account(card: Card) -> Json:
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": card.brand,
        "financial_connections_account": None,
        "fingerprint": f"fake{card.number[-8:]}",
        "last4": card.number[-4:],
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }


def payment_intent(state: State, params: Params) -> Json:
    ref = state.new_id("pi")
    return {
        "id": ref,
        "object": "payment_intent",
        "amount": int(params["amount"]),
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{ref}_secret_fake",
        "confirmation_method": "automatic",
        "created": state.now(),
        "currency": params["currency"],
        "customer": params.get("customer"),
        "customer_account": None,
        "description": params.get("description"),
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": dict(params.get("metadata", {})),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": list(params.get("allowed_payment_method_types", ["card"])),
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": params.get("setup_future_usage"),
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def setup_intent(state: State, params: Params) -> Json:
    ref = state.new_id("seti")
    return {
        "id": ref,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": {"enabled": True},
        "cancellation_reason": None,
        "client_secret": f"{ref}_secret_fake",
        "created": state.now(),
        "customer": params.get("customer"),
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "managed_payments": None,
        "mandate": None,
        "metadata": dict(params.get("metadata", {})),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": params.get("usage", "off_session"),
    }


def charge(state: State, intent: Json, method: Json, error: Json | None) -> Json:
    failed = error is not None
    return state.keep(
        {
            "id": state.new_id("ch"),
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": 0 if failed else intent["amount"],
            "amount_refunded": 0,
            "application": None,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": None,
            "billing_details": method["billing_details"],
            "calculated_statement_descriptor": "FAKE",
            "captured": not failed,
            "created": state.now(),
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "disputed": False,
            "failure_balance_transaction": None,
            "failure_code": error["code"] if error else None,
            "failure_message": error["message"] if error else None,
            "fraud_details": {},
            "livemode": False,
            "metadata": dict(intent["metadata"]),
            "on_behalf_of": None,
            "outcome": None,
            "paid": not failed,
            "payment_intent": intent["id"],
            "payment_method": method["id"],
            "payment_method_details": None,
            "receipt_email": None,
            "receipt_number": None,
            "receipt_url": None,
            "refunded": False,
            "review": None,
            "shipping": None,
            "source": None,
            "source_transfer": None,
            "statement_descriptor": None,
            "statement_descriptor_suffix": None,
            "status": "failed" if failed else "succeeded",
            "transfer_data": None,
            "transfer_group": None,
        }
    )


def balance_transaction(
    state: State, source: Json, category: str, type_: str, amount: int, fee: int = 0
) -> Json:
    return state.keep(
        {
            "id": state.new_id("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": state.now() + 2 * 86_400,
            "balance_type": "payments",
            "created": state.now(),
            "currency": source["currency"],
            "description": None,
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [
                {
                    "amount": fee,
                    "application": None,
                    "currency": source["currency"],
                    "description": "Stripe processing fees",
                    "type": "stripe_fee",
                }
            ]
            if fee
            else [],
            "net": amount - fee,
            "reporting_category": category,
            "source": source["id"],
            "status": "pending",
            "type": type_,
        }
    )


def refund(state: State, paid: Json, amount: int, params: Params, status: str) -> Json:
    return state.keep(
        {
            "id": state.new_id("re"),
            "object": "refund",
            "amount": amount,
            "balance_transaction": None,
            "charge": paid["id"],
            "created": state.now(),
            "currency": paid["currency"],
            "customer": paid["customer"],
            "customer_account": None,
            "destination_details": {"card": {"type": "refund"}, "type": "card"},
            "metadata": dict(params.get("metadata", {})),
            "payment_intent": paid["payment_intent"],
            "payment_method": paid["payment_method"],
            "reason": params.get("reason"),
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": status,
            "transfer_reversal": None,
        }
    )


def dispute(state: State, paid: Json, amount: int, status: str, reason: str) -> Json:
    evidence: Json = dict.fromkeys(_EVIDENCE)
    return state.keep(
        {
            "id": state.new_id("dp"),
            "object": "dispute",
            "amount": amount,
            "balance_transactions": [],
            "charge": paid["id"],
            "created": state.now(),
            "currency": paid["currency"],
            "enhanced_eligibility_types": [],
            "evidence": {**evidence, "enhanced_evidence": {}},
            "evidence_details": {
                "due_by": state.now() + 7 * 86_400,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
                "submission_method": "manual",
            },
            "is_charge_refundable": status.startswith("warning"),
            "livemode": False,
            "metadata": {},
            "payment_intent": paid["payment_intent"],
            "reason": reason,
            "status": status,
        }
    )


_EVIDENCE = (  # noqa: SIM905 (words alone read better)
    """
    access_activity_log billing_address cancellation_policy cancellation_policy_disclosure
    cancellation_rebuttal customer_communication customer_email_address customer_name
    customer_purchase_ip customer_signature duplicate_charge_documentation
    duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy
    refund_policy_disclosure refund_refusal_explanation service_date service_documentation
    shipping_address shipping_carrier shipping_date shipping_documentation
    shipping_tracking_number uncategorized_file uncategorized_text
    """
).split()


def checkout_session(state: State, params: Params) -> Json:
    ref = state.new_id("cs_test")
    hosted = params.get("ui_mode", "hosted_page") == "hosted_page"
    paid_for = params["mode"] == "payment"
    total = sum(_line_total(line) for line in params.get("line_items", ())) if paid_for else None
    nothing: Json = dict.fromkeys(_UNUSED)
    return {
        **nothing,
        "id": ref,
        "object": "checkout.session",
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None if hosted else f"{ref}_secret_fake",
        "created": state.now(),
        "currency": _currency(params),
        "custom_fields": [],
        "custom_text": dict.fromkeys(
            ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        ),
        "customer": params.get("customer"),
        "expires_at": int(params.get("expires_at", state.now() + 86_400)),
        "livemode": False,
        "metadata": dict(params.get("metadata", {})),
        "mode": params["mode"],
        "payment_intent": None,
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": "unpaid" if paid_for else "no_payment_required",
        "phone_number_collection": {"enabled": False},
        "redirect_on_completion": None if hosted else "always",
        "return_url": params.get("return_url"),
        "setup_intent": None,
        "shipping_options": [],
        "status": "open",
        "success_url": params.get("success_url"),
        "ui_mode": params.get("ui_mode", "hosted_page"),
        "url": f"{state.base}/pay/{ref}" if hosted else None,
    }


def _line_total(line: Any) -> int:
    return int(line["price_data"]["unit_amount"]) * int(line["quantity"])


def _currency(params: Params) -> str | None:
    lines = params.get("line_items")
    return lines[0]["price_data"]["currency"] if lines else params.get("currency")


_UNUSED = (  # noqa: SIM905 (words alone read better)
    """
    adaptive_pricing after_expiration allow_promotion_codes billing_address_collection
    collected_information consent consent_collection currency_conversion customer_account
    customer_creation customer_details customer_email discounts integration_identifier invoice
    invoice_creation locale managed_payments origin_context payment_link
    payment_method_configuration_details permissions presentment_details recovered_from
    saved_payment_method_options shipping_address_collection shipping_cost submit_type
    subscription tax_id_collection total_details wallet_options
    """
).split()


def tax_id(state: State, owner: Json, type_: str, value: str) -> Json:
    return state.keep(
        {
            "id": state.new_id("txi"),
            "object": "tax_id",
            "country": value[:2] if type_ == "eu_vat" else type_[:2].upper(),
            "created": state.now(),
            "customer": owner["id"],
            "customer_account": None,
            "livemode": False,
            "owner": {"customer": owner["id"], "customer_account": None, "type": "customer"},
            "type": type_,
            "value": value,
            "verification": {
                "status": "pending",
                "verified_address": None,
                "verified_name": None,
            },
        }
    )


def portal_session(state: State, params: Params) -> Json:
    ref = state.new_id("bps")
    return state.keep(
        {
            "id": ref,
            "object": "billing_portal.session",
            "configuration": "bpc_fake",
            "created": state.now(),
            "customer": params["customer"],
            "customer_account": None,
            "flow": None,
            "livemode": False,
            "locale": None,
            "on_behalf_of": None,
            "return_url": params.get("return_url"),
            "url": f"{state.base}/portal/{ref}",
        }
    )
