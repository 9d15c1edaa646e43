"""Customers that the merchant keeps at Stripe, with metadata that outlives each of their payments."""

from typing import Any

from revenue.sandbox import objects, parameters
from revenue.sandbox.act import Act
from revenue.sandbox.objects import StripeObject

_CUSTOMER = parameters.record(
    {
        "address": parameters.record(
            dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), parameters.text)
        ),
        "description": parameters.text,
        "email": parameters.text,
        "metadata": parameters.metadata,
        "name": parameters.text,
        "phone": parameters.text,
    }
)


def create(act: Act, params: dict[str, Any]) -> StripeObject:
    read = {"email": None, "name": None, "metadata": {}, **_CUSTOMER(params, "")}
    customer = act.put(objects.customer(created=act.now, livemode=act.livemode, **read))
    act.event("customer.created", customer)
    return customer


def update(act: Act, customer: StripeObject, params: dict[str, Any]) -> StripeObject:
    """Change what is named. Keys of the metadata that are not named stay; those that are named as empty go."""
    read = _CUSTOMER(params, "")
    if "metadata" in read:
        left = {key: value for key, value in customer["metadata"].items() if key not in params["metadata"]}
        read["metadata"] = {**left, **read["metadata"]}
    if "address" in read:
        read["address"] = {**objects.NO_ADDRESS, **read["address"]}
    changed = act.change(customer, **read)
    act.event("customer.updated", changed)
    return changed
