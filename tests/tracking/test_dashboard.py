"""The dashboard in a real browser, on a server that is run as an operator would."""

import json
import re
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import log_in, logged_in
from tests.factories import CHROME, FIREFOX, IPHONE
from tests.stack import Stack, connect, running_stack
from tests.tracking.customer import until

# Names what has to be scrolled sideways to be seen whole.
WIDER_THAN_THEIR_PLACE = """
    [document.documentElement, ...document.querySelectorAll(".table-scroll, .segments")]
        .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth)
        .map((each) => each.closest("[id]")?.id ?? "page")
"""
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()

EMAIL, PASSWORD = "owner@example.com", "a walk in the woods"
GERMAN, OTHER_GERMAN, AMERICAN = "91.64.7.7", "84.128.9.1", "73.10.20.30"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("dashboard")) as stack:
        stack.add_superuser(EMAIL, PASSWORD)
        yield stack


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page of somebody who is logged in, and which has complained about nothing."""
    with logged_in(browser, stack.url, EMAIL, PASSWORD) as (page, complaints):
        yield page
    # What a test lets fail on purpose is told of in the console, too.
    assert [each for each in complaints if not re.search(r"(status of|Error Code) 500\b", each)] == []


def new_site(stack: Stack, domain: str) -> str:
    """Add a site; give its key."""
    tag = stack.manage("add_site", domain, "--owner", EMAIL)
    found = re.search(r"/js/([a-z0-9]+)\.js", tag)
    assert found
    return found[1]


def send(
    stack: Stack, key: str, url: str, referrer: str = "", ip: str = GERMAN, user_agent: str = CHROME
) -> dict[str, str]:
    """Send a view as the script would; give the headers of the answer."""
    body = {"site": key, "view": str(uuid.uuid4()), "url": url, "referrer": referrer, "variants": []}
    headers = {"Content-Type": "text/plain", "User-Agent": user_agent, "X-Forwarded-For": ip}
    request = urllib.request.Request(f"{stack.url}/collect", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return dict(answer.headers)


@pytest.fixture(scope="module")
def site(stack: Stack) -> str:
    """The address of a dashboard with three visitors."""
    domain = "shop.example"
    key = new_site(stack, domain)
    send(stack, key, f"https://{domain}/", "https://www.google.com/", GERMAN, FIREFOX)
    send(stack, key, f"https://{domain}/pricing", "", GERMAN, FIREFOX)
    send(stack, key, f"https://{domain}/?utm_source=letter&utm_medium=email&utm_campaign=autumn", "", AMERICAN)
    send(stack, key, f"https://{domain}/blog", "https://news.example/today", OTHER_GERMAN, IPHONE)
    return f"{stack.url}/{domain}/"


def figure(page: Page, metric: str) -> str:
    return page.locator(".stat", has=page.locator(f"#metric-{metric}")).locator(".value").inner_text()


def is_shown(page: Page, **figures: str) -> None:
    for metric, value in figures.items():
        cell = page.locator(".stat", has=page.locator(f"#metric-{metric}"))
        expect(cell.locator(".value")).to_have_text(value)


def chips(page: Page) -> list[str]:
    return page.locator(".chip > span").all_inner_texts()


def row(page: Page, card: str, label: str) -> Page:
    return page.locator(f"#{card}").get_by_role("link", name=label, exact=True)


def test_the_first_hit_turns_the_waiting_page_into_the_dashboard(stack: Stack, page: Page) -> None:
    key = new_site(stack, "new.example")
    page.goto(f"{stack.url}/new.example/")
    expect(page.get_by_role("heading", name="Listening for new.example")).to_be_visible()
    expect(page.locator("code").first).to_have_text(f'<script src="{stack.url}/js/{key}.js"></script>')
    send(stack, key, "https://new.example/")
    expect(page.locator("#panels")).to_be_visible(timeout=15_000)
    is_shown(page, visitors="1")


def test_the_waiting_page_shows_where_the_tag_goes_and_copies_it(stack: Stack, page: Page) -> None:
    key = new_site(stack, "copy.example")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{stack.url}/copy.example/")
    page.locator("summary", has_text="WordPress").click()
    code = page.get_by_role("group", name="WordPress")
    expect(code).to_contain_text("wp_head")
    page.get_by_role("button", name="Copy script tag").click()
    expect(page.get_by_role("button", name="Copied script tag")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f'<script src="{stack.url}/js/{key}.js"></script>'
    page.locator("summary", has_text="Next.js").click()
    expect(code).to_be_hidden()


def test_a_click_on_a_row_filters_and_the_back_button_takes_it_back(site: str, page: Page) -> None:
    page.goto(site)
    is_shown(page, visitors="3", views="4")
    row(page, "places", "Germany").click()
    is_shown(page, visitors="2", views="3")
    row(page, "devices", "Firefox").click()
    is_shown(page, visitors="1", views="2")
    assert chips(page) == ["Country is Germany", "Browser is Firefox"]
    assert page.url == f"{site}?period=30d&is.country=DE&is.browser=Firefox"
    # A card that is down to one value shows what it can still be split by.
    expect(page.locator("#tab-regions")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Remove the filter: Country is Germany").click()
    expect(page.locator(".chip")).to_have_count(1)
    assert page.url == f"{site}?period=30d&is.browser=Firefox"
    page.go_back()
    expect(page.locator(".chip")).to_have_count(2)
    page.go_back()
    expect(page.locator(".chip")).to_have_count(1)
    is_shown(page, visitors="2", views="3")
    page.reload()
    assert chips(page) == ["Country is Germany"]


def test_a_filter_can_be_typed(site: str, page: Page) -> None:
    page.goto(site)
    page.keyboard.press("f")
    form = page.locator("#filter form")
    form.get_by_label("What").select_option(label="Page")
    expect(form.locator("option[value='/pricing']")).to_be_attached()
    form.get_by_label("How").select_option(label="contains")
    form.get_by_label("Value").press_sequentially("pric")
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_text(["Page contains pric×"])
    is_shown(page, visitors="1", views="2")


def test_keys_pick_a_period_unless_somebody_is_typing(site: str, page: Page) -> None:
    page.goto(site)
    page.keyboard.press("w")
    expect(page.locator("#period > summary")).to_contain_text("Last 7 days")
    assert page.url == f"{site}?period=7d"
    page.keyboard.press("t")
    expect(page.locator("#period > summary")).to_contain_text("Today")
    page.keyboard.press("b")
    expect(page.locator("#period > summary")).to_contain_text("Yesterday")
    page.keyboard.press("n")
    expect(page.locator("#period > summary")).to_contain_text("Today")
    page.keyboard.press("f")
    value = page.locator("#filter").get_by_label("Value")
    value.press_sequentially("yw")
    assert value.input_value() == "yw"
    assert page.url == f"{site}?period=today"
    page.keyboard.press("Escape")
    expect(value).to_be_hidden()
    page.keyboard.press("Control+w")
    assert page.url == f"{site}?period=today"


def test_everything_can_be_done_with_the_keyboard(site: str, page: Page) -> None:
    page.goto(site)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#period > summary")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#period > summary")).to_contain_text("Today")
    row(page, "devices", "Safari").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_text(["Browser is Safari×"])
    # The row is gone with its table; the keyboard goes on from the panels.
    expect(page.locator("#panels")).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator(".chip")).to_have_count(0)


def test_figures_and_spans_change_the_chart(site: str, page: Page) -> None:
    page.goto(f"{site}?period=7d")
    page.locator("#metric-views").click()
    expect(page.locator("#over-time-title")).to_have_text("Views")
    page.locator("#by-hour").click()
    expect(page.locator("#over-time .point")).to_have_count(7 * 24)
    assert page.url == f"{site}?period=7d&by=hour&metric=views"


def test_the_chart_is_read_with_the_arrow_keys(site: str, page: Page) -> None:
    page.goto(f"{site}?period=7d")
    chart = page.locator("#over-time [data-chart]")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    reading = page.locator("#over-time").get_by_role("status")
    expect(reading).to_have_text(re.compile(r"^\w{3} \d+ \w{3} \d{4}, so far: 3, before: 0$"))
    expect(page.locator("#over-time .read .readout")).to_have_css("opacity", "1")
    page.keyboard.press("ArrowLeft")
    expect(reading).to_have_text(re.compile(r"^\w{3} \d+ \w{3} \d{4}: 0, before: 0$"))
    page.keyboard.press("Home")
    expect(page.locator("#over-time .point").first).to_have_class(re.compile("read"))
    page.keyboard.press("Tab")
    expect(page.locator("#over-time .read")).to_have_count(0)


def test_a_tab_of_a_card_leaves_the_rest_of_the_page_as_it_is(site: str, page: Page) -> None:
    page.goto(site)
    page.locator("#tab-entry-pages").click()
    expect(page.locator("#tab-entry-pages")).to_have_attribute("aria-current", "true")
    expect(row(page, "pages", "/blog")).to_be_visible()
    assert page.url == site


def test_details_are_searched_while_typing(site: str, page: Page) -> None:
    page.goto(f"{site}?period=7d&is.country=DE")
    page.locator("#pages").get_by_role("link", name="All top pages").click()
    page.wait_for_url(f"{site}details/top-pages/?period=7d&is.country=DE")
    expect(page.locator("#details tbody tr")).to_have_count(3)
    page.get_by_role("searchbox").press_sequentially("pri")
    expect(page.locator("#details tbody tr")).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.wait_for_url(f"{site}details/top-pages/?period=7d&is.country=DE&search=pri")
    page.get_by_role("link", name="/pricing").click()
    page.wait_for_url(f"{site}?period=7d&is.country=DE&is.page=%2Fpricing")
    is_shown(page, visitors="1")


def test_letters_that_are_typed_during_a_search_are_searched_for_next(site: str, page: Page) -> None:
    page.goto(f"{site}details/top-pages/?period=7d")
    asked: list[Route] = []
    page.route("**/details/top-pages/?*", lambda route: asked.append(route))
    box = page.get_by_role("searchbox")
    box.press_sequentially("p")
    until(page, lambda: asked)
    box.press_sequentially("ri")
    asked[0].continue_()
    page.unroute_all()
    page.wait_for_url(f"{site}details/top-pages/?period=7d&search=pri")
    expect(page.locator("#details tbody tr")).to_have_count(1)
    expect(box).to_have_value("pri")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(site: str, page: Page, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{site}?is.country=DE&has.page=b")
    expect(page.locator("[aria-busy]")).to_have_count(0)
    page.locator("#filter > summary").click()
    page.locator("#over-time .numbers > summary").click()
    texts, weak = page.evaluate(CONTRAST)
    assert weak == []
    assert texts > 100


def test_a_phone_shows_all_figures_without_scrolling_sideways(site: str, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for address in ("", "details/sources/", "details/top-pages/"):
        page.goto(f"{site}{address}")
        expect(page.locator("[aria-busy]")).to_have_count(0)
        assert page.evaluate(WIDER_THAN_THEIR_PLACE) == []
    page.goto(site)
    for menu in ("period", "versus", "filter"):
        page.locator(f"#{menu} > summary").click()
        assert page.evaluate(WIDER_THAN_THEIR_PLACE) == []
        page.keyboard.press("Escape")


def test_live_visitors_are_counted(stack: Stack, page: Page) -> None:
    # Not of the site that all tests share: its visitors may be gone by now.
    key = new_site(stack, "live.example")
    for ip in (GERMAN, AMERICAN):
        send(stack, key, "https://live.example/", ip=ip)
    page.goto(f"{stack.url}/live.example/")
    expect(page.locator("#live-visitors")).to_have_text("2 visitors now")


def test_a_panel_that_fails_leaves_the_others_alone_and_can_be_tried_again(stack: Stack, site: str, page: Page) -> None:
    with connect(stack.folder) as database:
        database.execute("ALTER TABLE tracking_goal RENAME TO broken")
        page.goto(site)
        failed = page.locator("#conversions")
        expect(failed).to_contain_text("This part of the page could not be loaded.")
        expect(row(page, "places", "Germany")).to_be_visible()
        expect(row(page, "pages", "/pricing")).to_be_visible()
        database.execute("ALTER TABLE broken RENAME TO tracking_goal")
    failed.get_by_role("link", name="Try again").click()
    expect(page.locator("#conversions")).to_contain_text("No goal has been set.")


def test_without_javascript_the_dashboard_is_plain_pages(browser: Browser, stack: Stack, site: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site)
    log_in(page, EMAIL, PASSWORD)
    is_shown(page, visitors="3")
    page.locator("#period > summary").click()
    page.locator("#period-7d").click()
    page.get_by_role("link", name="Show Places").click()
    page.get_by_role("link", name="Germany").click()
    is_shown(page, visitors="2")
    assert page.url == f"{site}?period=7d&is.country=DE"
    page.get_by_role("link", name="Show Pages").click()
    page.get_by_role("searchbox").fill("pri")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#details tbody tr")).to_have_count(1)
    context.close()
