"""Money as programs are told it, beside Stripe's own books, the page, its files and the command line's report."""

import csv
import datetime as dt
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from revenue.money import plain
from revenue.sandbox.accounts import Account
from revenue.sandbox.world import World
from revenue.sync import Report
from revenue.tables import PANELS
from sites.api import Scope
from sites.models import Site
from sites.tokens import issue
from tests.factories import FIREFOX, send_hit
from tracking.export import harmless

AMOUNTS = ("gross", "refunded", "disputed", "net")


@pytest.fixture
def traded(site: Site, world: World, run: Callable[..., Report], buy: Callable[..., str]) -> dict[str, str]:
    """Payments of visits and of none, in two currencies, with what may come after; give the charges by name."""
    search = send_hit(site, "/tea", "https://www.google.com/", "utm_campaign=autumn", ip="91.64.7.7")
    direct = send_hit(site, "/cups", ip="8.8.8.8", user_agent=FIREFOX)
    send_hit(site, "/", "https://news.example/today", ip="193.99.144.80")
    charges = {
        "search": buy(12_345, metadata={"humblytics_view_id": str(search)}),
        "direct": buy(3_000, metadata={"humblytics_view_id": str(direct)}),
        "nobody": buy(7_000),
        "odd": buy(2_500, metadata={"humblytics_view_id": "=not an id"}),
        "dollar": buy(900, "usd", metadata={"humblytics_view_id": str(search)}),
    }
    buy(500, outcome="decline")
    world.refund(charges["nobody"], 1_999)
    world.refund(charges["direct"], 100)
    world.dispute(charges["odd"])
    run()
    return charges


@pytest.fixture
def token(site: Site) -> str:
    return issue(site, "Sheet", Scope.REVENUE)


