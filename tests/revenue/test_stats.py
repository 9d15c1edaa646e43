"""The ledger here is written row by row, so that every expected sum can be checked by eye."""

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from revenue import stats
from revenue.attribution import Evidence, Model, Reason
from revenue.models import Attribution, Charge, CheckoutSession, Connection, LedgerLine, StripeAccount
from revenue.stats import Breakdown, Payment, Row, Totals, Unattributed
from sites.models import Site
from sites.periods import Period
from tests.factories import IPHONE, SiteFactory, send_hit
from tracking.counting import ask
from tracking.stats import Bucket

BERLIN = ZoneInfo("Europe/Berlin")
NOON = dt.datetime(2026, 5, 10, 12, tzinfo=dt.UTC)
MAY = Period(dt.date(2026, 5, 1), dt.date(2026, 5, 31), BERLIN)
MODEL = Model.LAST_NON_DIRECT
VIEW = uuid.UUID("0197a000-0000-7000-8000-000000000001")


@pytest.fixture
def account(site: Site) -> StripeAccount:
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=False, default_currency="eur")
    Connection.objects.create(site=site, account=account, key_hint="sk_test_…abcd", connected_at=NOON)
    return account


def move(account: StripeAccount, kind: str, amount: int, charge: str, **fields: Any) -> None:
    fields = {"currency": "eur", "occurred_at": NOON, **fields}
    LedgerLine.objects.create(
        account=account,
        key=f"{kind}:{charge}:{uuid.uuid4()}",
        kind=kind,
        amount=amount,
        charge=charge,
        **fields,
    )


def decide(account: StripeAccount, charge: str, site: Site | None = None, **fields: Any) -> None:
    fields = {"model": MODEL, "rules_version": 1, "decided_at": NOON, **fields}
    Attribution.objects.create(account=account, charge=charge, site=site, **fields)


@pytest.fixture
def ledger(site: Site, account: StripeAccount) -> StripeAccount:
    """Two payments credited to the site, three to nobody, one to a neighbour, one in dollars."""
    neighbour = SiteFactory(domain="neighbour.example")
    Connection.objects.create(site=neighbour, account=account, key_hint="sk_test_…abcd", connected_at=NOON)
    google = {"channel": "Organic Search", "source": "Google", "referrer": "google.com/", "country": "DE"}
    move(account, "charge", 10_000, "ch_1")
    move(account, "fee", -175, "ch_1")
    move(account, "refund", -2_500, "ch_1")
    decide(
        account,
        "ch_1",
        site,
        evidence=Evidence.SESSION,
        view_id=VIEW,
        page="/buy",
        landing_page="/",
        **google,
    )
    move(account, "charge", 4_000, "ch_2")
    move(account, "dispute", -4_000, "ch_2")
    decide(account, "ch_2", site, channel="Direct", page="/buy", landing_page="/buy")
    move(account, "charge", 3_000, "ch_none")
    move(account, "payment_failure", -3_000, "ch_none")
    decide(account, "ch_none", reason="no_id")
    move(account, "charge", 500, "ch_unknown")
    decide(account, "ch_unknown", reason="unknown", carried_id=str(VIEW))
    move(account, "charge", 70, "ch_new")
    move(account, "refund", -60, "")
    move(account, "charge", 9_999, "ch_neighbour")
    decide(account, "ch_neighbour", neighbour, **google)
    move(account, "charge", 800, "ch_dollar", currency="usd")
    decide(account, "ch_dollar", site, **google)
    return account


