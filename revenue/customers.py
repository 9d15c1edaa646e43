"""The customer of a payment, whom Stripe shows with it to a key that may read customers.

Any other key is refused the whole list for asking, so the same is then asked once more without the customer, and is
from then on. What is wanted of him is one value, if the merchant's checkout put it there: nothing else depends on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from revenue.secrecy import Secret
from revenue.stripe_client import (
    PERMISSION,
    Answer,
    PermissionMissingError,
    RequestRefusedError,
    StripeReader,
)

NAME = "Customers"
PERMITTED_BY = "rak_customer_read"
# The lists that hold payments, and what shows the customer in them. A movement's source may be something else than a
# payment: Stripe expands it where it can.
SHOWN_BY = {"/v1/charges": "data.customer", "/v1/balance_transactions": "data.source.customer"}


@dataclass(slots=True)
class Customers:
    """Whether all readers of a run ask for them, and whether Stripe has said that the key may not read them."""

    are_asked_for: bool
    are_forbidden: bool = False


class PaymentReader(StripeReader):
    """Reads as any StripeReader does, and payments with their customer as long as Stripe allows it."""

    def __init__(self, key: Secret, customers: Customers, before_read: Callable[[], None], **options: Any) -> None:
        super().__init__(key, before_read=before_read, **options)
        self._customers = customers

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        given = params or {}
        shown_by = _shown_by(path)
        if not shown_by or not self._customers.are_asked_for:
            return super().get(path, given)
        try:
            return super().get(path, {**given, "expand": [*given.get("expand", ()), shown_by]})
        except PermissionMissingError as error:
            named = PERMISSION.findall(error.permission)
            if named and PERMITTED_BY not in named:
                raise
            is_forbidden = True
        except RequestRefusedError as error:
            if error.param and not error.param.startswith("expand"):
                raise
            is_forbidden = False
        answer = super().get(path, given)
        # Only now is it known that it was for the customer.
        self._customers.are_asked_for, self._customers.are_forbidden = False, is_forbidden
        return answer


def _shown_by(path: str) -> str:
    """What to expand at the address of a list, or of one of its objects; empty where there is no customer."""
    if path in SHOWN_BY:
        return SHOWN_BY[path]
    return SHOWN_BY.get(path.rpartition("/")[0], "").removeprefix("data.")
