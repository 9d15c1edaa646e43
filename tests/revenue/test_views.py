import datetime as dt
import html
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from revenue import stats, tables
from revenue.attribution import Evidence, Reason
from revenue.models import Attribution, Connection, InvoicePayment, LedgerLine, StripeAccount
from sites.models import Site
from tests.factories import send_hit
from tests.mmdb import write_mmdb

PARTS = ("as-of", "totals", "over-time", "coverage", "payments")
CARDS = {"sources": "channels", "pages": "landing-pages", "campaigns": "campaigns", "places": "countries"}
CARDS |= {"devices": "browsers", "kinds": "modes"}
PAGE = "/shop.example/revenue/"
SETTINGS = "/shop.example/settings/revenue/"


@pytest.fixture
def connection(site: Site) -> Connection:
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=False, default_currency="eur")
    now = timezone.now()
    return Connection.objects.create(
        site=site, account=account, key_hint="sk_test_…cafe", connected_at=now, synced_at=now
    )


def pay(connection: Connection, charge: str, amount: int, currency: str = "eur", **decision: Any) -> None:
    now = timezone.now()
    LedgerLine.objects.create(
        account=connection.account, key=f"charge:{charge}:gross", kind="charge", amount=amount,
        currency=currency, occurred_at=now, charge=charge, balance_transaction=f"txn_{charge}",
    )  # fmt: skip
    Attribution.objects.create(
        account=connection.account, charge=charge, model="last_non_direct", rules_version=1, decided_at=now,
        **decision,
    )  # fmt: skip


@pytest.fixture
def paid(site: Site, connection: Connection) -> Connection:
    send_hit(site, "/", referrer="https://www.google.com/")
    pay(
        connection, "ch_1", 123_450, site=site, channel="Organic Search", source="Google", country="DE",
        evidence=Evidence.SESSION,
    )  # fmt: skip
    pay(connection, "ch_2", 5_000, reason=Reason.NO_ID)
    return connection


def test_an_unconnected_site_is_led_to_the_settings(owner_client: Client, site: Site) -> None:
    answer = owner_client.get(PAGE).content.decode()
    assert "Connect Stripe" in answer
    assert f'href="{SETTINGS}"' in answer


def test_the_page_says_what_is_attributed_and_what_is_not(owner_client: Client, paid: Connection) -> None:
    answer = " ".join(owner_client.get(PAGE).content.decode().split())
    assert "Attributed <strong>€1,234.50</strong> + not attributed <strong>€50.00</strong>" in answer
    assert "Stripe’s total <strong>€1,284.50</strong>, reconciled to the cent, as of" in answer
    assert Reason.NO_ID.sentence in answer
    assert "viewId" in answer


def test_every_panel_is_on_the_page_and_answers_alone(owner_client: Client, paid: Connection) -> None:
    page = owner_client.get(PAGE).content.decode()
    for card, panel in {**CARDS, **dict(zip(PARTS, PARTS, strict=True))}.items():
        assert f'id="{card}"' in page
        assert f'"{PAGE}{panel}/?' in page
    for card, panel in [
        *((tables.TABS_OF[name].name, name) for name in tables.PANELS),
        *zip(PARTS, PARTS, strict=True),
    ]:
        answer = owner_client.get(f"{PAGE}{panel}/?period=30d&model=last&currency=eur")
        assert answer.status_code == 200
        assert f'id="{card}"' in answer.content.decode()
        assert "<html" not in answer.content.decode()


def test_a_panel_shows_money_and_visitors(owner_client: Client, paid: Connection) -> None:
    answer = owner_client.get(f"{PAGE}channels/").content.decode()
    assert "Organic Search" in answer
    assert "€1,234.50" in answer
    assert "Not attributed" in answer
    assert "Germany" in owner_client.get(f"{PAGE}countries/").content.decode()


