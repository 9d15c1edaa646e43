"""What a site earned, for the command line and for other programs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from revenue import stats
from revenue.attribution import Model
from revenue.kinds import KINDS
from revenue.money import format_money
from revenue.report import earned, paid
from sites import periods
from sites.models import Site
from sites.periods import Period, PeriodError
from tracking.counting import Asked, ask

MODEL = Model.LAST_NON_DIRECT
USAGE = 2
MONEY = ("gross", "refunded", "disputed", "fees", "net")


class Command(BaseCommand):
    help = (
        "Report what a site earned. Days are days of the site's time zone, and each movement counts on the day it "
        "happened. Exit status: 0 done, 1 failed, 2 wrong usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain", metavar="DOMAIN")
        parser.add_argument("--from", dest="first", metavar="DAY", help="Such as 2026-01-31; else 30 days before --to.")
        parser.add_argument("--to", dest="last", metavar="DAY", help="Counted too; else today.")
        parser.add_argument("--by", choices=[*stats.DIMENSIONS, *KINDS, "payment", "day"], default="channel")
        parser.add_argument("--json", action="store_true", help="Write JSON, with amounts in minor units.")

    def handle(self, *args: Any, domain: str, by: str, json: bool, **options: Any) -> None:
        site = Site.objects.filter(domain=domain).first()
        if site is None:
            raise CommandError(f"There is no site {domain}.", returncode=USAGE)
        try:
            period = periods.spanning(options["first"], options["last"], timezone.now(), site.zone)
        except PeriodError as error:
            raise CommandError(str(error), returncode=USAGE) from error
        report = _report(site, period, by)
        self.stdout.write(_as_json(report) if json else "\n".join(_as_text(report)))


def _report(site: Site, period: Period, by: str) -> dict[str, Any]:
    totals = stats.totals(ask(site, period), MODEL)
    currencies = [total.currency for total in totals]
    return {
        "site": site.domain,
        "from": period.first_on.isoformat(),
        "to": period.last_on.isoformat(),
        "currencies": {
            total.currency.upper(): {name: getattr(total, name) for name in (*MONEY, "orders")} for total in totals
        },
        "rows": list(_rows(ask(site, period), by, currencies)),
    }


def _rows(asked: Asked, by: str, currencies: Sequence[str]) -> Iterator[dict[str, Any]]:
    if by == "payment":
        yield from ({**paid(each)} for each in stats.payments(asked, MODEL, per_page=None).rows)
        return
    for currency in currencies:
        if by == "day":
            yield from ({"value": row.value, **earned(row)} for row in stats.by_day(asked, MODEL, currency))
            continue
        found = stats.breakdown(asked, by, MODEL, currency)
        yield from ({"value": row.value, **earned(row)} for row in found.rows)
        if found.unattributed:
            # No channel or page can have this name, which is no text.
            yield {"value": None, **earned(found.unattributed)}


def _as_json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2)


def _as_text(report: dict[str, Any]) -> Iterator[str]:
    yield f"{report['site']}, {report['from']} to {report['to']}"
    yield ""
    yield from _table({"currency": code, **_written(total, code)} for code, total in report["currencies"].items())
    if report["rows"]:
        yield ""
        yield from _table(_written(row, row["currency"]) for row in report["rows"])


def _written(row: dict[str, Any], currency: str) -> dict[str, str]:
    texts = {
        name: format_money(value, currency) if name in MONEY else f"{'' if value is None else value}"
        for name, value in row.items()
    }
    if "value" in row:
        texts["value"] = "Not attributed" if row["value"] is None else row["value"] or "(none)"
    return {name: _shown(text) for name, text in texts.items()}


def _shown(text: str) -> str:
    """What comes from a buyer's browser must not steer the operator's terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _table(rows: Iterable[dict[str, str]]) -> Iterator[str]:
    """Write rows under their names in columns, the figures flush right."""
    lines = list(rows)
    if not lines:
        yield "Nothing was earned."
        return
    names = list(lines[0])
    widths = {name: max(len(name), *(len(line[name]) for line in lines)) for name in names}
    figures = {*MONEY, "orders", "visitors"}
    for line in [dict(zip(names, names, strict=True)), *lines]:
        cells = [
            line[name].rjust(widths[name]) if name in figures else line[name].ljust(widths[name]) for name in names
        ]
        yield "  ".join(cells).rstrip()
