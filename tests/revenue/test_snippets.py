"""The code that shops are told to use, run: in a browser with the script and without, and against the sandbox."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe
from django.test import RequestFactory
from playwright.sync_api import Browser, Page, Request, Route

from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.world import World
from revenue.snippets import for_api, for_links
from tests.revenue.shopping import everything

VIEW_ID = "0190f3c2-7a54-7c1d-9b7e-5d2f8e6a4c10"
SHOP = "https://shop.example"
API = {snippet.platform: snippet for snippet in for_api("shop.example")}
LINKS = {snippet.platform: snippet for snippet in for_links("shop.example")}
HERE = {"present": f"window.Humblytics = {{ viewId: '{VIEW_ID}' }};", "blocked": ""}


def test_there_is_one_for_each_way_to_build_a_shop() -> None:
    assert list(API) == ["fetch", "Form", "Next.js", "Django", "Rails", "Laravel", "PHP"]
    for snippet in API.values():
        page, server = snippet.parts
        assert "window.Humblytics?.viewId" in page.code
        assert "humblytics_view_id" in server.code
        assert "https://shop.example/thank-you" in server.code
        assert "YOUR-SITE" not in page.code + server.code


@pytest.fixture
def sent(browser: Browser) -> Any:
    """Run a page of the shop with a script; give what it then sends."""
    opened: list[Page] = []

    def sent(html: str, script: str, state: str) -> list[Request]:
        page = browser.new_page()
        opened.append(page)
        requests: list[Request] = []

        def answer(route: Route) -> None:
            if route.request.url == f"{SHOP}/":
                route.fulfill(body=f"<!doctype html><script>{HERE[state]}</script>{html}", content_type="text/html")
                return
            if not route.request.url.endswith("/favicon.ico"):
                requests.append(route.request)
            route.fulfill(body=json.dumps({"url": f"{SHOP}/paid"}), content_type="application/json")

        page.route("**/*", answer)
        errors: list[Any] = []
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(f"{SHOP}/")
        with page.expect_navigation(wait_until="commit"):
            # It leads away from the page that it is evaluated in.
            page.evaluate(f"() => {{ setTimeout(async () => {{ {script} }}) }}")
        assert errors == []
        return requests

    yield sent
    for page in opened:
        page.close()


@pytest.mark.parametrize(("state", "expected"), [("present", {"humblytics_view_id": VIEW_ID}), ("blocked", {})])
def test_fetch_sends_the_id_or_nothing(sent: Any, state: str, expected: dict[str, str]) -> None:
    asked = sent("", f"const cart = [1]; {API['fetch'].parts[0].code}", state)
    assert asked[0].post_data_json == {"line_items": [1], **expected}


@pytest.mark.parametrize("platform", ["Form", "PHP"])
@pytest.mark.parametrize(("state", "expected"), [("present", VIEW_ID), ("blocked", "")])
def test_a_form_is_sent_with_the_id_or_an_empty_field(sent: Any, platform: str, state: str, expected: str) -> None:
    asked = sent(API[platform].parts[0].code, "document.querySelector('button').click()", state)
    assert asked[0].method == "POST"
    assert parse_qs(asked[0].post_data, keep_blank_values=True) == {"humblytics_view_id": [expected]}


@pytest.mark.parametrize(("state", "expected"), [("present", {"client_reference_id": [VIEW_ID]}), ("blocked", {})])
def test_a_payment_link_is_never_opened_with_an_empty_id(sent: Any, state: str, expected: dict[str, list[str]]) -> None:
    asked = sent("", LINKS["Your own code"].parts[0].code, state)
    url = urlsplit(asked[0].url)
    assert url.hostname == "buy.stripe.com"
    assert parse_qs(url.query, keep_blank_values=True) == expected


@pytest.mark.parametrize(
    ("posted", "expected"),
    [
        pytest.param({"humblytics_view_id": VIEW_ID}, {"humblytics_view_id": VIEW_ID}, id="with the id"),
        pytest.param({"humblytics_view_id": ""}, {}, id="with an empty field"),
        pytest.param({}, {}, id="without the field"),
    ],
)
def test_a_server_s_session_carries_the_id_or_none(
    posted: dict[str, str],
    expected: dict[str, str],
    world: World,
    account: Account,
    server: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stripe, "api_key", account.secret_key)
    monkeypatch.setattr(stripe, "api_base", server.url)
    price = {"price_data": {"currency": "eur", "unit_amount": 900, "product_data": {"name": "Tea"}}, "quantity": 1}
    code = API["Django"].parts[1].code.replace('{"price": "price_…", "quantity": 1}', repr(price))
    module: dict[str, Any] = {}
    exec(code, module)
    answer = module["create_checkout"](RequestFactory().post("/checkout", posted))
    (session,) = everything(world, account, "checkout.session")
    assert (answer.status_code, answer["Location"]) == (302, session["url"])
    assert session["metadata"] == expected
    assert session["success_url"] == "https://shop.example/thank-you"
