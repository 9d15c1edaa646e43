"""Addresses that show one variant of a test to whoever opens them, be the test running or not; or let an element be
picked on the site's page.

Such an address carries a signed token that names the test and the variant, or the site. It is good for a day, counts
for nothing, and tells nothing but numbers. The script of the page hands its query on, and is given what it asks for.
"""

import datetime as dt
import re
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.core import signing
from django.utils import timezone

from sites.models import Site
from splittests.models import Kind, SplitTest, Variant
from splittests.running import looked_for
from splittests.traffic import page_address
from tracking.script import Test, picker_script, preview_script

PARAMETER, PICK = "humblytics_preview", "humblytics_pick"
GOOD_FOR = dt.timedelta(hours=24)
SALT, PICK_SALT = "splittests.preview", "splittests.pick"
ASKED = re.compile(rf"(?:^|[?&])({PARAMETER}|{PICK})=([\w:-]+)")
EVERY_PAGE = {"include": [{"path": ""}], "exclude": []}
OVER = "This preview is over. The test’s page in Humblytics leads to a new one."


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
    """Give the address of one of the test's pages that shows the variant, or of the page that the variant is."""
    page = urljoin(page_address(test.site, test.rules, timezone.now()), variant.redirect_url)
    return f"{page}{'&' if '?' in page else '?'}{PARAMETER}={preview_token(test, variant)}"


def pick_token(site: Site) -> str:
    return signing.dumps(site.pk, salt=PICK_SALT)


def script_for(query: str, site_id: int, site_key: str) -> str | None:
    """Give the script that the query of a page's address asks for, None if it asks for nothing of here."""
    asked = ASKED.search(query)
    if asked is None:
        return None
    parameter, token = asked.groups()
    if parameter == PICK:
        return _picker(token, site_id)
    found = previewed(token)
    if found is None:
        return preview_script(site_key, [], OVER)
    tests = SplitTest.objects.filter(pk=found[0], site_id=site_id).prefetch_related("variants")
    variants = [one for test in tests for one in test.variants.all()]
    chosen = next((one for one in variants if one.pk == found[1]), None)
    return preview_script(site_key, _changes(variants, chosen), _note(chosen)) if chosen else ""


def _picker(token: str, site_id: int) -> str:
    try:
        is_for_site = signing.loads(token, salt=PICK_SALT, max_age=GOOD_FOR) == site_id
    except signing.BadSignature:
        return ""
    base = urlsplit(settings.BASE_URL)
    return picker_script(f"{base.scheme}://{base.netloc}") if is_for_site else ""


def _changes(variants: list[Variant], chosen: Variant) -> list[Test]:
    """Give the changes as those of a test on every page: whoever has the link sees them wherever it leads."""
    if chosen.test.kind != Kind.CHANGES:
        return []
    named = {"key": chosen.test.key, "name": chosen.name, "variant": chosen.pk, "pages": EVERY_PAGE}
    return [named | {"find": looked_for([one.changes for one in variants]), "changes": chosen.changes}]


def _note(chosen: Variant) -> str:
    return f"Preview of “{chosen.name}”. Nothing is counted here."
