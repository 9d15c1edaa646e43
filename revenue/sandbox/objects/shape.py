"""What all objects have in common: ids, absent addresses, and what Stripe keeps to itself."""

import os
import string
from typing import Any

StripeObject = dict[str, Any]

API_VERSION = "2026-06-24.dahlia"
DAY = 86_400

# Which letter each random byte stands for.
_LETTERS = ((string.ascii_letters + string.digits) * 5)[:256].encode()

NO_ADDRESS = {
    "city": None,
    "country": None,
    "line1": None,
    "line2": None,
    "postal_code": None,
    "state": None,
}


def identifier(prefix: str, length: int = 24) -> str:
    # Not the shared generator: a test that seeds it would get the same ids again.
    return prefix + os.urandom(length).translate(_LETTERS).decode()


def as_shown(item: StripeObject) -> StripeObject:
    """Without what is kept with an object under "_" and never shown."""
    return {name: value for name, value in item.items() if name != "_"} if "_" in item else item


def listing(data: list[StripeObject], url: str, has_more: bool = False) -> StripeObject:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def person(email: str | None, name: str | None, country: str | None = None) -> StripeObject:
    """Who pays, as a session's `customer_details`."""
    return {
        "address": {**NO_ADDRESS, "country": country} if country else None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [] if country else None,
    }
