import json

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from sites.access import get_site_or_404
from sites.models import Role
from splittests.exposures import gather, gather_running
from splittests.forms import SplitTestForm
from splittests.models import SplitTest, StartError
from splittests.results import overview, results_of


def index(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    gather_running(site)
    return render(request, "splittests/index.html", {"site": site, "section": "split-tests", "tests": overview(site)})


def new(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.EDITOR)
    form = SplitTestForm(site, request.POST or None)
    if form.is_valid():
        test = form.save()
        return redirect("splittests:results", domain, test.pk)
    return render(request, "splittests/new.html", {"site": site, "section": "split-tests", "form": form})


def results(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_site_or_404(request, domain)
    test = get_object_or_404(SplitTest.objects.for_site(site).prefetch_related("variants"), pk=test_id)
    now = timezone.now()
    gather(test)
    context = {
        "site": site,
        "section": "split-tests",
        "test": test,
        "results": results_of(test, now),
        "as_of": now,
        "snippet": _snippet(test),
    }
    return render(request, "splittests/results.html", context)


@require_POST
def start(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.EDITOR)
    test = get_object_or_404(SplitTest.objects.for_site(site), pk=test_id)
    try:
        test.start(timezone.now())
    except StartError as error:
        messages.error(request, str(error))
    return redirect("splittests:results", domain, test_id)


@require_POST
def stop(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.EDITOR)
    test = get_object_or_404(SplitTest.objects.for_site(site), pk=test_id)
    test.stop(timezone.now())
    return redirect("splittests:results", domain, test_id)


def _snippet(test: SplitTest) -> str:
    """Give the script by which a page asks for its visitor's variant, with the last one as the example."""
    names = [variant.name for variant in test.variants.all()]
    return (
        f'const variant = window.Humblytics?.variant("{test.key}");\n'
        f"if (variant === {json.dumps(names[-1] if names else '', ensure_ascii=False)}) {{\n"
        "  // Change the page.\n"
        "}"
    )
