"""One story in a real browser: from a new site to what each variant of a split test earned.

With SCREENSHOTS=folder it leaves a picture of every page it comes to.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from humblytics.demo.shop import Shop, serve
from revenue.secrecy import Secret
from tests.browser import log_in, watched
from tests.factories import CHROME, FIREFOX
from tests.stack import Stack, free_port, running_stack, wait_until
from tests.traces import traces

pytestmark = pytest.mark.services
DOMAIN = "walk.localhost"
EMAIL, PASSWORD = "owner@example.com", "a walk in the woods"
GERMAN, AMERICAN = "91.64.7.7", "73.10.20.30"
# The worker reads the sandbox every five seconds.
INTERVAL_MS = 20_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("walk")) as stack:
        stack.add_superuser(EMAIL, PASSWORD)
        yield stack


@contextmanager
def visitor(browser: Browser, stack: Stack, ip: str, user_agent: str = CHROME) -> Iterator[Page]:
    """A browser of somebody at `ip`, whose requests come through the proxy that the server trusts."""
    context = browser.new_context(user_agent=user_agent)
    context.route(
        f"{stack.url}/**",
        lambda route: route.continue_(headers={**route.request.headers, "X-Forwarded-For": ip}),
    )
    yield context.new_page()
    context.close()


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder, f"{name}.png"), full_page=True)


def log_in_and_add_the_site(page: Page, stack: Stack) -> str:
    page.goto(stack.url)
    picture(page, "01-login")
    log_in(page, EMAIL, PASSWORD)
    picture(page, "02-no-sites")
    page.get_by_role("main").get_by_role("link", name=re.compile("Add", re.IGNORECASE)).first.click()
    page.get_by_label("Domain").fill(f"https://{DOMAIN}/some/page")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    picture(page, "03-new-site")
    page.get_by_role("button", name="Add").click()
    tag = page.locator("code", has_text="<script").first.inner_text()
    picture(page, "04-script-tag")
    assert re.fullmatch(rf'<script src="{stack.url}/js/[a-z0-9]{{12}}\.js"></script>', tag.strip())
    return tag


def connect_stripe(page: Page, stack: Stack) -> None:
    page.get_by_role("navigation").get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="Revenue").last.click()
    page.get_by_label("Payment provider").select_option(label="Stripe")
    page.get_by_label("Integration method").select_option(label="Stripe API")
    page.get_by_label("Stripe secret key").fill("pk_test_thisIsThePublishableOne")
    page.get_by_role("button", name="Save").click()
    picture(page, "05-wrong-key")
    assert "pk_test_thisIs" not in page.content()
    page.get_by_label("Stripe secret key").fill(stack.account.secret_key)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Connected", exact=True).first).to_be_visible()
    expect(page.get_by_text("Test", exact=True).first).to_be_visible()
    expect(page.get_by_text(stack.account.secret_key[-4:]).first).to_be_visible()
    assert stack.account.secret_key not in page.content()
    wait_until(lambda: page.reload() and page.locator("section[id^=connection-] time").count())
    picture(page, "06-connected")


def buy(page: Page, product: str) -> None:
    """Buy what is on the page, and come back from the sandbox's checkout."""
    page.get_by_role("button").click()
    page.wait_for_url("**/pay/cs_test_*")
    page.get_by_role("button", name=re.compile("Pay")).click()
    page.wait_for_url("**/thank-you")


def row(page: Page, panel: str, label: str) -> Any:
    return page.locator(f"#{panel} tr", has_text=label)


def new_split_test(page: Page, stack: Stack, name: str, path: str, text: str, target: str = "") -> str:
    page.goto(f"{stack.url}/{DOMAIN}/split-tests/new/")
    page.get_by_role("textbox", name="Name", exact=True).first.fill(name)
    page.get_by_role("textbox", name="Pages", exact=True).fill(path)
    page.locator("[name=variants-0-name]").fill("Bold")
    page.locator("[name=variants-0-changes-0-selector]").fill("#buy")
    page.locator("[name=variants-0-changes-0-value]").fill(text)
    if target:
        page.get_by_label("Target amount").check()
        page.get_by_role("textbox", name="Amount").fill(target)
    else:
        page.get_by_label("Any Revenue").check()
    picture(page, f"10-new-test-{name}")
    page.get_by_role("button", name="Create split test").click()
    page.get_by_role("button", name=re.compile("Start")).click()
    expect(page.get_by_text("Running").first).to_be_visible()
    return page.url


def show_to_visitors(browser: Browser, stack: Stack, shop: str, path: str, network: str, text: str) -> tuple[str, str]:
    """Let visitors come until each variant was seen, twice the same by each.

    Give the addresses of somebody who saw the control and of somebody who saw the text.
    """
    seen: dict[str, str] = {}
    for n in range(1, 40):
        ip = f"{network}.{n}"
        with visitor(browser, stack, ip) as page:
            page.goto(shop + path)
            shown = page.locator("#buy").inner_text()
            page.reload()
            assert page.locator("#buy").inner_text() == shown
        assert shown in ("Buy now", text)
        seen.setdefault(shown, ip)
        if len(seen) == 2:
            return seen["Buy now"], seen[text]
    raise AssertionError(f"forty visitors were all shown {seen}")


