"""The worker's queue as files, where there is no Redis: a message is either there as a whole or not at all.

Kombu's own file transport writes a message where it is read. A worker that looked in between found half of one and
ended.
"""

import os
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]
        # Messages are read in the order of their names; one whose name begins with a dot is not read.
        name = f"{time.monotonic_ns():020}_{uuid.uuid4()}.{queue}.msg"
        whole = Path(self.data_folder_out, name)
        part = whole.with_name(f".{name}")
        part.write_text(dumps(payload))  # type: ignore[no-untyped-call]
        os.replace(part, whole)


class Transport(filesystem.Transport):
    Channel = Channel
