from typing import Any

from django.http import HttpRequest

from sites.models import Site, User


def sites(request: HttpRequest) -> dict[str, Any]:
    """The user's sites for the menu of every page; asked for only when a page shows it."""
    user = getattr(request, "user", None)
    return {"sites": Site.objects.for_user(user)} if isinstance(user, User) else {}
