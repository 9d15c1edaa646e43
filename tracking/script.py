"""The tracker as a site's pages load it: one file with the site's key and the visitor's variants inside."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings


@functools.cache
def _source() -> tuple[str, str]:
    before, _, after = Path(settings.BASE_DIR, "static/js/tracker.js").read_text().rpartition("CONFIG")
    return before, after


def script(site_key: str, tests: Sequence[dict[str, object]]) -> str:
    """Give the script. `tests` are {"key", "path", "selector", "name", "variant", "text"}, one per running test."""
    before, after = _source()
    return before + json.dumps({"site": site_key, "tests": list(tests)}, separators=(",", ":")) + after
