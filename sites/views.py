from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django_htmx.http import HttpResponseClientRefresh

from sites.access import get_site_or_404, signed_in
from sites.forms import SettingsForm, SiteForm
from sites.models import Role, Site, time_zones
from sites.script_tag import tags


@login_not_required
def log_in(request: HttpRequest) -> HttpResponseBase:
    # A panel of a page whose session has ended is redirected here: the login form belongs in the window,
    # not in the panel, so the whole page is loaded again.
    if request.headers.get("HX-Request"):
        return HttpResponseClientRefresh()
    # LoginView means this server by `site`; the templates mean one of the user's.
    return LoginView.as_view(redirect_authenticated_user=True, extra_context={"site": None})(request)


def index(request: HttpRequest) -> HttpResponse:
    return render(request, "sites/index.html", {"sites": Site.objects.for_user(signed_in(request))})


def new(request: HttpRequest) -> HttpResponse:
    form = SiteForm(request.POST or None)
    if form.is_valid():
        site = form.add(signed_in(request))
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
            "memberships": site.memberships.select_related("user").order_by("-role", "user__email"),
        }
        | tags(site),
    )
