import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

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
