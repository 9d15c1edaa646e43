"""API versions: which there are, and how an object looked in older ones."""

from collections.abc import Callable

from revenue.sandbox.errors import StripeError
from revenue.sandbox.objects import API_VERSION, StripeObject, as_shown, listing

# In order. What none of them changes about the sandbox's objects looks the same in all.
VERSIONS = (
    "2019-12-03",
    "2020-03-02",
    "2020-08-27",
    "2022-08-01",
    "2022-11-15",
    "2023-08-16",
    "2023-10-16",
    "2024-04-10",
    "2024-06-20",
    "2024-09-30.acacia",
    "2024-10-28.acacia",
    "2024-11-20.acacia",
    "2024-12-18.acacia",
    "2025-01-27.acacia",
    "2025-02-24.acacia",
    "2025-03-31.basil",
    "2025-04-30.basil",
    "2025-05-28.basil",
    "2025-06-30.basil",
    "2025-07-30.basil",
    "2025-08-27.basil",
    "2025-09-30.clover",
    "2025-10-29.clover",
    "2025-11-17.clover",
    "2025-12-15.clover",
    "2026-03-25.dahlia",
    API_VERSION,
    "2026-10-28.endive",
)
_ORDER = {version: place for place, version in enumerate(VERSIONS)}
_BASIL = _ORDER["2025-03-31.basil"]
_WITHOUT_EMBEDDED_LISTS = _ORDER["2022-11-15"]


def known(version: str) -> str:
    if version not in _ORDER:
        raise StripeError(400, f"Invalid Stripe API version: {version}")
    return version


def render(item: StripeObject, version: str, find: Callable[[str], StripeObject]) -> StripeObject:
    """Show an object as an older version did. `find` answers the objects it names."""
    place = _ORDER[version]
    if place < _BASIL:
        item = _before_basil(item, find)
    if place < _WITHOUT_EMBEDDED_LISTS and item["object"] == "payment_intent":
        charges = [find(item["latest_charge"])] if item["latest_charge"] else []
        data = [render(as_shown(charge), version, find) for charge in charges]
        embedded = listing(data, f"/v1/charges?payment_intent={item['id']}")
        item = {name: value for name, value in item.items() if name != "latest_charge"} | {"charges": embedded}
    return item


def _before_basil(item: StripeObject, find: Callable[[str], StripeObject]) -> StripeObject:
    """Payments named their invoice, and invoices their payment and subscription."""
    match item["object"]:
        case "charge":
            intent = find(item["payment_intent"])
            return {**item, "invoice": intent["_"].get("invoice")}
        case "payment_intent":
            return {**item, "invoice": find(item["id"])["_"].get("invoice")}
        case "invoice":
            intent = find(item["id"]).get("_", {}).get("intent")
            return {
                **item,
                "charge": find(intent)["latest_charge"] if intent else None,
                "paid": item["status"] == "paid",
                "payment_intent": intent,
                "subscription": item["parent"]["subscription_details"]["subscription"],
            }
    return item
