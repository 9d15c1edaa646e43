from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django_htmx.http import HttpResponseClientRefresh

from sites import periods
from sites.access import get_shown_site_or_404, get_site_or_404, shareable
from sites.audit import exporting
from sites.models import Site
from sites.script_tag import script_tag, script_url, tags
from tracking import export, questions, stats, tables
from tracking.charts import bar_chart
from tracking.dimensions import DIMENSIONS
from tracking.figures import LABELS, figures, marks, steps, written
from tracking.filters import GOAL
from tracking.installing import ways
from tracking.models import Goal
from tracking.moments import counts, local
from tracking.panels import NO_MATCH, NO_VISIT, whole
from tracking.places import Credit, country_name, credit
from tracking.questions import Question
from tracking.refusals import hosts_that_count, refused_lately
from tracking.stats import Asked, Bucket

ROWS_OF_PAGE = 50
SUGGESTIONS = 50


def _asked(request: HttpRequest, site: Site) -> tuple[Question, Asked]:
    question = questions.read(request.GET, timezone.now(), site.zone)
    return question, stats.ask(site, question.period, question.filters)


@shareable
def dashboard(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_shown_site_or_404(request, domain)
    if not stats.has_views(site):
        return _waiting(request, site)
    question, asked = _asked(request, site)
    if added := questions.added(request.GET):
        return redirect(f"{request.path}?{question.adding(added)}")
    now = timezone.now()
    counted = stats.totals(asked, now, question.against)
    context = {
        "site": site,
        "section": "dashboard",
        **questions.choices(question, _page_url(site), now),
        "figures": [
            (figure, question.showing(figure.metric), figure.metric is question.metric)
            for figure in figures(counted, is_compared=question.versus != "none")
        ],
        "cards": tables.first_shown(question),
        "live_visitors": stats.live_visitors(site, now),
        **_chart(question, asked),
    }
    return render(request, "tracking/dashboard.html", context)


def _chart(question: Question, asked: Asked) -> dict[str, Any]:
    points = stats.over_time(asked, question.chart_bucket)
    before = [] if question.versus == "none" else stats.over_time(asked.about(question.against), question.chart_bucket)
    write = written(question.metric)
    now = local(timezone.now(), asked.site.zone)
    counted = counts(points, before, question.metric, question.chart_bucket, now)
    chart = bar_chart(counted, write, steps(question.metric), marks(question.metric))
    return {
        "chart": chart,
        "chart_title": LABELS[question.metric],
        "chart_empty": NO_MATCH if question.filters else NO_VISIT,
        "chart_summary": f"{LABELS[question.metric]} by {question.chart_bucket}, {question.period.label}",
        "is_compared": bool(before),
        "bucket": question.chart_bucket,
        "buckets": [(bucket, question.by(bucket)) for bucket in question.buckets],
    }


def _waiting(request: HttpRequest, site: Site) -> HttpResponse:
    context = {
        "site": site,
        "section": "dashboard",
        **tags(site),
        "ways": ways(script_tag(site), script_url(site)),
        **_refused(site),
    }
    return render(request, "tracking/waiting.html", context)


def _refused(site: Site) -> dict[str, Any]:
    refused = refused_lately(site, timezone.now())
    return {"refused": refused, "hits": sum(each.hits for each in refused), "hosts": hosts_that_count(site)}


def first_hit(request: HttpRequest, domain: str) -> HttpResponse:
    """Have the waiting page loaded again, as a dashboard, once there is something to show.

    Until then tell what was refused, if that is more than the `refused` hits that the page tells of already.
    """
    site = get_site_or_404(request, domain)
    if stats.has_views(site):
        return HttpResponseClientRefresh()
    told = _refused(site)
    if request.GET.get("refused") == str(told["hits"]):
        return HttpResponse(status=204)
    return render(request, "tracking/_first_hit.html", {"site": site, **told})


@shareable
def live_visitors(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_shown_site_or_404(request, domain)
    visitors = stats.live_visitors(site, timezone.now())
    return render(request, "tracking/_live_visitors.html", {"site": site, "visitors": visitors})


def last_days(request: HttpRequest, domain: str) -> HttpResponse:
    """The site's last 30 days in small, for the list of sites."""
    site = get_site_or_404(request, domain)
    now = timezone.now()
    question = Question(periods.picked("30d", now, site.zone))
    points = stats.over_time(stats.ask(site, question.period), Bucket.DAY)
    chart = bar_chart(counts(points, [], question.metric, Bucket.DAY, local(now, site.zone)))
    context = {
        "site": site,
        "chart": chart,
        "today": whole(points[-1].totals.visitors),
        "visitors": whole(sum(point.totals.visitors for point in points)),
        "has_views": bool(chart.points) or stats.has_views(site),
    }
    return render(request, "tracking/_last_days.html", context)


@shareable
def panel(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """The ten largest rows of a panel, in its card."""
    site = get_shown_site_or_404(request, domain)
    question, asked = _asked(request, site)
    table = tables.table(name, question, asked, limit=stats.ROWS, columns=2)
    context = {
        "site": site,
        "question": question,
        "page_url": _page_url(site),
        "table": table,
        "card": tables.TABS_OF[name],
        "credit": _credit(name),
    }
    return render(request, "tracking/_panel.html", context)


def _credit(name: str) -> Credit | None:
    """Give what the maker of the places' data wants to be shown beside them."""
    return credit(settings.GEOIP_PATH) if tables.TABS_OF[name].name == "places" else None


@shareable
def details(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """All rows of a panel with all their figures, in pages, and a search."""
    site = get_shown_site_or_404(request, domain)
    question, asked = _asked(request, site)
    page, search = questions.page_number(request.GET), questions.searched(request.GET)
    table = tables.table(name, question, asked, ROWS_OF_PAGE + 1, ROWS_OF_PAGE * (page - 1), search)
    context = {
        "site": site,
        "section": "dashboard",
        "question": question,
        "page_url": _page_url(site),
        "table": table.up_to(ROWS_OF_PAGE),
        "page": page,
        "has_next": len(table.lines) > ROWS_OF_PAGE,
        "search": search,
        "credit": _credit(name),
    }
    return render(request, "tracking/details.html", context)


@shareable
@exporting
def export_panel(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """All rows of a panel as CSV; shares are 0 to 1, times are seconds."""
    site = get_shown_site_or_404(request, domain)
    question, asked = _asked(request, site)
    return export.csv_response(export.of_table(tables.table(name, question, asked, limit=None)), site, name, question)


@shareable
@exporting
def export_over_time(request: HttpRequest, domain: str) -> HttpResponse:
    """The chart's hours, days, weeks or months with all headline figures, as CSV."""
    site = get_shown_site_or_404(request, domain)
    question, asked = _asked(request, site)
    points = stats.over_time(asked, question.chart_bucket)
    return export.csv_response(export.of_points(points, question.chart_bucket), site, "over-time", question)


@shareable
def suggestions(request: HttpRequest, domain: str) -> HttpResponse:
    """Values of a dimension as the form that adds a filter understands them: countries by their names."""
    site = get_shown_site_or_404(request, domain)
    _, asked = _asked(request, site)
    dimension = request.GET.get("dimension", "")
    if dimension == GOAL:
        values = list(Goal.objects.filter(site=site).values_list("name", flat=True))
    else:
        rows = stats.breakdown(asked, dimension, SUGGESTIONS, is_brief=True) if dimension in DIMENSIONS else []
        read = country_name if dimension == "country" else str
        values = [read(row.value) for row in rows if row.value]
    return render(request, "tracking/_suggestions.html", {"values": values})


def _page_url(site: Site) -> str:
    return reverse("tracking:dashboard", args=[site.domain])
