"""What a server and a worker write and report when they break with secrets and addresses in their hands."""

import gzip
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from humblytics.demo import processes
from humblytics.reporting import begin
from tests.stack import PROXY, free_port, own_redis, wait_until
from tests.traces import address_forms, written_forms

STRIPE_KEY, METRICS_TOKEN = "sk_live_51NobodysCanaryNobodysCanary", "a-token-of-nobody-at-all"
SECRET_KEY = "nobodys-secret-key-" * 4
V4, V6 = "91.64.211.197", "2a02:3100:9d5e:71c4:b3a8:6f12:e07d:594c"
COOKIE, BODY, QUERY, AGENT = "canary-in-a-cookie", "canary-in-a-body", "canary-in-a-query", "canary-of-a-browser"
PUBLIC_KEY = "0123456789abcdef0123456789abcdef"


@contextmanager
def sentry() -> Iterator[tuple[str, list[bytes]]]:
    """A Sentry's door: its DSN, and the envelopes that came in."""
    envelopes: list[bytes] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers.get("Content-Encoding") == "gzip"
            envelopes.append(str(self.headers).encode() + b"\n" + (gzip.decompress(told) if is_packed else told))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{PUBLIC_KEY}@127.0.0.1:{server.server_port}/1", envelopes
        server.shutdown()


def event_of(envelope: bytes) -> dict[str, Any]:
    """Give what is reported; before it stand the request's headers, the envelope's and the item's."""
    found = [json.loads(line) for line in envelope.split(b"\n") if line.startswith(b"{")]
    return next(each for each in found if "exception" in each)


def break_the_page(port: int) -> None:
    headers = {"X-Forwarded-For": V4, "Cookie": f"a={COOKIE}", "User-Agent": AGENT}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/broken/?q={QUERY}", BODY.encode(), headers)
    with pytest.raises(urllib.error.HTTPError, match="500") as refused:
        urllib.request.urlopen(request, timeout=20)
    assert len(refused.value.headers["X-Request-Id"]) == 16
    refused.value.close()


def break_the_task(environment: dict[str, str]) -> None:
    code = f"from humblytics.celery import app; app.send_task('broken', [{STRIPE_KEY!r}, {V4!r}, {V6!r}])"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def start(name: str, command: list[str], environment: dict[str, str], folder: Path) -> processes.Running:
    """Start a server whose log is what it writes to standard error: what it prints is for people."""
    log = folder / f"{name}.log"
    output = log.open("ab")
    process = subprocess.Popen(
        [sys.executable, *command], env=environment, stdout=subprocess.DEVNULL, stderr=output, start_new_session=True
    )
    return processes.Running(name, process, log, output)


def test_what_breaks_is_told_without_secrets_and_visitors(tmp_path: Path) -> None:
    port = free_port()
    with sentry() as (dsn, envelopes):
        environment = (
            {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
            | own_redis()
            | {"VAR_DIR": str(tmp_path), "BASE_URL": f"http://localhost:{port}", "TRUSTED_PROXIES": PROXY}
            | {"SECRET_KEY": SECRET_KEY, "METRICS_TOKEN": METRICS_TOKEN, "STRIPE_KEY": STRIPE_KEY, "SENTRY_DSN": dsn}
        )
        of_faulty = [[part.replace("humblytics.asgi", "tests.humblytics.faulty") for part in processes.web(port)]]
        of_faulty += [["tests.humblytics.faulty" if part == "humblytics" else part for part in processes.worker()]]
        running = []
        try:
            for name, command in zip(("web", "worker"), of_faulty, strict=True):
                running.append(start(name, command, environment, tmp_path))
            break_the_task(environment)
            processes.wait_until_answers(f"http://127.0.0.1:{port}/healthz", running[0])
            break_the_page(port)
            wait_until(lambda: len(envelopes) >= 2, 60)
        finally:
            processes.stop(running)

    told = {event["tags"].get("task", "page"): event for event in map(event_of, envelopes)}
    assert set(told) == {"page", "broken"}
    for event in told.values():
        assert event["exception"]["values"][-1]["type"] == "FaultError"
        assert set(event) <= {
            *("event_id", "timestamp", "platform", "level", "logger", "logentry", "exception", "release"),
            *("environment", "tags"),
        }
    assert told["page"]["tags"]["site"] == "shop.example"
    assert told["broken"]["tags"]["account"] == "acct_1"

    logs = [each.log.read_bytes() for each in running]
    lines = [json.loads(line) for log in logs for line in log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    (of_page,) = [line for line in lines if line["logger"] == "django.request"]
    assert of_page["message"] == "Internal Server Error: /broken/"
    assert (of_page["request"], of_page["site"]) == (told["page"]["tags"]["request"], "shop.example")
    (of_task,) = [line for line in lines if line.get("task") == "broken"]
    assert of_task["task_id"] == told["broken"]["tags"]["task_id"]
    assert "FaultError" in of_task["traceback"]

    canaries = [STRIPE_KEY.removeprefix("sk_live_"), SECRET_KEY, METRICS_TOKEN, COOKIE, BODY, QUERY, AGENT]
    forms = {form for text in canaries for form in written_forms(text)}
    forms |= {form for address in (V4, V6) for form in address_forms(address)}
    for place, content in [*(("sent", each) for each in envelopes), *(("log", each) for each in logs)]:
        assert [form for form in forms if form in content.lower()] == [], place


def test_what_is_not_an_address_of_a_sentry_is_refused_by_name() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^SENTRY_DSN: "):
        begin("https://nowhere.example/1")
