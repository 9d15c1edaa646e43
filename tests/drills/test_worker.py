import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from revenue.sync import LOCK
from tests.drills.rig import Rig, rig, under_load
from tests.tracking.load import Load, more, until

pytestmark = pytest.mark.nightly
ENDING_SECONDS = 60


def is_reading(installation: Rig) -> bool:
    """Tell whether an account is being read just now."""
    with installation.connect() as database:
        query = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND granted"
        return database.execute(query, [LOCK]).fetchone() is not None


def test_a_worker_killed_while_it_reads_stripe_is_followed_by_one_that_goes_on(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    """Statement by statement, tests/revenue/test_crashes.py does the same; here it is Celery's own processes."""
    with rig(tmp_path) as installation:
        installation.start_web()
        installation.start_worker()
        installation.sandbox.latency = 0.3

        async def story(load: Load) -> None:
            await more(load)
            await installation.sell_and_wait()
            for is_killed_whole in (False, True):
                (worker,) = (each for each in installation.running if each.name == "worker")
                installation.sell()
                await until(lambda: is_reading(installation))
                if is_killed_whole:
                    # As when the machine is out of memory.
                    os.killpg(worker.process.pid, signal.SIGKILL)
                else:
                    # Its beat and its pool: it ends by itself, because without a beat nothing would be read.
                    for child in psutil.Process(worker.process.pid).children():
                        child.kill()
                await asyncio.to_thread(worker.process.wait, ENDING_SECONDS)
                # As systemd or Docker would.
                installation.stop(worker)
                installation.start_worker()
                await installation.sell_and_wait()

        load = installation.load()
        tell(under_load(load, story))
        assert set(load.statuses) == {202}
        installation.compare(load)
