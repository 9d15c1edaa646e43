from collections.abc import Callable
from pathlib import Path

import pytest
import redis as client

from tests.drills.rig import Redis, rig, under_load
from tests.tracking.load import Load, more

pytestmark = pytest.mark.nightly


def test_redis_that_is_away_at_the_start_killed_and_emptied_keeps_nothing_up(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    redis = Redis(tmp_path)
    with rig(tmp_path, redis=redis) as installation:
        installation.start_web()
        installation.start_worker()

        async def story(load: Load) -> None:
            await more(load)
            redis.start()
            await installation.sell_and_wait()
            redis.kill()
            installation.sell()
            await more(load)
            redis.start()
            # Finds the sale of the time without it, too.
            await installation.sell_and_wait()
            with client.Redis.from_url(redis.url) as emptied:
                emptied.flushall()
            await installation.sell_and_wait()
            await more(load)

        load = installation.load()
        tell(under_load(load, story))
        # Hits do not need it.
        assert set(load.statuses) == {202}
        installation.compare(load)
