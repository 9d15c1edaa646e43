import datetime as dt
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from revenue.attribution import Evidence, Reason
from revenue.models import Attribution, Connection, LedgerLine, StripeAccount
from revenue.sandbox.accounts import Account
from revenue.sandbox.world import World
from revenue.sync import Report
from sites.models import Site
from tests.factories import send_hit

NOON = dt.datetime(2026, 5, 10, 12, tzinfo=dt.UTC)
MAY = ("--from", "2026-05-01", "--to", "2026-05-31")


def run(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    call_command("revenue_report", *args)
    return capsys.readouterr().out


def report(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    return dict(json.loads(run(capsys, *args, "--json")))


def move(account: StripeAccount, kind: str, amount: int, charge: str) -> None:
    LedgerLine.objects.create(
        account=account, key=f"{kind}:{charge}", kind=kind, amount=amount, currency="eur", occurred_at=NOON,
        charge=charge,
    )  # fmt: skip


@pytest.fixture
def ledger(site: Site) -> None:
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=False)
    Connection.objects.create(site=site, account=account, connected_at=NOON)
    decided = {"account": account, "model": "last_non_direct", "rules_version": 1, "decided_at": NOON}
    view = send_hit(site, referrer="https://www.google.com/", at=NOON)
    move(account, "charge", 123_450, "ch_1")
    move(account, "fee", -1_877, "ch_1")
    move(account, "refund", -50, "ch_1")
    Attribution.objects.create(
        charge="ch_1", site=site, channel="Organic Search", evidence=Evidence.SESSION, view_id=view, **decided
    )
    move(account, "charge", 100, "ch_2")
    Attribution.objects.create(charge="ch_2", reason=Reason.NO_ID, **decided)


def test_the_report_by_channel_is_in_minor_units(site: Site, ledger: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(capsys, "shop.example", *MAY) == {
        "site": "shop.example",
        "from": "2026-05-01",
        "to": "2026-05-31",
        "currencies": {
            "EUR": {
                "gross": 123_550,
                "refunded": 50,
                "disputed": 0,
                "fees": 1_877,
                "net": 123_500,
                "orders": 2,
            }
        },
        "rows": [
            {
                "value": "Organic Search",
                "currency": "EUR",
                "gross": 123_450,
                "refunded": 50,
                "disputed": 0,
                "net": 123_400,
                "orders": 1,
                "visitors": 1,
            },
            {
                "value": None,
                "currency": "EUR",
                "gross": 100,
                "refunded": 0,
                "disputed": 0,
                "net": 100,
                "orders": 1,
                "visitors": 0,
            },
        ],
    }


def test_payments_carry_their_decision(site: Site, ledger: None, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["charge"]: row for row in report(capsys, "shop.example", *MAY, "--by", "payment")["rows"]}
    assert set(rows) == {"ch_1", "ch_2"}
    view = str(Attribution.objects.get(charge="ch_1").view_id)
    decided = ("session", "view_id", "reason", "evidence", "net", "currency")
    assert [rows["ch_1"][name] for name in decided] == [None, view, None, "session_metadata", 123_400, "EUR"]
    assert [rows["ch_2"][name] for name in decided] == [None, None, "no_id", None, 100, "EUR"]


def test_days_are_all_there(site: Site, ledger: None, capsys: pytest.CaptureFixture[str]) -> None:
    rows = report(capsys, "shop.example", *MAY, "--by", "day")["rows"]
    assert [row["value"] for row in rows] == [f"2026-05-{day:02}" for day in range(1, 32)]
    assert [row["net"] for row in rows if row["net"]] == [123_500]


def test_people_get_a_table_with_formatted_money(site: Site, ledger: None, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "shop.example", *MAY).splitlines()
    assert lines[0] == "shop.example, 2026-05-01 to 2026-05-31"
    assert lines[3].split() == ["EUR", "€1,235.50", "€0.50", "€0.00", "€18.77", "€1,235.00", "2"]
    assert lines[6].split() == ["Organic", "Search", "EUR", "€1,234.50", "€0.50", "€0.00", "€1,234.00", "1", "1"]
    assert lines[7].startswith("Not attributed")


def test_a_site_that_earned_nothing_has_an_empty_report(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "shop.example", *MAY)
    assert (found["currencies"], found["rows"]) == ({}, [])
    assert "Nothing was earned." in run(capsys, "shop.example", *MAY)


def test_the_report_agrees_to_the_cent_with_stripes_own_books(
    site: Site,
    world: World,
    account: Account,
    run: Callable[..., Report],
    buy: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = send_hit(site, "/tea", referrer="https://www.google.com/")
    attributed = buy(12_345, metadata={"humblytics_view_id": str(view)})
    refunded = buy(7_000)
    disputed = buy(3_000, metadata={"humblytics_view_id": "not an id"})
    buy(900, "usd")
    buy(500, outcome="decline")
    world.refund(refunded, 1_999)
    world.dispute(disputed)
    run()

    found = report(capsys, "shop.example", "--by", "source")

    truth = world.truth(account)
    assert {
        code: {name: sums[name] for name in ("gross", "refunded", "disputed", "fees", "orders")}
        for code, sums in found["currencies"].items()
    } == {code.upper(): asdict(sums) for code, sums in truth.items()}
    for code, sums in found["currencies"].items():
        assert sum(row["net"] for row in found["rows"] if row["currency"] == code) == sums["net"]
    assert [(row["value"], row["net"]) for row in found["rows"] if row["currency"] == "EUR"] == [
        ("Google", 12_345),
        (None, 7_000 - 1_999),
    ]
    payments = report(capsys, "shop.example", "--by", "payment")["rows"]
    decided = {row["charge"]: (row["view_id"], row["evidence"], row["reason"]) for row in payments}
    assert decided[attributed] == (str(view), "session_metadata", None)
    assert decided[refunded] == (None, None, "no_id")
    assert decided[disputed] == ("not an id", "session_metadata", "malformed")


@pytest.mark.parametrize(
    ("args", "days"),
    [
        pytest.param(("--to", "2026-05-31"), ("2026-05-02", "2026-05-31"), id="30 days up to a day"),
        pytest.param(("--from", "2026-05-01", "--to", "2026-05-01"), ("2026-05-01", "2026-05-01"), id="a day"),
    ],
)
def test_a_missing_first_day_gives_thirty_days(
    args: tuple[str, ...], days: tuple[str, str], site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(capsys, "shop.example", *args)
    assert (found["from"], found["to"]) == days


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(("nowhere.example",), id="unknown domain"),
        pytest.param(("shop.example", "--from", "yesterday"), id="no date"),
        pytest.param(("shop.example", "--from", "2026-06-01", "--to", "2026-05-01"), id="backwards"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_status_2(args: tuple[str, ...], site: Site) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("revenue_report", *args)
    assert caught.value.returncode == 2
    assert "\n" not in str(caught.value)
