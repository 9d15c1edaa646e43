import re
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from revenue import connecting, stats, tasks
from revenue.attribution import Evidence, Model, Reason
from revenue.forms import ConnectForm
from revenue.models import Connection
from revenue.money import mean
from sites import periods
from sites.access import get_site_or_404
from sites.models import Role, Site
from sites.periods import Period

ROWS = 10
FALLBACK_CURRENCY = "usd"
MODELS = {
    Model.LAST_NON_DIRECT: "Last source but direct",
    Model.LAST: "Last visit",
    Model.FIRST: "First visit of the day",
}
EVIDENCE = {
    Evidence.CHARGE: "Metadata of the payment",
    Evidence.SESSION: "Metadata of the Checkout Session",
    Evidence.REFERENCE: "client_reference_id of the Checkout Session",
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
        return urlencode({**days, **self.beside_period})

    @property
    def beside_period(self) -> dict[str, str]:
        return {"model": self.model, "currency": self.currency}


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
    context |= {"asked": asked, "periods": periods.LABELS, "models": MODELS}
    return render(request, "revenue/dashboard.html", context | _totals(site, asked))


def as_of(request: HttpRequest, domain: str) -> HttpResponse:
    """Say when Stripe was last read, and tell the page's panels if that was after they were drawn."""
    site = get_site_or_404(request, domain)
    synced_at = stats.synced_at(site)
    response = render(request, "revenue/_as_of.html", {"site": site, "synced_at": synced_at})
    if synced_at and request.GET.get("seen") != synced_at.isoformat():
        trigger_client_event(response, "revenue-changed")
    return response


def totals(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    asked = _asked(request, site)
    return render(request, "revenue/_totals.html", {"site": site, "asked": asked, **_totals(site, asked)})
