"""A customer's web site with the script on its pages, which does as it likes."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from playwright.sync_api import Page

from splittests.pages import parse_all
from splittests.pages import told as told_rules
from tracking.script import picker_script, preview_script, script

TAG = '<script src="/js/key.js"></script>'


@dataclass
class Customer:
    """What the site's pages are, how its server takes hits, and what was asked and sent."""

    url: str = ""
    pages: dict[str, str] = field(default_factory=dict)
    head: str = TAG
    policy: str = ""
    dashboard: str = ""
    has_hash_routes: bool = False
    tests: list[dict[str, object]] = field(default_factory=list)
    # Those that are given only to who says where the visit comes from, if it is not None; and what was said.
    tests_by_channel: list[dict[str, object]] | None = None
    origins: list[dict[str, str]] = field(default_factory=list)
    script_seconds: float = 0
    refusals: int = 0
    asked: list[str] = field(default_factory=list)
    hits: list[dict[str, Any]] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)

    def test(self, path: str, selector: str, text: str, variant: int) -> None:
        change = {"selector": selector, "action": "text", "name": "", "value": text}
        changes = {"find": [selector], "changes": [change] if text else []} if selector else {}
        self.tests.append(told_test(path, variant) | changes)

    def script(self, address: str) -> str:
        if "humblytics_pick=" in address:
            return picker_script(self.dashboard)
        if "humblytics_preview=" in address:
            return preview_script("key", self.tests, "Preview: Variant 1")
        return script("key", self.tests, self.has_hash_routes, must_ask=self.tests_by_channel is not None)

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The hits that are a "view", an "event" or "engaged", in the order in which they arrived."""
        return [
            hit for hit in self.hits if next((word for word in ("event", "engaged") if word in hit), "view") == kind
        ]


def told_test(path: str, variant: int) -> dict[str, object]:
    """What the script is told of any test on a page, here of the page's own code."""
    pages = told_rules(parse_all([path]))
    return {"key": f"test-{variant}", "name": f"Variant {variant}", "variant": variant, "pages": pages}


@contextmanager
def serving() -> Iterator[Customer]:
    site = Customer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            if self.path.startswith("/js/key.js"):
                time.sleep(site.script_seconds)
                self._answer("text/javascript", site.script(self.path))
            elif (path := self.path.partition("?")[0]) in site.pages:
                head = f'<meta charset="utf-8">{site.head}'
                self._answer("text/html", f"<!doctype html><head>{head}</head><body>{site.pages[path]}</body>")
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            hit = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/js/key.js":
                site.origins.append(hit)
                self._answer("application/json", json.dumps(site.tests_by_channel))
                return
            if site.refusals:
                site.refusals -= 1
                self.send_error(503)
                return
            site.hits.append(hit)
            site.cookies += self.headers.get_all("Cookie", [])
            self.send_response(202)
            self.end_headers()

        def _answer(self, kind: str, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            if site.policy:
                self.send_header("Content-Security-Policy", site.policy)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, daemon=True).start()
    yield site
    server.shutdown()
    server.server_close()


def until(page: Page, is_so: Callable[[], object]) -> None:
    """Wait until something is so, as long as a busy machine may need for it."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        page.wait_for_timeout(50)


def arrived(page: Page, customer: Customer, count: int, kind: str = "view") -> list[dict[str, Any]]:
    """Wait for `count` hits of the kind, and a moment longer for one too many."""
    until(page, lambda: len(customer.told(kind)) >= count)
    page.wait_for_timeout(150)
    hits = customer.told(kind)
    assert len(hits) == count, customer.hits
    return hits


def hide(page: Page, is_hidden: bool = True) -> None:
    """Put the page's tab behind another, or before it again, as far as the page can tell."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange')) }",
        is_hidden,
    )


def scroll(page: Page, y: int) -> None:
    """Scroll, and wait until the page has been told."""
    page.evaluate(
        "y => new Promise(told => { addEventListener('scroll', told, {once: true}); scrollTo(0, y) })",
        y,
    )
