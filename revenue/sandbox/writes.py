"""What can be done through the API: what a shop needs, and a little more."""

from functools import partial
from typing import Any

from revenue.sandbox import objects, payments
from revenue.sandbox.errors import StripeError
from revenue.sandbox.objects import StripeObject
from revenue.sandbox.parameters import choice, flag, integer, metadata, record, text
from revenue.sandbox.reads import Call, Reads, Route, paths_to_expand
from revenue.sandbox.resources import BY_KIND, EXPAND
from revenue.sandbox.world import World

_CAPTURE = record({"amount_to_capture": integer(least=1), "final_capture": flag})
_REFUND = record(
    {
        "amount": integer(least=1),
        "charge": text,
        "metadata": metadata,
        "payment_intent": text,
        "reason": choice("duplicate", "fraudulent", "requested_by_customer"),
    }
)


class Writes:
    def __init__(self, world: World, reads: Reads) -> None:
        self._world = world
        self._reads = reads

    def route(self, steps: list[str]) -> Route | None:
        """What answers POST /v1/…, or None when Stripe knows no such address."""
        match steps:
            case ["checkout", "sessions"]:
                return self._create_session, ("rak_checkout_session_write",)
            case ["checkout", "sessions", session_id, "expire"]:
                return partial(self._expire_session, session_id), ("rak_checkout_session_write",)
            case ["customers"]:
                return self._create_customer, ("rak_customer_write",)
            case ["customers", customer_id]:
                return partial(self._update_customer, customer_id), ("rak_customer_write",)
            case ["payment_intents", intent_id, "capture"]:
                return partial(self._capture, intent_id), ("rak_payment_intent_write",)
            case ["payment_links"]:
                return self._create_link, ("rak_payment_link_write",)
            case ["refunds"]:
                return self._create_refund, ("rak_charge_write",)
        return None

    def _create_session(self, call: Call) -> StripeObject:
        params, expand = _without_expand(call, "checkout.session")
        return self._reads.expanded(self._world.open_session(call.owner, params), expand, call)

    def _expire_session(self, session_id: str, call: Call) -> StripeObject:
        expand = paths_to_expand(record(EXPAND)(call.params, ""), "checkout.session", call)
        self._reads.existing(BY_KIND["checkout.session"], session_id, call.owner, "session", 404)
        return self._reads.expanded(self._world.expire(session_id), expand, call)

    def _create_customer(self, call: Call) -> StripeObject:
        params, expand = _without_expand(call, "customer")
        return self._reads.expanded(self._world.create_customer(call.owner, params), expand, call)

    def _update_customer(self, customer_id: str, call: Call) -> StripeObject:
        params, expand = _without_expand(call, "customer")
        self._reads.existing(BY_KIND["customer"], customer_id, call.owner, "id", 404)
        return self._reads.expanded(self._world.update_customer(customer_id, params), expand, call)

    def _create_link(self, call: Call) -> StripeObject:
        params, expand = _without_expand(call, "payment_link")
        return self._reads.expanded(self._world.create_link(call.owner, params), expand, call)

    def _capture(self, intent_id: str, call: Call) -> StripeObject:
        params, expand = _without_expand(call, "payment_intent")
        read = _CAPTURE(params, "")
        intent = self._reads.existing(BY_KIND["payment_intent"], intent_id, call.owner, "intent", 404)
        charge_id = intent["latest_charge"]
        if charge_id is None:
            raise payments.not_capturable(intent)
        self._world.capture(charge_id, read.get("amount_to_capture"), read.get("final_capture", True))
        intent = self._reads.existing(BY_KIND["payment_intent"], intent_id, call.owner, "intent", 404)
        return self._reads.expanded(self._reads.rendered(intent, call), expand, call)

    def _create_refund(self, call: Call) -> StripeObject:
        params, expand = _without_expand(call, "refund")
        read = _REFUND(params, "")
        if "charge" in read:
            charge_id = read["charge"]
        elif "payment_intent" in read:
            intents = BY_KIND["payment_intent"]
            intent = self._reads.existing(intents, read["payment_intent"], call.owner, "payment_intent", 400)
            charge_id = intent["latest_charge"]
        else:
            raise StripeError(
                400,
                "One of the following params should be provided for this request: payment_intent or charge.",
            )
        self._reads.existing(BY_KIND["charge"], charge_id, call.owner, "charge", 400)
        refund = self._world.refund(
            charge_id, read.get("amount"), reason=read.get("reason"), metadata=read.get("metadata")
        )
        return self._reads.expanded(objects.as_shown(refund), expand, call)


def _without_expand(call: Call, kind: str) -> tuple[dict[str, Any], list[str]]:
    params = dict(call.params)
    expand = {"expand": params.pop("expand")} if "expand" in params else {}
    return params, paths_to_expand(record(EXPAND)(expand, ""), kind, call)
