"""Hits through POST /collect, looked at in the database."""

import datetime as dt
import ipaddress
import json
import uuid
from typing import Any

import psycopg
import pytest
from django.db import connection

from sites.models import Site
from tests.factories import (
    CHROME,
    FIREFOX,
    IPHONE,
    PLAIN,
    InTest,
    SiteFactory,
    collect,
    send_engagement,
    send_event,
    send_hit,
)
from tracking.models import DailySalt, Event, Presence, View, Visit
from tracking.tasks import forget_visitors

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
BROWSER = (b"user-agent", CHROME.encode())


def said(of: Site, **changed: object) -> bytes:
    hit = {"site": of.key, "view": str(uuid.uuid4()), "url": f"https://{of.domain}/"} | changed
    return json.dumps(hit).encode()


def test_a_hit_makes_a_visit_with_its_source_and_device(site: Site) -> None:
    view = send_hit(
        site,
        "/pricing",
        referrer="https://www.google.com/",
        query="utm_source=google&utm_medium=cpc&utm_campaign=spring",
        ip="91.64.0.1",
        user_agent=IPHONE,
        at=NOON,
    )
    visit = Visit.objects.get(site=site)
    assert (visit.views, visit.started_at, visit.last_at) == (1, NOON, NOON)
    assert (visit.entry_path, visit.exit_path, visit.hostname) == ("/pricing", "/pricing", "shop.example")
    assert (visit.channel, visit.source, visit.utm_campaign) == ("Paid Search", "Google", "spring")
    assert (visit.country, visit.browser, visit.os, visit.device) == ("DE", "Safari", "iOS", "Mobile")
    assert View.objects.get(site=site, id=view).visit_id == visit.id


def test_views_within_half_an_hour_are_one_visit(site: Site) -> None:
    send_hit(site, "/", at=NOON)
    send_hit(site, "/pricing", at=NOON + 29 * MINUTE)
    send_hit(site, "/buy", at=NOON + 58 * MINUTE)
    visit = Visit.objects.get(site=site)
    assert (visit.views, visit.entry_path, visit.exit_path) == (3, "/", "/buy")
    assert visit.last_at - visit.started_at == 58 * MINUTE


def test_half_an_hour_of_silence_ends_a_visit(site: Site) -> None:
    send_hit(site, at=NOON)
    send_hit(site, at=NOON + 30 * MINUTE)
    assert list(Visit.objects.filter(site=site).values_list("views", flat=True)) == [1, 1]


def test_coming_back_from_the_payment_page_goes_on_with_the_visit(site: Site) -> None:
    send_hit(site, "/buy", referrer="https://news.ycombinator.com/", at=NOON)
    send_hit(site, "/thanks", referrer="https://checkout.stripe.com/", at=NOON + 90 * MINUTE)
    visit = Visit.objects.get(site=site)
    assert (visit.views, visit.exit_path, visit.channel) == (2, "/thanks", "Referral")


def test_other_addresses_browsers_and_sites_are_other_visits(site: Site) -> None:
    send_hit(site, at=NOON)
    send_hit(site, at=NOON, ip="203.0.113.8")
    send_hit(site, at=NOON, user_agent=FIREFOX)
    send_hit(SiteFactory(), at=NOON)
    assert Visit.objects.count() == 4
    assert Visit.objects.values("visitor").distinct().count() == 4


def test_a_retried_hit_counts_once(site: Site) -> None:
    view = send_hit(site, at=NOON)
    for _ in range(3):
        send_hit(site, at=NOON + MINUTE, view_id=view)
    assert View.objects.count() == 1
    assert Visit.objects.get().views == 1


def test_midnight_splits_no_visit(site: Site) -> None:
    before = dt.datetime(2026, 3, 10, 23, 50, tzinfo=dt.UTC)
    for minutes in (0, 20, 40, 60):
        send_hit(site, at=before + minutes * MINUTE)
    assert Visit.objects.get().views == 4


