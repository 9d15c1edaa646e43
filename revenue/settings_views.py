"""The revenue settings of a site, for its administrators: its Stripe accounts, what is wrong, and how to begin."""

from typing import Any

from django.conf import settings as django_settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from revenue import connecting, milestones, snippets, stats, tasks
from revenue.crediting import decide_anew
from revenue.facts import gather
from revenue.forms import AlertsForm, AttributionForm, ConnectForm, KeyForm, MethodForm
from revenue.health import Level, judge
from revenue.models import AttributionRules, Connection, Incident, Setup
from revenue.models.setup import Method
from revenue.probing import ADVISED, new_key_url
from revenue.standing import proof
from revenue.standing import standing as standing_of
from sites import audit
from sites.access import get_site_or_404, signed_in
from sites.accounts import confirmation
from sites.accounts.confirmation import confirming
from sites.audit import Action
from sites.models import Role, Site
from sites.script_tag import script_tag


@cache_control(no_store=True)
@sensitive_post_parameters("secret_key")
def settings(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    if request.method == "POST":
        confirmation.require(request)
    form = ConnectForm(request.POST or None, initial={"method": Setup.of(site).method})
    if form.is_valid() and (connection := form.connect(site, timezone.now())):
        _note_key(request, connection)
        _sync_soon(connection)
        messages.success(request, f"Connected to {connection.account}. Its payments are being read.")
        return redirect("revenue:settings", domain)
    return _page(request, site, form)


@confirming
@require_POST
@cache_control(no_store=True)
@sensitive_post_parameters("secret_key")
def replace(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    """Put another key of the same account in the place of the one before."""
    connection = _connection(request, domain, number)
    form = _replace_form(connection, request.POST)
    if form.is_valid() and (replaced := form.connect(connection.site, timezone.now(), instead_of=connection)):
        _note_key(request, replaced)
        _sync_soon(connection)
        messages.success(request, f"The key of {connection.account} is replaced. What it missed is being read.")
        return redirect("revenue:settings", domain)
    return _page(request, connection.site, ConnectForm(), {connection.pk: form})


def _note_key(request: HttpRequest, connection: Connection) -> None:
    audit.note(signed_in(request), Action.KEY_SET, connection.site, connecting.described(connection))


def _replace_form(connection: Connection, data: Any = None) -> KeyForm:
    return KeyForm(data, auto_id=f"id_{connection.pk}_%s")


def _page(
    request: HttpRequest, site: Site, form: ConnectForm, replacing: dict[int, KeyForm] | None = None
) -> HttpResponse:
    now, setup, replacing = timezone.now(), Setup.of(site), replacing or {}
    ways = {
        Method.STRIPE_API: snippets.for_api(site.domain),
        Method.PAYMENT_LINKS: snippets.for_links(site.domain),
    }
    chosen = Method(setup.method)
    context = {
        "site": site,
        "section": "settings",
        "form": form,
        "connections": [
            (standing_of(each, now), proof(each, now), replacing.get(each.pk) or _replace_form(each))
            for each in stats.connections(site)
        ],
        "needs": ADVISED,
        "new_key_url": new_key_url(),
        "new_test_key_url": new_key_url(is_live=False),
        "chosen": (chosen, ways.pop(chosen)),
        "others": list(ways.items()),
        "script_tag": script_tag(site),
        "attribution_form": AttributionForm(instance=AttributionRules.of(site)),
        "method_form": MethodForm(instance=setup, auto_id="id_shown_%s"),
        "alerts_form": AlertsForm(instance=setup),
        "incidents": Incident.objects.filter(site=site, ended_at=None).order_by("opened_at"),
        "has_mail_server": django_settings.HAS_MAIL_SERVER,
        **_steps(site),
        **_health(site),
    }
    return render(request, "revenue/settings/settings.html", context)


def standing(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    """How one connection stands, asked for again while that changes."""
    connection = _connection(request, domain, number)
    context = {"site": connection.site, "standing": standing_of(connection, timezone.now())}
    return render(request, "revenue/settings/_standing.html", context)


def health(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    return render(request, "revenue/settings/_health.html", {"site": site, **_health(site)})


def _health(site: Site) -> dict[str, Any]:
    causes = judge(gather(site, timezone.now()))
    return {
        "causes": causes,
        "is_well": all(cause.level == Level.NOTE for cause in causes),
        "is_of_several": len({cause.account for cause in causes if cause.account}) > 1,
    }


def steps(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    return render(request, "revenue/settings/_steps.html", {"site": site, **_steps(site)})


def _steps(site: Site) -> dict[str, Any]:
    found = milestones.steps(site)
    return {"steps": found, "next_step": next((step for step in found if not step.is_done), None)}


@require_POST
def method(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = MethodForm(request.POST, instance=Setup.of(site))
    if form.is_valid():
        form.save()
        messages.success(request, "Saved.")
    return redirect("revenue:settings", domain)


@require_POST
def alerts(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = AlertsForm(request.POST, instance=Setup.of(site))
    if form.is_valid():
        form.save()
        on = form.instance.sends_alerts
        messages.success(request, "Alerts are sent from now on." if on else "No alert is sent any more.")
    return redirect("revenue:settings", domain)


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
def check(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    """Look anew what the key may read."""
    connection = _connection(request, domain, number)
    try:
        connecting.check(connection, timezone.now())
    except connecting.ConnectError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The key was checked: what it may read is listed below.")
    return redirect("revenue:settings", domain)


@confirming
@require_POST
def disconnect(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    connection = _connection(request, domain, number)
    with transaction.atomic():
        audit.note(signed_in(request), Action.KEY_REMOVED, connection.site, connecting.described(connection))
        connecting.disconnect(connection)
    messages.success(request, f"Disconnected from {connection.account}. Its key is destroyed.")
    return redirect("revenue:settings", domain)


def _connection(request: HttpRequest, domain: str, number: int) -> Connection:
    site = get_site_or_404(request, domain, Role.ADMIN)
    return get_object_or_404(Connection.objects.for_site(site), pk=number)


def _sync_soon(connection: Connection) -> None:
    # Robust: without a queue the connection stands all the same, and is read when it is due.
    transaction.on_commit(lambda: tasks.sync_connection.delay(connection.pk), robust=True)
