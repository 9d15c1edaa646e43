"""What the address of a dashboard page asks for, and the addresses of what can be asked next."""

import datetime as dt
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from django.http import QueryDict

from sites import periods
from sites.periods import Period
from tracking import filters
from tracking.dimensions import DIMENSIONS
from tracking.figures import Metric
from tracking.filters import WORDS, Filter, Filters
from tracking.panels import named, sent
from tracking.places import codes_of, country_name
from tracking.stats import Bucket

# The keys that pick a period.
KEYS = {
    "today": "t",
    "yesterday": "y",
    "7d": "w",
    "30d": "m",
    "90d": "q",
    "month": "c",
    "last-month": "p",
    "year": "a",
    "12mo": "l",
}
VERSUS = {"previous": "vs. the period before", "year": "vs. the year before", "none": "No comparison"}
MOST_HOURLY_DAYS = 7
MOST_DAILY_DAYS = 366


@dataclass(frozen=True, slots=True)
class Chip:
    """Some filters in words, and the query without them."""

    text: str
    query: str


@dataclass(frozen=True, slots=True)
class Question:
    period: Period
    filters: Filters = ()
    versus: str = "previous"
    bucket: Bucket | None = None
    metric: Metric = Metric.VISITORS
    # What another page's addresses say beside this.
    beside: tuple[tuple[str, str], ...] = ()

    @property
    def against(self) -> Period:
        return self.period.year_before if self.versus == "year" else self.period.previous

    @property
    def buckets(self) -> list[Bucket]:
        """The spans that a chart of the period can have a bar for."""
        days = self.period.days
        fits = {
            Bucket.HOUR: days <= MOST_HOURLY_DAYS,
            Bucket.DAY: 1 < days <= MOST_DAILY_DAYS,
            Bucket.WEEK: days > 13,
            Bucket.MONTH: days > 31,
        }
        return [bucket for bucket in Bucket if fits[bucket]]

    @property
    def chart_bucket(self) -> Bucket:
        if self.bucket in self.buckets:
            assert self.bucket
            return self.bucket
        if self.period.days == 1:
            return Bucket.HOUR
        return Bucket.DAY if self.period.days <= 92 else Bucket.MONTH

    @property
    def query(self) -> str:
        """The part of an address that asks for the same; what is usual is left out."""
        told = periods.to_query(self.period)
        if self.versus != "previous":
            told["versus"] = self.versus
        if self.bucket:
            told["by"] = self.bucket
        if self.metric is not Metric.VISITORS:
            told["metric"] = self.metric
        return "&".join(filter(None, [urlencode([*told.items(), *self.beside]), filters.write(self.filters)]))

    @property
    def beside_period(self) -> list[tuple[str, str]]:
        """The parameters of `query` but for those that say the period."""
        told = parse_qsl(self.query, keep_blank_values=True)
        names = {"versus", "by", "metric", *(name for name, _ in self.beside)}
        return [(name, value) for name, value in told if name in names]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of `query`, for a form's hidden fields."""
        return [*periods.to_query(self.period).items(), *self.beside_period, *self.told_filters]

    def compared(self, versus: str) -> str:
        return replace(self, versus=versus).query

    @property
    def told_filters(self) -> list[tuple[str, str]]:
        return [(each.key, each.value) for each in self.filters]

    @property
    def chips(self) -> list[Chip]:
        """One for each condition: “Country is Germany or France”."""
        groups: dict[str, list[Filter]] = {}
        for each in self.filters:
            groups.setdefault(each.key, []).append(each)
        return [
            Chip(_in_words(group), replace(self, filters=tuple(f for f in self.filters if f not in group)).query)
            for group in groups.values()
        ]

    @property
    def without_filters(self) -> str:
        return replace(self, filters=()).query

    def only(self, dimension: str, value: str) -> str:
        """Give the query that asks for one value of a dimension beside all that is asked already."""
        wanted = Filter(filters.How.IS, dimension, value)
        rest = tuple(each for each in self.filters if each.key != wanted.key)
        return replace(self, filters=(*rest, wanted)).query

    def adding(self, wanted: Filter) -> str:
        return replace(self, filters=(*self.filters, wanted)).query

    def showing(self, metric: Metric) -> str:
        return replace(self, metric=metric).query

    def by(self, bucket: Bucket) -> str:
        return replace(self, bucket=bucket).query

    def with_beside(self, name: str, value: str) -> str:
        """Give the query that says something else of what stands beside."""
        others = tuple(pair for pair in self.beside if pair[0] != name)
        return replace(self, beside=(*others, (name, value))).query

    def stepping(self, step: int, now: dt.datetime) -> str:
        """Give the query for the period right before (`step` -1) or after (1), or "" if none can be shown."""
        period = periods.beside(self.period, step, now)
        return replace(self, period=period, bucket=None).query if period else ""

    def during(self, name: str) -> str:
        """Give the query for a named period."""
        others = replace(self, bucket=None).query.split("&")
        return "&".join(
            [f"period={name}", *(part for part in others if not part.startswith(("period=", "from=", "to=")))]
        )


