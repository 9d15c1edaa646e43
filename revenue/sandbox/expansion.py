"""`expand[]`: show a whole object where Stripe otherwise shows its id."""

from collections.abc import Callable, Mapping

from revenue.sandbox.errors import StripeError
from revenue.sandbox.objects import StripeObject

# What each type may show in full, and of which types that can be. Lists have the name of their members' type
# in brackets: they are shown only when expanded, and are no ids before.
EXPANDABLE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "balance_transaction": {"source": ("charge", "dispute", "payout", "refund")},
    "charge": {
        "balance_transaction": ("balance_transaction",),
        "customer": ("customer",),
        "failure_balance_transaction": ("balance_transaction",),
        "payment_intent": ("payment_intent",),
        "refunds": ("[refund]",),
    },
    "checkout.session": {
        "customer": ("customer",),
        "invoice": ("invoice",),
        "line_items": ("[item]",),
        "payment_intent": ("payment_intent",),
        "payment_link": ("payment_link",),
        "setup_intent": ("setup_intent",),
        "subscription": ("subscription",),
    },
    "dispute": {"charge": ("charge",), "payment_intent": ("payment_intent",)},
    "invoice": {"customer": ("customer",), "payments": ("[invoice_payment]",)},
    "invoice_payment": {"invoice": ("invoice",)},
    "payment_intent": {"customer": ("customer",), "latest_charge": ("charge",)},
    "payout": {
        "balance_transaction": ("balance_transaction",),
        "failure_balance_transaction": ("balance_transaction",),
    },
    "refund": {
        "balance_transaction": ("balance_transaction",),
        "charge": ("charge",),
        "failure_balance_transaction": ("balance_transaction",),
        "payment_intent": ("payment_intent",),
    },
    "setup_intent": {"customer": ("customer",)},
    "subscription": {"customer": ("customer",), "latest_invoice": ("invoice",)},
}

# Stripe's own limit.
DEEPEST = 4

# Answers the object behind a field of an object, or None when there is none to be seen.
Lookup = Callable[[StripeObject, str, tuple[str, ...]], StripeObject | None]


def check(path: str, kind: str) -> set[str]:
    """Refuse a path that leads nowhere; return the types of object it shows."""
    steps = path.split(".")
    kinds = {kind}
    shown: set[str] = set()
    for step in steps:
        if step == "data" and all(kind.startswith("[") for kind in kinds):
            kinds = {kind.strip("[]") for kind in kinds}
            continue
        kinds = {target for kind in kinds for target in EXPANDABLE.get(kind, {}).get(step, ())}
        if not kinds:
            raise StripeError(400, f"This property cannot be expanded ({path}).", param="expand")
        shown |= {kind.strip("[]") for kind in kinds}
    if not shown:
        raise StripeError(400, f"This property cannot be expanded ({path}).", param="expand")
    if len(steps) > DEEPEST:
        raise StripeError(400, f"You cannot expand more than {DEEPEST} levels of a property ({path}).", param="expand")
    return shown


def expand(item: StripeObject, steps: list[str], lookup: Lookup) -> StripeObject:
    """Return the object, or list, with the way of a checked path shown in full."""
    if not steps:
        return item
    step, rest = steps[0], steps[1:]
    if item["object"] == "list":
        return {**item, "data": [expand(member, rest, lookup) for member in item["data"]]}
    kinds = EXPANDABLE.get(item["object"], {}).get(step)
    if kinds is None:
        return item
    there = item.get(step)
    inner = there if isinstance(there, dict) else lookup(item, step, kinds)
    return item if inner is None else {**item, step: expand(inner, rest, lookup)}
