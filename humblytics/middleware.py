from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control

from sites.access import SHARES

# What SecurityMiddleware says in the answers that it lets through.
STRICT = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": settings.X_FRAME_OPTIONS,
}


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
