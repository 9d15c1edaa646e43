"""Addresses that show one variant of a test to whoever opens them, be the test running or not.

Such an address carries a signed token that names the test and the variant. It is good for a day, counts for nothing,
and tells nothing but two numbers.
"""

import datetime as dt

from django.core import signing
from django.utils import timezone

from splittests.models import SplitTest, Variant
from splittests.traffic import page_address

PARAMETER = "humblytics_preview"
GOOD_FOR = dt.timedelta(hours=24)
SALT = "splittests.preview"


def preview_token(test: SplitTest, variant: Variant) -> str:
    return signing.dumps([test.pk, variant.pk], salt=SALT)


def previewed(token: str) -> tuple[int, int] | None:
    """Give the ids of the test and the variant that a token names; None if it is none, or too old."""
    try:
        test_id, variant_id = signing.loads(token, salt=SALT, max_age=GOOD_FOR)
    except (signing.BadSignature, ValueError):
        return None
    return test_id, variant_id


def preview_url(test: SplitTest, variant: Variant) -> str:
    """Give the address of one of the test's pages that shows the variant."""
    page = page_address(test.site, test.rules, timezone.now())
    return f"{page}{'&' if '?' in page else '?'}{PARAMETER}={preview_token(test, variant)}"
