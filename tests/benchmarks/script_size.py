"""How large the tracker is: `uv run --group dev python -m tests.benchmarks.script_size [--write]`.

With --write it first makes the minified files anew from static/js/tracker.js and picker.js.
"""

import argparse
import gzip
import re
from pathlib import Path

import minify

FOLDER = Path(__file__).parents[2] / "static/js"
SOURCE = FOLDER / "tracker.js"
PART = re.compile(r"^ *// #(\w+)\n(.*?)^ *// #end\n", re.DOTALL | re.MULTILINE)
# The parts of the source that each file has.
FILES = {
    "tracker.min.js": {"hits"},
    "tracker-with-tests.min.js": {"hits", "tests"},
    "tracker-preview.min.js": {"tests", "preview"},
}
# As a site without tests or #/routes has it.
CONFIG = '{"site":"abcdefghjkmn","url":"[^#]*"}'


def minified() -> dict[str, str]:
    """Give the text of each minified file by its name."""
    source = SOURCE.read_text()
    texts = {name: part(source, parts) for name, parts in FILES.items()}
    texts["picker.min.js"] = (FOLDER / "picker.js").read_text()
    return {name: minify.string("text/javascript", text) + "\n" for name, text in texts.items()}


def part(source: str, parts: set[str]) -> str:
    """Give the source without the lines of other parts."""
    return PART.sub(lambda found: found[2] if found[1] in parts else "", source)


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
