"""The one door to a site. A stranger gets the same 404 as for a site that does not exist."""

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from sites.models import Membership, Role, Site, User


def signed_in(request: HttpRequest) -> User:
    """The user of a request that LoginRequiredMiddleware has let through."""
    assert isinstance(request.user, User)
    return request.user


def get_site_or_404(request: HttpRequest, domain: str, role: Role = Role.VIEWER) -> Site:
    """Give the site if the request's user is a member of it with at least `role`; else raise Http404."""
    membership = get_object_or_404(
        Membership.objects.select_related("site"), user=signed_in(request), site__domain=domain
    )
    if membership.role < role:
        raise Http404
    return membership.site