def test_totals_are_apart_by_currency_and_say_what_is_not_attributed(
    site: Site, ledger: StripeAccount, django_assert_num_queries: Callable[..., Any]
) -> None:
    asked = ask(site, MAY)
    with django_assert_num_queries(1):
        found = stats.totals(asked, MODEL)
    euro = Totals(
        currency="eur",
        gross=17_570,
        refunded=2_560,
        disputed=4_000,
        failed=3_000,
        fees=175,
        orders=5,
        purchases=2,
        attributed=7_500,
        unattributed=510,
        elsewhere=9_999,
        unbooked=18_009,
        reasons=(
            Unattributed(Reason.NO_ID, 1, 0),
            Unattributed(Reason.UNKNOWN, 1, 500),
            Unattributed(Reason.WAITING, 1, 70),
            Unattributed(None, 0, -60),
        ),
    )
    dollar = Totals("usd", gross=800, orders=1, purchases=1, attributed=800, unbooked=800)
    assert found == [euro, dollar]
    assert (euro.net, euro.account_net, euro.average) == (8_010, 18_009, 3_514)


@pytest.mark.parametrize("by", stats.DIMENSIONS)
def test_no_breakdown_loses_or_invents_money(
    by: str,
    site: Site,
    ledger: StripeAccount,
    django_assert_num_queries: Callable[..., Any],
) -> None:
    for hit in range(3):
        send_hit(site, f"/page/{hit}", referrer=f"https://site{hit}.test/", ip=f"203.0.113.{hit}", at=NOON)
    account_net = sum(LedgerLine.objects.filter(currency="eur").exclude(kind="fee").values_list("amount", flat=True))
    elsewhere = stats.totals(ask(site, MAY), MODEL)[0].elsewhere
    asked = ask(site, MAY)
    for limit in (None, 1):
        with django_assert_num_queries(1):
            found = stats.breakdown(asked, by, MODEL, "eur", limit)
        parts = [*found.rows, *(row for row in (found.others, found.unattributed) if row)]
        assert sum(row.net for row in parts) + elsewhere == account_net
        assert all(row.net == row.gross - row.refunded - row.disputed for row in found.rows)
    assert len(found.rows) == 1


def test_a_breakdown_joins_money_with_visitors(site: Site, ledger: StripeAccount) -> None:
    send_hit(site, "/", referrer="https://www.google.com/", ip="203.0.113.1", at=NOON)
    send_hit(site, "/buy", ip="203.0.113.1", at=NOON + dt.timedelta(minutes=5))
    send_hit(site, "/", ip="203.0.113.2", at=NOON)
    send_hit(site, "/", ip="203.0.113.3", query="utm_medium=email", at=NOON)
    send_hit(SiteFactory(), "/", ip="203.0.113.4", at=NOON)
    nobody = Row("", "eur", 3_570, 60, 0, 510, 3, 0)
    assert stats.breakdown(ask(site, MAY), "channel", MODEL, "eur") == Breakdown(
        rows=(
            Row("Organic Search", "eur", 10_000, 2_500, 0, 7_500, 1, 1),
            Row("Direct", "eur", 4_000, 0, 4_000, 0, 1, 1),
            Row("Email", "eur", 0, 0, 0, 0, 0, 1),
        ),
        others=None,
        unattributed=nobody,
    )
    assert stats.breakdown(ask(site, MAY), "page", MODEL, "eur", limit=1) == Breakdown(
        rows=(Row("/buy", "eur", 14_000, 2_500, 4_000, 7_500, 2, 1),),
        others=Row("", "eur", 0, 0, 0, 0, 0, 3),
        unattributed=nobody,
    )


def test_visitors_without_any_payment_are_still_shown(site: Site) -> None:
    send_hit(site, user_agent=IPHONE, at=NOON)
    found = stats.breakdown(ask(site, MAY), "device", MODEL, "eur")
    assert found == Breakdown((Row("Mobile", "eur", 0, 0, 0, 0, 0, 1),), None, None)


def test_each_model_credits_its_own_decision(site: Site, account: StripeAccount) -> None:
    move(account, "charge", 100, "ch_1")
    decide(account, "ch_1", site, channel="Email")
    decide(account, "ch_1", site, channel="Direct", model="last")
    assert [row.value for row in stats.breakdown(ask(site, MAY), "channel", MODEL, "eur").rows] == ["Email"]
    assert [row.value for row in stats.breakdown(ask(site, MAY), "channel", Model.LAST, "eur").rows] == ["Direct"]


