from collections.abc import Callable
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django_htmx.http import HttpResponseClientRefresh

from sites import periods
from sites.access import get_site_or_404
from sites.models import Site
from sites.periods import Period
from sites.script_tag import script_tag
from tracking import stats
from tracking.charts import Count, bar_chart
from tracking.figures import figures
from tracking.places import country_name


def name_or_unknown(value: str) -> str:
    return value or "Unknown"


def source_name(value: str) -> str:
    return value or "Direct or unknown"


def named_country(code: str) -> str:
    return name_or_unknown(country_name(code))


def dashboard(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    now = timezone.now()
    period = periods.from_query(request.GET.dict(), now, site.zone)
    context = {"site": site, "section": "dashboard"}
    if not stats.has_views(site):
        return render(request, "tracking/waiting.html", context | {"script_tag": script_tag(site)})
    counted = stats.totals(site, period, now)
    counts = [Count(point.label, point.short, point.visitors) for point in stats.by_day(site, period)]
    context |= {
        "period": period,
        "periods": periods.LABELS,
        "query": _query(period),
        "figures": figures(counted),
        "chart": bar_chart(counts),
        "chart_summary": f"{counted.current.visitors:,} visitors, {period.label}",
    }
    return render(request, "tracking/dashboard.html", context)


def first_hit(request: HttpRequest, domain: str) -> HttpResponse:
    """Have the waiting page loaded again, as a dashboard, once there is something to show."""
    site = get_site_or_404(request, domain)
    return HttpResponseClientRefresh() if stats.has_views(site) else HttpResponse(status=204)


def live_visitors(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    visitors = stats.live_visitors(site, timezone.now())
    return render(request, "tracking/_live_visitors.html", {"site": site, "visitors": visitors})


def last_days(request: HttpRequest, domain: str) -> HttpResponse:
    """The site's last 30 days in small, for the list of sites."""
    site = get_site_or_404(request, domain)
    points = stats.by_day(site, periods.picked("30d", timezone.now(), site.zone))
    chart = bar_chart([Count(point.label, point.short, point.visitors) for point in points])
    context = {"site": site, "chart": chart, "today": points[-1].visitors}
    return render(request, "tracking/_last_days.html", context)


def top_pages(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "tracking/_top_pages.html", "Page", "Views", stats.top_pages)


def entry_pages(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "tracking/_entry_pages.html", "Page", "Visits", stats.entry_pages)


def channels(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "tracking/_channels.html", "Channel", "Visits", stats.channels)


def sources(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "tracking/_sources.html", "Source", "Visits", stats.sources, source_name)


def referrers(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "tracking/_referrers.html", "Referrer", "Visits", stats.referrers)


def campaigns(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "tracking/_campaigns.html", "Campaign", "Visits", stats.campaigns)


def countries(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "tracking/_countries.html", "Country", "Visits", stats.countries, named_country)


def browsers(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "tracking/_browsers.html", "Browser", "Visits", stats.browsers)


def operating_systems(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "tracking/_operating_systems.html", "System", "Visits", stats.operating_systems)


def devices(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "tracking/_devices.html", "Device", "Visits", stats.devices)


def _breakdown(
    request: HttpRequest,
    domain: str,
    template: str,
    value_column: str,
    count_column: str,
    question: Callable[[Site, Period], list[stats.Row]],
    name: Callable[[str], str] = name_or_unknown,
) -> HttpResponse:
    """Answer with one panel; its bars are as long as the visitors of its largest row allow."""
    site = get_site_or_404(request, domain)
    period = periods.from_query(request.GET.dict(), timezone.now(), site.zone)
    found = question(site, period)
    most = max((row.visitors for row in found), default=0)
    rows = [
        {
            "label": name(row.value),
            "cells": [f"{row.visitors:,}", f"{row.count:,}"],
            "share": round(100 * row.visitors / most, 2),
        }
        for row in found
    ]
    columns = [value_column, "Visitors", count_column]
    return render(request, template, {"site": site, "columns": columns, "rows": rows})


def _query(period: Period) -> str:
    """Give the part of an address that `periods.from_query` reads as this period."""
    if period.name:
        return urlencode({"period": period.name})
    return urlencode({"from": period.first_on, "to": period.last_on})
