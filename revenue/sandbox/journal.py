"""The sandbox's memory between two runs: a file with one JSON document per act, in order.

An act is written whole in one line, so after a crash it has either happened or not.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def replay(path: Path) -> Iterator[dict[str, Any]]:
    """Yield all that was written. A last line cut off is removed; any other damage is an error."""
    whole = 0
    path.touch(mode=0o600)
    with path.open("r+b") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)
                whole += len(line)
        file.truncate(whole)


class Journal:
    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def append(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()
