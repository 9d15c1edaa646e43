import csv
import datetime as dt
import json

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from revenue import questions
from sites.access import get_shown_site_or_404, get_site_or_404, shareable
from sites.audit import exporting
from sites.models import Site
from splittests import earnings, export, looks
from splittests import results as counting
from splittests.exposures import gather, gather_running
from splittests.models import Goal, SplitTest, State
from splittests.readings import Results
from splittests.results import BREAKDOWNS
from tracking.export import csv_response
from tracking.panels import named


def index(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    gather_running(site)
    tests = counting.overview(site)
    shows_archived = "archived" in request.GET
    context = {
        "site": site,
        "section": "split-tests",
        "any": bool(tests),
        "archived": sum(test.state == State.ARCHIVED for test in tests),
        "shows_archived": shows_archived,
        "tests": [test for test in tests if (test.state == State.ARCHIVED) == shows_archived],
    }
    return render(request, "splittests/index.html", context)


@shareable
def results(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_shown_site_or_404(request, domain, test_id)
    test = _test_or_404(site, test_id)
    now = timezone.now()
    context = {
        "site": site,
        "section": "split-tests",
        "test": test,
        "results": _counted(test, now),
        "as_of": now,
        "snippet": _snippet(test),
        "breakdowns": BREAKDOWNS,
    }
    return render(request, "splittests/results.html", context)


@shareable
def over_time(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_shown_site_or_404(request, domain, test_id)
    test = _test_or_404(site, test_id)
    control, *variants = [variant.name for variant in test.variants.all()] or [""]
    is_money = test.goal == Goal.REVENUE
    drawn = looks.charts(variants, counting.by_day(test, site.timezone), test.currency if is_money else "")
    measure = "revenue per visitor" if is_money else "conversions per 100 visitors"
    measure += ", capped" if is_money and test.cap_percentile else ""
    context = {"control": control, "charts": drawn, "is_money": is_money, "measure": measure}
    return render(request, "splittests/_over_time.html", context)


@shareable
def breakdown(request: HttpRequest, domain: str, test_id: int, by: str) -> HttpResponse:
    site = get_shown_site_or_404(request, domain, test_id)
    test = _test_or_404(site, test_id)
    if by not in BREAKDOWNS:
        raise Http404
    groups = [(named(by, group.value), group.results) for group in counting.breakdown(test, by)]
    context = {"site": site, "test": test, "by": by, "breakdowns": BREAKDOWNS, "groups": groups}
    return render(request, "splittests/_breakdown.html", context)


@exporting
def export_csv(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_site_or_404(request, domain)
    test = _test_or_404(site, test_id)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{site.domain}_{test.key}.csv"'
    csv.writer(response).writerows(export.as_rows(test, _counted(test, timezone.now())))
    return response


@exporting
def export_json(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_site_or_404(request, domain)
    test = _test_or_404(site, test_id)
    now = timezone.now()
    response = JsonResponse(export.as_data(test, _counted(test, now), now), json_dumps_params={"indent": 2})
    response["Content-Disposition"] = f'attachment; filename="{site.domain}_{test.key}.json"'
    return response


def _test_or_404(site: Site, test_id: int) -> SplitTest:
    return get_object_or_404(SplitTest.objects.for_site(site).prefetch_related("variants"), pk=test_id)


def _counted(test: SplitTest, now: dt.datetime) -> Results:
    gather(test)
    return counting.results_of(test, now)


def revenue(request: HttpRequest, domain: str) -> HttpResponse:
    """The period's revenue by variant, for the Revenue page; nothing if no test ran."""
    site = get_site_or_404(request, domain)
    about = questions.read(request.GET, site, timezone.now())
    rows = earnings.earned(about)
    if not rows:
        return HttpResponse()
    context = {"site": site, "asked": about, "rows": zip(rows, earnings.shares(rows), strict=True)}
    return render(request, "splittests/_revenue.html", context)


@exporting
def export_revenue(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    about = questions.read(request.GET, site, timezone.now())
    return csv_response(earnings.export(earnings.earned(about)), site, "revenue-split-tests", about.visits)


def _snippet(test: SplitTest) -> str:
    """Give the script by which a page asks for its visitor's variant, with the last one as the example."""
    names = [variant.name for variant in test.variants.all()]
    return (
        f'const variant = window.Humblytics?.variant("{test.key}");\n'
        f"if (variant === {json.dumps(names[-1] if names else '', ensure_ascii=False)}) {{\n"
        "  // Change the page.\n"
        "}"
    )
