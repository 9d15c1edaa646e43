import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.drills.rig import rig, under_load
from tests.tracking.load import LOST, Load, more

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize("more_options", [[], ["--workers", "2"]], ids=["one process", "two processes"])
def test_a_server_that_is_stopped_answers_every_hit_that_it_writes(
    tmp_path: Path, tell: Callable[[str], None], more_options: list[str]
) -> None:
    with rig(tmp_path) as installation:
        installation.start_web(*more_options)

        async def story(load: Load) -> None:
            for _ in range(3):
                await more(load)
                (server,) = installation.running
                server.process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(server.process.wait)
                installation.stop(server)
                await asyncio.to_thread(installation.start_web, *more_options)
            await more(load)

        load = installation.load()
        tell(under_load(load, story))
        # Where nobody listens, nobody answers; nobody is answered wrongly.
        assert set(load.statuses) == {202, LOST}
        installation.compare(load)
        with installation.connect() as database:
            kept = {view for (view,) in database.execute("SELECT id FROM tracking_view")}
        assert kept == set(load.acknowledged)
