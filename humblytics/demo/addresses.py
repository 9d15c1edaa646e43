"""Where a demo that is running in this folder answers, so that commands in another terminal find it."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RunningError(Exception):
    """Another demo is running in this folder."""


@contextmanager
def announced(folder: Path, addresses: dict[str, str]) -> Iterator[None]:
    """Tell other commands the variables to use, and where the shop is, while this lasts. Raise RunningError."""
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunningError from error
        lock.seek(0)
        lock.truncate()
        lock.write(json.dumps(addresses))
        lock.flush()
        yield


def of_running_demo(folder: Path) -> dict[str, str]:
    """Give what a running demo announced; nothing if none is running."""
    try:
        with (folder / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                addresses: dict[str, str] = json.loads(lock.read() or "{}")
                return addresses
    except (OSError, ValueError):
        pass
    return {}
