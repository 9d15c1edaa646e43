from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control

from sites.access import SHARES


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
