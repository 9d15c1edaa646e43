"""Whose money it is, and whose it was."""

from revenue.sandbox.objects.shape import NO_ADDRESS, StripeObject, identifier, listing


def account(account_id: str, name: str, country: str, default_currency: str, created: int) -> StripeObject:
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
        "external_accounts": listing([], f"/v1/accounts/{account_id}/external_accounts"),
        "future_requirements": nothing_due,
        "metadata": {},
        "payouts_enabled": True,
        "requirements": nothing_due,
        "settings": {"dashboard": {"display_name": name, "timezone": "Etc/UTC"}},
        "tos_acceptance": {"date": created},
        "type": "standard",
    }


def customer(
    email: str | None,
    name: str | None,
    metadata: dict[str, str],
    created: int,
    livemode: bool,
    *,
    address: dict[str, str] | None = None,
    description: str | None = None,
    phone: str | None = None,
) -> StripeObject:
    return {
        "id": identifier("cus_", 14),
        "object": "customer",
        "address": {**NO_ADDRESS, **address} if address else None,
        "balance": 0,
        "created": created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": description,
        "discount": None,
        "email": email,
        "invoice_prefix": identifier("", 8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": livemode,
        "metadata": metadata,
        "name": name,
        "next_invoice_sequence": 1,
        "phone": phone,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
