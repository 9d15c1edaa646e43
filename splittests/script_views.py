import gzip

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import conditional_page, require_safe

from sites.models import Site
from splittests.payload import tests_for
from tracking.script import has_hash_routes, script
from tracking.visitors import client_ip

# Five minutes, so that what a site's owners start, stop or choose is everywhere soon.
MAX_AGE = 300


@login_not_required
@require_safe
@conditional_page
def tracker(request: HttpRequest, key: str) -> HttpResponse:
    """The one script a site's pages load."""
    site = Site.objects.filter(key=key).first()
    if site is None:
        # Not the site's own page for this: that would set a cookie, for a form, at a stranger's visitor.
        return HttpResponseNotFound("// There is no such site.\n", content_type="text/javascript; charset=utf-8")
    ip = client_ip(
        request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""), settings.TRUSTED_PROXIES
    )
    tests = tests_for(site, ip, request.META.get("HTTP_USER_AGENT", ""))
    response = HttpResponse(
        script(site.key, tests, has_hash_routes(site)), content_type="text/javascript; charset=utf-8"
    )
    # With a test running, the answer is this visitor's alone: no proxy may keep it for others.
    response["Cache-Control"] = f"{'private' if tests else 'public'}, max-age={MAX_AGE}"
    return _compressed(request, response)


def _compressed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Compress what holds no secret, and takes a fifth of a millisecond."""
    patch_vary_headers(response, ["Accept-Encoding"])
    if "gzip" in request.META.get("HTTP_ACCEPT_ENCODING", ""):
        response.content = gzip.compress(response.content, mtime=0)
        response["Content-Encoding"] = "gzip"
    return response
