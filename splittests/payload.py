"""What the tracker needs to know of a site's running tests for one visitor; nothing of it is stored.

A test's device and country are those that the visitor's hits will have, told by the same functions from the same
request. The channel is the visit's: of one that is under way it is known; of one that begins, only the page knows the
referrer and the tags of its address, so the tracker asks once more with them. Either way it is the channel that the
exposure will be counted under, and it stays for as long as the visit does. A test of the page's own code, which asks
for its variant before there could be an answer, begins with the second page of such a visit.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Prefetch

from splittests.asking import Asker
from splittests.assignment import takes_part, variant_for
from splittests.changes import selectors
from splittests.models import Kind, SplitTest, Variant
from splittests.pages import told
from splittests.redirects import sign
from tracking.script import Test


@dataclass(frozen=True, slots=True)
class Payload:
    """The tests that the visitor is in. With `must_ask` there are more that the channel decides.

    `is_personal` says that another visitor might be given something else.
    """

    tests: list[Test]
    must_ask: bool
    is_personal: bool


def payload_for(site_id: int, asker: Asker, now: dt.datetime) -> Payload:
    running = _running(site_id)
    theirs = [test for test in running if _is_for(test, asker)] if asker.is_counted else []
    by_channel = [test for test in theirs if test.channels]
    channel = asker.known_channel if by_channel else None
    decided = [test for test in theirs if not test.channels or channel in test.channels]
    return Payload(
        tests=[_told(test, asker.identity, now) for test in decided],
        must_ask=channel is None and any(test.kind != Kind.CODE for test in by_channel),
        is_personal=bool(running),
    )


def tests_by_channel(site_id: int, asker: Asker, url: str, referrer: str, now: dt.datetime) -> list[Test]:
    """Give the tests that `must_ask` is about, for a page and where the browser says that its visitor comes from."""
    theirs = [test for test in _running(site_id) if test.channels and test.kind != Kind.CODE and _is_for(test, asker)]
    if not theirs or not asker.is_counted_on(url):
        return []
    channel = asker.channel_from(url, referrer)
    return [_told(test, asker.identity, now) for test in theirs if channel in test.channels]


def _running(site_id: int) -> list[SplitTest]:
    tests = SplitTest.objects.filter(site_id=site_id).running().order_by("created_at", "pk")
    return list(tests.prefetch_related(Prefetch("variants", Variant.objects.order_by("pk"))))


def _is_for(test: SplitTest, asker: Asker) -> bool:
    return (
        takes_part(bytes(test.secret), asker.identity, test.traffic_percent)
        and (not test.devices or asker.device in test.devices)
        and (not test.countries or asker.country in test.countries)
    )


def _told(test: SplitTest, visitor: bytes, now: dt.datetime) -> Test:
    variants = list(test.variants.all())
    chosen = variants[variant_for(bytes(test.secret), visitor, [one.weight for one in variants])]
    named = {"key": test.key, "name": chosen.name, "variant": chosen.pk, "pages": told(test.rules)}
    if test.kind == Kind.CHANGES:
        return named | shown(variants, chosen)
    if test.kind == Kind.REDIRECT:
        away = [one.redirect_url for one in variants if one.redirect_url]
        own = {"to": chosen.redirect_url, "sign": sign(chosen.pk, now)} if chosen.redirect_url else {"to": ""}
        return named | {"away": away} | own
    return named


def shown(variants: Iterable[Variant], chosen: Variant) -> dict[str, object]:
    """Give the elements of which one must be there, and what the chosen variant does to them."""
    return {"find": selectors(change for one in variants for change in one.changes), "changes": chosen.changes}
