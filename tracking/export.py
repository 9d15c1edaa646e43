"""Rows for CSV files, safe to be opened by a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator, Sequence

from django.http import HttpResponse

from sites.models import Site
from tracking.questions import Question
from tracking.stats import Bucket, Point
from tracking.tables import Table

# A cell that begins with one of these is run as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_response(rows: Iterable[Iterable[object]], site: Site, name: str, question: Question) -> HttpResponse:
    days = f"{question.period.first_on}_{question.period.last_on}"
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{site.domain}_{name}_{days}.csv"'
    csv.writer(response).writerows(rows)
    return response


def of_table(table: Table) -> Iterator[list[object]]:
    """Give the headings, then a row for each value; shares are 0 to 1, times are seconds."""
    yield list(table.columns)
    for line in table.lines:
        yield [harmless(line.label), *(_plain(number) for number in line.numbers)]


def of_points(points: Sequence[Point], bucket: Bucket) -> Iterator[list[object]]:
    yield [bucket.title(), "Visitors", "Visits", "Views", "Views per visit", "Bounce rate", "Visit duration"]
    for point in points:
        totals = point.totals
        duration = totals.visit_duration
        means = (totals.views_per_visit, totals.bounce_rate, None if duration is None else duration.total_seconds())
        start = point.start.isoformat() if bucket is Bucket.HOUR else point.start.date().isoformat()
        yield [start, totals.visitors, totals.visits, totals.views, *(_plain(mean) for mean in means)]


def harmless(text: str) -> str:
    """Keep what visitors' addresses say from being run by a spreadsheet."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _plain(number: float | None) -> object:
    return "" if number is None else round(number, 4)
