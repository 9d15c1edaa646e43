"""From nothing to the first credited payment, in a real browser that is never reloaded after the key is entered."""

import json
import re
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from revenue.sandbox import faults
from tests.browser import logged_in
from tests.factories import CHROME
from tests.stack import Stack, running_stack

EMAIL, PASSWORD, DOMAIN = "owner@example.com", "a walk in the woods", "new.example"
VIEW = "0190f3c2-7a54-7c1d-9b7e-5d2f8e6a4c10"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("setting-up")) as stack:
        stack.add_superuser(EMAIL, PASSWORD)
        yield stack


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page of somebody who is logged in, and which has complained about nothing."""
    with logged_in(browser, stack.url, EMAIL, PASSWORD) as (page, complaints):
        yield page
    assert complaints == []


def send_view(stack: Stack, key: str) -> None:
    body = {"site": key, "view": VIEW, "url": f"https://{DOMAIN}/buy", "referrer": "", "variants": []}
    headers = {"Content-Type": "text/plain", "User-Agent": CHROME}
    request = urllib.request.Request(f"{stack.url}/collect", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 202


def test_the_steps_turn_green_and_the_connection_changes_by_itself(stack: Stack, page: Page) -> None:
    tag = stack.manage("add_site", DOMAIN, "--owner", EMAIL)
    key = re.search(r"/js/([a-z0-9]+)\.js", tag)
    assert key
    page.goto(f"{stack.url}/{DOMAIN}/settings/revenue/")
    done = page.locator("#steps li.done")
    expect(page.locator("#steps [aria-current=step]")).to_contain_text("The script was seen")
    # The tag that is shown is the site's own.
    expect(page.locator("pre").first).to_have_text(tag.strip().splitlines()[-1].strip())
    send_view(stack, key[1])
    expect(done).to_have_count(2)

    page.get_by_label("Stripe secret key").fill(stack.account.restricted_key)
    page.get_by_label("Integration method").select_option(label="Payment Links")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[id^=standing-] .actions")).to_contain_text("Connected")
    expect(page.get_by_role("heading", name="Payment Links: my pages link to buy.stripe.com")).to_be_visible()

    page.get_by_text("Disconnect…").click()
    item = {"price_data": {"currency": "eur", "unit_amount": 900, "product_data": {"name": "Tea"}}, "quantity": 1}
    session = stack.world.create_session(
        stack.account,
        mode="payment",
        line_items=[item],
        success_url=f"https://{DOMAIN}/thanks",
        client_reference_id=VIEW,
    )
    stack.world.pay(session["id"])
    expect(page.locator("#steps")).to_contain_text("payments are credited to their visits", timeout=90_000)

    stack.sandbox.faults.always(faults.key_refused())
    expect(page.locator("[id^=standing-] .actions")).to_contain_text("Key revoked", timeout=90_000)
    expect(page.locator("#health")).to_contain_text("Make a new restricted key in Stripe", timeout=90_000)
    # What somebody has opened to read stays open meanwhile.
    expect(page.get_by_role("button", name="Disconnect acct_")).to_be_visible()
    stack.sandbox.faults.clear()


def test_the_page_fits_a_phone_whatever_is_open(stack: Stack, page: Page) -> None:
    stack.manage("add_site", "phone.example", "--owner", EMAIL)
    file = stack.folder / "key"
    file.write_text(stack.account.secret_key)
    stack.manage("connect_stripe", "phone.example", "--key-file", str(file))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{stack.url}/phone.example/settings/revenue/")
    expect(page.get_by_text("Disconnect…")).to_be_visible()
    for summary in page.locator("details:not(.menu) > summary").all():
        if not summary.evaluate("(each) => each.parentElement.open"):
            summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
