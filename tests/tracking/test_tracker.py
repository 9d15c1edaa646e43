"""The tracker in a real browser: views, split tests, and how hits are sent."""

import gzip
import json
import re

import pytest
from playwright.sync_api import Browser, Page

from sites.models import Site
from sites.script_tag import tags
from tests.benchmarks.script_size import SOURCE, minified
from tests.tracking.customer import TAG, Customer, arrived, until
from tracking.script import script

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


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
    # Sent one right after the other, they may arrive in another order.
    assert sorted(hit["url"].removeprefix(customer.url) for hit in hits) == ["/", "/?utm_source=letter", "/next"]
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


def test_a_page_s_own_code_can_ask_for_its_variant(page: Page, customer: Customer) -> None:
    customer.pages["/"] = ""
    customer.test("/", "", "", 7)
    page.goto(customer.url)
    assert page.evaluate("Humblytics.variant('test-7')") == "Variant 7"
    assert page.evaluate("Humblytics.variant('other')") is None


def test_a_page_prepared_for_a_click_counts_when_it_is_shown(page: Page, customer: Customer) -> None:
    # Chromium prepares no page while Playwright drives it, so what the page is told then is told here.
    page.add_init_script("Object.defineProperty(document, 'prerendering', {value: true, configurable: true})")
    customer.pages["/"] = ""
    page.goto(customer.url)
    page.wait_for_timeout(500)
    assert customer.hits == []
    page.evaluate(
        "Object.defineProperty(document, 'prerendering', {value: false});"
        "document.dispatchEvent(new Event('prerenderingchange'))"
    )
    (hit,) = arrived(page, customer, 1)
    assert hit["view"] == page.evaluate("Humblytics.viewId")


def test_a_page_that_the_browser_may_prepare_is_counted_once(page: Page, customer: Customer) -> None:
    rules = json.dumps({"prerender": [{"source": "list", "urls": ["/next"], "eagerness": "immediate"}]})
    customer.pages["/"] = f'<a href="/next">Next</a><script type="speculationrules">{rules}</script>'
    customer.pages["/next"] = ""
    page.goto(customer.url)
    until(page, lambda: "/next" in customer.asked)
    arrived(page, customer, 1)
    page.get_by_role("link").click()
    page.wait_for_url("**/next")
    assert arrived(page, customer, 2)[1]["url"] == f"{customer.url}/next"


def test_a_page_that_is_only_fetched_ahead_is_not_counted(page: Page, customer: Customer) -> None:
    customer.pages["/"] = "<link rel=prefetch href=/next>"
    customer.pages["/next"] = ""
    page.goto(customer.url)
    until(page, lambda: "/next" in customer.asked)
    arrived(page, customer, 1)


def test_a_page_that_comes_back_from_the_browser_s_memory_is_a_new_view(page: Page, customer: Customer) -> None:
    customer.pages["/"] = "<a href=/next>Next</a><script>window.born = Math.random()</script>"
    customer.pages["/next"] = ""
    page.goto(customer.url)
    born, first = page.evaluate("[window.born, Humblytics.viewId]")
    page.get_by_role("link").click()
    page.wait_for_url("**/next")
    page.evaluate("history.back()")
    page.wait_for_url(f"{customer.url}/", wait_until="commit")
    hits = arrived(page, customer, 3)
    # The same document, not one loaded anew.
    assert page.evaluate("window.born") == born
    assert customer.asked.count("/") == 1
    assert hits[2]["url"] == hits[0]["url"] == f"{customer.url}/"
    assert hits[2]["view"] == page.evaluate("Humblytics.viewId") != first == hits[0]["view"]


def test_an_address_that_changes_in_a_storm_is_as_many_views_as_it_has_paths(page: Page, customer: Customer) -> None:
    customer.pages["/map"] = ""
    page.goto(f"{customer.url}/map")
    page.evaluate(
        "for (let n = 0; n < 60; n++) history[n % 2 ? 'pushState' : 'replaceState'](null, '', '/map?at=' + n)"
    )
    page.evaluate("for (const path of ['/a', '/a', '/b', '/b?page=2', '/a']) history.pushState(null, '', path)")
    hits = arrived(page, customer, 4)
    assert sorted(hit["url"].removeprefix(customer.url) for hit in hits) == ["/a", "/a", "/b", "/map"]


def test_the_page_s_own_navigation_is_left_as_it_is(page: Page, customer: Customer) -> None:
    customer.pages["/"] = ""
    page.goto(customer.url)
    page.evaluate("document.hasFocus = () => { throw new Error('the page broke this') }; 0")
    page.evaluate("history.pushState({step: 2}, '', '/next')")
    assert page.evaluate("[location.pathname, history.state.step, history.length]") == ["/next", 2, 3]
    refused = page.evaluate("try { history.pushState(null, '', 'https://other.example/') } catch (e) { e.name }")
    assert refused == "SecurityError"


@pytest.mark.parametrize(("has_hash_routes", "seen"), [(False, ["/"]), (True, ["/", "/#/orders", "/#/orders/7?a=b"])])
def test_addresses_behind_the_hash_are_views_where_the_site_says_so(
    page: Page, customer: Customer, has_hash_routes: bool, seen: list[str]
) -> None:
    customer.pages["/"] = "<a href='#/orders'>Orders</a> <a href='#top'>Top</a>"
    customer.has_hash_routes = has_hash_routes
    page.goto(f"{customer.url}/#access_token=secret")
    page.get_by_text("Orders").click()
    page.get_by_text("Top").click()
    page.evaluate("location.hash = '#/orders/7?a=b'")
    page.evaluate("history.replaceState(null, '', '#/orders/7?a=c')")
    # In between, “#top” is the page without a route.
    expected = [*seen[:2], "/", *seen[2:]] if has_hash_routes else seen
    hits = arrived(page, customer, len(expected))
    assert sorted(hit["url"].removeprefix(customer.url) for hit in hits) == sorted(expected)


