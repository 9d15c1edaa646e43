from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.views.decorators.http import require_safe

from sites.models import Site
from splittests.payload import tests_for
from tracking.script import script
from tracking.visitors import client_ip


@login_not_required
@require_safe
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
    response = HttpResponse(script(site.key, tests), content_type="text/javascript; charset=utf-8")
    # With a test running, the answer is this visitor's alone.
    response["Cache-Control"] = "private, no-cache" if tests else "public, max-age=300"
    return response