def _in_words(group: list[Filter]) -> str:
    first = group[0]
    values = " or ".join(named(each.dimension, each.value) for each in group)
    return f"{filters.label(first.dimension)} {WORDS[first.how]} {values}"


def read(
    told: QueryDict, now: dt.datetime, zone: zoneinfo.ZoneInfo, beside: tuple[tuple[str, str], ...] = ()
) -> Question:
    """Read an address; what is missing or not understood gives what is usual."""
    plain: Mapping[str, str] = told.dict()  # type: ignore[assignment]
    pairs = [(key, value) for key, values in told.lists() for value in values]
    by, metric, versus = plain.get("by"), plain.get("metric"), plain.get("versus", "previous")
    return Question(
        period=periods.from_query(dict(plain), now, zone),
        filters=filters.read([(key, str(value)) for key, value in pairs]),
        versus=versus if versus in VERSUS else "previous",
        bucket=Bucket(by) if by in list(Bucket) else None,
        metric=Metric(metric) if metric in list(Metric) else Metric.VISITORS,
        beside=beside,
    )


def choices(question: Question, page_url: str, now: dt.datetime) -> dict[str, object]:
    """Give what the choices of period, comparison and filters are drawn from, for the page of that address."""
    return {
        "question": question,
        "page_url": page_url,
        "periods": [(name, label, question.during(name), KEYS[name]) for name, label in periods.LABELS.items()],
        "earlier": question.stepping(-1, now),
        "later": question.stepping(1, now),
        "dimensions": [(name, filters.label(name)) for name in (*DIMENSIONS, filters.GOAL)],
        "ways": [(how.value, words) for how, words in WORDS.items()],
        "versus": [(name, label, question.compared(name)) for name, label in VERSUS.items()],
        "versus_label": VERSUS[question.versus],
    }


def added(told: QueryDict) -> Filter | None:
    """Read the form that adds a filter: `dimension`, `how` and `value`; None if it is not filled in."""
    dimension, value = told.get("dimension", ""), told.get("value", "").strip()
    if not value:
        return None
    if dimension == "country" and told.get("how") != filters.How.HAS:
        # People write names, visits hold codes.
        value = next((code for code in codes_of(value) if country_name(code).lower() == value.lower()), value.upper())
    found = filters.read([(f"{told.get('how', '')}.{dimension}", sent(dimension, value))])
    return found[0] if found else None


def page_number(told: QueryDict) -> int:
    """Read which page of a list is asked for; anything else is the first."""
    text = told.get("page", "")
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def searched(told: QueryDict) -> str:
    """Read what a list is searched for; "" for nothing."""
    return str(told.get("search", "")).replace("\0", "").strip()[:200]
