import datetime as dt
from collections.abc import Sequence
from itertools import dropwhile
from typing import Any

from django.conf import settings as django_settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django_htmx.http import trigger_client_event

from revenue import changes as changed
from revenue import coverage as covering
from revenue import questions, stats, tables
from revenue.attribution import Model
from revenue.figures import Figure, added_up, figures
from revenue.money import format_money, format_short
from revenue.questions import Question
from revenue.stats import Totals
from revenue.story import NoSuchPaymentError, tell
from sites.access import get_site_or_404
from sites.audit import exporting
from sites.models import Site
from tracking import questions as asking
from tracking.charts import Count, bar_chart
from tracking.export import csv_response
from tracking.moments import local, paired
from tracking.panels import named
from tracking.places import Credit, credit
from tracking.stats import compared, visitors

ROWS = 10
ROWS_OF_PAGE = 50
# What the traffic dashboard shows of it.
HEADLINE = ("Net revenue", "Payments", "Revenue per visitor", "Conversion rate")
MOST_CHANGES = 20
# How far back coverage is drawn.
COVERED = dt.timedelta(weeks=26)
MODELS = {
    Model.LAST_NON_DIRECT: "Last source but direct",
    Model.LAST: "Last visit",
    Model.FIRST: "First visit of the day",
}


def _asked(request: HttpRequest, site: Site) -> Question:
    return questions.read(request.GET, site, timezone.now())


