"""The tracker as a site's pages load it: one file with the site's choices and the visitor's variants inside.

static/js/tracker.js is the source; what is served are the two files that tests.benchmarks.script_size makes of it.
"""

import functools
import json
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from sites.models import Site
from tracking.models import Intake

# What counts of an address, as a regular expression of JavaScript: all before the #, or the #/route of an app too.
ADDRESS = "[^#]*"
ADDRESS_WITH_ROUTE = "[^#]*(#!?/.*)?"


@functools.cache
def _minified(name: str) -> tuple[str, str]:
    before, _, after = Path(settings.BASE_DIR, "static/js", name).read_text().rpartition("CONFIG")
    return before, after


def script(site_key: str, tests: Sequence[dict[str, object]], has_hash_routes: bool = False) -> str:
    """Give the script. `tests` are {"key", "path", "selector", "name", "variant", "text"}, one per running test."""
    config: dict[str, object] = {"site": site_key, "url": ADDRESS_WITH_ROUTE if has_hash_routes else ADDRESS}
    if tests:
        config["tests"] = list(tests)
    before, after = _minified("tracker-with-tests.min.js" if tests else "tracker.min.js")
    return before + json.dumps(config, separators=(",", ":")) + after


def has_hash_routes(site: Site) -> bool:
    return Intake.objects.filter(site=site, has_hash_routes=True).exists()
