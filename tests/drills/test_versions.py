import asyncio
import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from tests.drills.rig import rig, under_load
from tests.stack import free_port
from tests.tracking.load import Load, more

pytestmark = pytest.mark.nightly


def git(*command: str) -> bytes:
    done = subprocess.run(["git", *command], cwd=settings.BASE_DIR, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"the history is not there: git {command[0]}")
    return done.stdout


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The code as it was before the newest migration."""
    newest = git("log", "-1", "--diff-filter=A", "--format=%H", "--", "*/migrations/0*.py").decode().strip()
    folder = tmp_path / "before"
    with tarfile.open(fileobj=io.BytesIO(git("archive", f"{newest}~1"))) as packed:
        packed.extractall(folder, filter="data")
    return folder


def test_code_of_before_a_migration_goes_on_beside_that_of_after_it(
    tmp_path: Path, before: Path, tell: Callable[[str], None]
) -> None:
    """As while an update is under way: both take hits and read Stripe, on the tables of the new one."""
    with rig(tmp_path, code=before) as installation:
        old_web, old_worker = installation.start_web(), installation.start_worker()
        old = installation.load()
        installation.port = free_port()
        new = installation.load()

        async def beside(new: Load) -> None:
            await more(new)
            await more(old)
            for _ in range(2):
                await installation.sell_and_wait()
            # What is left of the old version ends, and the new one goes on alone.
            await asyncio.to_thread(installation.stop, old_worker)
            await more(new)
            await installation.sell_and_wait()

        async def story(old: Load) -> None:
            await more(old)
            await installation.sell_and_wait()
            installation.code = None
            await asyncio.to_thread(installation.manage, "migrate", "--verbosity", "0")
            await more(old)
            await installation.sell_and_wait()
            await asyncio.to_thread(installation.start_web)
            await asyncio.to_thread(installation.start_worker)
            await new.during(beside)

        tell(under_load(old, story))
        installation.stop(old_web)
        assert set(old.statuses) == set(new.statuses) == {202}
        installation.compare(old, new)
