"""What the benchmarks share: a database of their own, a member who reads the pages, and lines told at once."""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def begin(kept: Path | None = None, **environment: str) -> Path:
    """Start Django on an embedded database, with these variables; give its folder, which is temporary unless `kept`."""
    folder = kept or Path(tempfile.mkdtemp())
    if not kept:
        # Before the database registers itself, so that its folder is removed after it has stopped.
        atexit.register(shutil.rmtree, folder)
    os.environ.update(VAR_DIR=str(folder), DJANGO_SETTINGS_MODULE="humblytics.settings", **environment)
    os.environ.pop("DATABASE_URL", None)
    import django  # noqa: PLC0415  the settings read the environment that was just made

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    return folder


def pages_of(site: Any) -> Callable[[str], Callable[[str], object]]:
    """Log a member of the site in; give what makes of a page's address below the site's a function of its query."""
    from django.test import Client  # noqa: PLC0415

    from sites.models import Membership, User  # noqa: PLC0415
    from tests.factories import confirm  # noqa: PLC0415

    user, _ = User.objects.get_or_create(email="bench@example.com")
    Membership.objects.get_or_create(user=user, site=site)
    client = Client()
    client.force_login(user)
    confirm(client)

    def page(name: str) -> Callable[[str], object]:
        def get(query: str) -> None:
            response = client.get(f"/{site.domain}/{name}?{query}")
            assert response.status_code == 200, response.status_code

        return get

    return page


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
