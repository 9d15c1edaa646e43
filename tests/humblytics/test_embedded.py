"""The embedded PostgreSQL, by processes that come and go."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

CONNECT = [sys.executable, "manage.py", "migrate", "--plan"]


def manage(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    passed_on = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        command, env=passed_on | {"VAR_DIR": str(folder)}, capture_output=True, text=True, timeout=60, check=False
    )


def server_of(folder: Path) -> list[psutil.Process]:
    # Its own processes carry the folder in their command line only when they are the postmaster.
    return [process for process in psutil.process_iter() if f"{folder}/postgres" in _command(process)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_it_stops_with_the_last_process_that_uses_it(tmp_path: Path) -> None:
    assert manage(tmp_path, *CONNECT).returncode == 0
    assert (tmp_path / "postgres" / "PG_VERSION").exists()
    assert server_of(tmp_path) == []


@pytest.mark.parametrize("left", ["{pid}\n/somewhere\n", "", "12"])
def test_a_stale_pid_file_harms_nobody(tmp_path: Path, left: str) -> None:
    assert manage(tmp_path, *CONNECT).returncode == 0
    with subprocess.Popen(["sleep", "60"]) as bystander:
        (tmp_path / "postgres" / "postmaster.pid").write_text(left.format(pid=bystander.pid))
        assert manage(tmp_path, *CONNECT).returncode == 0
        assert bystander.poll() is None
        bystander.kill()
    assert server_of(tmp_path) == []


def test_a_server_that_died_is_started_again(tmp_path: Path) -> None:
    code = """
import os, signal, time, django, psutil
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT 1")
from humblytics import embedded
(server,) = embedded._servers.values()
process = server.get_postmaster_info().process
for each in [process, *process.children()]:
    each.kill()
process.wait()
connection.close()
with connection.cursor() as cursor:
    cursor.execute("SELECT 2")
    print(cursor.fetchone())
"""
    os.environ["DJANGO_SETTINGS_MODULE"] = "humblytics.settings"
    done = manage(tmp_path, sys.executable, "-c", code)
    assert done.stdout == "(2,)\n", done.stderr
    assert server_of(tmp_path) == []


def test_several_threads_that_miss_it_start_it_once(tmp_path: Path) -> None:
    code = """
import django, sys
django.setup()
sys.setswitchinterval(1e-6)
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from django.db import connection
from humblytics import embedded
data = Path(connection.settings_dict["DATA_FOLDER"])
embedded.socket_folder(data)
for _ in range(3):
    (server,) = embedded._servers.values()
    process = server.get_postmaster_info().process
    for each in [process, *process.children()]:
        each.kill()
    process.wait()
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(embedded.socket_folder, [data] * 8))
    assert len(found) == 1, found
print("once")
"""
    os.environ["DJANGO_SETTINGS_MODULE"] = "humblytics.settings"
    done = manage(tmp_path, sys.executable, "-c", code)
    assert done.stdout == "once\n", done.stderr
    assert server_of(tmp_path) == []
