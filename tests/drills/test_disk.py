import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.drills.rig import rig, under_load
from tests.tracking.load import Load, more, until

pytestmark = pytest.mark.nightly
SIZE = 256 << 20
CHUNK = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own that is soon full."""
    folder = tmp_path / "var"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", folder], check=False)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here: it takes root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte."""
    ballast = folder / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(os.urandom(CHUNK))
    return ballast


def test_a_full_disk_refuses_hits_by_name_and_takes_them_again_as_soon_as_there_is_room(
    tmp_path: Path, small_disk: Path, tell: Callable[[str], None]
) -> None:
    with rig(tmp_path) as installation:
        installation.start_web()
        installation.start_worker()

        async def story(load: Load) -> None:
            await more(load)
            await installation.sell_and_wait()
            ballast = await asyncio.to_thread(fill, small_disk)
            refused = load.statuses[503]
            await until(lambda: load.statuses[503] > refused + 100)
            installation.sell()
            ballast.unlink()
            await more(load)
            await installation.sell_and_wait()

        load = installation.load()
        tell(under_load(load, story))
        assert set(load.statuses) == {202, 503}
        installation.compare(load)
