"""Pages on which a test is made, changed, started and stopped."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from sites.access import get_site_or_404
from sites.models import Role, Site
from splittests import guards, schedule
from splittests.forms import SplitTestForm
from splittests.models import SplitTest, StartedError, State
from splittests.preview import pick_token, preview_url
from splittests.prospects import prospect
from splittests.traffic import origin_of
from splittests.variant_forms import with_another
from splittests.versions import next_version


def new(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.EDITOR)
    return _form(request, site, None)


def edit(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.EDITOR)
    test = _test_or_404(site, test_id)
    if test.state != State.DRAFT:
        raise Http404
    return _form(request, site, test)


def _form(request: HttpRequest, site: Site, test: SplitTest | None) -> HttpResponse:
    """Show the form, with one more row if that is what was asked for, or save it."""
    where = request.POST.get("add", "")
    form = SplitTestForm(site, with_another(request.POST, where) if where else request.POST or None, test)
    if where:
        form.hush()
    elif form.is_valid():
        try:
            return redirect("splittests:results", site.domain, form.save().pk)
        except StartedError as error:
            messages.error(request, str(error))
    context = {
        "site": site,
        "section": "split-tests",
        "form": form,
        "test": test,
        "origin": origin_of(site, site.domain),
        "pick_token": pick_token(site),
    }
    response = render(request, "splittests/new.html", context)
    # The site's own page, opened from here, tells which element was picked.
    response["Cross-Origin-Opener-Policy"] = "same-origin-allow-popups"
    return response


def plan(request: HttpRequest, domain: str) -> HttpResponse:
    """How long a test would take on the pages that the form names, before there is one."""
    site = get_site_or_404(request, domain, Role.EDITOR)
    return render(request, "splittests/_plan.html", {"prospect": prospect(request.GET, site, timezone.now())})


def checks(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    """What there is to say before a draft is started, or a pause ended."""
    site = get_site_or_404(request, domain, Role.EDITOR)
    test = _test_or_404(site, test_id)
    if test.state not in (State.DRAFT, State.PAUSED):
        raise Http404
    found = guards.findings(test, timezone.now())
    levels = {finding.level for finding in found}
    context = {
        "site": site,
        "test": test,
        "findings": found,
        "is_refused": guards.Level.REFUSAL in levels,
        "is_doubtful": guards.Level.WARNING in levels,
    }
    return render(request, "splittests/_checks.html", context)


@require_POST
def start(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.EDITOR)
    try:
        schedule.start(_test_or_404(site, test_id), timezone.now(), "confirmed" in request.POST)
    except guards.StartError as error:
        messages.error(request, str(error))
    return redirect("splittests:results", domain, test_id)


@require_POST
def pause(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.EDITOR)
    _test_or_404(site, test_id).pause(timezone.now())
    return redirect("splittests:results", domain, test_id)


@require_POST
def stop(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.EDITOR)
    _test_or_404(site, test_id).stop(timezone.now())
    return redirect("splittests:results", domain, test_id)


@require_POST
def archive(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.EDITOR)
    _test_or_404(site, test_id).archive()
    return redirect("splittests:index", domain)


@require_POST
def change(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    """Go on with a draft of the next version of a test that has been started."""
    site = get_site_or_404(request, domain, Role.EDITOR)
    test = _test_or_404(site, test_id)
    draft = test if test.state == State.DRAFT else next_version(test)
    return redirect("splittests:edit", domain, draft.pk)


def preview(request: HttpRequest, domain: str, test_id: int, variant_id: int) -> HttpResponse:
    """Lead to one of the test’s pages as one variant shows it."""
    site = get_site_or_404(request, domain, Role.EDITOR)
    test = _test_or_404(site, test_id)
    variant = get_object_or_404(test.variants, pk=variant_id)
    return redirect(preview_url(test, variant))


def _test_or_404(site: Site, test_id: int) -> SplitTest:
    return get_object_or_404(SplitTest.objects.for_site(site), pk=test_id)
