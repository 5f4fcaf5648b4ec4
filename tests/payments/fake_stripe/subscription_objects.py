"""Products, prices, subscriptions and invoices as Stripe shows them."""

from __future__ import annotations

from fake_stripe.state import Json, Params, State, snapshot


def product(state: State, params: Params) -> Json:
    return {
        "id": params.get("id") or state.new_id("prod"),
        "object": "product",
        "active": True,
        "created": state.now(),
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": dict(params.get("metadata", {})),
        "name": params["name"],
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": state.now(),
        "url": None,
    }


def price(state: State, params: Params) -> Json:
    return {
        "id": state.new_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": state.now(),
        "currency": params["currency"],
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": params.get("lookup_key"),
        "metadata": {},
        "nickname": None,
        "product": params["product"],
        "recurring": {
            "interval": params["recurring"]["interval"],
            "interval_count": 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": int(params["unit_amount"]),
        "unit_amount_decimal": None,
    }


def subscription(state: State, params: Params, priced: Json) -> Json:
    ref = state.new_id("sub")
    nothing: Json = dict.fromkeys(_UNUSED)
    return {
        **nothing,
        "id": ref,
        "object": "subscription",
        "automatic_tax": _no_tax(),
        "billing_cycle_anchor": state.now(),
        "billing_mode": {"flexible": None, "type": "classic"},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "collection_method": "charge_automatically",
        "created": state.now(),
        "currency": priced["currency"],
        "customer": params["customer"],
        "description": params.get("description"),
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": {
            "object": "list",
            "data": [_item(state, ref, priced)],
            "has_more": False,
            "url": f"/v1/subscription_items?subscription={ref}",
        },
        "latest_invoice": None,
        "livemode": False,
        "metadata": dict(params.get("metadata", {})),
        "pending_update": None,
        "start_date": state.now(),
        "status": "incomplete",
    }


def _item(state: State, ref: str, priced: Json) -> Json:
    return {
        "id": state.new_id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": state.now(),
        "current_period_end": state.now(),
        "current_period_start": state.now(),
        "discounts": [],
        "metadata": {},
        "price": priced,
        "quantity": 1,
        "subscription": ref,
        "tax_rates": [],
    }


def pending_update(state: State, made: Json, priced: Json) -> Json:
    item = made["items"]["data"][0]
    return {
        "billing_cycle_anchor": None,
        "expires_at": min(state.now() + 23 * 3600, item["current_period_end"]),
        "subscription_items": [{**snapshot(item), "price": priced}],
        "trial_end": None,
        "trial_from_plan": None,
    }


def invoice(state: State, made: Json, amount: int, reason: str) -> Json:
    ref = state.new_id("in")
    item = made["items"]["data"][0]
    begin = state.now() if reason == "subscription_update" else item["current_period_start"]
    period = {"start": begin, "end": item["current_period_end"]}
    nothing: Json = dict.fromkeys(_UNUSED_OF_INVOICES)
    return {
        **nothing,
        "id": ref,
        "object": "invoice",
        "amount_due": amount,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": amount,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "automatic_tax": _no_tax() | {"provider": None, "status": None},
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": state.now(),
        "currency": made["currency"],
        "customer": made["customer"],
        "default_tax_rates": [],
        "discounts": [],
        "hosted_invoice_url": f"{state.base}/invoice/{ref}",
        "issuer": {"type": "self"},
        "lines": {
            "object": "list",
            "data": [_line(state, ref, made, amount, period)],
            "has_more": False,
            "url": f"/v1/invoices/{ref}/lines",
        },
        "livemode": False,
        "metadata": {},
        "parent": _parent(made),
        "payment_settings": dict.fromkeys(
            ("default_mandate", "payment_method_options", "payment_method_types")
        ),
        # Of what came before: the lines say what is billed.
        "period_end": begin,
        "period_start": begin,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "open",
        "status_transitions": {
            "finalized_at": state.now(),
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": amount,
        "total": amount,
    }


def _no_tax() -> Json:
    return {"disabled_reason": None, "enabled": False, "liability": None}


def _parent(made: Json) -> Json:
    details = {"metadata": dict(made["metadata"]), "subscription": made["id"]}
    return {
        "quote_details": None,
        "subscription_details": details,
        "type": "subscription_details",
    }


def _line(state: State, ref: str, made: Json, amount: int, period: Json) -> Json:
    return {
        "id": state.new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": made["currency"],
        "description": made["description"],
        "discountable": True,
        "discounts": [],
        "invoice": ref,
        "livemode": False,
        "metadata": {},
        "period": period,
        "quantity": 1,
        "subtotal": amount,
    }


def invoice_payment(state: State, billed: Json, intent: Json) -> Json:
    return {
        "id": state.new_id("inpay"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": billed["total"],
        "created": state.now(),
        "currency": billed["currency"],
        "invoice": billed["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }


_UNUSED = (  # noqa: SIM905 (words alone read better)
    """
    application application_fee_percent billing_cycle_anchor_config billing_thresholds cancel_at
    canceled_at cancellation_details customer_account days_until_due default_payment_method
    default_source default_tax_rates ended_at managed_payments next_pending_invoice_item_invoice
    on_behalf_of pause_collection payment_settings pending_invoice_item_interval
    pending_setup_intent schedule test_clock transfer_data trial_end trial_settings trial_start
    """
).split()

_UNUSED_OF_INVOICES = (  # noqa: SIM905 (words alone read better)
    """
    account_country account_name account_tax_ids application customer_account customer_address
    customer_email customer_name customer_phone customer_shipping customer_tax_exempt
    custom_fields default_payment_method default_source description due_date effective_at
    ending_balance footer from_invoice invoice_pdf last_finalization_error latest_revision
    next_payment_attempt number on_behalf_of receipt_number rendering shipping_cost
    shipping_details statement_descriptor subtotal_excluding_tax test_clock
    total_discount_amounts total_excluding_tax total_pretax_credit_amounts total_taxes
    webhooks_delivered_at
    """
).split()
