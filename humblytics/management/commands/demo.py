import argparse
import os
import secrets
import signal
import sys
import time
from contextlib import closing
from types import FrameType
from typing import Any, NoReturn

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.utils import timezone

from humblytics.demo import building, processes, shop
from humblytics.demo.addresses import RunningError, announced
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
    The shop    {shop}/     buy something, then look at the Revenue tab
    Stripe      {stripe}     a sandbox: its test key is {key}
    Logs        {logs}

Commands such as `manage.py sync_revenue` in another terminal find all of this while it runs.
Press Ctrl-C to stop. The next start finds all of it again; delete {var} to begin anew.
"""


# Ctrl-C, an orderly end, and a terminal that was closed.
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Command(BaseCommand):
    help = (
        "Run everything on this machine: dashboard, worker, a sandbox Stripe, and a shop with nine weeks of history. "
        "Needs no PostgreSQL, no Redis and no setting."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--port",
            type=_first_port,
            default=8000,
            help="Port of the dashboard; the shop and Stripe use the two after it.",
        )

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        web, stripe = f"http://localhost:{port}", f"http://127.0.0.1:{port + 2}"
        if stripe != settings.STRIPE_API_BASE or web != settings.BASE_URL:
            # Settings are read once, so the command begins again with the demo's own.
            for name, value in {"STRIPE_API_BASE": stripe, "BASE_URL": web}.items():
                os.environ[name] = value
                os.environ.pop(f"{name}_FILE", None)
            os.execv(sys.executable, [sys.executable, *sys.argv])
        for asked in STOPS:
            signal.signal(asked, _stop)
        try:
            for number in (port, port + 1, port + 2):
                processes.require_free(number)
            self._run(web, port)
        except (processes.ProcessError, building.BuildingError) as error:
            raise CommandError(str(error)) from error
        except RunningError as error:
            raise CommandError(
                f"Another demo is running with {settings.VAR_DIR}: stop it, or set VAR_DIR to another folder."
            ) from error
        except OSError as error:
            raise CommandError(f"{error.filename or settings.VAR_DIR}: {error.strerror or error}.") from error
        except KeyboardInterrupt:
            self._say("Stopped.")

    def _run(self, web: str, port: int) -> None:
        folder = settings.VAR_DIR / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        shop_address = f"http://{DOMAIN}:{port + 1}"
        addresses = {name: os.environ[name] for name in ("BASE_URL", "STRIPE_API_BASE")}
        with announced(folder, addresses | {"SHOP_URL": shop_address}):
            self._say("Preparing the database …")
            call_command("migrate", verbosity=0)
            journal, is_built = folder / "stripe.jsonl", folder / "is-built"
            if journal.exists() and not (is_built.exists() and Site.objects.filter(domain=DOMAIN).exists()):
                with closing(World.open(journal)) as unfinished:
                    building.discard(unfinished)
                is_built.unlink(missing_ok=True)
                journal.unlink()
            with closing(World.open(journal)) as world, serve(world, port=port + 2) as stripe:
                if not is_built.exists():
                    password = secrets.token_urlsafe(9)
                    building.build(world, timezone.now(), password, self._progress)
                    is_built.touch(mode=0o600)
                    is_built.write_text(password)
                self._serve(web, port, shop_address, stripe, is_built.read_text())

    def _serve(self, web: str, port: int, shop_address: str, stripe: SandboxServer, password: str) -> None:
        """Run the servers until a signal comes, or one of them ends."""
        self._say("Starting the servers …")
        tag = script_tag(Site.objects.get(domain=DOMAIN))
        shop_server = shop.serve(shop.Shop(tag, stripe.url, Secret(building.SECRET_KEY), shop_address), port + 1)
        logs = settings.VAR_DIR / "log"
        running: list[processes.Running] = []
        try:
            running.append(processes.start("web", processes.web(port), os.environ, logs))
            running.append(processes.start("worker", processes.worker(), os.environ, logs))
            processes.wait_until_answers(f"{web}/healthz", running[0])
            self.stdout.write(
                READY.format(
                    web=web,
                    domain=DOMAIN,
                    email=building.EMAIL,
                    password=password,
                    shop=shop_address,
                    stripe=stripe.url,
                    key=building.SECRET_KEY,
                    logs=logs,
                    var=settings.VAR_DIR,
                )
            )
            self.stdout.flush()
            while True:
                time.sleep(1)
                processes.require_alive(running)
        finally:
            _stay()
            self._say("Stopping …")
            processes.stop(running)
            shop_server.shutdown()
            shop_server.server_close()

    def _progress(self, percent: int) -> None:
        if sys.stderr.isatty():
            self._say(f"Letting nine weeks pass in the shop … {percent} %", ending="\n" if percent == 100 else "\r")
        elif percent % 20 == 0:
            self._say(f"Letting nine weeks pass in the shop … {percent} %")

    def _say(self, text: str, ending: str = "\n") -> None:
        self.stderr.write(text, ending=ending)
        self.stderr.flush()


def _first_port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_533:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65533, because the two after it are used too")
    return int(text)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    """Unwind everything in order, wherever it is."""
    _stay()
    raise KeyboardInterrupt


def _stay() -> None:
    """Let no second signal leave half of it running."""
    for asked in STOPS:
        signal.signal(asked, signal.SIG_IGN)
