"""Gathering exposures: whom a test showed which variant, kept by visitor so that no page has to work it out again.

A visitor is one for a day, and belongs to a variant from the first page view that showed it while the test ran.
Somebody whom the test showed two variants belongs to none. How many there are is counted along, so that no page has to
go through a million of them.
"""

from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from sites.models import Site
from splittests.conversions import gather_conversions
from splittests.models import SplitTest
from tracking.ahead import BEING_WRITTEN

# Of views that were deleted for their age, tracking_exposure holds what is needed here. Rows are put in by visitor,
# so that no two statements can wait for each other. Who was known before is looked up before anybody is put in: on
# several machines the parts of a statement are done one after the other, and see what those before them have changed.
GATHER = """
    WITH shown AS MATERIALIZED (
        SELECT visitor, at, visit_id, variant_id
        FROM (
            SELECT site_id, visitor, at, visit_id, unnest(variants) AS variant_id
            FROM tracking_view WHERE variants <> '{}'
            UNION ALL
            SELECT site_id, visitor, at, NULL, unnest(variants) FROM tracking_exposure
        ) seen
        WHERE site_id = %(site)s AND at >= %(since)s AND at < coalesce(%(until)s::timestamptz, 'infinity')
          AND variant_id IN (SELECT id FROM splittests_variant WHERE test_id = %(test)s)
    ),
    visitors AS (
        SELECT visitor, min(at) AS first_at, (array_agg(visit_id ORDER BY at))[1] AS visit_id,
               CASE WHEN min(variant_id) = max(variant_id) THEN min(variant_id) END AS variant_id
        FROM shown GROUP BY visitor
    ),
    known AS MATERIALIZED (
        SELECT visitor, known.variant_id, known.first_at, device, country, channel
        FROM splittests_exposed known JOIN visitors USING (visitor)
        WHERE site_id = %(site)s AND test_id = %(test)s
    ),
    put AS (
        INSERT INTO splittests_exposed AS known (
            site_id, test_id, visitor, variant_id, first_at, device, country, channel)
        SELECT %(site)s, %(test)s, visitors.visitor, variant_id, first_at,
               coalesce(visit.device, ''), coalesce(visit.country, ''), coalesce(visit.channel, '')
        FROM visitors LEFT JOIN tracking_visit visit ON visit.site_id = %(site)s AND visit.id = visitors.visit_id
        ORDER BY visitors.visitor
        ON CONFLICT (site_id, test_id, visitor) DO UPDATE
        SET variant_id = CASE WHEN known.variant_id = excluded.variant_id THEN known.variant_id END,
            first_at = least(known.first_at, excluded.first_at)
        WHERE known.variant_id IS DISTINCT FROM excluded.variant_id OR excluded.first_at < known.first_at
        RETURNING visitor, variant_id, first_at, device, country, channel
    ),
    moved AS (
        SELECT 1 AS change, put.* FROM put
        UNION ALL SELECT -1, known.* FROM known JOIN put USING (visitor)
    ),
    counted AS (
        INSERT INTO splittests_audience AS audience (site_id, test_id, dimension, value, variant_id, visitors)
        SELECT %(site)s, %(test)s, dimension, value, coalesce(variant_id, 0), sum(change)
        FROM moved CROSS JOIN LATERAL (VALUES
            ('quarter', extract(epoch FROM date_bin('15 minutes', first_at, 'epoch'))::bigint::text),
            ('device', device), ('country', country), ('channel', channel)
        ) AS cell (dimension, value)
        GROUP BY dimension, value, coalesce(variant_id, 0) HAVING sum(change) <> 0
        ON CONFLICT (site_id, test_id, dimension, value, variant_id)
        DO UPDATE SET visitors = audience.visitors + excluded.visitors
    )
    SELECT max(at) FROM shown
"""


@transaction.atomic
def gather(test: SplitTest) -> None:
    """Gather what was seen since the last time. Can run again, and twice at once."""
    # Whoever gathers or stops the test at the same time is waited for.
    known = SplitTest.objects.select_for_update(no_key=True).get(pk=test.pk)
    if known.started_at is None:
        return
    since = max(known.started_at, (known.gathered_at or known.started_at) - BEING_WRITTEN)
    parameters: dict[str, Any] = {"site": known.site_id, "test": known.pk, "since": since, "until": known.stopped_at}
    with connection.cursor() as cursor:
        cursor.execute(GATHER, parameters)
        ((last_at,),) = cursor.fetchall()
    if last_at:
        SplitTest.objects.filter(pk=known.pk).update(gathered_at=last_at)
    gather_conversions(known, timezone.now())


def gather_running(site: Site) -> None:
    for test in SplitTest.objects.for_site(site).running():
        gather(test)
