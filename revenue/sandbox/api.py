"""Stripe's API under /v1: who asks, what for, and what Stripe would answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from revenue.sandbox import credentials, expansion, objects, parameters
from revenue.sandbox.accounts import ApiKey, Owner
from revenue.sandbox.errors import StripeError, missing
from revenue.sandbox.messages import Request, Response, json_response
from revenue.sandbox.objects import StripeObject
from revenue.sandbox.parameters import FOREVER, choice, integer, metadata, record, text
from revenue.sandbox.resources import BY_KIND, BY_PATH, EXPAND, PAGING, Resource, matches
from revenue.sandbox.world import World

# Versions whose objects look as the sandbox makes them.
KNOWN_VERSIONS = ("2026-03-25.dahlia", objects.API_VERSION, "2026-10-28.endive")

_EMBEDDED_REFUNDS = 10
_IDEMPOTENCY_SECONDS = 86_400

_REFUND = record(
    {
        "amount": integer(least=1),
        "charge": text,
        "metadata": metadata,
        "payment_intent": text,
        "reason": choice("duplicate", "fraudulent", "requested_by_customer"),
    }
)


@dataclass(frozen=True)
class Call:
    """A request that was let in. `may` refuses what its key does not permit."""

    key: ApiKey
    params: dict[str, Any]
    may: Callable[[tuple[str, ...]], None]

    @property
    def owner(self) -> Owner:
        return self.key.owner


Handler = Callable[[Call], StripeObject]


@dataclass(frozen=True)
class Answered:
    """A request with an idempotency key, and its answer."""

    at: int
    request_id: str
    path: str
    params: dict[str, Any]
    response: Response


class Api:
    """`requests_per_second` limits each account; None lets everybody ask as often as they like."""

    def __init__(self, world: World) -> None:
        self.requests_per_second: float | None = None
        self._world = world
        self._tokens: dict[str, tuple[float, float]] = {}
        self._answered: dict[tuple[Owner, str], Answered] = {}

    def answer(self, request: Request) -> Response:
        asked = request.headers.get("Stripe-Version")
        headers = {"Stripe-Version": asked if asked in KNOWN_VERSIONS else objects.API_VERSION}
        try:
            response = self._answer(request)
        except StripeError as error:
            response = json_response(error.status, {"error": error.body}, error.headers)
        return Response(response.status, response.body, {**headers, **response.headers})

    def _answer(self, request: Request) -> Response:
        handler, permissions = self._route(request)
        secret = credentials.secret(request.headers.get("Authorization", ""))
        key = self._world.keys.get(secret)
        if key is None:
            raise credentials.unknown(secret)
        self._throttle(key.owner.account_id)

        def may(needed: tuple[str, ...]) -> None:
            if lacking := key.lacking(needed):
                raise credentials.forbidden(secret, key.owner.account_id, lacking)

        may(permissions)
        form = _form(request) if request.method == "POST" else request.query
        call = Call(key, parameters.decode(form), may)
        # One lock around it all: a page shows one moment, and a repeated POST finds the first one done.
        with self._world.lock:
            if request.method == "POST" and "Idempotency-Key" in request.headers:
                return self._once(request, call, handler)
            return json_response(200, handler(call))

    def _route(self, request: Request) -> tuple[Handler, tuple[str, ...]]:
        steps = request.path.removeprefix("/v1/").split("/") if request.path.startswith("/v1/") else []
        match request.method, steps:
            case "GET", ["account"]:
                return self._account, ("rak_accounts_kyc_basic_read",)
            case "POST", ["checkout", "sessions"]:
                return self._create_session, ("rak_checkout_session_write",)
            case "POST", ["checkout", "sessions", session_id, "expire"]:
                return partial(self._expire_session, session_id), ("rak_checkout_session_write",)
            case "POST", ["refunds"]:
                return self._create_refund, ("rak_charge_write",)
            case "GET", [*path] if resource := BY_PATH.get("/".join(path)):
                return partial(self._list, resource), resource.permissions
            case "GET", [*path, object_id] if resource := BY_PATH.get("/".join(path)):
                return partial(self._retrieve, resource, object_id), resource.permissions
        raise StripeError(
            404,
            f"Unrecognized request URL ({request.method}: {request.path}). Please see "
            "https://stripe.com/docs or we can help at https://support.stripe.com/.",
        )

    def _account(self, call: Call) -> StripeObject:
        record(EXPAND)(call.params, "")
        account = self._world.accounts[call.owner.account_id]
        return objects.account(account.id, account.name, account.country, account.default_currency, account.created)

    def _retrieve(self, resource: Resource, object_id: str, call: Call) -> StripeObject:
        expand = _paths(record(EXPAND)(call.params, ""), resource.kind, call)
        return self._expanded(self._existing(resource, object_id, call.owner, resource.param, 404), expand, call)

    def _list(self, resource: Resource, call: Call) -> StripeObject:
        params = record({**PAGING, **resource.filters})(call.params, "")
        expand = _paths(params, f"[{resource.kind}]", call)
        for one, other in (("starting_after", "ending_before"), ("type", "types")):
            if one in params and other in params:
                raise StripeError(400, f"You may only specify one of these parameters: {one}, {other}.", param=one)
        for cursor in ("starting_after", "ending_before"):
            if cursor in params:
                self._existing(resource, params[cursor], call.owner, cursor, 400)
        given = {name: params[name] for name in resource.filters if name in params}
        page = self._world.page(
            call.owner,
            resource.kind,
            partial(matches, given),
            params.get("limit", 10),
            params.get("created", (0, FOREVER)),
            params.get("starting_after"),
            params.get("ending_before"),
        )
        listing = {
            "object": "list",
            "data": page.data,
            "has_more": page.has_more,
            "url": f"/v1/{resource.path}",
        }
        return self._expanded(listing, expand, call)

    def _create_session(self, call: Call) -> StripeObject:
        params, expand = _without_expand(call, "checkout.session")
        return self._expanded(self._world.open_session(call.owner, params), expand, call)

    def _expire_session(self, session_id: str, call: Call) -> StripeObject:
        expand = _paths(record(EXPAND)(call.params, ""), "checkout.session", call)
        self._existing(BY_KIND["checkout.session"], session_id, call.owner, "session", 404)
        return self._expanded(self._world.expire(session_id), expand, call)

    def _create_refund(self, call: Call) -> StripeObject:
        params, expand = _without_expand(call, "refund")
        read = _REFUND(params, "")
        if "charge" in read:
            charge_id = read["charge"]
        elif "payment_intent" in read:
            intents = BY_KIND["payment_intent"]
            intent = self._existing(intents, read["payment_intent"], call.owner, "payment_intent", 400)
            charge_id = intent["latest_charge"]
        else:
            raise StripeError(
                400,
                "One of the following params should be provided for this request: payment_intent or charge.",
            )
        self._existing(BY_KIND["charge"], charge_id, call.owner, "charge", 400)
        refund = self._world.refund(
            charge_id, read.get("amount"), reason=read.get("reason"), metadata=read.get("metadata")
        )
        return self._expanded(refund, expand, call)

    def _existing(self, resource: Resource, object_id: str, owner: Owner, param: str, status: int) -> StripeObject:
        item = self._world.find(owner, resource.kind, object_id)
        if item is not None:
            return item
        modes = ("live", "test") if owner.livemode else ("test", "live")
        other = self._world.find(Owner(owner.account_id, not owner.livemode), resource.kind, object_id)
        remark = (
            f"; a similar object exists in {modes[1]} mode, but a {modes[0]} mode key was used to make this request."
        )
        raise missing(resource.noun or resource.kind, object_id, param, status, remark if other else "")

    def _expanded(self, item: StripeObject, paths: list[str], call: Call) -> StripeObject:
        for path in paths:
            item = expansion.expand(item, path.split("."), partial(self._behind, call.owner))
        return item

    def _behind(self, owner: Owner, item: StripeObject, name: str, kinds: tuple[str, ...]) -> StripeObject | None:
        if name == "line_items":
            lines: StripeObject = self._world.session(item["id"])["line_items"]
            return lines
        if name == "refunds":
            of_charge = partial(matches, {"charge": item["id"]})
            page = self._world.page(owner, "refund", of_charge, _EMBEDDED_REFUNDS)
            url = f"/v1/charges/{item['id']}/refunds"
            return {"object": "list", "data": page.data, "has_more": page.has_more, "url": url}
        identifier = item.get(name)
        if identifier is None:
            return None
        found = (self._world.find(owner, kind, identifier) for kind in kinds)
        return next((inner for inner in found if inner is not None), None)

    def _throttle(self, account_id: str) -> None:
        """Spend a token of the account's bucket, which holds what a second brings, but at least one."""
        rate = self.requests_per_second
        if rate is None:
            return
        with self._world.lock:
            now = time.monotonic()
            tokens, since = self._tokens.get(account_id, (max(rate, 1), now))
            tokens = min(max(rate, 1), tokens + (now - since) * rate)
            self._tokens[account_id] = (max(tokens - 1, 0) if tokens >= 1 else tokens, now)
        if tokens < 1:
            raise StripeError(
                429,
                "Request rate limit exceeded. You can learn more about rate limits here "
                "https://stripe.com/docs/rate-limits.",
                code="rate_limit",
                headers={"Stripe-Rate-Limited-Reason": "global-rate"},
            )

    def _once(self, request: Request, call: Call, handler: Handler) -> Response:
        """Do it, or repeat what was answered when it was done. Refusals are forgotten: they did nothing."""
        name = request.headers["Idempotency-Key"]
        now = self._world.now()
        first = self._answered.get((call.owner, name))
        if first is None or first.at <= now - _IDEMPOTENCY_SECONDS:
            response = json_response(200, handler(call), {"Idempotency-Key": name})
            self._answered[call.owner, name] = Answered(now, request.id, request.path, call.params, response)
            return response
        if (first.path, first.params) != (request.path, call.params):
            raise StripeError(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. Try using a key other than '{name}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        replay = {"Idempotent-Replayed": "true", "Original-Request": first.request_id}
        return Response(200, first.response.body, {**first.response.headers, **replay})


def _form(request: Request) -> str:
    kind = request.headers.get("Content-Type", "application/x-www-form-urlencoded").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        raise StripeError(
            400,
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded). "
            "If you have any questions, we can help at https://support.stripe.com/.",
        )
    return request.body.decode(errors="replace")


def _paths(params: dict[str, Any], kind: str, call: Call) -> list[str]:
    """What is to be expanded. It is checked before anything is done, for a refused request must have done nothing."""
    paths: list[str] = params.get("expand", [])
    for path in paths:
        for shown in sorted(expansion.check(path, kind)):
            call.may(BY_KIND[shown].permissions if shown in BY_KIND else ())
    return paths


def _without_expand(call: Call, kind: str) -> tuple[dict[str, Any], list[str]]:
    params = dict(call.params)
    expand = {"expand": params.pop("expand")} if "expand" in params else {}
    return params, _paths(record(EXPAND)(expand, ""), kind, call)
