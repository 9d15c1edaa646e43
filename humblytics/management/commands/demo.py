import argparse
import os
import signal
import sys
import threading
from contextlib import closing
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.utils import timezone

from humblytics.demo import building, processes, shop
from humblytics.demo.goods import DOMAIN
from revenue.sandbox.http import SandboxServer, serve
from revenue.sandbox.world import World
from revenue.secrecy import Secret
from sites.models import Site
from sites.script_tag import script_tag

READY = """
Humblytics is running.

    Dashboard   {web}/{domain}/
    Log in as   {email}   password   {password}
    The shop    http://{domain}:{shop_port}/     buy something, then look at the Revenue tab
    Stripe      {stripe}     a sandbox: its test key is {key}
    Logs        {logs}

Press Ctrl-C to stop. The next start finds all of it again; delete {var} to begin anew.
"""


class Command(BaseCommand):
    help = (
        "Run everything on this machine: dashboard, worker, a sandbox Stripe, and a shop with six weeks of history. "
        "Needs no PostgreSQL, no Redis and no setting."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, default=8000, help="Port of the dashboard; the shop and Stripe use the two after it."
        )

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        web, shop_port, stripe_port = f"http://localhost:{port}", port + 1, port + 2
        stripe = f"http://127.0.0.1:{stripe_port}"
        if stripe != settings.STRIPE_API_BASE or web != settings.BASE_URL:
            # Settings are read once, so the command begins again with the demo's own.
            os.environ.update(STRIPE_API_BASE=stripe, BASE_URL=web)
            os.execv(sys.executable, [sys.executable, *sys.argv])
        stopping = threading.Event()
        for asked in (signal.SIGINT, signal.SIGTERM):
            signal.signal(asked, lambda signum, frame: _stop(stopping, signum, frame))
        try:
            for number in (port, shop_port, stripe_port):
                processes.require_free(number)
            self._run(web, port, shop_port, stripe_port, stopping)
        except (processes.ProcessError, building.BuildingError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or settings.VAR_DIR}: {error.strerror or error}.") from error
        except KeyboardInterrupt:
            self._say("Stopped.")

    def _run(self, web: str, port: int, shop_port: int, stripe_port: int, stopping: threading.Event) -> None:
        folder = settings.VAR_DIR / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        self._say("Preparing the database …")
        call_command("migrate", verbosity=0)
        journal, is_built = folder / "stripe.jsonl", folder / "is-built"
        if journal.exists() and not is_built.exists():
            with closing(World.open(journal)) as unfinished:
                building.discard(unfinished)
            journal.unlink()
        with closing(World.open(journal)) as world, serve(world, port=stripe_port) as stripe:
            if not is_built.exists():
                building.build(world, timezone.now(), self._progress)
                is_built.touch()
            self._serve(web, port, shop_port, stripe, stopping)

    def _serve(self, web: str, port: int, shop_port: int, stripe: SandboxServer, stopping: threading.Event) -> None:
        self._say("Starting the servers …")
        site = Site.objects.get(domain=DOMAIN)
        shop_server = shop.serve(
            shop.Shop(script_tag(site), stripe.url, Secret(building.SECRET_KEY), f"http://{DOMAIN}:{shop_port}"),
            shop_port,
        )
        logs = settings.VAR_DIR / "log"
        running: list[processes.Running] = []
        try:
            running.append(processes.start("web", processes.web(port), os.environ, logs))
            running.append(processes.start("worker", processes.worker(settings.VAR_DIR), os.environ, logs))
            processes.wait_until_answers(f"{web}/healthz", running[0])
            self.stdout.write(
                READY.format(
                    web=web,
                    domain=DOMAIN,
                    email=building.EMAIL,
                    password=building.PASSWORD,
                    shop_port=shop_port,
                    stripe=stripe.url,
                    key=building.SECRET_KEY,
                    logs=logs,
                    var=settings.VAR_DIR,
                )
            )
            self.stdout.flush()
            while not stopping.wait(1):
                processes.require_alive(running)
            self._say("Stopping …")
        finally:
            processes.stop(running)
            shop_server.shutdown()
            shop_server.server_close()
        self._say("Stopped.")

    def _progress(self, percent: int) -> None:
        if sys.stderr.isatty():
            self._say(f"Letting six weeks pass in the shop … {percent} %", ending="\n" if percent == 100 else "\r")
        elif percent % 20 == 0:
            self._say(f"Letting six weeks pass in the shop … {percent} %")

    def _say(self, text: str, ending: str = "\n") -> None:
        self.stderr.write(text, ending=ending)
        self.stderr.flush()


def _stop(stopping: threading.Event, signum: int, frame: FrameType | None) -> None:
    if stopping.is_set() or signum == signal.SIGINT:
        # While it sets up there is no loop to notice the event: the exception unwinds everything in order.
        stopping.set()
        raise KeyboardInterrupt
    stopping.set()