def dashboard(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    context = {"site": site, "section": "revenue"}
    if not stats.connections(site):
        return render(request, "revenue/not_connected.html", context)
    about = _asked(request, site)
    if added := asking.added(request.GET):
        return redirect(f"{request.path}?{about.visits.adding(added)}")
    shown = _totals(site, about)
    context |= {
        **asking.choices(about.visits, _page_url(site), timezone.now()),
        "asked": about,
        "models": [(model, label, about.visits.with_beside("model", model)) for model, label in MODELS.items()],
        "model_label": MODELS[about.model],
        "currencies": _currencies(about),
        "yesterday": timezone.now().astimezone(site.zone).date() - dt.timedelta(days=1),
        "cards": tables.first_shown(about.visits),
        **shown,
        **_chart(about),
    }
    return render(request, "revenue/dashboard.html", context)


def _page_url(site: Site) -> str:
    return reverse("revenue:dashboard", args=[site.domain])


def as_of(request: HttpRequest, domain: str) -> HttpResponse:
    """Say when Stripe was last read, and tell the page's panels if what they show has changed since."""
    site = get_site_or_404(request, domain)
    moment, state = stats.as_of(stats.connections(site)), stats.fingerprint(site)
    response = render(request, "revenue/_as_of.html", {"site": site, "as_of": moment, "state": state})
    if request.GET.get("seen") != state:
        trigger_client_event(response, "revenue-changed")
    return response


def totals(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    return render(request, "revenue/_totals.html", {"site": site, "asked": about, **_totals(site, about)})


def headline(request: HttpRequest, domain: str) -> HttpResponse:
    """The period's revenue for the traffic dashboard, of the same visits; nothing without a Stripe account."""
    site = get_site_or_404(request, domain)
    if not stats.connections(site):
        return HttpResponse()
    about = _asked(request, site)
    shown = [each for each in _figures(about) if each.label in HEADLINE]
    return render(request, "revenue/_headline.html", {"site": site, "asked": about, "figures": shown})


def over_time(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    return render(request, "revenue/_over_time.html", {"site": site, "asked": about, **_chart(about)})


def _chart(about: Question) -> dict[str, Any]:
    """Give the net revenue of the period's hours, days, weeks or months, beside that of the period before."""
    bucket = about.visits.chart_bucket
    rows = stats.over_time(about.asked, about.model, about.currency, bucket, about.basis)
    before = []
    if about.visits.versus != "none":
        against = about.asked.about(about.visits.against)
        before = stats.over_time(against, about.model, about.currency, bucket, about.basis)
    told = [(dt.datetime.fromisoformat(row.value), row.net) for row in rows]
    counted = paired(told, [row.net for row in before], bucket, local(timezone.now(), about.asked.site.zone))
    total = format_money(sum(row.net for row in rows), about.currency)
    return {
        "chart": bar_chart(
            counted,
            lambda net: format_money(net, about.currency),
            mark=lambda net: format_short(net, about.currency),
        ),
        "chart_summary": f"Net revenue by {bucket}, {about.visits.period.label}, {total} in total.",
        "is_compared": bool(before),
        "bucket": bucket,
        "buckets": [(each, about.visits.by(each)) for each in about.visits.buckets],
    }


@exporting
def export_over_time(request: HttpRequest, domain: str) -> HttpResponse:
    """The chart's hours, days, weeks or months with all figures, as CSV."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    bucket = about.visits.chart_bucket
    found = stats.over_time(about.asked, about.model, about.currency, bucket, about.basis)
    return csv_response(tables.export_over_time(found, bucket), site, "revenue-over-time", about.visits)


def changes(request: HttpRequest, domain: str) -> HttpResponse:
    """What has changed about the period since the day as of which it is shown; nothing if it is shown as of now."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    if about.basis.known_at is None:
        return HttpResponse()
    found = changed.changes(about.now.asked, about.model, about.basis.known_at, MOST_CHANGES + 1)
    context = {
        "site": site,
        "asked": about,
        "differences": found.differences,
        "changes": found.rows[:MOST_CHANGES],
        "has_more": len(found.rows) > MOST_CHANGES,
    }
    return render(request, "revenue/_changes.html", context)


@exporting
def export_changes(request: HttpRequest, domain: str) -> HttpResponse:
    """All that has changed since, as CSV."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    known_at = about.basis.known_at
    found = changed.changes(about.now.asked, about.model, known_at).rows if known_at else ()
    return csv_response(changed.export(found, site), site, "revenue-changes", about.visits)


def coverage(request: HttpRequest, domain: str) -> HttpResponse:
    """What share of the payments is credited to a visit, by week up to now, and whether it has fallen."""
    site = get_site_or_404(request, domain)
    about, now = _asked(request, site), timezone.now()
    drawn, before, lately = covering.coverages(site, [(now - COVERED, now), *covering.before_and_lately(now)])
    weeks = list(dropwhile(lambda week: not week.total, drawn))
    context = {
        "site": site,
        "asked": about,
        "chart": bar_chart([_share(week, now.astimezone(site.zone).date()) for week in weeks], "{}%".format),
        "has_dropped": covering.has_dropped(before, lately),
        "lately": covering.added_up(lately),
    }
    return render(request, "revenue/_coverage.html", context)


def _share(week: covering.Week, today: dt.date) -> Count:
    """Write a week's share as whole percents."""
    paid = f"{week.attributed:,} of {week.total:,} payments" if week.total else "no payments"
    is_open = week.first_on > today - dt.timedelta(days=7)
    label = f"Week of {week.first_on:%-d %b %Y}{', so far' if is_open else ''}, {paid}"
    return Count(label, f"{week.first_on:%-d %b}", round(100 * (week.share or 0)), is_open=is_open)


def panel(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """The best ten rows of a panel, in its card."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    context = {
        "site": site,
        "question": about.visits,
        "page_url": _page_url(site),
        "table": tables.brief(name, about.visits, about.asked, about.model, about.currency, ROWS, about.basis),
        "card": tables.TABS_OF[name],
        "redrawn_on": "revenue-changed",
        "credit": _credit(name),
    }
    return render(request, "tracking/_panel.html", context)


def details(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """All rows of a panel with all their figures, in pages, and a search."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    page, search = asking.page_number(request.GET), asking.searched(request.GET)
    table, has_next = tables.whole(
        name, about.visits, about.asked, about.model, about.currency, search, page, ROWS_OF_PAGE, about.basis
    )
    context = {
        "site": site,
        "section": "revenue",
        "back": "Revenue",
        "question": about.visits,
        "page_url": _page_url(site),
        "table": table,
        "page": page,
        "has_next": has_next,
        "search": search,
        "credit": _credit(name),
    }
    return render(request, "tracking/details.html", context)


@exporting
def export_panel(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """All rows of a panel as CSV."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    rows = tables.export(name, about.asked, about.model, about.currency, about.basis)
    return csv_response(rows, site, f"revenue-{name}", about.visits)


def _credit(name: str) -> Credit | None:
    """Give what the maker of the places' data wants to be shown beside them."""
    return credit(django_settings.GEOIP_PATH) if tables.TABS_OF[name].name == "places" else None


def payments(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    page, search = asking.page_number(request.GET), asking.searched(request.GET)
    found = stats.payments(about.asked, about.model, page, search, known_at=about.basis.known_at)
    context = {"site": site, "asked": about, "page_url": _page_url(site), "found": found, "search": search}
    return render(request, "revenue/_payments.html", context)


def payment(request: HttpRequest, domain: str, charge: str) -> HttpResponse:
    """The story of one payment."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    try:
        story = tell(site, charge, about.model)
    except NoSuchPaymentError as error:
        raise Http404 from error
    credited = story.credit(about.model)
    context = {
        "site": site,
        "section": "revenue",
        "asked": about,
        "page_url": _page_url(site),
        "story": story,
        "credit": credited,
        "credits": [(MODELS[each.model], each) for each in story.credits],
        "place": named("country", credited.decision.country) if credited.decision else "",
    }
    return render(request, "revenue/payment.html", context)


@exporting
def export_payments(request: HttpRequest, domain: str) -> HttpResponse:
    """The payments of the period and filters as CSV."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    rows = tables.export_payments(about.asked, about.model, about.basis.known_at)
    return csv_response(rows, site, "revenue-payments", about.visits)


def _totals(site: Site, about: Question) -> dict[str, Any]:
    """Give what the headline shows: the totals of one currency, and what stands beside them."""
    connected = stats.connections(site)
    outside = stats.outside_stripe(site, about.visits.period)
    told = outside if about.basis.is_settled else {about.currency: outside.get(about.currency, 0)}
    return {
        "total": _in_currency(about.totals, about.currency),
        "beside": [
            row for row in about.totals if (row.orders or row.net) and (row.is_open or row.currency != about.currency)
        ],
        "figures": _figures(about),
        "connections": connected,
        "is_test_money": stats.is_test_money(connected),
        "as_of": stats.as_of(connected),
        "differences": stats.differences(connected),
        "unmatched": added_up(stats.unmatched_movements(site, about.visits.period)),
        "unread": stats.unread(connected),
        "outside": added_up(told),
        "unpaid": stats.unpaid_checkouts(site, about.visits.period),
        "state": stats.fingerprint(site),
    }


def _currencies(about: Question) -> list[tuple[str, str, str, bool]]:
    """Give the currencies that can be asked for: id, label, query, and whether it is the one that is shown.

    Those that the accounts settle in can be had of everything, where something was paid in another one.
    """
    paid = {row.currency for row in about.totals_as_paid if row.orders or row.net}
    accounts = [each.account for each in stats.connections(about.asked.site)]
    settled = {account.default_currency for account in accounts if account.default_currency}
    settled |= {row.currency for row in about.totals_as_paid if row.fees}
    is_settled, now = about.basis.is_settled, about.currency
    shown = paid if is_settled else paid | {now}
    offered = [
        (code, code.upper(), about.in_currency(code, is_settled=False), code == now and not is_settled)
        for code in sorted(shown)
    ]
    return offered + [
        (
            f"settled-{code}",
            f"All in {code.upper()}, as settled",
            about.in_currency(code, is_settled=True),
            code == now and is_settled,
        )
        for code in sorted(settled | ({now} if is_settled else set()))
        if paid - {code} or is_settled
    ]


def _figures(about: Question) -> list[Figure]:
    """Give the figures of the question's currency, compared with the period that it is to be compared with."""
    now = _in_currency(about.totals, about.currency), visitors(about.asked)
    earlier = fees_before = None
    if about.visits.versus != "none":
        against = compared(about.asked, about.asked.until or timezone.now(), about.visits.against)
        before = stats.totals(against, about.model, about.basis)
        earlier, fees_before = (_in_currency(before, about.currency), visitors(against)), _fees(before)
    return figures(now, earlier, _fees(about.totals), fees_before)


def _fees(found: Sequence[Totals]) -> dict[str, int]:
    return {row.currency: row.fees for row in found if not row.is_open}


def _in_currency(found: list[Totals], currency: str) -> Totals:
    return next((row for row in found if row.currency == currency and not row.is_open), Totals(currency))