def test_a_payment_that_crosses_midnight_splits_no_visit(site: Site) -> None:
    send_hit(site, "/buy", at=dt.datetime(2026, 3, 10, 23, 20, tzinfo=dt.UTC))
    back = dt.datetime(2026, 3, 11, 0, 5, tzinfo=dt.UTC)
    send_hit(site, "/thanks", referrer="https://checkout.stripe.com/", at=back)
    assert Visit.objects.get().views == 2


def test_the_first_hit_of_a_day_destroys_the_salts_that_are_over(site: Site) -> None:
    for days in range(4):
        send_hit(site, at=NOON + dt.timedelta(days=days))
    kept = DailySalt.objects.order_by("day").values_list("day", flat=True)
    assert list(kept) == [(NOON + dt.timedelta(days=2)).date(), (NOON + dt.timedelta(days=3)).date()]


def test_a_header_in_several_lines_is_read_whole(site: Site) -> None:
    headers = [PLAIN, BROWSER, (b"x-forwarded-for", b"91.64.0.1"), (b"x-forwarded-for", b"10.0.0.5")]
    collect(said(site), headers, ip="10.0.0.1", trusted_proxies=[ipaddress.ip_network("10.0.0.0/8")])
    assert Visit.objects.get().country == "DE"


def test_the_next_day_is_another_visitor(site: Site) -> None:
    send_hit(site, at=NOON)
    send_hit(site, at=NOON + dt.timedelta(days=1))
    assert Visit.objects.values("visitor").distinct().count() == 2


def test_salts_are_destroyed_when_two_days_have_passed(site: Site) -> None:
    send_hit(site, at=NOON)
    forget_visitors(NOON + dt.timedelta(hours=35))
    assert DailySalt.objects.filter(day=NOON.date()).exists()
    assert Presence.objects.exists()
    forget_visitors(dt.datetime(2026, 3, 12, tzinfo=dt.UTC))
    assert not DailySalt.objects.filter(day=NOON.date()).exists()
    assert not Presence.objects.exists()
    assert Visit.objects.count() == 1


def test_without_the_salt_the_same_visitor_cannot_be_told_again(site: Site) -> None:
    send_hit(site, at=NOON)
    forget_visitors(NOON + dt.timedelta(days=3))
    send_hit(site, at=NOON)
    assert Visit.objects.values("visitor").distinct().count() == 2


def test_variants_are_kept_on_the_view_and_gathered_on_the_visit(site: Site) -> None:
    send_hit(site, "/", at=NOON)
    send_hit(site, "/pricing", at=NOON + MINUTE, variants=[3])
    send_hit(site, "/buy", at=NOON + 2 * MINUTE, variants=[3, 5])
    assert sorted(set(Visit.objects.get().variants)) == [3, 5]
    assert list(View.objects.order_by("at").values_list("variants", flat=True)) == [[], [3], [3, 5]]


def test_an_event_is_kept_with_its_view_and_visit(site: Site) -> None:
    view = send_hit(site, "/pricing", at=NOON)
    event_id = uuid.uuid4()
    for _ in range(2):
        send_event(site, "signup", {"plan": "pro", "seats": 3}, view, "/pricing", at=NOON + MINUTE, event_id=event_id)
    event, visit = Event.objects.get(), Visit.objects.get()
    assert (event.id, event.name, event.view_id, event.path, event.at) == (
        *(event_id, "signup", view, "/pricing"),
        NOON + MINUTE,
    )
    assert (event.visit_id, event.visitor) == (visit.id, visit.visitor)
    assert event.props == {"plan": "pro", "seats": 3}
    assert (visit.views, visit.last_at) == (1, NOON)


def test_an_event_whose_view_is_not_known_belongs_to_the_visit_its_visitor_is_in(site: Site) -> None:
    send_hit(site, at=NOON)
    send_event(site, "signup", at=NOON + 29 * MINUTE)
    assert Event.objects.get().visit_id == Visit.objects.get().id


def test_an_event_of_a_page_left_open_belongs_to_the_visit_of_that_page(site: Site) -> None:
    view = send_hit(site, at=NOON)
    first = Visit.objects.get()
    send_hit(site, at=NOON + 90 * MINUTE)
    send_event(site, "signup", view_id=view, at=NOON + 91 * MINUTE)
    assert Event.objects.get().visit_id == first.id


