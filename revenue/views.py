import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from revenue import connecting, stats, tasks
from revenue.attribution import Model
from revenue.crediting import decide_anew
from revenue.forms import AttributionForm, ConnectForm
from revenue.headline import earned, figures
from revenue.models import AttributionRules, Connection
from revenue.money import format_money, mean
from revenue.stats import Totals
from sites import periods
from sites.access import get_site_or_404
from sites.models import Role, Site
from sites.periods import Period
from tracking import questions
from tracking.stats import ask, compared, visitors

ROWS = 10
FALLBACK_CURRENCY = "usd"
MODELS = {
    Model.LAST_NON_DIRECT: "Credit the last source but direct",
    Model.LAST: "Credit the last visit",
    Model.FIRST: "Credit the day’s first visit",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What the address of a page or panel asks for."""

    period: Period
    model: Model
    currency: str

    @property
    def query(self) -> str:
        """The part of an address that asks for the same."""
        if self.period.name:
            days = {"period": self.period.name}
        else:
            days = {"from": f"{self.period.first_on}", "to": f"{self.period.last_on}"}
        return f"{urlencode(days)}&{self.beside_period}"

    @property
    def beside_period(self) -> str:
        return urlencode({"model": self.model, "currency": self.currency})


def _asked(request: HttpRequest, site: Site) -> Question:
    """Read the address; what is missing or not understood gives the default."""
    period = periods.from_query(request.GET.dict(), timezone.now(), site.zone)
    name, currency = request.GET.get("model"), request.GET.get("currency", "").lower()
    model = Model(name) if name in list(Model) else Model.LAST_NON_DIRECT
    if not re.fullmatch(r"[a-z]{3}", currency):
        found = stats.totals(site, period, model)
        currency = found[0].currency if found else _account_currency(site)
    return Question(period, model, currency)


def _account_currency(site: Site) -> str:
    connected = stats.connections(site)
    return (connected[0].account.default_currency if connected else "") or FALLBACK_CURRENCY


def dashboard(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    context = {"site": site, "section": "revenue"}
    if not stats.connections(site):
        return render(request, "revenue/not_connected.html", context)
    asked = _asked(request, site)
    context |= {"asked": asked, "periods": periods.LABELS, "models": MODELS, **_totals(site, asked)}
    context["days"] = stats.by_day(ask(site, asked.period), asked.model, asked.currency)
    return render(request, "revenue/dashboard.html", context)


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
    asked = _asked(request, site)
    return render(request, "revenue/_totals.html", {"site": site, "asked": asked, **_totals(site, asked)})


def headline(request: HttpRequest, domain: str) -> HttpResponse:
    """The period's revenue for the traffic dashboard, of all visits; nothing without a Stripe account."""
    site = get_site_or_404(request, domain)
    if not stats.connections(site):
        return HttpResponse()
    now, asked = timezone.now(), _asked(request, site)
    told = questions.read(request.GET, now, site.zone)
    visits, before = ask(site, asked.period), None
    if told.versus != "none" and not told.filters:
        before = earned(compared(visits, now, told.against), asked.model, asked.currency)
    found = figures(
        earned(visits, asked.model, asked.currency), before, asked.currency, "of all visits" if told.filters else ""
    )
    return render(request, "revenue/_headline.html", {"site": site, "asked": asked, "figures": found})


def by_day(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    asked = _asked(request, site)
    days = stats.by_day(ask(site, asked.period), asked.model, asked.currency)
    return render(request, "revenue/_by_day.html", {"site": site, "asked": asked, "days": days})


def channels(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "revenue/_channels.html", "channel")


def sources(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "revenue/_sources.html", "source")


def referrers(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "revenue/_referrers.html", "referrer")


def campaigns(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "revenue/_campaigns.html", "utm_campaign")


def landing_pages(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "revenue/_landing_pages.html", "landing_page")


def purchase_pages(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "revenue/_purchase_pages.html", "page")


def countries(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "revenue/_countries.html", "country")


def browsers(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "revenue/_browsers.html", "browser")


def operating_systems(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "revenue/_operating_systems.html", "os")


def devices(request: HttpRequest, domain: str) -> HttpResponse:
    return _breakdown(request, domain, "revenue/_devices.html", "device")


def payments(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    asked = _asked(request, site)
    page, search = _page(request.GET.get("page", "")), request.GET.get("search", "").strip()
    found = stats.payments(site, asked.period, asked.model, page, search)
    context = {"site": site, "asked": asked, "found": found, "search": search}
    return render(request, "revenue/_payments.html", context)


@cache_control(no_store=True)
@sensitive_post_parameters("secret_key")
def settings(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = ConnectForm(request.POST or None)
    if form.is_valid() and (connection := form.connect(site, timezone.now())):
        _sync_soon(connection)
        messages.success(request, f"Connected to {connection.account}. Its payments are being read.")
        return redirect("revenue:settings", domain)
    context = {
        "site": site,
        "section": "settings",
        "form": form,
        "attribution_form": AttributionForm(instance=AttributionRules.of(site)),
        "connections": [stats.standing(each, timezone.now()) for each in stats.connections(site)],
        "browser_code": render_to_string("revenue/checkout_browser.txt"),
        "server_code": render_to_string("revenue/checkout_server.txt"),
    }
    return render(request, "revenue/settings.html", context)


@require_POST
def attribution(request: HttpRequest, domain: str) -> HttpResponse:
    """Keep the site's rules of attribution, and have its payments credited again under them."""
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = AttributionForm(request.POST, instance=AttributionRules.of(site))
    if form.is_valid():
        form.save()
        for connection in stats.connections(site):
            decide_anew(connection.account)
            _sync_soon(connection)
        messages.success(request, "Saved. Payments are credited again with the next sync, which has been asked for.")
    else:
        messages.error(request, " ".join(f"{error}" for errors in form.errors.values() for error in errors))
    return redirect("revenue:settings", domain)


@require_POST
def sync(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    connection = _connection(request, domain, number)
    _sync_soon(connection)
    messages.info(request, "A sync has been asked for. It takes a few seconds to a few minutes.")
    return redirect("revenue:settings", domain)


@require_POST
def disconnect(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    connection = _connection(request, domain, number)
    connecting.disconnect(connection)
    messages.success(request, f"Disconnected from {connection.account}. Its key is destroyed.")
    return redirect("revenue:settings", domain)


def _breakdown(request: HttpRequest, domain: str, template: str, by: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    asked = _asked(request, site)
    found = stats.breakdown(ask(site, asked.period), by, asked.model, asked.currency, ROWS)
    return render(request, template, {"found": found, "address": request.get_full_path()})


def _connection(request: HttpRequest, domain: str, number: int) -> Connection:
    site = get_site_or_404(request, domain, Role.ADMIN)
    return get_object_or_404(Connection.objects.select_related("account"), site=site, pk=number)


def _sync_soon(connection: Connection) -> None:
    # Robust: without a queue the connection stands all the same, and is read when it is due.
    transaction.on_commit(lambda: tasks.sync_connection.delay(connection.pk), robust=True)


def _page(text: str) -> int:
    """Read a page's number; anything else is the first page."""
    return max(int(text), 1) if re.fullmatch(r"[0-9]{1,6}", text) else 1


def _totals(site: Site, asked: Question) -> dict[str, Any]:
    """Give what the headline shows: the totals of one currency, and of which other currencies there are some."""
    found = stats.totals(site, asked.period, asked.model)
    total = next((row for row in found if row.currency == asked.currency), Totals(asked.currency))
    seen = visitors(ask(site, asked.period))
    connected = stats.connections(site)
    return {
        "total": total,
        "currencies": sorted({row.currency for row in found if row.orders or row.net} | {asked.currency}),
        "fees": " + ".join(format_money(row.fees, row.currency) for row in found if row.fees),
        "visitors": seen,
        "per_visitor": mean(total.net, seen) if seen else None,
        "connections": connected,
        "is_test_money": not any(each.account.livemode for each in connected),
        "as_of": stats.as_of(connected),
        "unsettled": stats.unsettled(connected),
        "outside": stats.outside_stripe(site, asked.period).get(asked.currency),
        "state": stats.fingerprint(site),
    }
