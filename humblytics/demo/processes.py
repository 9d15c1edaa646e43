"""The servers of the demo: started, watched, and stopped together."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LOGGING = Path(__file__).parent.parent / "logging.json"
STOPPING_SECONDS = 15
STARTING_SECONDS = 60


class ProcessError(Exception):
    """A server could not be started, or ended by itself."""


@dataclass(frozen=True, slots=True)
class Running:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    output: IO[bytes]


def require_free(port: int) -> None:
    """Raise ProcessError if something already listens on this port of the machine itself."""
    with socket.socket() as probe:
        # A port whose last connection has just been closed is free, as it is for the servers themselves.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ProcessError(
                f"Port {port} is in use: stop what listens there, or choose other ports with --port."
            ) from error


def web(port: int) -> list[str]:
    return [
        *("-m", "uvicorn", "humblytics.asgi:application", "--host", "127.0.0.1", "--port", str(port)),
        *("--log-config", str(LOGGING)),
        *("--no-proxy-headers", "--no-access-log", "--no-server-header", "--log-level", "warning"),
        *("--timeout-graceful-shutdown", "5"),
    ]


def worker() -> list[str]:
    return [
        *("-m", "celery", "--quiet", "--app", "humblytics", "worker", "--beat", "--concurrency", "1"),
        *("--loglevel", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def start(
    name: str, command: Sequence[str], environment: Mapping[str, str], logs: Path, folder: Path | None = None
) -> Running:
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    output = log.open("ab")
    process = subprocess.Popen(
        [sys.executable, *command],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        # Ctrl-C in the terminal reaches only the demo itself, which then stops the others in order.
        start_new_session=True,
    )
    return Running(name, process, log, output)


def wait_until_answers(url: str, running: Running) -> None:
    """Return when `url` answers; raise ProcessError when the server ends or stays silent."""
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline:
        require_alive([running])
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
    raise ProcessError(f"The {running.name} server does not answer at {url}; its log is {running.log}.")


def require_alive(all_running: Sequence[Running]) -> None:
    for running in all_running:
        if running.process.poll() is not None:
            raise ProcessError(
                f"The {running.name} process ended with {running.process.returncode}; its log is {running.log}."
            )


def stop(all_running: Sequence[Running]) -> None:
    """Ask all to end, and end those that do not."""
    for running in all_running:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOPPING_SECONDS
    for running in all_running:
        try:
            running.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
        running.output.close()