def test_an_event_starts_no_visit(site: Site) -> None:
    send_event(site, "signup", at=NOON)
    event = Event.objects.get()
    assert event.visit_id is None
    assert event.visitor.int
    assert not Visit.objects.exists()
    assert not Presence.objects.exists()


def test_an_event_after_midnight_is_of_the_visitor_of_before(site: Site) -> None:
    view = send_hit(site, at=dt.datetime(2026, 3, 10, 23, 50, tzinfo=dt.UTC))
    for view_id in (view, None):
        send_event(site, "signup", view_id=view_id, at=dt.datetime(2026, 3, 11, 0, 10, tzinfo=dt.UTC))
    visit = Visit.objects.get()
    assert set(Event.objects.values_list("visit_id", "visitor")) == {(visit.id, visit.visitor)}


def test_a_visit_of_one_page_lasts_as_long_as_it_was_read(site: Site) -> None:
    view = send_hit(site, at=NOON)
    for engaged, scrolled in ((25_000, 80), (40_000, 60), (40_000, 60), (10_000, 5)):
        send_engagement(site, view, engaged, scrolled, at=NOON + MINUTE)
    seen, visit = View.objects.get(), Visit.objects.get()
    assert (seen.engaged_ms, seen.scrolled) == (40_000, 80)
    assert (visit.last_at - visit.started_at, visit.views) == (dt.timedelta(seconds=40), 1)


def test_no_visit_lasts_longer_than_until_now(site: Site) -> None:
    view = send_hit(site, at=NOON)
    send_engagement(site, view, 3_600_000, at=NOON + MINUTE)
    assert Visit.objects.get().last_at == NOON + MINUTE


def test_a_visit_goes_on_after_a_page_that_was_read_for_long(site: Site) -> None:
    view = send_hit(site, at=NOON)
    send_engagement(site, view, 45 * 60_000, at=NOON + 45 * MINUTE)
    send_hit(site, "/next", at=NOON + 46 * MINUTE)
    assert Visit.objects.get().views == 2


def test_engagement_across_midnight_is_kept(site: Site) -> None:
    view = send_hit(site, at=dt.datetime(2026, 3, 10, 23, 20, tzinfo=dt.UTC))
    send_engagement(site, view, 50 * 60_000, at=dt.datetime(2026, 3, 11, 0, 10, tzinfo=dt.UTC))
    send_hit(site, "/next", at=dt.datetime(2026, 3, 11, 0, 11, tzinfo=dt.UTC))
    assert View.objects.get(id=view).engaged_ms == 50 * 60_000
    assert Visit.objects.get().views == 2


@pytest.mark.parametrize(
    "changed", [{"ip": "203.0.113.8"}, {"user_agent": FIREFOX}, {"view_id": uuid.UUID(int=1)}], ids=str
)
def test_engagement_of_others_or_of_no_view_changes_nothing(site: Site, changed: dict[str, Any]) -> None:
    view = send_hit(site, at=NOON)
    send_engagement(site, **({"view_id": view, "engaged_ms": 40_000, "at": NOON + MINUTE} | changed))
    other = SiteFactory()
    send_engagement(other, view, 40_000, at=NOON + MINUTE)
    assert View.objects.get().engaged_ms == 0
    assert Visit.objects.get().last_at == NOON
    assert Presence.objects.count() == 1


def test_the_address_is_nowhere_in_the_database(site: Site) -> None:
    send_hit(site, ip="198.51.100.77", at=NOON)
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}" AS row WHERE row::text LIKE %s', ["%198.51.100.77%"])
            assert cursor.fetchone() == (0,), table


