"""What the API says about itself: its OpenAPI document, made from the views that answer, and where there is nothing."""

import functools
import re
from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from sites.api import ApiError, failure
from sites.openapi import Endpoint, Json, document
from sites.tokens import BURST, PER_SECOND
from tracking import backend
from tracking.parameters import FILTERS

DESCRIPTION = f"""\
What the dashboard shows, in JSON; and events, from your own server.

Each request carries a token, which is made under Settings → Sharing and API: `Authorization: Bearer hl_…`. It is of
one site, and good for one of three things: reporting events, reading traffic, reading traffic and revenue.

Periods, comparisons and filters are those of the dashboard’s address. What is not understood is answered with 400,
what is wrong, and what is allowed.

A token may read {PER_SECOND} times a second, and {BURST} times at once. `RateLimit-Remaining` says how many of these
are left and `RateLimit-Reset` in how many seconds there are all of them again; with 429, `Retry-After` says for how
many seconds to wait.
"""


@login_not_required
@require_safe
@cache_control(public=True, max_age=300)
def openapi(request: HttpRequest) -> JsonResponse:
    return JsonResponse(described())


@login_not_required
@csrf_exempt
def nothing(request: HttpRequest) -> JsonResponse:
    """Tell a program that there is nothing, in its own language."""
    where = f"{settings.BASE_URL}{reverse('openapi')}"
    return failure(ApiError(404, "not-found", f"There is nothing here. {where} says what there is."))


@functools.cache
def described() -> Json:
    schemas: dict[str, Json] = {}
    paths = {path: endpoint.path_item(name, schemas) for path, name, endpoint in _endpoints(get_resolver())}
    paths[backend.PATH] = backend.path_item(schemas)
    info = {"title": "Humblytics", "version": "1", "description": DESCRIPTION}
    return document(info, settings.BASE_URL, paths, [FILTERS], schemas)


def _endpoints(resolver: URLResolver) -> Iterator[tuple[str, str, Endpoint]]:
    """Give path, name and description of all views that are endpoints."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from _endpoints(entry)
        elif isinstance(entry, URLPattern) and hasattr(entry.callback, "endpoint"):
            path = "/" + re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", str(entry.pattern))
            name = f"{resolver.namespace}_{entry.name}".replace("api-", "").replace("-", "_")
            yield path, name, entry.callback.endpoint
