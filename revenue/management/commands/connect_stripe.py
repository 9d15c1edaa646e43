import getpass
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from revenue.connecting import ConnectError, connect, described
from revenue.stripe_client import KeyShapeError
from sites import audit
from sites.models import Site


class Command(BaseCommand):
    help = (
        "Connect a site to a Stripe account. The key is read from standard input, or from a file: on the command "
        "line it would be seen by everybody on the machine."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain")
        parser.add_argument("--key-file", type=Path, help="A file with nothing but the key in it.")

    def handle(self, *args: Any, domain: str, key_file: Path | None, **options: Any) -> None:
        site = Site.objects.filter(domain=domain).first()
        if site is None:
            raise CommandError(f"There is no site {domain}. Add it first: manage.py add_site {domain}", returncode=2)
        try:
            connection = connect(site, self._key(key_file), timezone.now())
        except OSError as error:
            raise CommandError(f"Cannot read {key_file}: {error.strerror}", returncode=2) from error
        except KeyShapeError as error:
            raise CommandError(str(error), returncode=2) from error
        except ConnectError as error:
            raise CommandError(str(error)) from error
        audit.note(audit.COMMAND_LINE, audit.Action.KEY_SET, site, described(connection))
        self.stdout.write(
            f"{domain} is connected to Stripe account {connection.account}. Next: manage.py sync_revenue {domain}"
        )

    def _key(self, key_file: Path | None) -> str:
        if key_file:
            return key_file.read_text(encoding="utf-8", errors="replace")
        if sys.stdin.isatty():
            return getpass.getpass("Stripe key (not shown): ")
        return sys.stdin.read()
