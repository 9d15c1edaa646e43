"""Whether the readings of split tests keep their promises on a site's own visitors and orders."""

import datetime as dt
import json
import sys
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from sites.models import Site
from sites.periods import Period
from splittests.calibration import Calibration, Day, Rate, calibrate
from splittests.forms import default_currency
from splittests.history import days_of
from splittests.inference import LEAST_CONVERSIONS

USAGE, DIFFERS = 2, 3
# An A/A replay whose arms never have enough buyers to be read shows nothing.
LEAST_BUYERS = 4 * LEAST_CONVERSIONS


class Command(BaseCommand):
    help = (
        "Give a site's visitors of the last days, with what they really brought, one of two arms at random, again and "
        "again, and count how often the readings of split tests find a difference where there is none. Exit status: "
        "0 done, 1 failed, 2 wrong usage, 3 a reading is wrong more often than it promises."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain", metavar="DOMAIN")
        parser.add_argument("--days", type=int, default=60, help="Up to yesterday; 60 unless told.")
        parser.add_argument(
            "--currency", help="Whose orders count, such as eur; what most is paid in lately unless told."
        )
        parser.add_argument("--replays", type=int, default=1000)
        parser.add_argument("--splits", type=int, default=20_000, help="For the check of the visitors' split alone.")
        parser.add_argument("--seed", type=int, default=1, help="Another one deals in another way.")
        parser.add_argument("--json", action="store_true", help="Write JSON.")

    def handle(self, *args: Any, domain: str, json: bool, **options: Any) -> None:
        site = Site.objects.filter(domain=domain).first()
        if site is None:
            raise CommandError(f"There is no site {domain}.", returncode=USAGE)
        if min(options[name] for name in ("days", "replays", "splits")) < 1:
            raise CommandError("--days, --replays and --splits are at least 1.", returncode=USAGE)
        now = timezone.now()
        yesterday = now.astimezone(site.zone).date() - dt.timedelta(days=1)
        period = Period(yesterday - dt.timedelta(days=options["days"] - 1), yesterday, site.zone)
        currency = (options["currency"] or default_currency(site, now)).lower()
        days = days_of(site, period, currency)
        buyers = sum(len(day.totals) for day in days)
        if buyers < LEAST_BUYERS:
            raise CommandError(
                f"{domain} had {buyers} buyers in {currency.upper()} from {period.first_on} to {period.last_on}, and "
                f"at least {LEAST_BUYERS} are needed. Try more --days."
            )
        visitors = sum(day.visitors for day in days)
        found = calibrate(days, options["replays"], options["splits"], visitors, Random(options["seed"]))
        self.stdout.write(_as_json(site, period, currency, days, found) if json else "\n".join(_as_text(days, found)))
        if not found.is_kept:
            sys.exit(DIFFERS)


def _as_json(site: Site, period: Period, currency: str, days: Sequence[Day], found: Calibration) -> str:
    rates = ("false_alarms", "rash_alarms", "covered", "ratio_alarms")
    report = {
        "site": site.domain,
        "from": period.first_on.isoformat(),
        "to": period.last_on.isoformat(),
        "currency": currency.upper(),
        "visitors": sum(day.visitors for day in days),
        "buyers": sum(len(day.totals) for day in days),
        **{name: _rate(getattr(found, name)) for name in rates},
        "is_kept": found.is_kept,
    }
    return json.dumps(report, indent=2)


def _rate(rate: Rate) -> dict[str, float]:
    share = rate.share
    return {
        "times": rate.times,
        "replays": rate.replays,
        "share": share.estimate,
        "low": share.low,
        "high": share.high,
        "promised": rate.promised,
    }


def _as_text(days: Sequence[Day], found: Calibration) -> Iterator[str]:
    buyers = sum(len(day.totals) for day in days)
    yield f"{sum(day.visitors for day in days):,} visitors, {buyers:,} of them buyers, on {len(days)} days"
    yield ""
    yield _line("Interval of all looks, looked at daily, finds a difference", found.false_alarms, "at most 5%")
    yield _line("Interval for one look holds the truth on the last day", found.covered, "95%")
    yield _line("Visitors seem to be split unlike the weights", found.ratio_alarms, "0.1%")
    yield _line("For comparison: interval for one look, looked at daily", found.rash_alarms, "nothing")
    yield ""
    yield "All promises are kept." if found.is_kept else "Not all promises are kept."


def _line(what: str, rate: Rate, promised: str) -> str:
    share = rate.share
    measured = f"{share.estimate:7.2%}  ({share.low:.2%} to {share.high:.2%} of {rate.replays:,} replays)"
    return f"{what:<60}{measured}, promised: {promised}"
