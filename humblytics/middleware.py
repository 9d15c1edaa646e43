import secrets
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.utils.functional import SimpleLazyObject

from sites import about
from sites.access import SHARES
from sites.accounts.origin import Origin, network
from tracking.devices import read_device
from tracking.visitors import client_address

# What SecurityMiddleware says in the answers that it lets through.
STRICT = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": settings.X_FRAME_OPTIONS,
}


def name_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Give each request a name, which the lines of the log about it have, and its answer."""

    def answer(request: HttpRequest) -> HttpResponse:
        name = secrets.token_hex(8)
        about.begin(request=name)
        response = get_response(request)
        response.headers["X-Request-Id"] = name
        return response

    return answer


def stay_strict(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Give the strict headers also to what other middleware refuses, such as a request for another host."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        for name, value in STRICT.items():
            response.headers.setdefault(name, value)
        if request.path.startswith("/js/"):
            # A site may hand the script on under its own domain, whose subdomains this must not bind to https.
            response.headers.pop("Strict-Transport-Security", None)
        return response

    return answer


def keep_private(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let no cache and no browser keep what was answered to somebody who is logged in, or opened a share link."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # What was answered without a look at the session is the same for all.
        is_known = request.session.accessed and (request.user.is_authenticated or SHARES in request.session)
        if is_known and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)
        return response

    return answer


def tell_origin(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let the accounts know which network and which kind of browser a request comes from, if they ask."""

    def origin(request: HttpRequest) -> Origin:
        told = request.META
        forwarded = told.get("HTTP_X_FORWARDED_FOR", "")
        address, _ = client_address(told.get("REMOTE_ADDR", ""), forwarded, settings.TRUSTED_PROXIES)
        device = read_device(told.get("HTTP_USER_AGENT", ""), told.get("HTTP_SEC_CH_UA", ""))
        return Origin(network(address), device.browser, device.os)

    def answer(request: HttpRequest) -> HttpResponse:
        request.origin = SimpleLazyObject(lambda: origin(request))  # type: ignore[attr-defined]
        return get_response(request)

    return answer
