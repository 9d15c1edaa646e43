"""The hours, days, weeks and months of a chart, named."""

import datetime as dt
import zoneinfo
from collections.abc import Sequence
from itertools import repeat

from tracking.charts import Count
from tracking.figures import Metric, measure
from tracking.stats import Bucket, Point


def local(now: dt.datetime, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """Give a moment as the clocks of the zone show it."""
    return now.astimezone(zone).replace(tzinfo=None)


def named(start: dt.datetime, bucket: Bucket) -> tuple[str, str]:
    """Give a moment's name in full, and a short one for an axis."""
    if bucket is Bucket.HOUR:
        return f"{start:%a %-d %b %Y, %H:%M}", f"{start:%H:%M}" if start.hour else f"{start:%-d %b}"
    if bucket is Bucket.DAY:
        return f"{start:%a %-d %b %Y}", f"{start:%-d %b}"
    if bucket is Bucket.WEEK:
        return f"Week of {start:%-d %b %Y}", f"{start:%-d %b}"
    return f"{start:%B %Y}", f"{start:%b %Y}"


def is_open(start: dt.datetime, bucket: Bucket, now: dt.datetime) -> bool:
    """Tell whether the span that begins at `start` has not ended; `now` is of the same zone."""
    if bucket is Bucket.MONTH:
        return (start.year, start.month) == (now.year, now.month)
    length = {Bucket.HOUR: dt.timedelta(hours=1), Bucket.DAY: dt.timedelta(days=1), Bucket.WEEK: dt.timedelta(days=7)}
    return start <= now < start + length[bucket]


def counts(
    points: Sequence[Point], before: Sequence[Point], metric: Metric, bucket: Bucket, now: dt.datetime
) -> list[Count]:
    """Give what a chart of a figure shows; see `paired`."""
    told = [(point.start, measure(metric, point.totals)) for point in points]
    return paired(told, [measure(metric, point.totals) for point in before], bucket, now)


def paired(
    told: Sequence[tuple[dt.datetime, int]], before: Sequence[int], bucket: Bucket, now: dt.datetime
) -> list[Count]:
    """Pair each moment with the one at the same place of the period it is compared with.

    `now` and the moments are times of the site's zone, without a zone of their own.
    """
    earlier = [*before, *repeat(None, len(told))]
    return [_count(start, number, was, bucket, now) for (start, number), was in zip(told, earlier, strict=False)]


def _count(start: dt.datetime, number: int, was: int | None, bucket: Bucket, now: dt.datetime) -> Count:
    label, short = named(start, bucket)
    goes_on = is_open(start, bucket, now)
    return Count(f"{label}, so far" if goes_on else label, short, number, was, goes_on)
