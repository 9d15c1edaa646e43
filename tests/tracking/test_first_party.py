"""The script and its hits through a customer's own server, under names of its own, into the real one."""

import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.factories import CHROME
from tests.stack import Stack, connect, running_stack
from tests.tracking.customer import hide, scroll

DOMAIN = "firstparty.localhost"
GERMAN = "91.64.7.7"
PAGE = (
    "<!doctype html><script src='/s/app.js' data-api='/s/hit'></script><body style='margin: 0; height: 3000px'>"
    "<button data-humblytics-event=signup data-humblytics-event-plan=pro>Sign up</button>"
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("first-party")) as stack:
        yield stack


@pytest.fixture(scope="module")
def customer(stack: Stack) -> Iterator[str]:
    """The address of a web site that hands /s/app.js and /s/hit on, as the README tells a proxy to do."""
    key = re.search(r"/js/([a-z0-9]+)\.js", stack.manage("add_site", DOMAIN))
    assert key

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/s/app.js":
                self._hand_on(f"/js/{key[1]}.js", None)
            else:
                self._answer(200, {"Content-Type": "text/html"}, PAGE.encode())

        def do_POST(self) -> None:
            self._hand_on("/collect", self.rfile.read(int(self.headers["Content-Length"])))

        def _hand_on(self, path: str, body: bytes | None) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "cookie")}
            request = urllib.request.Request(stack.url + path, body, headers | {"X-Forwarded-For": GERMAN})
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    told = {
                        name: answer.headers[name]
                        for name in ("Content-Type", "Content-Encoding")
                        if name in answer.headers
                    }
                    self._answer(answer.status, told, answer.read())
            except urllib.error.HTTPError as error:
                self._answer(error.code, {}, error.read())

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{DOMAIN}:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(user_agent=CHROME, viewport={"width": 800, "height": 600})
    yield context.new_page()
    context.close()


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_what_a_visitor_does_is_kept_by_the_server_under_the_visitor_s_own_place(
    stack: Stack, customer: str, page: Page
) -> None:
    elsewhere = []
    page.on("request", lambda request: request.url.startswith(customer) or elsewhere.append(request.url))
    page.goto(f"{customer}/?utm_source=letter")
    view_id = page.evaluate("Humblytics.ready")
    page.get_by_role("button").click()
    scroll(page, 900)
    page.wait_for_timeout(300)
    page.evaluate("history.pushState(null, '', '/next')")
    page.evaluate("Humblytics.ready")
    page.get_by_role("button").click()
    next_id = page.evaluate("Humblytics.viewId")
    page.wait_for_timeout(300)
    # Not by leaving: what Chromium sends then has its own name again, not the one that Playwright gave it.
    hide(page)
    assert elsewhere == []
    with connect(stack.folder) as database:
        wait_until(lambda: database.execute("SELECT count(*) FROM tracking_event").fetchone() == (2,))
        wait_until(lambda: database.execute("SELECT min(engaged_ms) > 0 FROM tracking_view").fetchone() == (True,))
        views = database.execute("SELECT id::text, path, scrolled FROM tracking_view ORDER BY at").fetchall()
        visits = database.execute("SELECT views, country, utm_source, entry_path FROM tracking_visit").fetchall()
        events = database.execute("SELECT view_id::text, path, name, props FROM tracking_event ORDER BY at").fetchall()
    assert [view[:2] for view in views] == [(view_id, "/"), (next_id, "/next")]
    assert views[0][2] == 50
    assert visits == [(2, "DE", "letter", "/")]
    assert events == [(view_id, "/", "signup", {"plan": "pro"}), (next_id, "/next", "signup", {"plan": "pro"})]


def test_a_program_s_browser_is_not_counted(stack: Stack, customer: str, page: Page) -> None:
    answers = []
    page.on("response", lambda answer: answer.url.endswith("/s/hit") and answers.append(answer.status))
    with connect(stack.folder) as database:
        before = database.execute("SELECT count(*) FROM tracking_view").fetchone()
        page.add_init_script("Object.defineProperty(navigator, 'webdriver', {get: () => true})")
        page.goto(customer)
        page.evaluate("Humblytics.ready")
        assert answers[0] == 202
        assert database.execute("SELECT count(*) FROM tracking_view").fetchone() == before
