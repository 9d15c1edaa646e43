import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings as django_settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django_htmx.http import trigger_client_event

from revenue import stats, tables
from revenue.attribution import Model
from revenue.figures import Figure, figures
from revenue.money import format_money
from revenue.stats import Totals
from revenue.story import NoSuchPaymentError, tell
from sites.access import get_site_or_404
from sites.models import Site
from tracking import questions
from tracking.counting import Asked, ask
from tracking.export import csv_response
from tracking.panels import named
from tracking.places import Credit, credit
from tracking.stats import compared, visitors

ROWS = 10
ROWS_OF_PAGE = 50
# What the traffic dashboard shows of it.
HEADLINE = ("Net revenue", "Payments", "Revenue per visitor", "Conversion rate")
FALLBACK_CURRENCY = "usd"
MODELS = {
    Model.LAST_NON_DIRECT: "Last source but direct",
    Model.LAST: "Last visit",
    Model.FIRST: "First visit of the day",
}


@dataclass(frozen=True)
class Question:
    """What the address of a page or panel asks for: of which visits and days, credited how, in which currency.

    `named_currency` is "" when the address names none; then it is the one with most payments.
    """

    visits: questions.Question
    asked: Asked
    model: Model
    named_currency: str

    @cached_property
    def totals(self) -> list[Totals]:
        return stats.totals(self.asked, self.model)

    @cached_property
    def currency(self) -> str:
        if self.named_currency:
            return self.named_currency
        return self.totals[0].currency if self.totals else _account_currency(self.asked.site)

    @property
    def query(self) -> str:
        """The part of an address that asks for the same, with the currency, so that nobody has to look for it again."""
        return self.visits.with_beside("currency", self.currency)


def _asked(request: HttpRequest, site: Site) -> Question:
    """Read the address; what is missing or not understood gives the default."""
    name, currency = request.GET.get("model"), request.GET.get("currency", "").lower()
    model = Model(name) if name in list(Model) else Model.LAST_NON_DIRECT
    named_currency = currency if re.fullmatch(r"[a-z]{3}", currency) else ""
    beside = [("model", str(model))] if model != Model.LAST_NON_DIRECT else []
    beside += [("currency", named_currency)] if named_currency else []
    visits = questions.read(request.GET, timezone.now(), site.zone, tuple(beside))
    return Question(visits, ask(site, visits.period, visits.filters), model, named_currency)


def _account_currency(site: Site) -> str:
    connected = stats.connections(site)
    return (connected[0].account.default_currency if connected else "") or FALLBACK_CURRENCY


def dashboard(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    context = {"site": site, "section": "revenue"}
    if not stats.connections(site):
        return render(request, "revenue/not_connected.html", context)
    about = _asked(request, site)
    if added := questions.added(request.GET):
        return redirect(f"{request.path}?{about.visits.adding(added)}")
    shown = _totals(site, about)
    context |= {
        **questions.choices(about.visits, _page_url(site), timezone.now()),
        "asked": about,
        "models": [(model, label, about.visits.with_beside("model", model)) for model, label in MODELS.items()],
        "model_label": MODELS[about.model],
        "currency_queries": [(code, about.visits.with_beside("currency", code)) for code in shown["currencies"]],
        "cards": tables.first_shown(about.visits),
        "days": stats.by_day(about.asked, about.model, about.currency),
        **shown,
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


def by_day(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    days = stats.by_day(about.asked, about.model, about.currency)
    return render(request, "revenue/_by_day.html", {"site": site, "asked": about, "days": days})


def panel(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """The best ten rows of a panel, in its card."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    context = {
        "site": site,
        "question": about.visits,
        "page_url": _page_url(site),
        "table": tables.brief(name, about.visits, about.asked, about.model, about.currency, ROWS),
        "card": tables.TABS_OF[name],
        "redrawn_on": "revenue-changed",
        "credit": _credit(name),
    }
    return render(request, "tracking/_panel.html", context)


def details(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """All rows of a panel with all their figures, in pages, and a search."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    page, search = questions.page_number(request.GET), questions.searched(request.GET)
    table, has_next = tables.whole(
        name, about.visits, about.asked, about.model, about.currency, search, page, ROWS_OF_PAGE
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


def export_panel(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """All rows of a panel as CSV."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    rows = tables.export(name, about.asked, about.model, about.currency)
    return csv_response(rows, site, f"revenue-{name}", about.visits)


def _credit(name: str) -> Credit | None:
    """Give what the maker of the places' data wants to be shown beside them."""
    return credit(django_settings.GEOIP_PATH) if tables.TABS_OF[name].name == "places" else None


def payments(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    page, search = questions.page_number(request.GET), questions.searched(request.GET)
    found = stats.payments(about.asked, about.model, page, search)
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


def export_payments(request: HttpRequest, domain: str) -> HttpResponse:
    """The payments of the period and filters as CSV."""
    site = get_site_or_404(request, domain)
    about = _asked(request, site)
    return csv_response(tables.export_payments(about.asked, about.model), site, "revenue-payments", about.visits)


def _totals(site: Site, about: Question) -> dict[str, Any]:
    """Give what the headline shows: the totals of one currency, and of which other currencies there are some."""
    found, connected = about.totals, stats.connections(site)
    return {
        "total": _in_currency(found, about.currency),
        "figures": _figures(about),
        "currencies": sorted({row.currency for row in found if row.orders or row.net} | {about.currency}),
        "connections": connected,
        "is_test_money": not any(each.account.livemode for each in connected),
        "as_of": stats.as_of(connected),
        "unsettled": stats.unsettled(connected),
        "outside": stats.outside_stripe(site, about.visits.period).get(about.currency),
        "state": stats.fingerprint(site),
    }


def _figures(about: Question) -> list[Figure]:
    """Give the figures of the question's currency, compared with the period that it is to be compared with."""
    now = _in_currency(about.totals, about.currency), visitors(about.asked)
    earlier = None
    if about.visits.versus != "none":
        against = compared(about.asked, timezone.now(), about.visits.against)
        earlier = _in_currency(stats.totals(against, about.model), about.currency), visitors(against)
    fees = " + ".join(format_money(row.fees, row.currency) for row in about.totals if row.fees)
    return figures(now, earlier, fees)


def _in_currency(found: list[Totals], currency: str) -> Totals:
    return next((row for row in found if row.currency == currency), Totals(currency))
