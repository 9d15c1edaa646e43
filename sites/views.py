from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from sites import audit
from sites.access import get_site_or_404, signed_in
from sites.accounts.confirmation import confirming
from sites.audit import Action
from sites.deletion import delete_by_owner
from sites.forms import DeleteForm, SettingsForm, SiteForm
from sites.members import NotYoursError
from sites.models import Role, Site, time_zones
from sites.script_tag import tags

LOG_LENGTH = 50


def index(request: HttpRequest) -> HttpResponse:
    return render(request, "sites/index.html", {"sites": Site.objects.for_user(signed_in(request))})


def new(request: HttpRequest) -> HttpResponse:
    form = SiteForm(request.POST or None)
    if form.is_valid():
        with transaction.atomic():
            site = form.add(signed_in(request))
            audit.note(signed_in(request), Action.SITE_ADDED, site)
        return redirect("tracking:dashboard", site.domain)
    return render(request, "sites/new.html", {"form": form, "time_zones": time_zones()})


def settings(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = SettingsForm(request.POST or None, instance=site)
    if form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("sites:settings", domain)
    return render(
        request,
        "sites/settings.html",
        {
            "site": site,
            "section": "settings",
            "form": form,
            "time_zones": time_zones(),
        }
        | tags(site),
    )


@confirming
def delete(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.OWNER)
    form = DeleteForm(site, request.POST or None)
    if form.is_valid():
        try:
            delete_by_owner(site, signed_in(request), timezone.now())
        except NotYoursError as error:
            raise Http404 from error
        messages.success(request, f"{domain} is deleted. The worker deletes what was counted and read for it.")
        return redirect("sites:index")
    return render(request, "sites/delete.html", {"site": site, "section": "settings", "form": form})


def log(request: HttpRequest, domain: str) -> HttpResponse:
    """Show what was done about the site, fifty entries at a time; `before` is the number of the entry to go on from."""
    site = get_site_or_404(request, domain, Role.ADMIN)
    before = request.GET.get("before", "")
    number = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    entries = audit.entries(site, number, LOG_LENGTH + 1)
    context = {
        "site": site,
        "section": "settings",
        "entries": entries[:LOG_LENGTH],
        "is_first": number is None,
        "has_more": len(entries) > LOG_LENGTH,
    }
    return render(request, "sites/log.html", context)
