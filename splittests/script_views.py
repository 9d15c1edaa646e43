"""The one script that a site's pages load, and what it asks for besides."""

import gzip

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotFound, JsonResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import conditional_page, require_http_methods

from splittests import preview
from splittests.asking import Asker
from splittests.payload import payload_for, tests_by_channel
from tracking.hits import LONGEST_BODY, RefusedError, read_object
from tracking.intake import Rules
from tracking.script import rules_of, script

JAVASCRIPT = "text/javascript; charset=utf-8"
# Five minutes, so that what a site's owners start, stop or choose is everywhere soon.
MAX_AGE = 300
ADDRESSES = ("url", "referrer")


# What is sent here changes nothing.
@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@conditional_page
def tracker(request: HttpRequest, key: str) -> HttpResponse:
    rules = rules_of(key)
    if rules is None:
        # Not the site's own page for this: that would set a cookie, for a form, at a stranger's visitor.
        return HttpResponseNotFound("// There is no such site.\n", content_type=JAVASCRIPT)
    if request.method == "POST":
        return _for_any_page(_tests_asked_for(request, key, rules))
    if (other := preview.script_for(request.META.get("QUERY_STRING", ""), rules.site_id, key)) is not None:
        return _for_any_page(HttpResponse(other, content_type=JAVASCRIPT))
    now = timezone.now()
    payload = payload_for(rules.site_id, Asker(request, key, rules, now), now)
    text = script(key, payload.tests, rules.has_hash_routes, payload.must_ask)
    response = HttpResponse(text, content_type=JAVASCRIPT)
    # With a test running, the answer is this visitor's alone: no proxy may keep it for others.
    response["Cache-Control"] = f"{'private' if payload.is_personal else 'public'}, max-age={MAX_AGE}"
    return _compressed(request, response)


def _tests_asked_for(request: HttpRequest, key: str, rules: Rules) -> HttpResponse:
    """Give the tests that are for the channel of a visit, of which the page says where it comes from."""
    try:
        if len(request.body) > LONGEST_BODY:
            return HttpResponseBadRequest("The body is too large.\n", content_type="text/plain; charset=utf-8")
        said = read_object(request.body)
    except RefusedError as error:
        return HttpResponseBadRequest(f"{error.detail}\n", content_type="text/plain; charset=utf-8")
    url, referrer = (told if isinstance(told := said.get(name), str) else "" for name in ADDRESSES)
    now = timezone.now()
    tests = tests_by_channel(rules.site_id, Asker(request, key, rules, now), url, referrer, now)
    return JsonResponse(tests, safe=False)


def _for_any_page(response: HttpResponse) -> HttpResponse:
    """Let pages of any site read the answer, for which browsers ask where they do not for a plain script."""
    response["Access-Control-Allow-Origin"] = "*"
    response["Cache-Control"] = "no-store"
    return response


def _compressed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Compress what holds no secret, and takes a fifth of a millisecond."""
    patch_vary_headers(response, ["Accept-Encoding"])
    if "gzip" in request.META.get("HTTP_ACCEPT_ENCODING", ""):
        response.content = gzip.compress(response.content, mtime=0)
        response["Content-Encoding"] = "gzip"
    return response
