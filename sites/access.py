"""The one door to a site. A stranger gets the same 404 as for a site that does not exist."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse

from sites import about
from sites.accounts import confirmation
from sites.models import Membership, Role, ShareLink, Site, User

# Under this name a session keeps the tokens of the share links that were opened.
SHARES = "shares"

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def signed_in(request: HttpRequest) -> User:
    """The user of a request that the middleware has let through because of a login."""
    assert isinstance(request.user, User)
    return request.user


def get_site_or_404(request: HttpRequest, domain: str, role: Role = Role.VIEWER) -> Site:
    """Give the site if the request's user is a member of it with at least `role`; else raise Http404."""
    membership = get_object_or_404(
        Membership.objects.select_related("site"), user=signed_in(request), site__domain=domain
    )
    if membership.role < role:
        raise Http404
    return _entered(request, membership)


def _entered(request: HttpRequest, membership: Membership) -> Site:
    """Raise NotConfirmedError if the view is one for which members confirm who they are."""
    if request.resolver_match and getattr(request.resolver_match.func, "is_confirming", False):
        confirmation.require(request)
    # For `sites.context`: a page offers nothing that its reader may not do.
    request.role = membership.role  # type: ignore[attr-defined]
    about.note(site=membership.site.domain)
    return membership.site


def shareable(view: View) -> View:
    """Mark a page that a share link opens, too. It asks `get_shown_site_or_404` for its site.

    A page whose address names a split test, as `test_id`, is opened by the links to that test's results; any other
    by the links to the dashboard.
    """
    view.is_shareable = True  # type: ignore[attr-defined]
    return view


def get_shown_site_or_404(request: HttpRequest, domain: str, test_id: int | None = None) -> Site:
    """Give the site to a member, or to somebody who opened a share link that shows this page; else raise Http404."""
    if isinstance(request.user, User):
        membership = Membership.objects.select_related("site").filter(user=request.user, site__domain=domain).first()
        if membership:
            return _entered(request, membership)
    if link := _opened_link(request, domain, test_id):
        # For `sites.context`, whose pages then leave out what a link does not show.
        request.shared_home = opened_by(link)  # type: ignore[attr-defined]
        about.note(site=link.site.domain)
        return link.site
    raise Http404


def open_link(request: HttpRequest, link: ShareLink) -> None:
    """Let this session see what the link shows, until the link is deleted."""
    # Whoever knew the session's id before must not see more through it now.
    request.session.cycle_key()
    request.session[SHARES] = sorted({*request.session.get(SHARES, []), link.token})


def opened_by(link: ShareLink) -> str:
    """Give the address of the page that the link leads to."""
    if link.split_test_id:
        return reverse("splittests:results", args=[link.site.domain, link.split_test_id])
    return reverse("tracking:dashboard", args=[link.site.domain])


def _opened_link(request: HttpRequest, domain: str, test_id: int | None) -> ShareLink | None:
    tokens = request.session.get(SHARES)
    if not tokens:
        return None
    links = ShareLink.objects.select_related("site").filter(token__in=tokens, site__domain=domain)
    return links.filter(split_test_id=test_id).first()


class LoginOrShareMiddleware(LoginRequiredMiddleware):
    """Ask everybody to log in, but for who opened a share link, on the pages that it shows."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        if not getattr(view_func, "login_required", True):
            # Nobody's session is looked up: /readyz must answer without a database.
            return None
        is_shareable = getattr(view_func, "is_shareable", False) and not request.user.is_authenticated
        if is_shareable and _opened_link(request, view_kwargs["domain"], view_kwargs.get("test_id")):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)
