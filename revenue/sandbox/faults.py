"""Trouble on order: what the server is to answer instead of the truth, and how badly it is to travel.

server.faults.script([None, too_many_requests(), reset()], path="/v1/charges")
server.faults.chance(0.2, PASSING, seed=7)
server.faults.always(permission_missing("rak_dispute_read"), path="/v1/disputes")

A fault is tried on every request before anything else. It returns a response to send in place of the real one, a
trouble to make of the real one, or None to let the request through; raising ConnectionResetError breaks the
connection before anything is said.
"""

import gzip
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlencode

from revenue.sandbox import credentials, throttle
from revenue.sandbox.errors import StripeError, missing
from revenue.sandbox.messages import Request, Response, json_response
from revenue.sandbox.objects import StripeObject

# The truthful answer to a request.
Answer = Callable[[Request], Response]
Trouble = Callable[[Request, Answer], Response]
Fault = Callable[[Request], Response | Trouble | None]


class Script:
    """The n-th request to a path meets the n-th trouble; None is none. `asked` counts the requests."""

    def __init__(self, troubles: Sequence[Trouble | None], path: str, method: str) -> None:
        self.asked = 0
        self._troubles = list(troubles)
        self._target = (path, method)
        self._lock = Lock()

    def __call__(self, request: Request) -> Trouble | None:
        if not _is_meant(request, *self._target):
            return None
        with self._lock:
            turn, self.asked = self.asked, self.asked + 1
        return self._troubles[turn] if turn < len(self._troubles) else None


class Faults(list[Fault]):
    """The faults of a server, which may be changed while it runs; the first that applies decides.

    A path may be a pattern, such as `/v1/charges*`.
    """

    def script(self, troubles: Sequence[Trouble | None], path: str = "*", method: str = "GET") -> Script:
        """Meet one request after the other with these troubles, and then with none."""
        script = Script(troubles, path, method)
        self.append(script)
        return script

    def chance(
        self, probability: float, troubles: Sequence[Trouble], seed: int, path: str = "*", method: str = "GET"
    ) -> None:
        """Meet each request with one of the troubles by chance: the same requests, in order, the same way."""
        chooser, lock = random.Random(seed), Lock()

        def fault(request: Request) -> Trouble | None:
            if not _is_meant(request, path, method):
                return None
            with lock:
                return chooser.choice(troubles) if chooser.random() < probability else None

        self.append(fault)

    def always(self, trouble: Trouble, path: str = "*", method: str = "GET") -> None:
        self.append(lambda request: trouble if _is_meant(request, path, method) else None)


class Once:
    """Answer the next request to a path with `response`, or reset its connection when there is none."""

    def __init__(self, method: str, path: str, response: Response | None) -> None:
        self._script = Script([sending(response) if response else reset()], path, method)

    def __call__(self, request: Request) -> Trouble | None:
        return self._script(request)


def _is_meant(request: Request, path: str, method: str) -> bool:
    return request.method == method and fnmatchcase(request.path, path)


def sending(response: Response) -> Trouble:
    return lambda request, answer: response


def refusing(error: StripeError) -> Trouble:
    return sending(json_response(error.status, {"error": error.body}, error.headers))


# What Stripe itself refuses.


def too_many_requests(reason: str | None = "global-rate", retry_after: int | None = None) -> Trouble:
    """429. Reasons: global-concurrency, global-rate, endpoint-concurrency, endpoint-rate, resource-specific.

    None is an object that another request holds locked.
    """
    return refusing(throttle.too_many(reason, retry_after))


def server_error(status: int = 500) -> Trouble:
    return refusing(StripeError(status, "An unknown error occurred.", kind="api_error"))


def key_refused() -> Trouble:
    """401 in the middle of it: the key was deleted."""
    return _with_key(lambda key: credentials.unknown(key))


def key_expired() -> Trouble:
    return _with_key(lambda key: credentials.expired(key))


def permission_missing(*permissions: str, account_id: str = "acct_1Sandbox") -> Trouble:
    """403 in the middle of it: the key lost permissions."""
    return _with_key(lambda key: credentials.forbidden(key, account_id, list(permissions)))


def address_refused() -> Trouble:
    """403 for a key that may only be used from other addresses."""
    return _with_key(lambda key: credentials.from_elsewhere(key))


def _with_key(error: Callable[[str], StripeError]) -> Trouble:
    def trouble(request: Request, answer: Answer) -> Response:
        said = error(credentials.secret(request.headers.get("Authorization", "")))
        return json_response(said.status, {"error": said.body}, said.headers)

    return trouble


def cursor_gone(status: int = 400) -> Trouble:
    """The object that the next page was to start after is not there any more."""

    def trouble(request: Request, answer: Answer) -> Response:
        cursor = dict(parse_qsl(request.query)).get("starting_after")
        if cursor is None:
            return answer(request)
        said = missing("object", cursor, "starting_after", status)
        return json_response(status, {"error": said.body})

    return trouble


# What stands between, and what the way does to an answer.

_HTML = {"Content-Type": "text/html"}


def bad_gateway(status: int = 502) -> Trouble:
    return sending(Response(status, b"<html><body><h1>Bad Gateway</h1></body></html>", _HTML))


def unavailable(retry_after: int | None = None) -> Trouble:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return sending(Response(503, b"", headers))


def captive_portal() -> Trouble:
    """A page in place of the answer, and it says that all is well."""
    return sending(Response(200, b"<html><body>Log in to the hotel's network</body></html>", _HTML))


def redirect(to: str, status: int = 302) -> Trouble:
    return sending(Response(status, b"", {"Location": to}))


