"""The sandbox's memory between two runs: a file with one JSON document per act, in order."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """An act is written whole in one line, so after a crash it has either happened or not."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab")

    def replay(self) -> Iterator[dict[str, Any]]:
        """Yield all that was written. A last line cut off is dropped; any other damage is an error."""
        whole = 0
        with self._path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)
                    whole += len(line)
        self._file.truncate(whole)

    def append(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()