def test_renewals_and_fees_are_compared_too(owner_client: Client, paid: Connection) -> None:
    for charge, amount, fee, days in [("ch_3", 900, 50, 0), ("ch_4", 800, 40, 40), ("ch_5", 800, 0, 41)]:
        pay(paid, charge, amount, reason=Reason.RENEWAL, is_renewal=True)
        at = timezone.now() - dt.timedelta(days=days)
        LedgerLine.objects.filter(charge=charge).update(occurred_at=at)
        of_fee = {"key": f"fee:{charge}", "kind": "fee", "amount": -fee, "currency": "eur", "charge": charge}
        LedgerLine.objects.create(account=paid.account, occurred_at=at, balance_transaction=f"txn_{charge}", **of_fee)
    shown = {each.label: each for each in owner_client.get(f"{PAGE}totals/?period=30d").context["figures"]}
    assert shown["Payments"].note == "from 2; 1 renewal of €9.00 in it, from 2 of €16.00"
    fees = shown["Stripe’s fees"]
    assert (fees.value, fees.note, fees.direction) == ("€0.50", "from €0.40", "bad")


def test_the_chart_can_be_had_by_other_spans_compared_and_as_a_file(
    owner_client: Client, site: Site, paid: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = dt.datetime(2026, 11, 24, 12, 30, tzinfo=dt.UTC)
    monkeypatch.setattr("revenue.views.timezone.now", lambda: now)
    LedgerLine.objects.all().delete()
    for n, (days, amount) in enumerate([(0, 9_000), (1, 3_000), (7, 5_000)]):
        pay(paid, f"ch_{n}0", amount, site=site, channel="Direct")
        LedgerLine.objects.filter(charge=f"ch_{n}0").update(occurred_at=now - dt.timedelta(days=days))
    page = owner_client.get(f"{PAGE}?period=7d")
    bars = page.context["chart"].points
    assert [(bar.label, bar.value, bar.before) for bar in bars[-2:]] == [
        ("Mon 23 Nov 2026", "€30.00", "€0.00"),
        ("Tue 24 Nov 2026, so far", "€90.00", "€50.00"),
    ]
    hours = owner_client.get(f"{PAGE}over-time/?period=7d&by=hour&versus=none")
    assert [(bar.label, bar.value, bar.before) for bar in hours.context["chart"].points if bar.height] == [
        ("Mon 23 Nov 2026, 12:00", "€30.00", ""),
        ("Tue 24 Nov 2026, 12:00, so far", "€90.00", ""),
    ]
    assert 'id="by-hour" href="?period=7d&amp;by=hour"' in page.content.decode()
    file = f"{PAGE}export/over-time.csv?period=7d"
    assert f'href="{file}&amp;currency=eur"' in page.content.decode()
    rows = owner_client.get(file).content.decode().splitlines()
    assert rows[0] == "Day,Currency,Net,Payments,Visitors,Gross,Refunded,Disputed"
    assert rows[-1] == "2026-11-24,EUR,90.00,1,0,90.00,0.00,0.00"
    assert len(rows) == 8


def test_panels_without_anything_say_so(owner_client: Client, connection: Connection) -> None:
    for name in (*tables.PANELS, "over-time", "payments"):
        assert 'class="empty"' in owner_client.get(f"{PAGE}{name}/").content.decode()


def test_another_currency_is_chosen_and_never_added(owner_client: Client, site: Site, paid: Connection) -> None:
    pay(paid, "ch_3", 700, "usd", site=site, channel="Direct")
    euro = owner_client.get(PAGE).content.decode()
    assert 'id="currency-usd" href="?period=30d&amp;currency=usd"' in euro
    # Beside the total, and in none.
    assert euro.count("$7.00") == euro.count("and not in it: <strong>$7.00</strong>") == 1
    dollar = owner_client.get(f"{PAGE}?currency=usd").content.decode()
    assert "Stripe’s total <strong>$7.00</strong>" in dollar
    assert "currency=usd" in dollar


@pytest.mark.parametrize(
    "query", ["period=x&model=y&currency=zz", "from=2026-99-99&to=x", "currency=%00%27", "page=-1&search=%25", "page=x"]
)
def test_an_odd_address_gives_the_default(query: str, owner_client: Client, paid: Connection) -> None:
    assert "€1,234.50" in owner_client.get(f"{PAGE}?{query}").content.decode()
    assert owner_client.get(f"{PAGE}payments/?{query}").status_code == 200


def test_payments_say_how_their_visit_is_known(owner_client: Client, paid: Connection) -> None:
    answer = owner_client.get(f"{PAGE}payments/").content.decode()
    assert "Metadata of the session" in answer
    assert Reason.NO_ID.sentence in answer
    found = owner_client.get(f"{PAGE}payments/?search=ch_2").content.decode()
    assert "ch_2" in found
    assert "ch_1" not in found


def test_the_first_sync_is_announced(owner_client: Client, connection: Connection) -> None:
    Connection.objects.update(synced_at=None)
    assert "for the first time" in owner_client.get(PAGE).content.decode()
    assert "for the first time" in owner_client.get(SETTINGS).content.decode()


def test_what_was_paid_outside_stripe_is_told_apart(owner_client: Client, paid: Connection) -> None:
    now = timezone.now()
    InvoicePayment.objects.create(
        account=paid.account, stripe_id="inpay_1", created_at=now, observed_at=now, status="paid",
        type="payment_record", amount_paid=990, currency="eur",
    )  # fmt: skip
    page = owner_client.get(PAGE).content.decode()

    assert "Invoices over €9.90 were marked as paid outside Stripe" in page
    assert "€1,284.50" in page


def test_strangers_find_nothing(stranger_client: Client, paid: Connection) -> None:
    for address in (PAGE, SETTINGS, *(f"{PAGE}{name}/" for name in (*tables.PANELS, *PARTS))):
        assert stranger_client.get(address).status_code == 404


def test_countries_are_shown_with_the_credit_that_their_maker_asks_for(
    owner_client: Client, paid: Connection, settings: Any, tmp_path: Path
) -> None:
    made = write_mmdb(tmp_path / "places.mmdb", {"91.64.0.0/16": {"country": {"iso_code": "DE"}}}, "DBIP-Country-Lite")
    settings.GEOIP_PATH = str(made)
    link = '<a href="https://db-ip.com">IP Geolocation by DB-IP</a>'
    shown = [name for name in tables.PANELS if link in owner_client.get(f"{PAGE}{name}/").content.decode()]
    assert shown == ["countries", "regions", "cities"]
    settings.GEOIP_PATH = ""
    assert link not in owner_client.get(f"{PAGE}countries/").content.decode()


def headline(client: Client, query: str = "") -> list[tuple[str, str, str, str]]:
    """Give the figures of the traffic dashboard's strip: label, value, change and note."""
    answer = client.get(f"{PAGE}headline/?{query}")
    return [(each.label, each.value, each.change, each.note) for each in answer.context["figures"]]


def test_the_headline_of_a_site_without_stripe_is_nothing(owner_client: Client, site: Site) -> None:
    send_hit(site)
    answer = owner_client.get(f"{PAGE}headline/?period=7d")
    assert (answer.status_code, answer.content) == (200, b"")


def test_the_headline_is_compared_with_the_same_part_of_the_period_before(
    owner_client: Client, site: Site, paid: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
    monkeypatch.setattr("revenue.views.timezone.now", lambda: now)
    LedgerLine.objects.all().delete()
    for n, (days, hours, amount) in enumerate([(0, 1, 9_000), (0, 2, 3_000), (1, 1, 8_000), (1, -1, 5_000)]):
        at = now - dt.timedelta(days=days, hours=hours)
        pay(paid, f"ch_{n}0", amount, site=site, channel="Direct")
        LedgerLine.objects.filter(charge=f"ch_{n}0").update(occurred_at=at)
        send_hit(site, at=at, ip=f"203.0.113.{n}")
    assert headline(owner_client, "period=today") == [
        ("Net revenue", "€120.00", "+50%", "from €80.00"),
        ("Payments", "2", "+100%", "from 1"),
        ("Revenue per visitor", "€60.00", "−25%", "from €80.00"),
        ("Conversion rate", "100.00%", "±0%", "from 100.00%"),
    ]
    assert headline(owner_client, "period=today&versus=year")[0] == ("Net revenue", "€120.00", "", "from €0.00")
    assert headline(owner_client, "period=today&versus=year")[2] == ("Revenue per visitor", "€60.00", "", "")
    assert headline(owner_client, "period=today&versus=none")[0] == ("Net revenue", "€120.00", "", "")
    filtered = "period=today&is.channel=Direct"
    assert headline(owner_client, filtered)[0] == ("Net revenue", "€120.00", "+50%", "from €80.00")
    assert headline(owner_client, "period=today&is.channel=Email")[0] == ("Net revenue", "€0.00", "", "from €0.00")
    assert headline(owner_client, "from=2026-01-01&to=2026-01-31")[2] == ("Revenue per visitor", "–", "", "")


def test_the_headline_leads_to_where_its_money_came_from(owner_client: Client, paid: Connection) -> None:
    page = owner_client.get(f"{PAGE}headline/?period=7d").content.decode()
    address = re.search(r'<a href="([^"]*)" title="Show where it came from">Net revenue</a>', page)
    assert address
    answer = owner_client.get(html.unescape(address[1]))
    assert answer.context["asked"].visits.period.name == "7d"
    assert "€1,284.50" in answer.content.decode()


def test_all_rows_are_shown_in_pages_searched_and_exported(
    owner_client: Client, site: Site, connection: Connection
) -> None:
    for n in range(60):
        pay(connection, f"ch_{n}", 1_000 - n, site=site, source=f"partner {n:02}", channel="Referral")
    pay(connection, "ch_none", 77, reason=Reason.NO_ID)
    details, export = f"{PAGE}details/sources/", f"{PAGE}export/sources.csv"

    def labels(query: str) -> list[str]:
        return [line.label for line in owner_client.get(f"{details}?{query}").context["table"].lines]

    assert labels("") == [f"partner {n:02}" for n in range(50)]
    assert labels("page=2") == [*(f"partner {n:02}" for n in range(50, 60)), "Not attributed"]
    assert labels("page=3") == []
    assert labels("search=PARTNER+1") == [f"partner {n}" for n in range(10, 20)]
    assert labels("search=%00%25") == []
    assert labels("is.source=partner+07") == ["partner 07"]
    # The bars of every page are as long as those of the first.
    second = owner_client.get(f"{details}?page=2").context["table"].lines
    assert (second[0].share, second[-1].share) == (95.0, 7.7)
    rows = owner_client.get(export).content.decode().splitlines()
    assert len(rows) == 62
    assert rows[1] == "partner 00,EUR,10.00,1,0,10.00,0.00,0.00"
    assert rows[-1].startswith("Not attributed,EUR,0.77,1,0,")
    assert len(owner_client.get(f"{export}?is.source=partner+07").content.decode().splitlines()) == 2


def test_what_the_page_has_found_is_not_looked_for_again_by_its_parts(
    owner_client: Client, paid: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = owner_client.get(f"{PAGE}?period=7d")
    address = html.unescape(re.search(rf'"({PAGE}channels/\?[^"]*)"', page.content.decode())[1])  # type: ignore[index]
    asked: list[str] = []
    for name in ("totals", "connections", "fingerprint"):
        counted = getattr(stats, name)
        monkeypatch.setattr(
            stats, name, lambda *args, name=name, counted=counted: [asked.append(name), counted(*args)][1]
        )

    assert "€1,234.50" in owner_client.get(address).content.decode()
    assert asked == []
    owner_client.get(f"{PAGE}headline/?period=7d&versus=none&currency=eur")
    assert sorted(asked) == ["connections", "totals"]
