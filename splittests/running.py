"""The tests of a site that run, read in one query: the script asks for them at each page of the site.

Django's models of ten tests and their variants take longer to make than all else that the script's answer is made of.
"""

from dataclasses import dataclass

from django.db import connection

from splittests.changes import selectors
from splittests.models import State

RUNNING = """
    SELECT test.key, test.kind, test.pages, test.traffic_percent, test.devices, test.countries, test.channels,
           test.secret, array_agg(variant.id ORDER BY variant.id), array_agg(variant.name ORDER BY variant.id),
           array_agg(variant.weight ORDER BY variant.id), json_agg(variant.changes ORDER BY variant.id),
           array_agg(variant.redirect_url ORDER BY variant.id)
    FROM splittests_splittest test JOIN splittests_variant variant ON variant.test_id = test.id
    WHERE test.site_id = %s AND test.state = %s
    GROUP BY test.id ORDER BY test.created_at, test.id
"""
Changes = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class RunningTest:
    """A test, with its variants as one list for each thing that is known of them, the control first."""

    key: str
    kind: str
    pages: list[str]
    traffic_percent: int
    devices: list[str]
    countries: list[str]
    channels: list[str]
    secret: bytes
    numbers: list[int]
    names: list[str]
    weights: list[int]
    changes: list[Changes]
    redirect_urls: list[str]


def running_tests(site_id: int) -> list[RunningTest]:
    with connection.cursor() as cursor:
        cursor.execute(RUNNING, [site_id, State.RUNNING.value])
        return [RunningTest(*row) for row in cursor.fetchall()]


def looked_for(changes: list[Changes]) -> list[str]:
    """Give the elements that any variant changes; one of them must be there for the test to be seen."""
    return selectors(change for of_one in changes for change in of_one)
