from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.tracking.customer import Customer, serving


@pytest.fixture
def customer() -> Iterator[Customer]:
    with serving() as site:
        yield site


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must not see an error, whatever happens to the script."""
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors
