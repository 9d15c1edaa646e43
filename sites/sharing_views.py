"""The page with a site's share links and API tokens, and the address that a share link is."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from sites import audit
from sites.access import get_site_or_404, open_link, opened_by, signed_in
from sites.accounts.confirmation import confirming
from sites.audit import Action
from sites.forms import ShareForm, SharePasswordForm, TokenForm
from sites.models import ApiToken, Role, ShareLink, Site
from sites.sharing import TooManyGuessesError, address_of, is_right, link_of, subject_of


def sharing(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    return _page(request, site, ShareForm(prefix="link"), TokenForm(prefix="token"))


@require_POST
@sensitive_post_parameters("link-password")
def add_link(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = ShareForm(request.POST, prefix="link")
    if not form.is_valid():
        return _page(request, site, form, TokenForm(prefix="token"))
    with transaction.atomic():
        link = form.share(site)
        audit.note(signed_in(request), Action.LINK_MADE, site, subject_of(link))
    messages.success(request, f"“{link}” can be given away.")
    return redirect("sites:sharing", domain)


@require_POST
def revoke_link(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    link = get_object_or_404(ShareLink, site=site, pk=number)
    with transaction.atomic():
        link.delete()
        audit.note(signed_in(request), Action.LINK_REVOKED, site, subject_of(link))
    messages.success(request, f"“{link}” is revoked. Whoever had it open sees nothing more.")
    return redirect("sites:sharing", domain)


@confirming
@require_POST
def add_token(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = TokenForm(request.POST, prefix="token")
    # Shown in the answer itself: anywhere that a redirect could find it again, it would have to be kept.
    issued = ""
    if form.is_valid():
        with transaction.atomic():
            issued = form.issue(site)
            name, scope = form.cleaned_data["name"], form.instance.get_scope_display()
            audit.note(signed_in(request), Action.TOKEN_MADE, site, f"{name} (…{issued[-4:]}): {scope}")
    return _page(request, site, ShareForm(prefix="link"), TokenForm(prefix="token") if issued else form, issued)


@confirming
@require_POST
def revoke_token(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    token = get_object_or_404(ApiToken, site=site, pk=number)
    with transaction.atomic():
        token.delete()
        audit.note(signed_in(request), Action.TOKEN_REVOKED, site, str(token))
    messages.success(request, f"“{token.name}” is revoked.")
    return redirect("sites:sharing", domain)


def _page(
    request: HttpRequest, site: Site, link_form: ShareForm, token_form: TokenForm, issued: str = ""
) -> HttpResponse:
    context = {
        "site": site,
        "section": "settings",
        "links": [(link, address_of(link)) for link in site.share_links.all()],
        "tokens": site.api_tokens.all(),
        "link_form": link_form,
        "token_form": token_form,
        "issued": issued,
        **_commands(site),
    }
    return render(request, "sites/sharing.html", context)


def _commands(site: Site) -> dict[str, str]:
    """Give what to type to try a token."""
    api, token = f"{settings.BASE_URL}/api/v1", '  -H "Authorization: Bearer $TOKEN"'
    event = """  -H "Content-Type: application/json" -d '{"name": "Subscribed"}'"""
    return {
        "read_command": f'curl "{api}/sites/{site.domain}/figures?period=7d" \\\n{token}',
        "report_command": f"curl {api}/events \\\n{token} \\\n{event}",
    }


@login_not_required
@sensitive_post_parameters("password")
def open_share(request: HttpRequest, token: str) -> HttpResponse:
    link = link_of(token)
    response = _opened(request, link) if link else render(request, "sites/share_gone.html", status=404)
    # Not no-referrer, with which browsers would say no origin either when the password is sent.
    response["Referrer-Policy"] = "strict-origin"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "private, no-store"
    return response


def _opened(request: HttpRequest, link: ShareLink) -> HttpResponse:
    """Open the link if its password is right or it has none; else ask for it."""
    form = SharePasswordForm(request.POST or None)
    try:
        if not link.password or (form.is_valid() and is_right(link, form.cleaned_data["password"], timezone.now())):
            open_link(request, link)
            return redirect(opened_by(link))
        if form.is_valid():
            form.add_error("password", "This is not the password.")
    except TooManyGuessesError:
        form.add_error("password", "Too many wrong passwords. Try again in a minute.")
    return render(request, "sites/share_password.html", {"form": form, "link": link})
