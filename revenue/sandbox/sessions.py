"""Checkout sessions and payment links: which parameters there are, what Stripe refuses, and how a session ends."""

from typing import Any

from revenue.sandbox import billing, objects, parameters, payments
from revenue.sandbox.act import Act
from revenue.sandbox.currencies import settle, supported
from revenue.sandbox.errors import StripeError
from revenue.sandbox.objects import DAY, StripeObject
from revenue.sandbox.objects.methods import METHODS

_HALF_HOUR = 1800
# How long an expired session can be recovered.
_RECOVERABLE = 30 * DAY


def _currency(value: Any, param: str) -> str:
    return supported(parameters.text(value, param), param)


_RECURRING = parameters.record(
    {
        "interval": parameters.choice("day", "week", "month", "year"),
        "interval_count": parameters.integer(least=1, most=36),
    },
    required=("interval",),
)
_LINE_ITEM = parameters.record(
    {
        "price_data": parameters.record(
            {
                "currency": _currency,
                "product_data": parameters.record(
                    {"name": parameters.text, "description": parameters.text}, required=("name",)
                ),
                "recurring": _RECURRING,
                "unit_amount": parameters.integer(least=0, most=99_999_999_999),
            },
            required=("currency", "product_data", "unit_amount"),
        ),
        "quantity": parameters.integer(least=1, most=999_999),
    },
    required=("price_data", "quantity"),
)
_LINE_ITEMS = parameters.listed(_LINE_ITEM, most=100)
_METHODS = parameters.listed(parameters.choice(*METHODS), most=len(METHODS))
_PAYMENT_INTENT_DATA = parameters.record(
    {
        "capture_method": parameters.choice("automatic", "automatic_async", "manual"),
        "description": parameters.text,
        "metadata": parameters.metadata,
        "setup_future_usage": parameters.choice("off_session", "on_session"),
    }
)
_SUBSCRIPTION_DATA = parameters.record(
    {
        "description": parameters.text,
        "metadata": parameters.metadata,
        "trial_period_days": parameters.integer(least=1, most=730),
    }
)
_SESSION = parameters.record(
    {
        "after_expiration": parameters.record({"recovery": parameters.record({"enabled": parameters.flag})}),
        "cancel_url": parameters.address,
        "client_reference_id": parameters.short_text,
        "currency": _currency,
        "customer": parameters.text,
        "customer_creation": parameters.choice("always", "if_required"),
        "customer_email": parameters.text,
        "expires_at": parameters.integer(),
        "line_items": _LINE_ITEMS,
        "metadata": parameters.metadata,
        "mode": parameters.choice("payment", "setup", "subscription"),
        "payment_intent_data": _PAYMENT_INTENT_DATA,
        "payment_method_types": _METHODS,
        "setup_intent_data": parameters.record({"metadata": parameters.metadata}),
        "subscription_data": _SUBSCRIPTION_DATA,
        "success_url": parameters.address,
    },
    required=("mode",),
)
_PAYMENT_LINK = parameters.record(
    {
        "after_completion": parameters.record(
            {
                "redirect": parameters.record({"url": parameters.address}, required=("url",)),
                "type": parameters.choice("hosted_confirmation", "redirect"),
            },
            required=("type",),
        ),
        "line_items": _LINE_ITEMS,
        "metadata": parameters.metadata,
        "payment_intent_data": _PAYMENT_INTENT_DATA,
        "payment_method_types": _METHODS,
        "subscription_data": _SUBSCRIPTION_DATA,
    },
    required=("line_items",),
)
# What Stripe takes from the address of a payment link.
FOLLOWED = {"client_reference_id": parameters.short_text, "prefilled_email": parameters.text}


def open_session(act: Act, params: dict[str, Any]) -> StripeObject:
    read = _SESSION(params, "")
    for name in ("success_url",) if read["mode"] == "setup" else ("line_items", "success_url"):
        if name not in read:
            raise parameters.absent(name)
    read.setdefault("expires_at", act.now + DAY)
    if not _HALF_HOUR <= read["expires_at"] - act.now <= DAY:
        raise StripeError(
            400,
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.",
            param="expires_at",
        )
    return _open(act, read)


def _open(act: Act, read: dict[str, Any]) -> StripeObject:
    items = [] if read["mode"] == "setup" else _priced(act, read["line_items"])
    is_recurring = any(item["price"]["recurring"] for item in items)
    if is_recurring and read["mode"] == "payment":
        raise StripeError(
            400,
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or "
            "use only one-time prices.",
            param="mode",
        )
    if read["mode"] == "subscription" and not is_recurring:
        raise StripeError(
            400, "You must provide at least one recurring price in `subscription` mode when using prices.", param="mode"
        )
    has_trial = bool(read.get("subscription_data", {}).get("trial_period_days"))
    due = sum(item["amount_total"] for item in items if not (has_trial and item["price"]["recurring"]))
    amount = None if read["mode"] == "setup" else due
    session = act.put(objects.checkout_session(items, read, amount, act.origin, act.now, act.livemode))
    act.later(session["expires_at"], "expire", session["id"])
    return session


def _priced(act: Act, wanted: list[dict[str, Any]]) -> list[StripeObject]:
    if len({item["price_data"]["currency"] for item in wanted}) != 1:
        raise StripeError(400, "A Checkout Session needs line items, all in the same currency.", param="line_items")
    items = []
    for item in wanted:
        data = item["price_data"]
        repeats = {"interval_count": 1, **data["recurring"]} if "recurring" in data else None
        price = objects.price(data["unit_amount"], data["currency"], repeats, act.now, act.livemode)
        items.append(objects.line_item(data["product_data"]["name"], price, item["quantity"]))
    return items


