import json as json_format
import sys
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from sites.forgetting import forget
from sites.models import Site
from tracking.prune import Pruned, prune

IN_PART = 3


class Command(BaseCommand):
    help = (
        "Delete what single visitors did longer ago than RETENTION_MONTHS; the dashboard's counts and revenue stay. "
        "The worker does it every day. Exit status: 0 done, 1 failed, 3 some days wait to be counted first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="write JSON")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        months, now = settings.RETENTION_MONTHS, timezone.now()
        forget(now)
        sites = Site.objects.order_by("domain") if months else Site.objects.none()
        done = {site.domain: prune(site, now, months) for site in sites}
        if json:
            rows = [{"site": domain, **asdict(pruned)} for domain, pruned in done.items()]
            self.stdout.write(json_format.dumps({"months": months, "sites": rows}, default=str))
        elif not months:
            self.stdout.write("RETENTION_MONTHS is 0: nothing is ever deleted.")
        else:
            self.stdout.write("\n".join(_sentence(domain, pruned) for domain, pruned in done.items()))
        if any(pruned.is_held_back for pruned in done.values()):
            sys.exit(IN_PART)


def _sentence(domain: str, pruned: Pruned) -> str:
    held_back = ", and waits for older days to be counted" if pruned.is_held_back else ""
    return (
        f"{domain}: before {pruned.before_on}, deleted {pruned.visits} visits, {pruned.views} views, "
        f"{pruned.events} events and {pruned.refusals} counts of refused hits{held_back}."
    )
