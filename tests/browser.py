import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect, sync_playwright

# What is waited for comes much sooner, but on a machine that does other things too.
expect.set_options(timeout=30_000)


@contextmanager
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "The tests need a Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            # As visitors' browsers have it.
            ignore_default_args=["--disable-back-forward-cache"],
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-background-networking",
                # The pages under test see a visitor's browser: hits of one that a program drives are refused.
                "--disable-blink-features=AutomationControlled",
            ],
        )
        yield browser
        browser.close()


def watched(page: Page) -> list[str]:
    """Collect what the browser complains about."""
    complaints: list[str] = []
    page.on("console", lambda told: complaints.append(f"{told.text} {told.location}") if told.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def log_in(page: Page, email: str, password: str) -> None:
    """Fill in the form that is shown."""
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


@contextmanager
def logged_in(browser: Browser, url: str, email: str, password: str) -> Iterator[tuple[Page, list[str]]]:
    """Give a page of somebody who is logged in, and what it complains about."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints = watched(page)
    page.goto(url)
    log_in(page, email, password)
    page.wait_for_url(f"{url}/")
    yield page, complaints
    context.close()