@pytest.mark.parametrize(
    ("headers", "changed", "status", "reason"),
    [
        pytest.param([PLAIN, BROWSER], {"site": "nothere"}, 400, "unknown-site", id="unknown-site"),
        pytest.param([PLAIN, BROWSER], {"url": "https://evil.example/"}, 403, "other-host", id="other-host"),
        pytest.param([PLAIN, BROWSER], {"url": "https://notshop.example/"}, 403, "other-host", id="look-alike-host"),
        pytest.param([PLAIN, BROWSER, (b"origin", b"https://evil.example")], {}, 403, "other-host", id="other-origin"),
        pytest.param([PLAIN, BROWSER, (b"origin", b"null")], {}, 403, "other-host", id="null-origin"),
        pytest.param([PLAIN], {}, 202, "bot", id="no-user-agent"),
        pytest.param(
            [PLAIN, (b"user-agent", b"Googlebot/2.1 (+http://www.google.com/bot.html)")], {}, 202, "bot", id="bot"
        ),
        pytest.param(
            [PLAIN, (b"user-agent", CHROME.replace("Chrome", "HeadlessChrome").encode())], {}, 202, "bot", id="headless"
        ),
        pytest.param([PLAIN, BROWSER], {"webdriver": True}, 202, "webdriver", id="webdriver"),
        pytest.param([PLAIN, BROWSER, (b"sec-purpose", b"prefetch;prerender")], {}, 202, "prefetch", id="sec-purpose"),
        pytest.param([PLAIN, BROWSER, (b"purpose", b"prefetch")], {}, 202, "prefetch", id="purpose"),
        pytest.param([PLAIN, BROWSER, (b"x-purpose", b"preview")], {}, 202, "prefetch", id="x-purpose"),
        pytest.param([PLAIN, BROWSER, (b"x-moz", b"Prefetch")], {}, 202, "prefetch", id="x-moz"),
        pytest.param(
            [(b"content-type", b"multipart/form-data"), BROWSER], {}, 415, "wrong-content-type", id="multipart"
        ),
        pytest.param([BROWSER], {}, 415, "wrong-content-type", id="no-type"),
        pytest.param([PLAIN, BROWSER, (b"content-length", b"10000000")], {}, 413, "too-large", id="large"),
        pytest.param([PLAIN, BROWSER], {"view": "x"}, 400, "malformed", id="malformed"),
    ],
)
def test_a_refused_hit_is_named_and_leaves_nothing(
    site: Site, headers: list[tuple[bytes, bytes]], changed: dict[str, object], status: int, reason: str
) -> None:
    answered, sent = collect(said(site, **changed), headers)
    assert (answered, sent["x-humblytics"]) == (status, f"dropped={reason}")
    assert not View.objects.exists()


@pytest.mark.parametrize("host", ["www.shop.example", "de.shop.example", "SHOP.example"])
def test_www_and_subdomains_belong_to_the_site(site: Site, host: str) -> None:
    headers = [PLAIN, BROWSER, (b"origin", f"https://{host}".encode())]
    assert collect(said(site, url=f"https://{host}/"), headers)[0] == 202
    assert View.objects.count() == 1


def test_any_page_may_read_the_answer_and_none_may_send_cookies(site: Site) -> None:
    for method in ("OPTIONS", "POST"):
        _, sent = collect(said(site), [PLAIN, BROWSER], method=method)
        assert sent["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in sent
        assert "set-cookie" not in sent
    assert collect(b"", method="GET")[0] == 405


def test_the_country_header_counts_only_from_a_trusted_proxy(site: Site) -> None:
    headers = [PLAIN, BROWSER, (b"cf-ipcountry", b"JP"), (b"x-forwarded-for", b"91.64.0.1")]
    collect(said(site), headers, ip="10.0.0.1", trusted_proxies=[ipaddress.ip_network("10.0.0.0/8")])
    collect(said(site), headers, ip="24.48.0.1")
    assert sorted(Visit.objects.values_list("country", flat=True)) == ["CA", "JP"]


def test_when_the_database_is_away_the_answer_is_503(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    body = said(site)
    execute = InTest.execute

    async def away(self: InTest, statement: str, parameters: object = ()) -> object:
        if "tracking_view" in statement:
            raise psycopg.OperationalError("gone")
        return await execute(self, statement, parameters)  # type: ignore[arg-type]

    monkeypatch.setattr(InTest, "execute", away)
    answered, sent = collect(body, [PLAIN, BROWSER])
    assert (answered, sent["x-humblytics"]) == (503, "dropped=unavailable")
    monkeypatch.undo()
    assert collect(body, [PLAIN, BROWSER])[0] == 202
    assert View.objects.count() == 1
