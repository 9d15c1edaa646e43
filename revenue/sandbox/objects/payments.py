"""A payment from the intent to pay to the money that goes back."""

from revenue.sandbox.objects.methods import details
from revenue.sandbox.objects.shape import DAY, StripeObject, identifier


def payment_intent(
    amount: int,
    currency: str,
    customer: str | None,
    methods: list[str],
    params: StripeObject,
    kept: StripeObject,
    created: int,
    livemode: bool,
) -> StripeObject:
    """`params` may hold `capture_method`, `description`, `metadata` and `setup_future_usage`."""
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
        "capture_method": params.get("capture_method", "automatic_async"),
        "client_secret": f"{intent_id}_secret_{identifier('')}",
        "confirmation_method": "automatic",
        "created": created,
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "description": params.get("description"),
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": livemode,
        "managed_payments": {"enabled": False},
        "metadata": params.get("metadata", {}),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": methods,
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
        "_": kept,
    }


def charge(intent: StripeObject, buyer: StripeObject, method: str, created: int) -> StripeObject:
    """A captured charge that no balance transaction records yet."""
    amount, currency = intent["amount"], intent["currency"]
    return {
        "id": identifier("ch_3" if method == "card" else "py_3", 23),
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
        "customer": intent["customer"],
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
        "payment_method": intent["payment_method"],
        "payment_method_details": details(method, amount),
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
    return _refund(
        "re_3" if charge["id"].startswith("ch_") else "pyr_1",
        amount,
        charge["currency"],
        status,
        created,
        {
            "charge": charge["id"],
            "destination_details": _destination(charge["payment_method_details"]["type"]),
            "metadata": metadata,
            "payment_intent": charge["payment_intent"],
            "payment_method": charge["payment_method"],
            "reason": reason,
        },
    )


def refund_without_charge(customer: str, amount: int, currency: str, created: int) -> StripeObject:
    """Money a customer had sent by bank transfer and that no payment used."""
    return _refund("re_3", amount, currency, "succeeded", created, {"customer": customer})


def _destination(method: str) -> StripeObject:
    if method == "card":
        card = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
        return {"card": card, "type": "card"}
    return {method: {}, "type": method}


def _refund(prefix: str, amount: int, currency: str, status: str, created: int, filled: StripeObject) -> StripeObject:
    return {
        "id": identifier(prefix, 23),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": None,
        "created": created,
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "destination_details": _destination("customer_balance"),
        "metadata": {},
        "payment_intent": None,
        "payment_method": None,
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
        **filled,
    }


def dispute(charge: StripeObject, amount: int, currency: str, status: str, reason: str, created: int) -> StripeObject:
    is_inquiry = status.startswith("warning_")
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
        "currency": currency,
        "enhanced_eligibility_types": [],
        "evidence": {
            **dict.fromkeys(evidence.split()),
            "customer_email_address": charge["billing_details"]["email"],
            "customer_name": charge["billing_details"]["name"],
            "enhanced_evidence": {},
        },
        "evidence_details": {
            "due_by": created + 7 * DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": is_inquiry,
        "livemode": charge["livemode"],
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": _dispute_details(charge["payment_method_details"]["type"], is_inquiry),
        "reason": reason,
        "status": status,
    }


def _dispute_details(method: str, is_inquiry: bool) -> StripeObject:
    if method != "card":
        return {"type": method}
    case = "inquiry" if is_inquiry else "chargeback"
    return {
        "card": {"brand": "visa", "case_type": case, "network": "visa", "network_reason_code": "10.4"},
        "type": method,
    }
