from typing import Any

from django.http import HttpRequest

from sites.models import Site, User


def sites(request: HttpRequest) -> dict[str, Any]:
    """The user's sites for the menu of every page, asked for only when a page shows it; and `is_shared`.

    `is_shared` is true on a page that is shown only because of a share link.
    """
    user = getattr(request, "user", None)
    known = {"sites": Site.objects.for_user(user)} if isinstance(user, User) else {}
    return {**known, "is_shared": getattr(request, "is_shared", False)}