def reset() -> Trouble:
    """Break the connection before a byte is sent."""

    def trouble(request: Request, answer: Answer) -> Response:
        raise ConnectionResetError

    return trouble


def reset_after_headers() -> Trouble:
    return _delivered(cut=0, is_reset=True)


def truncated(at: int = 40, is_length_told: bool = True) -> Trouble:
    """Cut the body short. Without its length, nothing but its contents tells that something is missing."""
    return _delivered(cut=at, is_length_told=is_length_told)


def slow(bytes_at_once: int = 64, seconds: float = 0.01) -> Trouble:
    """Drip: each read gets something, so that no timeout between two of them is ever reached."""
    return _delivered(pace=(bytes_at_once, seconds))


def hanging(seconds: float) -> Trouble:
    return _delivered(wait=seconds)


def skewed(seconds: int) -> Trouble:
    """Let the Date be off by so many seconds."""
    return _delivered(skew=seconds)


def _delivered(**delivery: Any) -> Trouble:
    def trouble(request: Request, answer: Answer) -> Response:
        response = answer(request)
        return replace(response, delivery=replace(response.delivery, **delivery))

    return trouble


def gzipped(is_damaged: bool = False) -> Trouble:
    """Compress the answer, which is Stripe's right if the caller takes it; a damaged one ends too early."""

    def trouble(request: Request, answer: Answer) -> Response:
        response = answer(request)
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return response
        body = gzip.compress(response.body)
        headers = {**response.headers, "Content-Encoding": "gzip"}
        return replace(response, body=body[: len(body) // 2] if is_damaged else body, headers=headers)

    return trouble


def noticed(text: str) -> Trouble:
    """Add the header with which Stripe speaks to developers."""

    def trouble(request: Request, answer: Answer) -> Response:
        response = answer(request)
        return replace(response, headers={**response.headers, "Stripe-Notice": text})

    return trouble


# Answers that are whole, arrive well, and are wrong.


def changed(change: Callable[[Any], Any]) -> Trouble:
    """Let `change` make something else of what a successful answer holds."""

    def trouble(request: Request, answer: Answer) -> Response:
        response = answer(request)
        if response.status != 200:
            return response
        kept = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        return json_response(200, change(json.loads(response.body)), kept)

    return trouble


def changed_objects(change: Callable[[StripeObject], StripeObject]) -> Trouble:
    """Let `change` make something else of each object of a list, or of the one that was asked for."""

    def change_all(content: StripeObject) -> StripeObject:
        if content.get("object") != "list":
            return change(content)
        return {**content, "data": [change(item) for item in content["data"]]}

    return changed(change_all)


def error_in_success() -> Trouble:
    """An error, with status 200."""
    return changed(lambda content: {"error": {"message": "Something went wrong.", "type": "api_error"}})


def without(name: str) -> Trouble:
    """Leave a field out: of a list (data, has_more) or, if it has none such, of each object."""

    def leave_out(item: StripeObject) -> StripeObject:
        return {key: value for key, value in item.items() if key != name}

    return changed(leave_out) if name in ("data", "has_more") else changed_objects(leave_out)


def replaced(name: str, value: Any) -> Trouble:
    """Put `value` into a field of each object: a new enum value, a new field, something of the wrong type."""
    return changed_objects(lambda item: {**item, name: value})


def wrong_mode() -> Trouble:
    return changed_objects(lambda item: {**item, "livemode": not item.get("livemode", False)})


def stale() -> Trouble:
    """What was true when the same was asked for the first time, although much has changed since."""
    first: dict[tuple[str, str], Response] = {}

    def trouble(request: Request, answer: Answer) -> Response:
        return first.setdefault((request.path, request.query), answer(request))

    return trouble


def empty_page_with_more() -> Trouble:
    return changed(lambda content: {**content, "data": [], "has_more": True})


def repeated_page() -> Trouble:
    """The first page for ever, whatever was asked for; has_more never ends."""

    def trouble(request: Request, answer: Answer) -> Response:
        kept = [(name, value) for name, value in parse_qsl(request.query) if name != "starting_after"]
        return more(replace(request, query=urlencode(kept)), answer)

    more = changed(lambda content: {**content, "has_more": True})
    return trouble


def shuffled(seed: int = 1) -> Trouble:
    """The page's objects in another order. Its last one then is no good cursor, so a whole list fits on it."""

    def shuffle(content: StripeObject) -> StripeObject:
        mixed = list(content["data"])
        random.Random(seed).shuffle(mixed)
        return {**content, "data": mixed}

    return changed(shuffle)


def doubled() -> Trouble:
    """Each object of the page twice."""
    return changed(lambda content: {**content, "data": [item for item in content["data"] for _ in range(2)]})


# What goes by when one only asks again.
PASSING: tuple[Trouble, ...] = (
    too_many_requests(),
    too_many_requests("endpoint-rate", retry_after=1),
    too_many_requests("global-concurrency"),
    too_many_requests(None),
    server_error(),
    bad_gateway(),
    unavailable(),
    unavailable(retry_after=1),
    reset(),
    reset_after_headers(),
    truncated(),
    truncated(is_length_told=False),
    gzipped(is_damaged=True),
)
# What is odd, and yet an answer.
HARMLESS: tuple[Trouble, ...] = (
    slow(bytes_at_once=4096, seconds=0.001),
    gzipped(),
    doubled(),
    noticed("This is a notice."),
    replaced("a_field_of_tomorrow", {"deep": [1, 2.5, None]}),
)
