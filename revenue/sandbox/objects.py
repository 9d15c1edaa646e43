"""The shape of each object, in API version 2026-06-24.dahlia. An object is never changed, only replaced.

Fields that hold nothing here are written out as null, as Stripe does: who reads the sandbox sees every field
it will see in production. Two absences are Stripe's own: refunds and balance transactions carry no
`livemode`, and since 2025-03-31.basil neither a charge nor a payment intent names an invoice.
"""

import random
import string
from typing import Any

from revenue.sandbox.currencies import CURRENCIES

StripeObject = dict[str, Any]

API_VERSION = "2026-06-24.dahlia"

# Not the shared generator: a test that seeds it would get the same ids again.
_RANDOM = random.SystemRandom()
_ALPHABET = string.ascii_letters + string.digits
_NO_ADDRESS = {
    "city": None,
    "country": None,
    "line1": None,
    "line2": None,
    "postal_code": None,
    "state": None,
}
_DAY = 86_400


def identifier(prefix: str, length: int = 24) -> str:
    return prefix + "".join(_RANDOM.choices(_ALPHABET, k=length))


def account(account_id: str, name: str, country: str, default_currency: str, created: int) -> StripeObject:
    assert default_currency in CURRENCIES
    nothing_due: StripeObject = {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": [],
        "disabled_reason": None,
        "errors": [],
        "eventually_due": [],
        "past_due": [],
        "pending_verification": [],
    }
    return {
        "id": account_id,
        "object": "account",
        "business_profile": {
            "annual_revenue": None,
            "estimated_worker_count": None,
            "mcc": None,
            "minority_owned_business_designation": None,
            "name": name,
            "product_description": None,
            "support_address": None,
            "support_email": None,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": country,
        "created": created,
        "default_currency": default_currency,
        "details_submitted": True,
        "email": "owner@example.com",
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/accounts/{account_id}/external_accounts",
        },
        "future_requirements": nothing_due,
        "metadata": {},
        "payouts_enabled": True,
        "requirements": nothing_due,
        "settings": {"dashboard": {"display_name": name, "timezone": "Etc/UTC"}},
        "tos_acceptance": {"date": created},
        "type": "standard",
    }


