import datetime as dt
import json
import sys
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from revenue.alerts import send_alerts
from revenue.models import Connection
from revenue.sync import LockedError, Report, sync
from sites.models import Site
from sites.periods import midnight

DONE, FAILED, USAGE, IN_PART, LOCKED = range(5)


class Command(BaseCommand):
    help = (
        "Read what is new at Stripe for the given sites, or for all. Needs neither a worker nor Redis. Exit status: "
        "0 done, 1 failed, 2 wrong usage, 3 done in part or something does not add up, 4 another run is reading the "
        "account."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domains", nargs="*", metavar="DOMAIN")
        parser.add_argument("--full", action="store_true", help="Read the whole history, not just what is new.")
        parser.add_argument("--since", metavar="DATE", help="Read all from that day on again, such as 2026-01-31.")
        parser.add_argument("--verify", action="store_true", help="Prove that the ledger is what Stripe's balance is.")
        parser.add_argument("--json", action="store_true", help="Write the report as JSON.")

    def handle(self, *args: Any, domains: list[str], full: bool, verify: bool, json: bool, **options: Any) -> None:
        since = None if options["since"] is None else _day(options["since"])
        if full and since:
            raise CommandError("--full reads everything: leave --since out, or --full.", returncode=USAGE)
        reports: list[Report] = []
        outcomes: set[int] = set()
        for connection in _connections(domains):
            name = f"{connection.site.domain} {connection.account.acct_id}"
            try:
                report = sync(
                    connection,
                    timezone.now(),
                    drain=True,
                    full=full or since is not None,
                    since=midnight(since, connection.site.zone) if since else None,
                    is_verified=verify,
                    progress=self._progress(name),
                )
            except LockedError:
                outcomes.add(LOCKED)
                self.stderr.write(f"{name}: another run is reading this account.")
            else:
                for each in report.differences or ():
                    lead = "is waited for" if each.is_waiting else "does not add up"
                    self.stderr.write(f"{name} {lead}: {each.kind.label}: {each.subject} ({each.detail})")
                outcomes.add(_outcome(report))
                reports.append(report)
        # Where no worker runs, nobody else would tell.
        send_alerts(timezone.now())
        self._write(reports, json)
        status = outcomes.pop() if len(outcomes) == 1 else IN_PART if outcomes else DONE
        if status != DONE:
            sys.exit(status)

    def _progress(self, name: str) -> Callable[[str], None]:
        return lambda text: self.stderr.write(f"{name} {text}")

    def _write(self, reports: list[Report], as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"sites": [report.as_json() for report in reports]}, indent=2))
            return
        for report in reports:
            self.stdout.write(_line(report))


def _outcome(report: Report) -> int:
    if report.is_in_part or any(not each.is_waiting for each in report.differences or ()):
        return IN_PART
    return FAILED if report.error else DONE


def _day(text: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"--since {text}: a date is written like 2026-01-31.", returncode=USAGE) from error
    if day > timezone.now().date():
        raise CommandError(f"--since {text}: that day is still to come.", returncode=USAGE)
    return day


def _connections(domains: list[str]) -> list[Connection]:
    """The connections of these sites, or all. Raise CommandError for a site that is not there or not connected."""
    connections = (
        Connection.objects.exclude(sealed_key="").select_related("site", "account").order_by("site__domain", "pk")
    )
    if not domains:
        return list(connections)
    wanted = list(connections.filter(site__domain__in=domains))
    for domain in set(domains) - {connection.site.domain for connection in wanted}:
        if not Site.objects.filter(domain=domain).exists():
            raise CommandError(f"There is no site {domain}.", returncode=USAGE)
        raise CommandError(f"{domain} is not connected to Stripe: manage.py connect_stripe {domain}", returncode=USAGE)
    return wanted


def _line(report: Report) -> str:
    changes = sum(tally.new + tally.changed for tally in report.objects.values())
    done = f"{changes} objects new or changed, {report.attributed} of {report.payments} payments attributed"
    if report.differences == ():
        done += ", and everything adds up"
    state = report.error.removesuffix(".") or report.status
    return f"{report.site} {report.account} ({report.mode}): {state}; {done}."