def told(token: str, path: str, status: int = 200) -> Any:
    address = f"/api/v1/sites/shop.example/revenue/{path}"
    response = Client().get(address, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == status, response.content
    return response.json()


def rows_of(client: Client, path: str) -> list[list[str]]:
    """The page's own file."""
    return list(csv.reader(io.StringIO(client.get(f"/shop.example/revenue/export/{path}").content.decode())))


def as_exported(row: dict[str, Any]) -> list[str]:
    """A row's figures as the page's file has them."""
    net, gross, refunded, disputed = (
        plain(row[name], row["currency"]) for name in ("net", "gross", "refunded", "disputed")
    )
    return [row["currency"], net, f"{row['orders']}", f"{row['visitors'] or 0}", gross, refunded, disputed]


def reported(capsys: pytest.CaptureFixture[str], by: str) -> dict[str, Any]:
    call_command("revenue_report", "shop.example", "--by", by, "--json")
    return dict(json.loads(capsys.readouterr().out))


def test_figures_are_stripes_own_to_the_cent(
    traded: dict[str, str], token: str, world: World, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(token, "figures")
    euro, dollar = found["figures"]["currencies"]
    truth = {code.upper(): asdict(sums) for code, sums in world.truth(account).items()}
    for money in (euro, dollar):
        sums = truth[money["currency"]]
        assert {name: money[name] for name in sums} == sums
        assert money["net"] == money["gross"] - money["refunded"] - money["disputed"] - money["failed"]
        assert money["attributed"] + money["unattributed"] == money["net"]
        assert money["decimals"] == 2
        for name, amount in reported(capsys, "channel")["currencies"][money["currency"]].items():
            assert money[name] == amount
    assert (euro["attributed"], euro["unattributed"]) == (12_345 + 2_900, 7_000 - 1_999)
    assert sorted(each["reason"] for each in euro["reasons"]) == ["malformed", "no_id"]
    assert (euro["average_payment"], euro["revenue_per_visitor"]) == (6_211, 6_749)
    assert (euro["purchases"], found["figures"]["visitors"], euro["conversion_rate"]) == (2, 3, 0.6667)
    assert found["before"] == {"visitors": 0, "currencies": []}
    assert dt.datetime.fromisoformat(found["read_at"]) <= timezone.now() + dt.timedelta(minutes=1)


def test_figures_are_those_of_the_page(owner_client: Client, traded: dict[str, str], token: str) -> None:
    for asked, currency in [("", ""), ("", "usd"), ("is.country=DE", ""), ("model=first", ""), ("amounts=settled", "")]:
        total = owner_client.get(f"/shop.example/revenue/?{asked}&currency={currency}").context["total"]
        currencies = told(token, f"figures?{asked}")["figures"]["currencies"]
        (money,) = [each for each in currencies if each["currency"] == total.currency.upper() and not each["is_open"]]
        for name in (*AMOUNTS, "failed", "fees", "orders", "attributed", "unattributed"):
            assert money[name] == getattr(total, name), (asked, currency, name)


def test_the_series_is_that_of_the_chart(owner_client: Client, traded: dict[str, str], token: str) -> None:
    queries = ("", "currency=usd", "period=today&by=hour", "is.source=Google", "amounts=settled", "period=90d&by=week")
    for query in queries:
        headings, *rows = rows_of(owner_client, f"over-time.csv?{query}")
        found = told(token, f"series?{query}")
        assert found["by"].title() == headings[0]
        assert [[point["start"], *as_exported(point)] for point in found["points"]] == rows
        assert sum(point["orders"] for point in found["points"]) > 0
        # The weeks of a period before may be one more.
        assert abs(len(found["before"]) - len(rows)) <= 1
        assert told(token, f"series?{query}&versus=none")["before"] is None


def test_a_breakdown_has_the_rows_of_the_panel_and_what_nobody_is_credited_with(
    owner_client: Client, traded: dict[str, str], token: str
) -> None:
    (net, _) = (money["net"] for money in told(token, "figures")["figures"]["currencies"])
    for name, panel in PANELS.items():
        _, *rows = rows_of(owner_client, f"{name}.csv")
        found = told(token, f"breakdown/{name}")
        assert (found["breakdown"], found["title"], found["currency"]) == (name, panel.title, "EUR")
        shown = [[harmless(row["label"]), *as_exported(row)] for row in found["rows"]]
        nobody = [found["unattributed"]] if found["unattributed"] else []
        assert [*shown, *(["Not attributed", *as_exported(row)] for row in nobody)] == rows
        assert sum(row["net"] for row in [*found["rows"], *nobody]) == net


def test_a_value_asks_for_just_its_payments_and_what_was_sold_has_no_visitors(
    traded: dict[str, str], token: str
) -> None:
    rows = {row["label"]: row for row in told(token, "breakdown/countries")["rows"]}
    assert {label: row["value"] for label, row in rows.items() if row["orders"]} == {
        "Germany": "DE",
        "United States": "US",
    }
    (money,) = told(token, "figures?is.country=US")["figures"]["currencies"]
    assert (money["net"], money["orders"]) == (2_900, 1)
    assert {row["visitors"] for row in told(token, "breakdown/modes")["rows"]} == {None}


def test_the_report_of_the_command_line_has_the_same_rows(
    traded: dict[str, str], token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("channels", "landing-pages", "modes"):
        rows = [row for row in reported(capsys, PANELS[name].by)["rows"] if row["currency"] == "EUR"]
        found = told(token, f"breakdown/{name}")
        credited = [row for row in rows if row["value"] is not None]
        wanted = [{key: row[key] for key in ("value", *AMOUNTS, "orders")} for row in credited]
        assert [{key: row[key] for key in ("value", *AMOUNTS, "orders")} for row in found["rows"]] == wanted
        (nobody,) = [row for row in rows if row["value"] is None] or [None]
        assert (nobody and nobody["net"]) == (found["unattributed"] and found["unattributed"]["net"])
    assert told(token, "payments")["rows"] == reported(capsys, "payment")["rows"]
    days = [row for row in reported(capsys, "day")["rows"] if row["currency"] == "EUR"]
    points = told(token, "series?by=day")["points"]
    assert [{"value": point.pop("start"), **point} for point in points] == days


def test_rows_are_searched_and_come_in_pages(traded: dict[str, str], token: str) -> None:
    everything = told(token, "breakdown/landing-pages")
    assert len(everything["rows"]) == 3
    pages = [told(token, f"breakdown/landing-pages?limit=2&page={number}") for number in (1, 2)]
    assert [row for page in pages for row in page["rows"]] == everything["rows"]
    assert [page["has_next"] for page in pages] == [True, False]
    assert [row["value"] for row in told(token, "breakdown/landing-pages?search=TEA")["rows"]] == ["/tea"]


def test_payments_are_told_with_their_visit_or_the_reason_why_not(
    owner_client: Client, traded: dict[str, str], token: str
) -> None:
    shown = owner_client.get("/shop.example/revenue/payments/").context["found"].rows
    found = told(token, "payments")
    assert [row["charge"] for row in found["rows"]] == [row.charge for row in shown]
    rows = {row["charge"]: row for row in found["rows"]}
    odd, search = rows[traded["odd"]], rows[traded["search"]]
    assert (odd["reason"], odd["view_id"], odd["evidence"]) == ("malformed", "=not an id", "session_metadata")
    assert (odd["channel"], odd["disputed"], odd["net"]) == (None, 2_500, 0)
    assert (search["reason"], search["channel"], search["source"]) == (None, "Organic Search", "Google")
    assert (search["currency"], search["gross"], search["session"][:3]) == ("EUR", 12_345, "cs_")
    by_session = told(token, f"payments?search={search['session']}")["rows"]
    assert by_session == [search]
    pages = [told(token, f"payments?limit=2&page={number}") for number in (1, 2, 3)]
    assert [row for page in pages for row in page["rows"]] == found["rows"]
    assert [page["has_next"] for page in pages] == [True, True, False]


def test_coverage_is_told_week_by_week(owner_client: Client, traded: dict[str, str], token: str) -> None:
    found = told(token, "coverage?period=90d")
    *before, last = found["weeks"]
    assert len(before) in (12, 13)
    assert {(week["total"], week["share"]) for week in before} == {(0, None)}
    assert (last["attributed"], last["total"], last["share"]) == (3, 5, 0.6)
    shown = owner_client.get("/shop.example/revenue/coverage/").context
    assert (last["attributed"], last["total"]) == (shown["lately"].attributed, shown["lately"].total)
    assert found["has_dropped"] == shown["has_dropped"]


def test_what_was_known_on_a_day_is_told_as_such(traded: dict[str, str], token: str) -> None:
    yesterday = timezone.now().date() - dt.timedelta(days=1)
    found = told(token, f"figures?as_of={yesterday}")
    # The account was connected only today: there is nothing that could have been kept.
    assert (found["as_of"], found["is_made_up"], found["figures"]["currencies"]) == (f"{yesterday}", True, [])
    assert told(token, f"payments?as_of={yesterday}")["rows"] == []
    now = told(token, "figures")
    assert (now["as_of"], now["is_made_up"]) == (None, False)


def test_a_site_without_stripe_has_earned_nothing(site: Site, token: str) -> None:
    found = told(token, "figures?versus=none")
    assert (found["read_at"], found["figures"]) == (None, {"visitors": 0, "currencies": []})
    assert told(token, "payments")["rows"] == []
    assert told(token, "breakdown/channels")["rows"] == []
    assert {point["net"] for point in told(token, "series")["points"]} == {0}


@pytest.mark.parametrize(
    ("path", "parameter", "message"),
    [
        ("series?currency=euro", "currency", "“euro” is not what “currency” may be."),
        ("series?currency=E%C3%9CR", "currency", "“EÜR” is not what “currency” may be."),
        ("figures?currency=eur", "currency", "There is no such parameter here."),
        ("figures?model=best", "model", "“best” is none of what “model” may be."),
        ("figures?amounts=mine", "amounts", "“mine” is none of what “amounts” may be."),
        ("figures?as_of=2999-01-01", "as_of", "“as_of” is a day from 1990 to yesterday."),
        ("figures?as_of=0001-01-01", "as_of", "“as_of” is a day from 1990 to yesterday."),
        ("payments?search=%00", "search", "“\0” is not what “search” may be."),
    ],
)
def test_what_is_not_understood_is_refused_in_words(
    site: Site, token: str, path: str, parameter: str, message: str
) -> None:
    found = told(token, path, status=400)
    assert (found["error"], found["parameter"], found["message"]) == ("parameter", parameter, message)


def test_traffic_alone_opens_no_money(site: Site) -> None:
    found = told(issue(site, "Sheet", Scope.TRAFFIC), "figures", status=403)
    assert found["message"] == "This token is not for this: it may “Read traffic”."
