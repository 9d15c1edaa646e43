"""The log of who changed who may see a site, what opens it, and what was taken out of it.

The database refuses to change or delete a row of it. Looking at pages is not logged.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponseBase

from sites.models import AuditEntry, Site, User

COMMAND_LINE = "command line"
SHARE_LINK = "share link"
LONGEST = 300

Action = AuditEntry.Action
View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def note(actor: User | str, action: AuditEntry.Action, site: Site | None, subject: str = "") -> None:
    """Write down that `actor`, a user or COMMAND_LINE or SHARE_LINK, did this. `subject` holds no secret."""
    name = actor.email if isinstance(actor, User) else actor
    AuditEntry.objects.create(
        actor=name, action=action, site=site, domain=site.domain if site else "", subject=subject[:LONGEST]
    )


def entries(site: Site, before: int | None, most: int) -> list[AuditEntry]:
    """Give what was done about the site, the newest first: of those with a number below `before`."""
    found = AuditEntry.objects.filter(site=site)
    if before is not None:
        found = found.filter(pk__lt=before)
    return list(found.order_by("-pk")[:most])


def exporting(view: View) -> View:
    """Log each file that the view gives of the site whose domain is its first argument."""

    @functools.wraps(view)
    def answer(request: HttpRequest, domain: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, domain, *args, **kwargs)
        actor = request.user if isinstance(request.user, User) else SHARE_LINK
        file = response.headers.get("Content-Disposition", "").partition('filename="')[2].rstrip('"')
        note(actor, Action.EXPORTED, Site.objects.get(domain=domain), file or request.path)
        return response

    # Who has come by a share link has no account to confirm, and sees the same figures anyway.
    answer.is_exporting = answer.is_confirming = True  # type: ignore[attr-defined]
    return answer  # type: ignore[return-value]
