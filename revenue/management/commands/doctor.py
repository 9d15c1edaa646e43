import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from revenue.facts import gather
from revenue.health import Cause, Level, judge
from sites.models import Site

DONE, FAILED, USAGE, FOUND = range(4)


class Command(BaseCommand):
    help = (
        "Say why a site's revenue does not show up, or is not credited to visits, and what to do. Exit status: 0 "
        "nothing stands in the way, 1 failed, 2 wrong usage, 3 something does."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain", metavar="DOMAIN")
        parser.add_argument("--json", action="store_true", help="Write what was found as JSON.")

    def handle(self, *args: Any, domain: str, **options: Any) -> None:
        site = Site.objects.filter(domain=domain).first()
        if site is None:
            raise CommandError(f"There is no site {domain}.", returncode=USAGE)
        causes = judge(gather(site, timezone.now()))
        is_well = all(cause.level == Level.NOTE for cause in causes)
        if options["json"]:
            found = [asdict(cause) | {"level": cause.level.word.lower()} for cause in causes]
            self.stdout.write(json.dumps({"site": domain, "is_well": is_well, "causes": found}, indent=2))
        else:
            self.stdout.write("\n".join(map(_told, causes)) or f"{domain}: nothing stands in the way of its revenue.")
        if not is_well:
            sys.exit(FOUND)


def _told(cause: Cause) -> str:
    account = f" ({cause.account})" if cause.account else ""
    return f"{cause.level.word}{account}: {cause.sentence}\n    {cause.fix}"
