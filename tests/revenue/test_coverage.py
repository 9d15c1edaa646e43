import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from revenue.coverage import Week, coverage, coverages, has_dropped
from revenue.models import Connection, StripeAccount
from sites.models import Site
from tests.factories import SiteFactory
from tests.revenue.test_stats import NOON, decide, move

pytestmark = pytest.mark.django_db
MONDAY = dt.date(2026, 5, 4)
WEEK = dt.timedelta(days=7)
SINCE = dt.datetime(2026, 5, 4, tzinfo=dt.UTC)


@pytest.fixture
def account(site: Site) -> StripeAccount:
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=False)
    Connection.objects.create(site=site, account=account, key_hint="sk_test_…abcd", connected_at=NOON)
    return account


def test_payments_are_counted_by_the_week_they_were_made_in(
    site: Site, account: StripeAccount, django_assert_num_queries: Callable[[int], Any]
) -> None:
    for number, (days, reason) in enumerate([(0, ""), (6, "no_id"), (13, ""), (13, "unknown"), (13, "")]):
        move(account, "charge", 100, f"ch_{number}", occurred_at=NOON.replace(day=4 + days))
        decide(account, f"ch_{number}", None if reason else site, reason=reason)
    with django_assert_num_queries(1):
        found = coverage(site, SINCE, SINCE + 3 * WEEK)
    assert found == [Week(MONDAY, 1, 2), Week(MONDAY + WEEK, 2, 3), Week(MONDAY + 2 * WEEK, 0, 0)]
    assert [week.share for week in found] == [1 / 2, 2 / 3, None]


def test_several_spans_are_counted_in_one_query(
    site: Site, account: StripeAccount, django_assert_num_queries: Callable[[int], Any]
) -> None:
    for day in (4, 8, 12):
        move(account, "charge", 100, f"ch_{day}", occurred_at=NOON.replace(day=day))
        decide(account, f"ch_{day}", site)
    spans = [(SINCE, SINCE + 2 * WEEK), (SINCE + WEEK / 2, SINCE + WEEK), (SINCE + 2 * WEEK, SINCE + 2 * WEEK)]
    with django_assert_num_queries(1):
        found = coverages(site, spans)
    assert found == [[Week(MONDAY, 2, 2), Week(MONDAY + WEEK, 1, 1)], [Week(MONDAY, 1, 1)], []]


def test_what_is_not_decided_or_not_wanted_is_in_neither_count(site: Site, account: StripeAccount) -> None:
    neighbour = SiteFactory()
    for charge, owner, reason in [
        ("ch_site", site, ""),
        ("ch_neighbour", neighbour, ""),
        ("ch_waiting", None, "waiting"),
        ("ch_renewal", None, "renewal"),
        ("ch_blocked", None, "tracker_blocked"),
    ]:
        move(account, "charge", 100, charge)
        decide(account, charge, owner, reason=reason)
    move(account, "charge", 100, "ch_undecided")
    move(account, "refund", -100, "ch_site")
    assert coverage(site, SINCE, SINCE + WEEK) == [Week(MONDAY, 1, 2)]


def test_weeks_begin_on_the_sites_own_monday_and_are_cut_to_the_span(site: Site, account: StripeAccount) -> None:
    site.timezone = "Pacific/Auckland"
    for hour in (11, 12):
        # Monday begins at noon of UTC's Sunday there.
        move(account, "charge", 100, f"ch_{hour}", occurred_at=dt.datetime(2026, 5, 10, hour, 30, tzinfo=dt.UTC))
        decide(account, f"ch_{hour}", site)
    until = dt.datetime(2026, 5, 10, 12, tzinfo=dt.UTC)
    assert coverage(site, until - WEEK, until) == [Week(MONDAY, 1, 1)]
    assert coverage(site, until - WEEK, until + WEEK) == [Week(MONDAY, 1, 1), Week(MONDAY + WEEK, 1, 1)]


@pytest.mark.parametrize(
    ("before", "lately", "expected"),
    [
        pytest.param((90, 100), (10, 20), True, id="nine in ten, then half"),
        pytest.param((9, 10), (0, 8), True, id="few, and then none"),
        pytest.param((9, 10), (1, 2), False, id="too few to tell"),
        pytest.param((9_000, 10_000), (8_500, 10_000), False, id="certain, but small"),
        pytest.param((50, 100), (90, 100), False, id="better"),
        pytest.param((0, 100), (0, 100), False, id="never any"),
        pytest.param((100, 100), (100, 100), False, id="always all"),
        pytest.param((0, 0), (5, 10), False, id="nothing to compare with"),
        pytest.param((5, 10), (0, 0), False, id="nothing sold"),
    ],
)
def test_a_drop_is_large_and_not_by_chance(before: tuple[int, int], lately: tuple[int, int], expected: bool) -> None:
    assert has_dropped([Week(MONDAY, *before)], [Week(MONDAY, *lately)]) is expected