def line_item(name: str, unit_amount: int, quantity: int, currency: str, created: int, livemode: bool) -> StripeObject:
    total = unit_amount * quantity
    return {
        "id": identifier("li_1"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": currency,
        "description": name,
        "metadata": {},
        "price": {
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
            "recurring": None,
            "tax_behavior": "unspecified",
            "tiers_mode": None,
            "transform_quantity": None,
            "type": "one_time",
            "unit_amount": unit_amount,
            "unit_amount_decimal": str(unit_amount),
        },
        "quantity": quantity,
    }


def checkout_session(
    items: list[StripeObject], params: StripeObject, origin: str, created: int, livemode: bool
) -> StripeObject:
    """An open session. `params` are those of its creation, `origin` is where its page is served.

    What `as_shown` leaves out is kept with it.
    """
    session_id = identifier("cs_live_a1" if livemode else "cs_test_a1", 56)
    total = sum(item["amount_total"] for item in items)
    email = params.get("customer_email")
    details = None if email is None else {**_buyer(email, None), "address": None}
    return {
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": created,
        "currency": items[0]["currency"],
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None,
        "customer_account": None,
        "customer_creation": "if_required",
        "customer_details": details,
        "customer_email": email,
        "discounts": [],
        "expires_at": params.get("expires_at", created + _DAY),
        "integration_identifier": None,
        "invoice": None,
        "invoice_creation": None,
        "line_items": {
            "object": "list",
            "data": items,
            "has_more": False,
            "url": f"/v1/checkout/sessions/{session_id}/line_items",
        },
        "livemode": livemode,
        "locale": None,
        "managed_payments": {"enabled": False},
        "metadata": params.get("metadata", {}),
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_intent_data": params.get("payment_intent_data", {}),
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "payment_status": "unpaid" if total else "no_payment_required",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": None,
        "subscription": None,
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{origin}/pay/{session_id}",
        "wallet_options": None,
    }


def as_shown(session: StripeObject) -> StripeObject:
    """Without the line items, which Stripe shows only when asked to expand them, and what it never shows."""
    return {name: value for name, value in session.items() if name not in ("line_items", "payment_intent_data")}


def _buyer(email: str, name: str | None) -> StripeObject:
    return {
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": None,
    }


def customer_details(email: str, name: str, country: str) -> StripeObject:
    return {**_buyer(email, name), "address": {**_NO_ADDRESS, "country": country}, "tax_ids": []}


def payment_intent(
    amount: int,
    currency: str,
    created: int,
    livemode: bool,
    metadata: dict[str, str],
    description: str | None,
) -> StripeObject:
    intent_id = identifier("pi_3", 23)
    return {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_secret_{identifier('')}",
        "confirmation_method": "automatic",
        "created": created,
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "description": description,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": livemode,
        "managed_payments": {"enabled": False},
        "metadata": metadata,
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def charge(intent: StripeObject, buyer: StripeObject, payment_method: str, created: int) -> StripeObject:
    """A captured charge that no balance transaction records yet."""
    amount, currency = intent["amount"], intent["currency"]
    return {
        "id": identifier("ch_3", 23),
        "object": "charge",
        "amount": amount,
        "amount_captured": amount,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {
            "address": buyer["address"],
            "email": buyer["email"],
            "name": buyer["name"],
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "SANDBOX SHOP",
        "captured": True,
        "created": created,
        "currency": currency,
        "customer": None,
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": intent["livemode"],
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": payment_method,
        "payment_method_details": {
            "card": {
                "amount_authorized": amount,
                "authorization_code": None,
                "brand": "visa",
                "checks": {
                    "address_line1_check": None,
                    "address_postal_code_check": None,
                    "cvc_check": "pass",
                },
                "country": "US",
                "exp_month": 12,
                "exp_year": 2034,
                "extended_authorization": {"status": "disabled"},
                "fingerprint": "Sandbox4242Visa0",
                "funding": "credit",
                "incremental_authorization": {"status": "unavailable"},
                "installments": None,
                "last4": "4242",
                "mandate": None,
                "multicapture": {"status": "unavailable"},
                "network": "visa",
                "network_token": {"used": False},
                "network_transaction_id": None,
                "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
                "regulated_status": "unregulated",
                "three_d_secure": None,
                "transaction_link_id": None,
                "wallet": None,
            },
            "type": "card",
        },
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
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }


def refund(
    charge: StripeObject, amount: int, status: str, reason: str | None, metadata: dict[str, str], created: int
) -> StripeObject:
    return {
        "id": identifier("re_3", 23),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "customer": None,
        "customer_account": None,
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }


def dispute(charge: StripeObject, amount: int, created: int) -> StripeObject:
    evidence = (
        "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure "
        "cancellation_rebuttal customer_communication customer_email_address customer_name "
        "customer_purchase_ip customer_signature duplicate_charge_documentation "
        "duplicate_charge_explanation duplicate_charge_id "
        "product_description receipt refund_policy refund_policy_disclosure refund_refusal_explanation "
        "service_date service_documentation shipping_address shipping_carrier shipping_date "
        "shipping_documentation shipping_tracking_number uncategorized_file uncategorized_text"
    )
    return {
        "id": identifier("dp_1"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {
            **dict.fromkeys(evidence.split()),
            "customer_email_address": charge["billing_details"]["email"],
            "customer_name": charge["billing_details"]["name"],
            "enhanced_evidence": {},
        },
        "evidence_details": {
            "due_by": created + 7 * _DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": charge["livemode"],
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "case_type": "chargeback",
                "network": "visa",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": "fraudulent",
        "status": "needs_response",
    }


def balance_transaction(
    source: StripeObject,
    type: str,
    category: str,
    amount: int,
    currency: str,
    rate: float | None,
    fees: list[StripeObject],
    created: int,
) -> StripeObject:
    fee = sum(detail["amount"] for detail in fees)
    return {
        "id": identifier("txn_3", 23),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": (created // _DAY + 7) * _DAY,
        "balance_type": "payments",
        "created": created,
        "currency": currency,
        "description": source.get("description"),
        "exchange_rate": rate,
        "fee": fee,
        "fee_details": fees,
        "net": amount - fee,
        "reporting_category": category,
        "source": source["id"],
        "status": "pending",
        "type": type,
    }


def fee(amount: int, currency: str, description: str) -> StripeObject:
    return {
        "amount": amount,
        "application": None,
        "currency": currency,
        "description": description,
        "type": "stripe_fee",
    }


def event(type: str, subject: StripeObject, created: int, livemode: bool) -> StripeObject:
    """What happened, with its subject as it was at that moment."""
    shown = as_shown(subject) if subject["object"] == "checkout.session" else subject
    return {
        "id": identifier("evt_1"),
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": {"object": shown},
        "livemode": livemode,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": type,
    }
