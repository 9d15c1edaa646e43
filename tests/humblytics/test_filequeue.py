import os
from collections.abc import Callable
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

from humblytics.celery import app
from humblytics.filequeue import Transport


def test_a_message_is_read_as_a_whole_and_in_order_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {"data_folder_in": tmp_path / "in", "data_folder_out": tmp_path / "in", "control_folder": tmp_path / "c"}
    for folder in folders.values():
        folder.mkdir(exist_ok=True)
    options = {name: str(folder) for name, folder in folders.items()}
    seen_early: list[object] = []
    replace: Callable[[Path, Path], None] = os.replace

    with Connection("filesystem://", transport=Transport, transport_options=options) as connection:
        queue = connection.SimpleQueue("celery")

        def looking_before(part: Path, whole: Path) -> None:
            """Look for messages when one has been written, and is not there yet."""
            try:
                seen_early.append(queue.get(block=False).payload)
            except Empty:
                seen_early.append(None)
            replace(part, whole)

        monkeypatch.setattr(os, "replace", looking_before)
        queue.put({"number": 1})
        monkeypatch.undo()
        for number in (2, 3):
            queue.put({"number": number})
        found = [queue.get(timeout=5) for _ in range(3)]
        for message in found:
            message.ack()

    assert seen_early == [None]
    assert [message.payload["number"] for message in found] == [1, 2, 3]
    assert list(folders["data_folder_in"].iterdir()) == []


def test_the_worker_uses_it_where_there_is_no_redis() -> None:
    if app.conf.broker_url == "filesystem://":
        assert app.connection_for_write().transport_cls == "humblytics.filequeue:Transport"
    else:
        assert app.conf.broker_url.startswith("redis://")
