"""What is sold, and the page it is sold on."""

from collections.abc import Sequence

from revenue.sandbox.objects.shape import DAY, StripeObject, identifier, listing, person


def price(
    unit_amount: int, currency: str, recurring: StripeObject | None, created: int, livemode: bool
) -> StripeObject:
    """`recurring` holds `interval` and `interval_count` of what is charged again and again."""
    repeats = recurring and {"meter": None, "trial_period_days": None, "usage_type": "licensed", **recurring}
    return {
        "id": identifier("price_1"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": livemode,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": identifier("prod_", 14),
        "recurring": repeats or None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
    }


def line_item(name: str, price: StripeObject, quantity: int) -> StripeObject:
    total = price["unit_amount"] * quantity
    return {
        "id": identifier("li_1"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": price["currency"],
        "description": name,
        "metadata": {},
        "price": price,
        "quantity": quantity,
    }


def checkout_session(
    items: Sequence[StripeObject], params: StripeObject, amount: int | None, origin: str, created: int, livemode: bool
) -> StripeObject:
    """An open session. `params` are those of its creation, `origin` is where its page is served.

    `amount` is what is due today: less than the items' sum when they begin with a trial, None for a setup.
    """
    session_id = identifier("cs_live_a1" if livemode else "cs_test_a1", 56)
    email = params.get("customer_email")
    mode = params["mode"]
    kept = ("payment_intent_data", "subscription_data", "setup_intent_data")
    return {
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "after_expiration": params.get("after_expiration"),
        "allow_promotion_codes": None,
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": created,
        "currency": items[0]["currency"] if items else params.get("currency"),
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": params.get("customer"),
        "customer_account": None,
        "customer_creation": "always" if mode != "payment" else params.get("customer_creation", "if_required"),
        "customer_details": person(email, None) if email else None,
        "customer_email": email,
        "discounts": [],
        "expires_at": params.get("expires_at", created + DAY),
        "integration_identifier": None,
        "invoice": None,
        "invoice_creation": None,
        "livemode": livemode,
        "locale": None,
        "managed_payments": {"enabled": False},
        "metadata": params.get("metadata", {}),
        "mode": mode,
        "origin_context": None,
        "payment_intent": None,
        "payment_link": params.get("payment_link"),
        "payment_method_collection": "always" if mode == "subscription" else "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": params.get("payment_method_types", ["card"]),
        "payment_status": "unpaid" if amount else "no_payment_required",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": params.get("recovered_from"),
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": None,
        "subscription": None,
        "success_url": params.get("success_url"),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{origin}/pay/{session_id}",
        "wallet_options": None,
        "_": {
            "line_items": listing(list(items), f"/v1/checkout/sessions/{session_id}/line_items"),
            **{name: params[name] for name in kept if name in params},
        },
    }


def payment_link(
    items: Sequence[StripeObject], params: StripeObject, origin: str, created: int, livemode: bool
) -> StripeObject:
    """A lasting address. Everybody who follows it gets a session of their own, opened with `params`."""
    link_id = identifier("plink_1")
    redirect = params.get("after_completion", {}).get("redirect")
    is_recurring = any(item["price"]["recurring"] for item in items)
    return {
        "id": link_id,
        "object": "payment_link",
        "active": True,
        "after_completion": (
            {"redirect": redirect, "type": "redirect"}
            if redirect
            else {"hosted_confirmation": {"custom_message": None}, "type": "hosted_confirmation"}
        ),
        "allow_promotion_codes": False,
        "application": None,
        "application_fee_amount": None,
        "application_fee_percent": None,
        "automatic_tax": {"enabled": False, "liability": None},
        "billing_address_collection": "auto",
        "consent_collection": None,
        "currency": items[0]["currency"],
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer_creation": "always" if is_recurring else "if_required",
        "inactive_message": None,
        "invoice_creation": None,
        "livemode": livemode,
        "managed_payments": {"enabled": False},
        "metadata": params.get("metadata", {}),
        "on_behalf_of": None,
        "payment_intent_data": params.get("payment_intent_data"),
        "payment_method_collection": "always",
        "payment_method_options": None,
        "payment_method_types": params.get("payment_method_types"),
        "phone_number_collection": {"enabled": False},
        "restrictions": None,
        "shipping_address_collection": None,
        "shipping_options": [],
        "submit_type": "auto",
        "subscription_data": params.get("subscription_data"),
        "tax_id_collection": {"enabled": False, "required": "never"},
        "transfer_data": None,
        "url": f"{origin}/link/{link_id}",
        # Stripe does not tell when a link was made.
        "_": {"params": params, "created": created},
    }


def setup_intent(
    customer: str, methods: list[str], metadata: dict[str, str], created: int, livemode: bool
) -> StripeObject:
    """A payment method was kept for later; no money moved."""
    intent_id = identifier("seti_1")
    return {
        "id": intent_id,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": f"{intent_id}_secret_{identifier('')}",
        "created": created,
        "customer": customer,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": identifier("setatt_1"),
        "livemode": livemode,
        "mandate": None,
        "metadata": metadata,
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": identifier("pm_1"),
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": methods,
        "single_use_mandate": None,
        "status": "succeeded",
        "usage": "off_session",
    }
