import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.drills.rig import rig, under_load
from tests.tracking.load import Load, more

pytestmark = pytest.mark.nightly
HOUR = 3600


@dataclass(frozen=True)
class Clock:
    """A clock that can be set, of the processes that have these variables. The database's and Stripe's stay right."""

    file: Path
    variables: dict[str, str]

    def set(self, seconds: int) -> None:
        """Set it ahead of what is right, or back."""
        with self.file.open("r+b", buffering=0) as file:
            file.write(seconds.to_bytes(8, "little", signed=True))


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler: apt-get install gcc libc6-dev")
    library, file = tmp_path / "clock.so", tmp_path / "clock"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    file.write_bytes(bytes(8))
    return Clock(file, {"LD_PRELOAD": str(library), "CLOCK": str(file)})


def test_a_clock_that_is_set_an_hour_ahead_and_back_stops_neither_hits_nor_the_reading_of_stripe(
    tmp_path: Path, clock: Clock, tell: Callable[[str], None]
) -> None:
    with rig(tmp_path) as installation:
        installation.start_web(**clock.variables)
        installation.start_worker(**clock.variables)

        async def story(load: Load) -> None:
            await more(load)
            await installation.sell_and_wait()
            for seconds in (HOUR, 0, -HOUR, 0):
                clock.set(seconds)
                await more(load)
                await installation.sell_and_wait()

        load = installation.load()
        tell(under_load(load, story))
        assert set(load.statuses) == {202}
        installation.compare(load)
        with installation.connect() as database:
            counted = "SELECT count(*) FROM tracking_visit WHERE last_at < started_at"
            assert database.execute(counted).fetchone() == (0,)
