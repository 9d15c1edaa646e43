import datetime as dt
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from revenue.models import StripeAccount
from sites.models import Site
from sites.periods import Period
from splittests.calibration import Day
from splittests.history import days_of
from splittests.management.commands import calibrate_split_tests
from tests.factories import send_hit
from tests.splittests.selling import HOUR, NOON, booked, connected, paid

DAY = dt.timedelta(days=1)
FEW = ("--replays", "20", "--splits", "2000")


@pytest.fixture
def account(site: Site) -> StripeAccount:
    return connected(site, "acct_1", livemode=True)


def test_history_has_each_days_visitors_and_what_the_ledger_says_they_brought(
    site: Site, account: StripeAccount, django_assert_num_queries: Any
) -> None:
    other_day = send_hit(site, ip="203.0.113.1", at=NOON - DAY)
    first = send_hit(site, ip="203.0.113.1", at=NOON)
    send_hit(site, ip="203.0.113.1", at=NOON + 2 * HOUR)
    send_hit(site, ip="203.0.113.2", at=NOON)
    refunded = send_hit(site, ip="203.0.113.3", at=NOON)
    send_hit(site, ip="203.0.113.4", at=NOON + DAY)
    paid(account, first, 1000)
    paid(account, first, 500)
    booked(account, paid(account, refunded, 700), "refund", -700, NOON + 3 * DAY)
    paid(account, other_day, 4000, currency="usd")
    paid(account, other_day, 3000, reason="too_old")
    today = NOON.date()
    period = Period(today - DAY, today, site.zone)
    with django_assert_num_queries(1):
        days = days_of(site, period, "eur")
    assert days == [Day(1, ()), Day(3, (0, 1500))]


@pytest.fixture
def busy_week(site: Site, account: StripeAccount) -> None:
    """120 buyers among 840 visitors of the last seven days."""
    yesterday = timezone.now().astimezone(site.zone).replace(hour=12) - DAY
    for day in range(7):
        for visitor in range(120):
            view = send_hit(site, ip=f"203.0.{day}.{visitor}", at=yesterday - day * DAY)
            if visitor % 7 == 0:
                paid(account, view, 1000 + 37 * visitor, at=yesterday - day * DAY)


def test_a_sites_own_visitors_are_replayed(
    site: Site, busy_week: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call_command("calibrate_split_tests", "shop.example", "--json", *FEW)
    report = json.loads(capsys.readouterr().out)
    assert (report["site"], report["currency"], report["visitors"], report["buyers"]) == (
        "shop.example", "EUR", 840, 126,
    )  # fmt: skip
    assert report["is_kept"] is True
    assert report["false_alarms"]["replays"] == report["covered"]["replays"] == 20
    assert report["ratio_alarms"]["replays"] == 2000

    call_command("calibrate_split_tests", "shop.example", *FEW)
    told = capsys.readouterr().out
    assert "840 visitors, 126 of them buyers, on 7 days" in told
    assert "All promises are kept." in told

    # A visitor in two arms, say, would be counted at random only in one.
    monkeypatch.setattr("splittests.calibration._half", lambda n, chance: n // 3)
    with pytest.raises(SystemExit) as ended:
        call_command("calibrate_split_tests", "shop.example", *FEW)
    assert ended.value.code == calibrate_split_tests.DIFFERS
    assert "Not all promises are kept." in capsys.readouterr().out


def test_one_seed_deals_one_way(site: Site, busy_week: None, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for seed in ("1", "1", "2"):
        call_command("calibrate_split_tests", "shop.example", "--seed", seed, "--json", *FEW)
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] != told[2]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param(["nobody.example"], 2, "There is no site nobody.example.", id="no site"),
        pytest.param(["shop.example", "--days", "0"], 2, "at least 1", id="no days"),
        pytest.param(["shop.example", "--days", "2"], 1, "at least 100 are needed. Try more --days.", id="few buyers"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    site: Site, account: StripeAccount, arguments: list[str], code: int, told: str
) -> None:
    with pytest.raises(CommandError, match=told) as refused:
        call_command("calibrate_split_tests", *arguments)
    assert refused.value.returncode == code