def test_days_are_days_of_the_sites_zone_and_a_refund_counts_on_its_own_day(
    site: Site, account: StripeAccount, django_assert_num_queries: Callable[..., Any]
) -> None:
    move(account, "charge", 1_000, "ch_1", occurred_at=dt.datetime(2026, 5, 1, 22, 30, tzinfo=dt.UTC))
    move(account, "refund", -400, "ch_1", occurred_at=dt.datetime(2026, 5, 3, 12, tzinfo=dt.UTC))
    move(account, "charge", 5, "ch_0", occurred_at=dt.datetime(2026, 4, 30, 21, 59, tzinfo=dt.UTC))
    move(account, "fee", -40, "ch_1", occurred_at=dt.datetime(2026, 5, 1, 22, 30, tzinfo=dt.UTC))
    send_hit(site, at=dt.datetime(2026, 5, 1, 22, 0, tzinfo=dt.UTC))
    asked = ask(site, Period(dt.date(2026, 5, 1), dt.date(2026, 5, 3), BERLIN))
    with django_assert_num_queries(1):
        found = stats.by_day(asked, MODEL, "eur")
    assert found == [
        Row("2026-05-01", "eur", 0, 0, 0, 0, 0, 0),
        Row("2026-05-02", "eur", 1_000, 0, 0, 1_000, 1, 1),
        Row("2026-05-03", "eur", 0, 400, 0, -400, 0, 0),
    ]


@pytest.mark.parametrize(
    ("bucket", "first", "earned_in"),
    [
        (Bucket.HOUR, "2026-05-01T00:00:00", {"2026-05-02T00:00:00": (1_000, 1), "2026-05-03T14:00:00": (-400, 0)}),
        (Bucket.DAY, "2026-05-01", {"2026-05-02": (1_000, 1), "2026-05-03": (-400, 0)}),
        (Bucket.WEEK, "2026-04-27", {"2026-04-27": (600, 1)}),
        (Bucket.MONTH, "2026-05-01", {"2026-05-01": (600, 1)}),
    ],
)
def test_spans_are_those_of_the_sites_zone(
    bucket: Bucket,
    first: str,
    earned_in: dict[str, tuple[int, int]],
    site: Site,
    account: StripeAccount,
    django_assert_num_queries: Callable[..., Any],
) -> None:
    move(account, "charge", 1_000, "ch_1", occurred_at=dt.datetime(2026, 5, 1, 22, 30, tzinfo=dt.UTC))
    move(account, "refund", -400, "ch_1", occurred_at=dt.datetime(2026, 5, 3, 12, tzinfo=dt.UTC))
    send_hit(site, at=dt.datetime(2026, 5, 1, 22, 15, tzinfo=dt.UTC))
    asked = ask(site, Period(dt.date(2026, 5, 1), dt.date(2026, 5, 7), BERLIN))
    with django_assert_num_queries(1):
        found = stats.over_time(asked, MODEL, "eur", bucket)
    assert found[0].value == first
    assert {row.value: (row.net, row.visitors) for row in found if row.net or row.visitors} == earned_in


def test_the_days_add_up_to_the_totals(site: Site, ledger: StripeAccount) -> None:
    days = stats.by_day(ask(site, MAY), MODEL, "eur")
    assert len(days) == 31
    assert sum(day.net for day in days) == stats.totals(ask(site, MAY), MODEL)[0].net


@pytest.fixture
def mirrored(ledger: StripeAccount) -> StripeAccount:
    times = {"created_at": NOON, "observed_at": NOON}
    Charge.objects.create(
        account=ledger, stripe_id="ch_1", payment_intent="pi_1", captured=True, amount=10_000,
        amount_captured=10_000, amount_refunded=0, currency="eur", **times,
    )  # fmt: skip
    CheckoutSession.objects.create(account=ledger, stripe_id="cs_1", payment_intent="pi_1", currency="eur", **times)
    return ledger


