"""What the tracker needs to know of a site's running tests for one visitor; nothing of it is stored.

A test's device and country are those that the visitor's hits will have, told by the same functions from the same
request. The channel is the visit's: of one that is under way it is known; of one that begins, only the page knows the
referrer and the tags of its address, so the tracker asks once more with them. Either way it is the channel that the
exposure will be counted under, and it stays for as long as the visit does. A test of the page's own code, which asks
for its variant before there could be an answer, begins with the second page of such a visit.
"""

import datetime as dt
from dataclasses import dataclass

from splittests.asking import Asker
from splittests.assignment import takes_part, variant_for
from splittests.models import Kind
from splittests.pages import parse_all, told
from splittests.redirects import sign
from splittests.running import RunningTest, looked_for, running_tests
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
    running = running_tests(site_id)
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
    theirs = [
        test for test in running_tests(site_id) if test.channels and test.kind != Kind.CODE and _is_for(test, asker)
    ]
    if not theirs or not asker.is_counted_on(url):
        return []
    channel = asker.channel_from(url, referrer)
    return [_told(test, asker.identity, now) for test in theirs if channel in test.channels]


def _is_for(test: RunningTest, asker: Asker) -> bool:
    return (
        takes_part(test.secret, asker.identity, test.traffic_percent)
        and (not test.devices or asker.device in test.devices)
        and (not test.countries or asker.country in test.countries)
    )


def _told(test: RunningTest, visitor: bytes, now: dt.datetime) -> Test:
    chosen = variant_for(test.secret, visitor, test.weights)
    number = test.numbers[chosen]
    pages = told(parse_all(test.pages))
    named = {"key": test.key, "name": test.names[chosen], "variant": number, "pages": pages}
    if test.kind == Kind.CHANGES:
        return named | {"find": looked_for(test.changes), "changes": test.changes[chosen]}
    if test.kind == Kind.REDIRECT:
        own = test.redirect_urls[chosen]
        away = [address for address in test.redirect_urls if address]
        return named | {"away": away, "to": own} | ({"sign": sign(number, now)} if own else {})
    return named
