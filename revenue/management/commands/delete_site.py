import json as json_format
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from revenue import forgetting
from sites.audit import COMMAND_LINE
from sites.deletion import erase, remove
from sites.models import Site, SiteDeletion

FAILED, USAGE = 1, 2


class Command(BaseCommand):
    help = (
        "Delete a site with all that was counted and read for it, for good. Can be stopped at any moment; run again, "
        "it goes on, and so does the worker. Exit status: 0 done, 1 not confirmed, 2 wrong usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain", metavar="DOMAIN")
        parser.add_argument("--yes", action="store_true", help="do not ask for the domain once more")
        parser.add_argument("--json", action="store_true", help="write JSON")

    def handle(self, *args: Any, domain: str, yes: bool, json: bool, **options: Any) -> None:
        site = Site.objects.filter(domain=domain).first()
        if site is None and not SiteDeletion.objects.filter(domain=domain).exists():
            raise CommandError(f"There is no site {domain}.", returncode=USAGE)
        if site:
            if not yes and self.typed(domain) != domain:
                raise CommandError(f"That is not {domain}: nothing was deleted.", returncode=FAILED)
            remove(site, COMMAND_LINE, timezone.now())
        # What a site of this domain left that was deleted before, too.
        rows = sum(erase(deletion, timezone.now()) for deletion in SiteDeletion.objects.filter(domain=domain))
        rows += forgetting.forget(timezone.now())
        if json:
            self.stdout.write(json_format.dumps({"site": domain, "rows": rows}))
        else:
            self.stdout.write(f"{domain} is deleted, with {rows:,} rows of what was counted and read for it.")

    def typed(self, domain: str) -> str:
        self.stderr.write(f"All that was counted and read for {domain} will be deleted for good. Type the domain:")
        try:
            return input().strip()
        except EOFError:
            return ""
