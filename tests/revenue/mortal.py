"""Children that sync, each of them until it is killed at a statement of one's choice."""

import contextlib
import datetime as dt
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.management import call_command
from django.db import connection as database

from revenue import pager, tasks
from revenue.models import Connection
from revenue.sync import catch_up

PAGE_LENGTH = 3
LONGEST_LIFE = 300
# The process that has the children starts once: to start anew takes longer than to sync.
PARENT = "import django; django.setup(); from tests.revenue import mortal; mortal.have_children()"
# What to do: a tick, the beat's task, the command, or the rotation of the encryption keys; for which connection;
# with what as our time; and before which statement to be killed.
Order = tuple[str, int, str, int | None]
# The child's exit status, a signal's number below zero, and how many statements there were if it lived.
End = tuple[int, int]


class Mortals:
    def __init__(self, parent: "subprocess.Popen[str]") -> None:
        self._parent = parent

    def do(self, *orders: Order) -> list[End]:
        """Let a child carry out each order, all at once."""
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(json.dumps(orders) + "\n")
        self._parent.stdin.flush()
        return [(status, count) for status, count in json.loads(self._parent.stdout.readline())]


def own_environment(folder: Path, name: str = "") -> dict[str, str]:
    """Give what a process needs for the settings, and the database, of this one, or the database of that name."""
    known = database.get_connection_params()
    where = "&".join(f"{key}={quote(str(known[key]), safe='')}" for key in ("host", "port") if known.get(key))
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "humblytics.settings",
        "DATABASE_URL": f"postgres://{known['user']}:{known.get('password', '')}@/{name or known['dbname']}?{where}",
        "HUMBLYTICS_ENCRYPTION_KEYS": settings.HUMBLYTICS_ENCRYPTION_KEYS,
        "STRIPE_API_BASE": settings.STRIPE_API_BASE,
        "VAR_DIR": str(folder),
    }


@contextmanager
def mortals(folder: Path) -> Iterator[Mortals]:
    """Start the parent with the settings, and on the database, of this process."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        env=own_environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        yield Mortals(parent)
        parent.communicate()
    assert parent.returncode == 0


def have_children() -> None:
    pager.PAGE_LENGTH = PAGE_LENGTH
    for line in sys.stdin:
        children = [_have_child(order) for order in json.loads(line)]
        answers = []
        for child, told in children:
            with os.fdopen(told) as said:
                count = int(said.read() or 0)
            answers.append((os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), count))
        sys.stdout.write(json.dumps(answers) + "\n")
        sys.stdout.flush()


def _have_child(order: Order) -> tuple[int, int]:
    told, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        return child, told
    status = 1
    # One that waits for ever is a failure too, and must not keep the test waiting.
    signal.alarm(LONGEST_LIFE)
    try:
        os.write(tell, str(_obey(*order)).encode())
        status = 0
    except SystemExit as error:
        status = int(str(error))
    finally:
        os._exit(status)


def _obey(what: str, pk: int, now: str, fatal: int | None) -> int:
    counted = Counted(fatal)
    match what:
        case "tick":
            connection = Connection.objects.select_related("account", "site").get(pk=pk)
            catch_up(connection, dt.datetime.fromisoformat(now), drain=True)
        case "task":
            tasks.sync_connection(pk)
        case "command":
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                call_command("sync_revenue")
        case "rotate":
            with contextlib.redirect_stdout(io.StringIO()):
                call_command("rotate_encryption_keys")
    return counted.count


class Counted:
    """Counts the statements and commits of this process, and kills it before one of them."""

    def __init__(self, fatal: int | None) -> None:
        self.count, self._fatal, self._commit = 0, fatal, database._commit
        database.execute_wrappers.append(self._execute)
        database._commit = self._committed

    def _execute(self, execute: Callable[..., Any], *args: Any) -> Any:
        self._reach()
        return execute(*args)

    def _committed(self) -> None:
        self._reach()
        self._commit()

    def _reach(self) -> None:
        self.count += 1
        if self.count == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