def create_link(act: Act, params: dict[str, Any]) -> StripeObject:
    read = _PAYMENT_LINK(params, "")
    return act.put(objects.payment_link(_priced(act, read["line_items"]), read, act.origin, act.now, act.livemode))


def follow_link(act: Act, link: StripeObject, params: dict[str, Any]) -> StripeObject:
    """Open the session of somebody who clicked on the link; `params` stood in its address."""
    address = parameters.record(FOLLOWED)(params, "")
    read = {name: value for name, value in link["_"]["params"].items() if name != "after_completion"}
    is_recurring = any("recurring" in item["price_data"] for item in read["line_items"])
    read |= {"mode": "subscription" if is_recurring else "payment", "payment_link": link["id"]}
    read["success_url"] = (link["after_completion"].get("redirect") or {}).get("url")
    if "prefilled_email" in address:
        read["customer_email"] = address["prefilled_email"]
    if "client_reference_id" in address:
        read["client_reference_id"] = address["client_reference_id"]
    return _open(act, read)


def present(act: Act, session: StripeObject, currency: str) -> StripeObject:
    """Show the price in the buyer's currency. What is charged and all amounts stay in the session's own."""
    shown, _ = settle(session["amount_total"], session["currency"], supported(currency, "currency"))
    details = {"presentment_amount": shown, "presentment_currency": currency}
    return act.change(session, presentment_details=details)


def complete(
    act: Act, session: StripeObject, method: str, buyer: StripeObject, outcome: str, after: int | None
) -> None:
    """Let the buyer pay. `outcome` is "pay", "decline", or "fail" for a delayed method that fails in the end."""
    if method not in session["payment_method_types"]:
        raise StripeError(400, f"This Checkout Session does not take {method}.", param="payment_method_types")
    if session["mode"] == "subscription":
        billing.subscribe(act, session, method, buyer, outcome, after)
    elif session["amount_total"]:
        _take(act, session, method, buyer, outcome, after)
    else:
        _complete_for_nothing(act, session, buyer)


def _complete_for_nothing(act: Act, session: StripeObject, buyer: StripeObject) -> None:
    fields: dict[str, Any] = {}
    if session["mode"] == "setup":
        customer = billing.customer_of(act, session, buyer)
        data = session["_"].get("setup_intent_data", {})
        intent = act.put(
            objects.setup_intent(
                customer["id"], session["payment_method_types"], data.get("metadata", {}), act.now, act.livemode
            )
        )
        act.event("setup_intent.succeeded", intent)
        fields = {"customer": customer["id"], "setup_intent": intent["id"]}
    billing.finish(act, session, buyer, "no_payment_required", **fields)


def _take(act: Act, session: StripeObject, method: str, buyer: StripeObject, outcome: str, after: int | None) -> None:
    if session["payment_intent"]:
        intent = act.get(session["payment_intent"])
    else:
        customer = session["customer"]
        if session["customer_creation"] == "always":
            customer = billing.customer_of(act, session, buyer)["id"]
        # The session's own metadata does not get there: only what was given for it.
        intent = payments.new_intent(
            act,
            session["amount_total"],
            session["currency"],
            customer,
            session["payment_method_types"],
            session["_"].get("payment_intent_data", {}),
            session=session["id"],
        )
        intent = payments.presented(act, intent, session)
        session = act.change(session, payment_intent=intent["id"], customer=customer)
    if outcome == "decline":
        payments.decline(act, intent, method, buyer)
        return
    intent = payments.confirm(act, intent, method, buyer, outcome, after)
    billing.finish(act, session, buyer, "paid" if intent["status"] == "succeeded" else "unpaid")


def decided(act: Act, intent: StripeObject | None) -> None:
    """Tell those that wait for a delayed payment how it ended, if it did."""
    if intent:
        follow(act, intent)
        billing.follow(act, intent)


def follow(act: Act, intent: StripeObject, is_delayed: bool = True) -> None:
    """Tell the intent's session, if it has one, how its payment ended."""
    session_id = intent["_"].get("session")
    if not session_id:
        return
    session = act.get(session_id)
    is_paid = intent["status"] == "succeeded"
    if is_paid:
        session = act.change(session, payment_status="paid")
    # Of a capture, no event tells.
    if is_delayed:
        act.event(f"checkout.session.async_payment_{'succeeded' if is_paid else 'failed'}", session)


def expire(act: Act, session: StripeObject) -> StripeObject:
    recovery = (session["after_expiration"] or {}).get("recovery", {})
    expired = act.change(session, status="expired", url=None)
    if recovery.get("enabled"):
        known = {
            "allow_promotion_codes": False,
            "enabled": True,
            "expires_at": act.now + _RECOVERABLE,
            "url": f"{act.origin}/recover/{session['id']}",
        }
        expired = act.change(expired, after_expiration={"recovery": known})
    act.event("checkout.session.expired", expired)
    return expired


def recover(act: Act, session: StripeObject) -> StripeObject:
    """Open a copy of an expired session, for the buyer who comes back by the link in the merchant's mail."""
    recovery = (session["after_expiration"] or {}).get("recovery", {})
    if session["status"] != "expired" or not act.now < recovery.get("expires_at", 0):
        raise StripeError(400, "This Checkout Session cannot be recovered.", param="session")
    copied = ("client_reference_id", "customer", "customer_email", "metadata", "mode", "success_url", "cancel_url")
    params = {name: session[name] for name in copied if session[name]}
    params |= {"payment_method_types": session["payment_method_types"], "recovered_from": session["id"]}
    params |= {name: value for name, value in session["_"].items() if name.endswith("_data")}
    items = session["_"]["line_items"]["data"]
    made = objects.checkout_session(items, params, session["amount_total"], act.origin, act.now, act.livemode)
    act.later(made["expires_at"], "expire", made["id"])
    return act.put(made)