def test_a_payment_is_listed_with_its_session_view_and_evidence(
    site: Site, mirrored: StripeAccount, django_assert_num_queries: Callable[..., Any]
) -> None:
    move(mirrored, "refund", -100, "ch_1", occurred_at=NOON + dt.timedelta(days=90))
    asked = ask(site, MAY)
    with django_assert_num_queries(1):
        found = stats.payments(asked, MODEL)
    assert {row.charge for row in found.rows} == {
        "ch_1",
        "ch_2",
        "ch_none",
        "ch_unknown",
        "ch_new",
        "ch_dollar",
    }
    by_charge = {row.charge: row for row in found.rows}
    assert by_charge["ch_1"] == Payment(
        occurred_at=NOON,
        account="acct_1",
        charge="ch_1",
        session="cs_1",
        currency="eur",
        gross=10_000,
        refunded=2_600,
        disputed=0,
        net=7_400,
        channel="Organic Search",
        source="Google",
        view_id=str(VIEW),
        evidence=Evidence.SESSION,
        reason=None,
    )
    assert (by_charge["ch_unknown"].reason, by_charge["ch_unknown"].view_id) == (Reason.UNKNOWN, str(VIEW))
    assert (by_charge["ch_new"].reason, by_charge["ch_new"].session) == (Reason.WAITING, "")


@pytest.mark.parametrize("search", ["ch_1", "pi_1", "cs_1"])
def test_a_payment_is_found_by_its_ids(search: str, site: Site, mirrored: StripeAccount) -> None:
    assert [row.charge for row in stats.payments(ask(site, MAY), MODEL, search=search).rows] == ["ch_1"]


def test_payments_are_found_by_the_view_they_carried(site: Site, mirrored: StripeAccount) -> None:
    found = stats.payments(ask(site, MAY), MODEL, search=str(VIEW).upper()).rows
    assert {row.charge for row in found} == {"ch_1", "ch_unknown"}
    assert stats.payments(ask(site, MAY), MODEL, search="%").rows == ()


def test_pages_of_payments_give_each_once_newest_first(site: Site, account: StripeAccount) -> None:
    for n in range(5):
        move(account, "charge", 100 + n, f"ch_{n}", occurred_at=NOON + dt.timedelta(minutes=n))
    pages = [stats.payments(ask(site, MAY), MODEL, page, per_page=2) for page in (1, 2, 3)]
    assert [row.charge for page in pages for row in page.rows] == ["ch_4", "ch_3", "ch_2", "ch_1", "ch_0"]
    assert [page.has_next for page in pages] == [True, True, False]
    assert len(stats.payments(ask(site, MAY), MODEL, per_page=None).rows) == 5


def test_a_site_without_the_account_sees_none_of_its_money(site: Site, ledger: StripeAccount) -> None:
    other = SiteFactory()
    assert stats.totals(ask(other, MAY), MODEL) == []
    assert stats.payments(ask(other, MAY), MODEL).rows == ()
    assert stats.breakdown(ask(other, MAY), "channel", MODEL, "eur") == Breakdown((), None, None)
    assert stats.connections(other) == []


def test_test_money_does_not_count_beside_live_money(site: Site, account: StripeAccount) -> None:
    move(account, "charge", 10_000, "ch_test")
    assert [row.gross for row in stats.totals(ask(site, MAY), MODEL)] == [10_000]
    live = StripeAccount.objects.create(acct_id="acct_1", livemode=True, default_currency="eur")
    Connection.objects.create(site=site, account=live, key_hint="rk_live_…abcd", connected_at=NOON)
    move(live, "charge", 700, "ch_live")
    assert [row.gross for row in stats.totals(ask(site, MAY), MODEL)] == [700]
