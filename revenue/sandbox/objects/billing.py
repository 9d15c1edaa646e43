"""What is paid again and again: subscriptions, their invoices, and the payments of those."""

import datetime as dt
from calendar import monthrange
from collections.abc import Sequence

from revenue.sandbox.objects.shape import DAY, StripeObject, identifier, listing


def subscription(
    items: Sequence[StripeObject],
    customer: str,
    metadata: dict[str, str],
    description: str | None,
    trial_end: int | None,
    created: int,
    livemode: bool,
    kept: StripeObject,
) -> StripeObject:
    """`items` are the session's recurring line items. Since 2025-03-31.basil the period stands with each item."""
    subscription_id = identifier("sub_1")
    end = trial_end or after(created, items[0]["price"]["recurring"], created)
    return {
        "id": subscription_id,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": trial_end or created,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": None, "type": "classic"},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": created,
        "currency": items[0]["currency"],
        "customer": customer,
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": description,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "items": listing(
            [_subscription_item(item, subscription_id, created, end) for item in items],
            f"/v1/subscription_items?subscription={subscription_id}",
        ),
        "latest_invoice": None,
        "livemode": livemode,
        "managed_payments": {"enabled": False},
        "metadata": metadata,
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": created,
        "status": "trialing" if trial_end else "incomplete",
        "test_clock": None,
        "transfer_data": None,
        "trial_end": trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": created if trial_end else None,
        "_": kept,
    }


def after(start: int, recurring: StripeObject, anchor: int) -> int:
    """When the period that begins at `start` ends: on the anchor's day of the month, or the month's last."""
    count = int(recurring["interval_count"])
    if recurring["interval"] in ("day", "week"):
        return start + count * {"day": 1, "week": 7}[recurring["interval"]] * DAY
    began = dt.datetime.fromtimestamp(start, dt.UTC)
    months = began.month - 1 + count * {"month": 1, "year": 12}[recurring["interval"]]
    year, month = began.year + months // 12, months % 12 + 1
    day = min(dt.datetime.fromtimestamp(anchor, dt.UTC).day, monthrange(year, month)[1])
    return int(began.replace(year=year, month=month, day=day).timestamp())


def _subscription_item(item: StripeObject, subscription_id: str, start: int, end: int) -> StripeObject:
    return {
        "id": identifier("si_", 14),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": start,
        "current_period_end": end,
        "current_period_start": start,
        "discounts": [],
        "metadata": {},
        "price": item["price"],
        "quantity": item["quantity"],
        "subscription": subscription_id,
        "tax_rates": [],
    }


def invoice(
    subscription: StripeObject,
    customer: StripeObject,
    lines: Sequence[StripeObject],
    reason: str,
    period: tuple[int, int],
    created: int,
) -> StripeObject:
    """A draft. `lines` are of `invoice_line`; a credit of the customer's is taken off what is due."""
    invoice_id = identifier("in_1")
    total = sum(line["amount"] for line in lines)
    # A negative balance is the customer's credit.
    due = max(total + min(customer["balance"], 0), 0)
    return {
        "id": invoice_id,
        "object": "invoice",
        "account_country": None,
        "account_name": None,
        "account_tax_ids": None,
        "amount_due": due,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": due,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "automatically_finalizes_at": created + 3600,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": created,
        "currency": subscription["currency"],
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "customer_address": None,
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": None,
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": listing([{**line, "invoice": invoice_id} for line in lines], f"/v1/invoices/{invoice_id}/lines"),
        "livemode": subscription["livemode"],
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": subscription["metadata"], "subscription": subscription["id"]},
            "type": "subscription_details",
        },
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": period[1],
        "period_start": period[0],
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": customer["balance"],
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "test_clock": None,
        "total": total,
        "total_discount_amounts": [],
        "total_excluding_tax": total,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
    }


def invoice_line(
    item: StripeObject, subscription_id: str | None, amount: int, period: tuple[int, int], livemode: bool
) -> StripeObject:
    """`item` is a line item of a session or an item of a subscription: something with a price and a quantity."""
    start, end = period
    return {
        "id": identifier("il_1"),
        "object": "line_item",
        "amount": amount,
        "currency": item["price"]["currency"],
        "description": item.get("description"),
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": livemode,
        "metadata": {},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "proration_details": None,
                "subscription": subscription_id,
                "subscription_item": item["id"] if item["object"] == "subscription_item" else None,
            },
            "type": "subscription_item_details",
        },
        "period": {"end": end, "start": start},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": item["price"]["id"], "product": item["price"]["product"]},
            "type": "price_details",
            "unit_amount_decimal": item["price"]["unit_amount_decimal"],
        },
        "quantity": item["quantity"],
        "quantity_decimal": str(item["quantity"]),
        "subscription": subscription_id,
        "subtotal": amount,
        "taxes": [],
    }


def invoice_payment(
    invoice: StripeObject, payment: StripeObject, amount: int, is_default: bool, created: int
) -> StripeObject:
    """`payment` is {"type": "payment_intent", "payment_intent": …} or {"type": "payment_record", …}."""
    return {
        "id": identifier("inpay_1"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": amount,
        "created": created,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": is_default,
        "livemode": invoice["livemode"],
        "payment": payment,
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
