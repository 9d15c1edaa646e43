"""Stripe's API under /v1: who asks, in which version, how often, and what Stripe would answer."""

import time
from dataclasses import dataclass
from typing import Any

from revenue.sandbox import credentials, objects, parameters, versions
from revenue.sandbox.accounts import Owner
from revenue.sandbox.errors import StripeError
from revenue.sandbox.messages import Request, Response, json_response
from revenue.sandbox.reads import Call, Handler, Reads, Route
from revenue.sandbox.throttle import Throttle
from revenue.sandbox.world import World
from revenue.sandbox.writes import Writes

_IDEMPOTENCY_SECONDS = 86_400


@dataclass(frozen=True)
class Answered:
    """A request with an idempotency key, and its answer."""

    at: int
    request_id: str
    path: str
    params: dict[str, Any]
    response: Response


class Api:
    """What stands behind the server's /v1; `latency` is how many seconds each answer takes at least."""

    def __init__(self, world: World) -> None:
        self.throttle = Throttle()
        self.latency: float = 0
        self._world = world
        self._reads = Reads(world)
        self._writes = Writes(world, self._reads)
        self._answered: dict[tuple[Owner, str], Answered] = {}

    def answer(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except StripeError as error:
            headers = {"Stripe-Version": objects.API_VERSION, **error.headers}
            return json_response(error.status, {"error": error.body}, headers)

    def _answer(self, request: Request) -> Response:
        handler, permissions = self._route(request)
        secret = credentials.secret(request.headers.get("Authorization", ""))
        key = self._world.keys.get(secret)
        if key is None:
            raise credentials.unknown(secret)
        if key.expires_at is not None and key.expires_at <= self._world.now():
            raise credentials.expired(secret)
        account = self._world.accounts[key.owner.account_id]
        if request.headers.get("Stripe-Account", account.id) != account.id:
            raise credentials.of_stranger(secret, request.headers["Stripe-Account"])

        def may(needed: tuple[str, ...]) -> None:
            if lacking := key.lacking(needed):
                raise credentials.forbidden(secret, account.id, lacking)

        with self.throttle.admit(account.id, request.path):
            if self.latency:
                time.sleep(self.latency)
            may(permissions)
            version = versions.known(request.headers.get("Stripe-Version", account.api_version))
            form = _form(request) if request.method == "POST" else request.query
            return self._called(request, handler, Call(key, version, parameters.decode(form), may))

    def _called(self, request: Request, handler: Handler, call: Call) -> Response:
        # One lock around it all: a page shows one moment, and a repeated POST finds the first one done.
        with self._world.lock:
            if request.method == "POST" and "Idempotency-Key" in request.headers:
                return self._once(request, call, handler)
            return json_response(200, handler(call), {"Stripe-Version": call.version})

    def _route(self, request: Request) -> Route:
        steps = request.path.removeprefix("/v1/").split("/") if request.path.startswith("/v1/") else []
        rooms: dict[str, Reads | Writes] = {"GET": self._reads, "POST": self._writes}
        if (room := rooms.get(request.method)) and (route := room.route(steps)):
            return route
        raise StripeError(
            404,
            f"Unrecognized request URL ({request.method}: {request.path}). Please see "
            "https://stripe.com/docs or we can help at https://support.stripe.com/.",
        )

    def _once(self, request: Request, call: Call, handler: Handler) -> Response:
        """Do it, or repeat what was answered when it was done. Refusals are forgotten: they did nothing."""
        name = request.headers["Idempotency-Key"]
        now = self._world.now()
        first = self._answered.get((call.owner, name))
        if first is None or first.at <= now - _IDEMPOTENCY_SECONDS:
            response = json_response(200, handler(call), {"Idempotency-Key": name, "Stripe-Version": call.version})
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
