"""The tracker in a real browser, on pages of a customer that does as it likes."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import chromium
from tracking.script import script

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@dataclass
class Customer:
    """A web site with the script on each page, and what its pages sent."""

    url: str = ""
    pages: dict[str, str] = field(default_factory=dict)
    tests: list[dict[str, object]] = field(default_factory=list)
    hits: list[dict[str, Any]] = field(default_factory=list)
    refusals: int = 0

    def test(self, path: str, selector: str, text: str, variant: int) -> None:
        name, key = f"Variant {variant}", f"test-{variant}"
        told = {"key": key, "path": path, "selector": selector, "name": name, "variant": variant, "text": text}
        self.tests.append(told)


@pytest.fixture
def customer() -> Iterator[Customer]:
    site = Customer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/js/key.js":
                self._answer("text/javascript", script("key", site.tests))
            elif (path := self.path.partition("?")[0]) in site.pages:
                head = '<meta charset="utf-8"><script src="/js/key.js"></script>'
                self._answer("text/html", f"<!doctype html><head>{head}</head><body>{site.pages[path]}</body>")
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            hit = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if site.refusals:
                site.refusals -= 1
                self.send_error(503)
                return
            site.hits.append(hit)
            self.send_response(202)
            self.end_headers()

        def _answer(self, kind: str, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors


def arrived(page: Page, customer: Customer, count: int) -> list[dict[str, Any]]:
    for _ in range(60):
        if len(customer.hits) >= count:
            break
        page.wait_for_timeout(100)
    page.wait_for_timeout(150)
    assert len(customer.hits) == count, customer.hits
    return customer.hits


def test_the_view_id_is_there_for_the_page_s_first_line(page: Page, customer: Customer) -> None:
    customer.pages["/"] = "<script>window.early = window.Humblytics.viewId</script>"
    page.goto(f"{customer.url}/?utm_source=letter#section", referer="https://news.example/")
    (hit,) = arrived(page, customer, 1)
    assert UUID7.fullmatch(hit["view"])
    assert page.evaluate("window.early") == hit["view"] == page.evaluate("window.Humblytics.viewId")
    assert hit["url"] == f"{customer.url}/?utm_source=letter"
    assert hit["referrer"] == "https://news.example/"


def test_a_hit_that_was_refused_is_sent_once_more_with_the_same_id(page: Page, customer: Customer) -> None:
    customer.pages["/"] = ""
    customer.refusals = 1
    page.goto(customer.url)
    (hit,) = arrived(page, customer, 1)
    assert hit["view"] == page.evaluate("window.Humblytics.viewId")


def test_a_new_address_without_loading_is_a_new_view(page: Page, customer: Customer) -> None:
    customer.pages["/"] = ""
    page.goto(f"{customer.url}/?utm_source=letter")
    page.evaluate("history.replaceState(null, '', '/')")
    page.evaluate("history.pushState(null, '', '/next')")
    page.evaluate("history.pushState(null, '', '/next#part')")
    page.evaluate("history.back()")
    page.evaluate("history.back()")
    hits = arrived(page, customer, 3)
    assert [hit["url"].removeprefix(customer.url) for hit in hits] == ["/?utm_source=letter", "/next", "/"]
    assert len({hit["view"] for hit in hits}) == 3


def test_two_tests_on_one_element_leave_it_to_the_first(page: Page, customer: Customer) -> None:
    customer.pages["/x"] = "<button id=buy>Buy now</button>"
    customer.test("/*", "#buy", "First", 1)
    customer.test("/x", "#buy", "Second", 2)
    page.goto(f"{customer.url}/x")
    (hit,) = arrived(page, customer, 1)
    assert page.locator("#buy").inner_text() == "First"
    assert hit["variants"] == [1]


def test_a_variant_counts_when_its_element_was_there(page: Page, customer: Customer) -> None:
    customer.pages["/"] = (
        "<div id=root></div><script>setTimeout(() => root.innerHTML = '<b id=late>Old</b>', 300)</script>"
    )
    customer.test("/", "#late", "New", 1)
    customer.test("/", "#never", "New", 2)
    customer.test("/", "no selector!", "New", 3)
    customer.test("/", "", "", 4)
    customer.test("/elsewhere", "#late", "Wrong", 5)
    page.goto(customer.url)
    (hit,) = arrived(page, customer, 1)
    assert page.locator("#late").inner_text() == "New"
    assert sorted(hit["variants"]) == [1, 4]


def test_a_page_that_is_left_at_once_is_counted_all_the_same(page: Page, customer: Customer) -> None:
    customer.pages["/"] = customer.pages["/next"] = ""
    customer.test("/", "#never", "New", 1)
    page.goto(customer.url)
    page.goto(f"{customer.url}/next")
    hits = arrived(page, customer, 2)
    assert sorted(hit["url"] for hit in hits) == [f"{customer.url}/", f"{customer.url}/next"]
    assert [hit["variants"] for hit in hits] == [[], []]


def test_a_text_that_the_page_s_own_code_puts_back_is_put_in_again(page: Page, customer: Customer) -> None:
    customer.pages["/"] = "<b id=a>Old</b><script>setTimeout(() => a.textContent = 'Old', 300)</script>"
    customer.test("/", "#a", "New", 1)
    page.goto(customer.url)
    page.wait_for_timeout(600)
    assert page.locator("#a").inner_text() == "New"


def test_an_event_names_its_view(page: Page, customer: Customer) -> None:
    customer.pages["/"] = "<script>Humblytics.track('signup')</script>"
    page.goto(customer.url)
    view, event = sorted(arrived(page, customer, 2), key=lambda hit: "event" in hit)
    assert (event["event"], event["view"]) == ("signup", view["view"])
    assert UUID7.fullmatch(event["id"])


def test_a_page_s_own_code_can_ask_for_its_variant(page: Page, customer: Customer) -> None:
    customer.pages["/"] = ""
    customer.test("/", "", "", 7)
    page.goto(customer.url)
    assert page.evaluate("Humblytics.variant('test-7')") == "Variant 7"
    assert page.evaluate("Humblytics.variant('other')") is None


def test_nothing_is_kept_in_the_browser(page: Page, customer: Customer) -> None:
    customer.pages["/"] = ""
    page.goto(customer.url)
    arrived(page, customer, 1)
    assert page.context.cookies() == []
    assert page.context.storage_state() == {"cookies": [], "origins": []}
    assert page.evaluate("indexedDB.databases().then(found => found.length)") == 0


def test_a_page_prepared_for_a_click_counts_when_it_is_shown(page: Page, customer: Customer) -> None:
    rules = json.dumps({"prerender": [{"source": "list", "urls": ["/next"], "eagerness": "immediate"}]})
    customer.pages["/"] = f'<a href="/next">Next</a><script type="speculationrules">{rules}</script>'
    customer.pages["/next"] = "<p>Next</p>"
    page.goto(customer.url)
    page.wait_for_timeout(1000)
    arrived(page, customer, 1)
    page.get_by_role("link").click()
    page.wait_for_url("**/next")
    hits = arrived(page, customer, 2)
    assert hits[1]["url"] == f"{customer.url}/next"