def test_a_page_within_another_counts_as_itself(page: Page, customer: Customer) -> None:
    customer.pages["/"] = "<iframe src=/inner></iframe>"
    customer.pages["/inner"] = ""
    page.goto(customer.url)
    outer, inner = sorted(arrived(page, customer, 2), key=lambda hit: len(hit["url"]))
    assert (outer["url"], inner["url"]) == (f"{customer.url}/", f"{customer.url}/inner")
    assert inner["referrer"] == f"{customer.url}/"


def test_a_tag_that_stands_in_the_page_twice_counts_once(page: Page, customer: Customer) -> None:
    customer.pages["/"] = TAG
    page.goto(customer.url)
    arrived(page, customer, 1)


def test_a_page_without_https_is_counted(browser: Browser, customer: Customer) -> None:
    customer.pages["/"] = ""
    context = browser.new_context()
    page = context.new_page()
    context.route(
        "http://shop.example/**",
        lambda route: route.fulfill(
            response=context.request.fetch(
                customer.url + route.request.url.removeprefix("http://shop.example"),
                method=route.request.method,
                data=route.request.post_data,
            )
        ),
    )
    page.goto("http://shop.example/")
    assert page.evaluate("[window.isSecureContext, crypto.randomUUID]") == [False, None]
    (hit,) = arrived(page, customer, 1)
    assert UUID7.fullmatch(hit["view"])
    context.close()


def test_a_browser_that_a_program_drives_says_so(page: Page, customer: Customer) -> None:
    customer.pages["/"] = ""
    page.goto(customer.url)
    page.add_init_script("Object.defineProperty(navigator, 'webdriver', {get: () => true})")
    page.goto(customer.url)
    visitor, program = arrived(page, customer, 2)
    assert (visitor["webdriver"], program["webdriver"]) == (False, True)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("delete window.fetch", id="no fetch"),
        pytest.param("window.fetch = () => { throw new Error('no') }", id="fetch throws"),
        pytest.param("window.fetch = () => Promise.reject(new TypeError('too much at once'))", id="fetch fails"),
    ],
)
def test_what_fetch_does_not_send_the_beacon_does(page: Page, customer: Customer, broken: str) -> None:
    customer.head = f"<script>{broken}</script>{TAG}"
    customer.pages["/"] = ""
    page.goto(customer.url)
    (hit,) = arrived(page, customer, 1)
    assert hit["view"] == page.evaluate("Humblytics.viewId") == page.evaluate("Humblytics.ready")


def test_hits_are_sent_without_asking_first_and_without_cookies(page: Page, customer: Customer) -> None:
    customer.pages["/"] = "<script>document.cookie = 'session=secret'</script>"
    sent = []
    page.on("request", lambda request: sent.append((request.method, request.headers.get("content-type"))))
    page.goto(customer.url)
    page.goto(customer.url)
    arrived(page, customer, 2)
    assert [entry for entry in sent if entry[0] != "GET"] == [("POST", "text/plain;charset=UTF-8")] * 2
    assert customer.cookies == []


def test_ready_gives_the_view_s_id_once_it_has_been_taken(page: Page, customer: Customer) -> None:
    customer.pages["/"] = "<script>Humblytics.ready.then(id => window.told = id)</script>"
    page.goto(customer.url)
    arrived(page, customer, 1)
    page.wait_for_function("window.told")
    first = page.evaluate("window.told")
    assert first == page.evaluate("Humblytics.viewId")
    page.evaluate("history.pushState(null, '', '/next')")
    assert first != page.evaluate("Humblytics.ready") == page.evaluate("Humblytics.viewId")


def test_ready_comes_all_the_same_when_nothing_is_taken(page: Page, customer: Customer) -> None:
    customer.pages["/"] = ""
    customer.refusals = 99
    page.goto(customer.url)
    assert page.evaluate("Humblytics.ready") == page.evaluate("Humblytics.viewId")


def test_the_strictest_policy_of_a_page_lets_the_script_and_the_stub_work(page: Page, customer: Customer) -> None:
    told = tags(Site(domain="shop.example", key="key"))
    customer.policy = f"default-src 'none'; script-src 'self' {told['stub_source']}; connect-src 'self'"
    customer.head = f"{told['stub_tag']}{TAG}"
    customer.pages["/"] = ""
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(customer.url)
    arrived(page, customer, 1)
    # The browser asks for an icon by itself.
    assert [each for each in complaints if "favicon" not in each] == []


def test_the_script_is_small() -> None:
    assert len(gzip.compress(script("abcdefghjkmn", []).encode())) < 1536


def test_what_is_served_was_made_from_the_source_that_can_be_read() -> None:
    for name, text in minified().items():
        assert SOURCE.with_name(name).read_text() == text, "python -m tests.benchmarks.script_size --write"


@pytest.mark.parametrize("name", ["tracker.js", "picker.js", *minified()])
def test_the_script_names_no_storage(name: str) -> None:
    storages = r"\.cookie|cookieStore|localStorage|sessionStorage|indexedDB|caches|openDatabase|requestFileSystem"
    assert not re.search(storages, SOURCE.with_name(name).read_text(), re.IGNORECASE)
