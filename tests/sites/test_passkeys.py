"""A passkey, made and shown by a real browser with a key of its own, under the strict policy of the pages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import log_in, watched
from tests.stack import Stack, connect, running_stack

EMAIL, PASSWORD = "owner@example.com", "a key of its own"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("passkeys")) as stack:
        stack.add_superuser(EMAIL, PASSWORD)
        yield stack


def test_a_passkey_is_a_second_factor_confirms_and_logs_in_alone(browser: Browser, stack: Stack) -> None:
    url = stack.url
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    complaints = watched(page)
    keys = context.new_cdp_session(page)
    keys.send("WebAuthn.enable")
    holder = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    keys.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {**holder, "isUserVerified": True, "automaticPresenceSimulation": True}},
    )

    page.goto(f"{url}/account/")
    log_in(page, EMAIL, PASSWORD)
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("This <telephone>")
    page.get_by_role("button", name="Make the passkey").click()
    page.get_by_role("link", name="Done").click()
    page.get_by_text("Passkey “This <telephone>”").wait_for()

    page.locator(".user-menu > summary").click()
    page.get_by_role("button", name="Log out").click()
    log_in(page, EMAIL, PASSWORD)
    page.get_by_role("heading", name="One more step").wait_for()
    # There is no app whose code could be asked for.
    page.get_by_text("Use a passkey, or enter one of your recovery codes.").wait_for()
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{url}/")

    page.goto(f"{url}/account/confirm/passkey/?next=/account/")
    page.get_by_role("button", name="Show the passkey").click()
    page.wait_for_url(f"{url}/account/")

    context.clear_cookies()
    page.goto(f"{url}/login/?next=/account/")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{url}/account/")
    assert complaints == []
    with connect(stack.folder) as database:
        noted = database.execute(
            "SELECT subject FROM sites_auditentry WHERE action = 'logged_in' ORDER BY id"
        ).fetchall()
    assert noted == [("password",), ("password and passkey",), ("passkey",)]
    context.close()
