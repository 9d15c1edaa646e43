import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.drills.rig import Postgres, rig, under_load
from tests.tracking.load import Load, more, until

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_database_that_is_stopped_and_started_under_load_loses_nothing_acknowledged(
    tmp_path: Path, tell: Callable[[str], None], mode: str
) -> None:
    postgres = Postgres(tmp_path / "postgres")
    with rig(tmp_path, postgres=postgres) as installation:
        installation.start_web()
        installation.start_worker()

        async def story(load: Load) -> None:
            await more(load)
            await installation.sell_and_wait()
            for _ in range(2):
                refused = load.statuses[503]
                await asyncio.to_thread(postgres.stop, mode)
                await until(lambda: load.statuses[503] > refused)  # noqa: B023  looked at before the next turn
                installation.sell()
                await asyncio.to_thread(postgres.start)
                await more(load)
                await installation.sell_and_wait()

        load = installation.load()
        tell(under_load(load, story))
        assert set(load.statuses) == {202, 503}
        installation.compare(load)
