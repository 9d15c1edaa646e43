"""How large the tracker is: `uv run --group dev python -m tests.benchmarks.script_size [--write]`.

With --write it first makes the minified files anew from static/js/tracker.js.
"""

import argparse
import gzip
import re
from pathlib import Path

import minify

FOLDER = Path(__file__).parents[2] / "static/js"
SOURCE = FOLDER / "tracker.js"
PART_FOR_TESTS = re.compile(r"^ *// #tests\n.*?^ *// #end\n", re.DOTALL | re.MULTILINE)
# As a site without tests or #/routes has it.
CONFIG = '{"site":"abcdefghjkmn","url":"[^#]*"}'


def minified() -> dict[str, str]:
    """Give the text of each minified file by its name."""
    source = SOURCE.read_text()
    return {
        "tracker.min.js": minify.string("text/javascript", PART_FOR_TESTS.sub("", source)) + "\n",
        "tracker-with-tests.min.js": minify.string("text/javascript", source) + "\n",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="make the minified files anew")
    should_write = parser.parse_args().write
    for name, text in minified().items():
        if should_write:
            (FOLDER / name).write_text(text)
        served = (FOLDER / name).read_text().replace("CONFIG", CONFIG).encode()
        print(f"{name}: {len(served):,} bytes, {len(gzip.compress(served, 9)):,} gzipped")  # noqa: T201


if __name__ == "__main__":
    main()
