"""A test is made and started in a real browser, by somebody who changes their mind on the way."""

import json
import re
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import logged_in
from tests.factories import CHROME
from tests.stack import Stack, running_stack

EMAIL, PASSWORD, DOMAIN = "owner@example.com", "a walk in the woods", "shop.example"
VIEW = "0190f3c2-7a54-7c1d-9b7e-5d2f8e6a4c10"


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("making")) as stack:
        stack.add_superuser(EMAIL, PASSWORD)
        yield stack


def test_a_test_of_changes_from_the_first_word_to_its_start(stack: Stack, browser: Browser) -> None:
    found = re.search(r"/js/([a-z0-9]+)\.js", stack.manage("add_site", DOMAIN, "--owner", EMAIL))
    assert found
    body = {"site": found[1], "view": VIEW, "url": f"https://{DOMAIN}/pricing", "referrer": "", "variants": []}
    headers = {"Content-Type": "text/plain", "User-Agent": CHROME}
    urllib.request.urlopen(urllib.request.Request(f"{stack.url}/collect", json.dumps(body).encode(), headers)).close()

    with logged_in(browser, stack.url, EMAIL, PASSWORD) as (page, complaints):
        page.goto(f"{stack.url}/{DOMAIN}/split-tests/new/")
        page.get_by_label("Name").first.fill("Pricing headline")
        page.get_by_label("Pages").fill("/pricing\n!/pricing?preview=*")
        selector = page.locator("[name=variants-0-changes-0-selector]")
        selector.fill("h1")
        page.locator("[name=variants-0-changes-0-value]").fill("Prices that stay")
        attribute = page.locator("[name=variants-0-changes-0-name]")
        expect(attribute).to_be_hidden()

        # Another kind shows other fields, and takes nothing away.
        page.get_by_label("Another page (split URL)").check()
        expect(selector).to_be_hidden()
        expect(page.get_by_label("Address of its page")).to_be_visible()
        page.get_by_label("Changes on the page").check()
        expect(selector).to_have_value("h1")

        page.get_by_role("button", name="Add a change").click()
        page.locator("[name=variants-0-changes-1-selector]").fill(".price")
        page.locator("[name=variants-0-changes-1-action]").select_option("css")
        page.locator("[name=variants-0-changes-1-name]").fill("color")
        page.locator("[name=variants-0-changes-1-value]").fill("green")
        page.get_by_role("button", name="Add a variant").click()
        with page.expect_request(lambda asked: "/plan/" in asked.url and "variants-1-name=Bare" in asked.url):
            page.locator("[name=variants-1-name]").fill("Bare")
        expect(selector).to_have_value("h1")

        page.get_by_label("A custom event happens").check()
        expect(page.get_by_label("Target amount")).to_be_hidden()
        page.get_by_label("Which one").fill("Sign up")
        page.get_by_label("Share of visitors").fill("50")
        expect(page.locator("#plan")).to_contain_text("/pricing, !/pricing?preview=* had 1 visitor")
        page.get_by_role("button", name="Add a metric").click()
        page.locator("[name=metrics-0-pattern]").fill("/thank-you")

        page.get_by_role("button", name="Create split test").click()
        expect(page.get_by_text("Add a change: an element, and what becomes of it.")).to_be_visible()
        page.locator("[name=variants-1-name]").fill("")
        page.get_by_role("button", name="Create split test").click()

        checks = page.locator("#checks")
        expect(checks).to_contain_text("The last visitor was seen on /pricing.")
        expect(checks).to_contain_text("Nobody has reached “Sign up”")
        expect(page.get_by_role("link", name="Preview of Variant 1")).to_have_attribute("target", "_blank")
        page.get_by_label("I have read what is doubtful").check()
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_text("Running").first).to_be_visible()
        expect(page.locator("main")).to_contain_text("color: “green”")
        assert complaints == []