def test_from_a_new_site_to_what_each_variant_earned(stack: Stack, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    admin = context.new_page()
    complaints = watched(admin)
    tag = log_in_and_add_the_site(admin, stack)
    connect_stripe(admin, stack)

    port = free_port()
    shop = f"http://{DOMAIN}:{port}"
    server = serve(Shop(tag, stack.stripe_url, Secret(stack.account.secret_key), shop), port)
    try:
        with visitor(browser, stack, GERMAN) as page:
            problems = watched(page)
            query = "utm_source=google&utm_medium=cpc&utm_campaign=spring-sale"
            page.goto(f"{shop}/products/aurora-lamp?{query}", referer="https://www.google.com/")
            view_id = page.evaluate("window.Humblytics.viewId")
            assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", view_id)
            buy(page, "aurora-lamp")
            assert not problems
            assert page.evaluate("document.cookie + localStorage.length + sessionStorage.length") == "00"
            assert not page.context.cookies(stack.url)

        # The worker's own beat brings it in: no command is run and Stripe calls nobody.
        admin.goto(f"{stack.url}/{DOMAIN}/revenue/")
        wait_until(lambda: admin.reload() and "€89.00" in admin.content())
        for card, panel, label in [
            ("sources", "channels", "Paid Search"),
            ("sources", "referrers", "google.com/"),
            ("campaigns", "campaigns", "spring-sale"),
            ("places", "countries", "Germany"),
            ("devices", "browsers", "Chrome"),
            ("pages", "landing-pages", "/products/aurora-lamp"),
        ]:
            admin.locator(f"#tab-{panel}").click()
            expect(row(admin, card, label)).to_contain_text("€89.00", timeout=INTERVAL_MS)
        picture(admin, "07-revenue")

        with visitor(browser, stack, AMERICAN, FIREFOX) as page:
            page.goto(f"{shop}/products/oak-stand")
            buy(page, "oak-stand")
        report = stack.manage_json("sync_revenue", DOMAIN)
        (synced,) = report["sites"]
        assert (synced["status"], synced["mode"], synced["error"]) == ("connected", "test", None)
        assert (synced["payments"], synced["attributed"], synced["unattributed"]) == (2, 2, {})
        assert synced["unmatched_balance_transactions"] == 0

        # A test on a page that nobody sees is not started.
        for product in ("linen-notebook", "studio-set"):
            with visitor(browser, stack, GERMAN) as page:
                page.goto(f"{shop}/products/{product}")
                page.evaluate("Humblytics.ready")
        any_revenue = new_split_test(admin, stack, "Any order", "/products/linen-notebook", "Take it home")
        large_orders = new_split_test(admin, stack, "Large orders", "/products/studio-set", "All of it", "100.00")
        _, keen = show_to_visitors(browser, stack, shop, "/products/linen-notebook", "84.128.9", "Take it home")
        calm, generous = show_to_visitors(browser, stack, shop, "/products/studio-set", "84.128.77", "All of it")
        # The last order is too small for the second test's target amount.
        for ip, product in ((keen, "linen-notebook"), (generous, "studio-set"), (calm, "desk-mat")):
            with visitor(browser, stack, ip) as page:
                page.goto(f"{shop}/products/{product}")
                buy(page, product)
        stack.manage("sync_revenue", DOMAIN)

        for url, orders, revenue in ((any_revenue, "1", "€19.00"), (large_orders, "1", "€189.00")):
            admin.goto(url)
            bold, control = row(admin, "variants-table", "Bold"), row(admin, "variants-table", "Control")
            expect(bold).to_contain_text(revenue)
            assert bold.locator("td").nth(1).inner_text() == orders
            assert control.locator("td").nth(1).inner_text() == "0"
            expect(admin.get_by_text("Too early to tell").first).to_be_visible()
            picture(admin, f"11-results-{orders}-{revenue}")

        told = stack.manage_json("revenue_report", DOMAIN, "--by", "channel")
        gross = 8900 + 5900 + 1900 + 18900 + 4500
        assert (told["currencies"]["EUR"]["gross"], told["currencies"]["EUR"]["orders"]) == (gross, 5)
        paid_search = next(row for row in told["rows"] if row["value"] == "Paid Search")
        assert (paid_search["gross"], paid_search["orders"]) == (8900, 1)

        admin.goto(f"{stack.url}/admin/revenue/ledgerline/")
        for amount in ("€89.00", "€59.00", "€19.00", "€189.00", "€45.00"):
            expect(admin.get_by_text(amount).first).to_be_visible()
        picture(admin, "12-admin")
        assert not complaints
    finally:
        server.shutdown()
        server.server_close()

    # Neither a visitor's address nor the key is anywhere.
    addresses = [GERMAN, AMERICAN, "84.128.9.1", "84.128.77.1"]
    assert traces(stack, addresses=addresses, texts=[stack.account.secret_key], kept="spring-sale") == []
