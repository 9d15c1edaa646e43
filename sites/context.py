from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from sites.accounts.confirmation import is_confirmed
from sites.models import Role, Site, User


def sites(request: HttpRequest) -> dict[str, Any]:
    """The user's sites for the menu of every page, asked for only when a page shows it; and what a site's page may be.

    `is_confirmed` says whether somebody has shown in the last minutes who they are, which keys and files ask for.
    `is_shared` is true on a page that is shown only because of a share link, and `shared_home` the page that it leads
    to; `can_edit`, `can_administer` and `can_delete` say what its reader may do beside reading.
    """
    user, role = getattr(request, "user", None), getattr(request, "role", 0)
    known = {"sites": Site.objects.for_user(user)} if isinstance(user, User) else {}
    return {
        **known,
        "is_confirmed": SimpleLazyObject(lambda: is_confirmed(request)),
        "is_shared": hasattr(request, "shared_home"),
        "shared_home": getattr(request, "shared_home", ""),
        "can_edit": role >= Role.EDITOR,
        "can_administer": role >= Role.ADMIN,
        "can_delete": role >= Role.OWNER,
    }
