"""The tracker as a site's pages load it: one file with the site's choices and the visitor's variants inside.

static/js/tracker.js is the source; what is served are the files that tests.benchmarks.script_size makes of it.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from django.conf import settings
from django.db import connection

from tracking.intake import ONE, Rules, read_rules

# What counts of an address, as a regular expression of JavaScript: all before the #, or the #/route of an app too.
ADDRESS = "[^#]*"
ADDRESS_WITH_ROUTE = "[^#]*(#!?/.*)?"

# What the tracker is told of a test: "key", "name" and "variant" (its number) of the visitor's variant, "pages" as
# splittests.pages tells them, and by the kind of the test
#     "find" and "changes": selectors, one of which must be there, and what becomes of the elements,
#     "away", "to" and "sign": the addresses of all variants, the visitor's own ("" for the control), and the word that
#     makes the view there an exposure,
#     or nothing: the page's own code asks.
Test = Mapping[str, object]


@functools.cache
def _minified(name: str) -> tuple[str, str]:
    before, _, after = Path(settings.BASE_DIR, "static/js", name).read_text().rpartition("CONFIG")
    return before, after


def script(site_key: str, tests: Sequence[Test], has_hash_routes: bool = False, must_ask: bool = False) -> str:
    """Give the script. With `must_ask`, it asks by POST, with where the visit comes from, for what else there is."""
    config: dict[str, object] = {"site": site_key, "url": ADDRESS_WITH_ROUTE if has_hash_routes else ADDRESS}
    if tests or must_ask:
        config["tests"] = list(tests)
    if must_ask:
        config["ask"] = 1
    return _with("tracker-with-tests.min.js" if "tests" in config else "tracker.min.js", config)


def preview_script(site_key: str, tests: Sequence[Test], note: str) -> str:
    """Give the script that makes the changes of `tests`, says `note` in a corner of the page, and sends nothing."""
    return _with("tracker-preview.min.js", {"site": site_key, "url": ADDRESS, "tests": list(tests), "note": note})


def picker_script(dashboard: str) -> str:
    """Give the script by which an element of the page is pointed at, for a page of the origin `dashboard`."""
    return _with("picker.min.js", {"dashboard": dashboard})


def _with(name: str, config: Mapping[str, object]) -> str:
    before, after = _minified(name)
    return before + json.dumps(config, separators=(",", ":")) + after


def rules_of(site_key: str) -> Rules | None:
    """Give what the site with this key takes, None if there is no such site."""
    with connection.cursor() as cursor:
        cursor.execute(ONE, [site_key])
        row = cursor.fetchone()
    return read_rules(row[1:]) if row else None
