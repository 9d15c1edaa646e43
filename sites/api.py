"""The one door to the API: a token of the site instead of a login, JSON instead of pages.

    @endpoint("The figures of a period.", Scope.TRAFFIC, [PERIOD, FILTERS])
    def figures(call: Call) -> Figures: ...

No session is looked at and no cookie is set, so nobody else's page can ask for anything here.
"""

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, get_type_hints

from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from sites import about, parameters
from sites.models import ApiToken, Site
from sites.openapi import Endpoint
from sites.parameters import Parameter, ParameterError
from sites.tokens import BURST, TooManyRequestsError, UnknownTokenError, Use, use

Scope = ApiToken.Scope
METHODS = ("GET", "HEAD")
DOMAIN = Parameter("domain", "The site’s domain, as the dashboard’s address has it.", {"type": "string"}, "path")
AWAY_SECONDS = 5


class ApiError(Exception):
    """Nothing is told but why. `details` and `headers` go with it."""

    def __init__(
        self, status: int, error: str, message: str, headers: Mapping[str, str] | None = None, **details: object
    ) -> None:
        super().__init__(message)
        self.status, self.error, self.headers, self.details = status, error, headers or {}, details


@dataclass(frozen=True, slots=True)
class Call:
    """What an endpoint is asked; `told` has its parameters' values by name."""

    site: Site
    told: Mapping[str, Any]
    now: dt.datetime


Answer = Callable[[Call], Mapping[str, Any]]
View = Callable[..., JsonResponse]


def endpoint(summary: str, scope: Scope, asked: Sequence[Parameter] = (), about: str = "") -> Callable[[Answer], View]:
    """Make a view of a function that answers a call: tokens that are good for `scope` may ask for it by GET."""

    def make(answer: Answer) -> View:
        @login_not_required
        @csrf_exempt
        @wraps(answer)
        def view(request: HttpRequest, domain: str, **places: str) -> JsonResponse:
            now, allowance = timezone.now(), dict[str, str]()
            try:
                used = _used(request, now)
                allowance = _allowance(used)
                site = _site(used.token, domain, scope)
                told = _told(request, asked, places)
                response = _json(answer(Call(site, told, now)))
            except ApiError as error:
                response = failure(error)
            except ParameterError as error:
                response = failure(_refused(error))
            except (OperationalError, InterfaceError):
                away = {"Retry-After": f"{AWAY_SECONDS}"}
                response = failure(ApiError(503, "unavailable", "The database is not available. Ask again.", away))
            for name, value in {"Cache-Control": "no-store", **allowance}.items():
                response[name] = value
            return response

        kind = get_type_hints(answer, include_extras=True)["return"]
        view.endpoint = Endpoint(summary, about, scope, [DOMAIN, *asked], kind)  # type: ignore[attr-defined]
        return view

    return make


def failure(error: ApiError) -> JsonResponse:
    told = {"error": error.error, "message": str(error), **error.details}
    return _json(told, status=error.status, headers=dict(error.headers))


def _json(told: Mapping[str, Any], **how: Any) -> JsonResponse:
    return JsonResponse(told, json_dumps_params={"ensure_ascii": False}, **how)


def _used(request: HttpRequest, now: dt.datetime) -> Use:
    """Count the request. Raise ApiError if it is none, or comes without a token, or is one too many."""
    if request.method not in METHODS:
        raise ApiError(405, "method", "This is read by GET.", {"Allow": ", ".join(METHODS)})
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    challenge = {"WWW-Authenticate": "Bearer"}
    if scheme.lower() != "bearer" or not token.strip():
        message = "Send the header “Authorization: Bearer” with an API token of the site."
        raise ApiError(401, "token", message, challenge)
    try:
        return use(token.strip(), now)
    except UnknownTokenError:
        raise ApiError(401, "token", "There is no such token; it may have been revoked.", challenge) from None
    except TooManyRequestsError as error:
        seconds = math.ceil(error.wait.total_seconds())
        message = f"This token was used too often. Ask again in {seconds} s."
        raise ApiError(429, "too-many", message, {"Retry-After": f"{seconds}"}) from None


def _allowance(used: Use) -> dict[str, str]:
    return {
        "RateLimit-Limit": f"{BURST}",
        "RateLimit-Remaining": f"{used.remaining}",
        "RateLimit-Reset": f"{math.ceil(used.full_in.total_seconds())}",
    }


def _site(token: ApiToken, domain: str, scope: Scope) -> Site:
    if token.site.domain != domain:
        # The same whether there is such a site or not.
        raise ApiError(404, "not-found", f"This token is of no site {domain}.")
    if not token.may(scope):
        raise ApiError(403, "scope", f"This token is not for this: it may “{token.get_scope_display()}”.")
    about.note(site=domain)
    return token.site


def _told(request: HttpRequest, asked: Sequence[Parameter], places: Mapping[str, str]) -> dict[str, Any]:
    """Read the parameters. Raise ApiError if the path names nothing, ParameterError if the query is wrong."""
    in_path = [each for each in asked if each.place == "path"]
    in_query = [each for each in asked if each.place == "query"]
    try:
        named = parameters.read(in_path, [(name, [text]) for name, text in places.items()])
    except ParameterError as error:
        raise ApiError(404, "not-found", str(error), allowed=list(error.allowed)) from None
    return named | parameters.read(in_query, request.GET.lists())


def _refused(error: ParameterError) -> ApiError:
    told: dict[str, Any] = {"allowed": list(error.allowed)} if error.allowed else {}
    return ApiError(400, "parameter", str(error), parameter=error.parameter, **told)
