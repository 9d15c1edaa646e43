"""Opening a checkout session: which parameters there are, and what Stripe refuses."""

from typing import Any

from revenue.sandbox import objects, parameters
from revenue.sandbox.currencies import supported
from revenue.sandbox.errors import StripeError
from revenue.sandbox.objects import StripeObject

_HALF_HOUR = 1800
_DAY = 86_400


def _currency(value: Any, param: str) -> str:
    return supported(parameters.text(value, param), param)


_LINE_ITEM = parameters.record(
    {
        "price_data": parameters.record(
            {
                "currency": _currency,
                "product_data": parameters.record(
                    {"name": parameters.text, "description": parameters.text}, required=("name",)
                ),
                "unit_amount": parameters.integer(least=0, most=99_999_999_999),
            },
            required=("currency", "product_data", "unit_amount"),
        ),
        "quantity": parameters.integer(least=1, most=999_999),
    },
    required=("price_data", "quantity"),
)
_SESSION = parameters.record(
    {
        "cancel_url": parameters.address,
        "client_reference_id": parameters.short_text,
        "customer_email": parameters.text,
        "expires_at": parameters.integer(),
        "line_items": parameters.listed(_LINE_ITEM, most=100),
        "metadata": parameters.metadata,
        "mode": parameters.choice("payment"),
        "payment_intent_data": parameters.record({"description": parameters.text, "metadata": parameters.metadata}),
        "payment_method_types": parameters.listed(parameters.choice("card"), most=1),
        "success_url": parameters.address,
    },
    required=("mode", "line_items", "success_url"),
)


def open_session(params: dict[str, Any], origin: str, now: int, livemode: bool) -> StripeObject:
    read = _SESSION(params, "")
    read.setdefault("expires_at", now + _DAY)
    if not _HALF_HOUR <= read["expires_at"] - now <= _DAY:
        raise StripeError(
            400,
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.",
            param="expires_at",
        )
    if len({item["price_data"]["currency"] for item in read["line_items"]}) != 1:
        raise StripeError(400, "A Checkout Session needs line items, all in the same currency.", param="line_items")
    items = [
        objects.line_item(
            item["price_data"]["product_data"]["name"],
            item["price_data"]["unit_amount"],
            item["quantity"],
            item["price_data"]["currency"],
            now,
            livemode,
        )
        for item in read["line_items"]
    ]
    return objects.checkout_session(items, read, origin, now, livemode)
