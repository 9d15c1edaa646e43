"""Which hits a site takes, and that those it does not are counted, through /collect."""

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from sites.models import Site
from tests.factories import CHROME, PLAIN, InTest, SiteFactory, ask, collect, send_hit
from tracking.hits import Refusal
from tracking.ingest import Ingest
from tracking.intake import REREAD_SECONDS, Rules, known_sites
from tracking.known import MISSING_SECONDS, Known
from tracking.models import Event, Intake, RefusedHits, SourceRule, View, Visit
from tracking.tally import Tally

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
BROWSER = (b"user-agent", CHROME.encode())
Header = tuple[bytes, bytes]


def said(of: Site, host: str = "shop.example", **changed: object) -> bytes:
    hit = {"site": of.key, "view": str(uuid.uuid4()), "url": f"https://{host}/"} | changed
    return json.dumps(hit).encode()


def outcome(body: bytes, *headers: Header, ip: str = "203.0.113.7") -> str:
    """Give the reason why the hit is dropped, "" if it is taken."""
    status, sent = collect(body, [PLAIN, BROWSER, *headers], ip, NOON)
    dropped = sent.get("x-humblytics", "")
    assert (status == 202) or dropped
    return dropped.removeprefix("dropped=")


@pytest.mark.parametrize(
    ("hostnames", "host", "is_taken"),
    [
        pytest.param([], "shop.example", True, id="the-domain"),
        pytest.param([], "www.shop.example", True, id="below-the-domain"),
        pytest.param([], "myshop.example", False, id="ends-like-the-domain"),
        pytest.param(["www.shop.example"], "www.shop.example", True, id="listed"),
        pytest.param(["www.shop.example"], "shop.example", False, id="not-listed"),
        pytest.param(["www.shop.example"], "de.www.shop.example", False, id="below-a-listed-one"),
        pytest.param(["*.shop.example"], "de.at.shop.example", True, id="below-a-star"),
        pytest.param(["*.shop.example"], "shop.example", False, id="the-star-s-own"),
        pytest.param(["*.shop.example"], "myshop.example", False, id="ends-like-the-star-s-own"),
        pytest.param(["shop.example", "buy.example"], "buy.example", True, id="another-domain"),
    ],
)
def test_only_pages_of_the_hosts_that_are_allowed_count(
    site: Site, hostnames: list[str], host: str, is_taken: bool
) -> None:
    Intake.objects.create(site=site, hostnames=hostnames)
    allowed = hostnames[0].replace("*", "www") if hostnames else "shop.example"
    assert outcome(said(site, host)) == ("" if is_taken else Refusal.OTHER_HOST)
    assert outcome(said(site, allowed), (b"origin", f"https://{host}:8443".encode())) == (
        "" if is_taken else Refusal.OTHER_HOST
    )
    assert View.objects.count() == (2 if is_taken else 0)


def test_a_page_in_a_sandbox_counts_if_the_site_says_so(site: Site) -> None:
    assert outcome(said(site), (b"origin", b"null")) == Refusal.OTHER_HOST
    Intake.objects.create(site=site, takes_null_origin=True)
    assert outcome(said(site), (b"origin", b"null")) == ""
    assert outcome(said(site, "evil.example"), (b"origin", b"null")) == Refusal.OTHER_HOST
    assert outcome(said(site)) == ""


@pytest.mark.parametrize(
    ("switch", "header", "refusal"),
    [
        pytest.param("respects_gpc", (b"sec-gpc", b"1"), Refusal.GPC, id="gpc"),
        pytest.param("respects_dnt", (b"dnt", b"1"), Refusal.DNT, id="dnt"),
    ],
)
def test_who_asks_not_to_be_tracked_is_not_if_the_site_respects_it(
    site: Site, switch: str, header: Header, refusal: Refusal
) -> None:
    assert outcome(said(site), header) == ""
    Intake.objects.create(site=site, **{switch: True})
    View.objects.all().delete()
    for changed in ({}, {"event": "signup", "id": str(uuid.uuid4())}, {"engaged": 1}):
        assert outcome(said(site, **changed), header) == refusal
    assert not View.objects.exists()
    assert not Event.objects.exists()
    assert RefusedHits.objects.get().hits == 3
    assert outcome(said(site), (header[0], b"0")) == ""


@pytest.mark.parametrize(
    ("network", "ip", "is_taken"),
    [
        pytest.param("203.0.113.7", "203.0.113.7", False, id="the-address"),
        pytest.param("203.0.113.7", "::ffff:203.0.113.7", False, id="the-address-within-ipv6"),
        pytest.param("203.0.113.7", "203.0.113.8", True, id="another-address"),
        pytest.param("203.0.113.0/24", "203.0.113.200", False, id="in-the-network"),
        pytest.param("2001:db8::/32", "2001:db8:1::1", False, id="in-the-ipv6-network"),
        pytest.param("2001:db8::/32", "203.0.113.7", True, id="of-the-other-kind"),
    ],
)
def test_excluded_addresses_do_not_count(site: Site, network: str, ip: str, is_taken: bool) -> None:
    Intake.objects.create(site=site, excluded_networks=["198.51.100.1", network])
    assert outcome(said(site), ip=ip) == ("" if is_taken else Refusal.EXCLUDED)


def test_routes_behind_the_hash_are_pages_if_the_site_says_so(site: Site) -> None:
    send_hit(site, "/app#/orders?token=secret", at=NOON)
    Intake.objects.create(site=site, has_hash_routes=True)
    send_hit(site, "/app#/orders?token=secret", at=NOON)
    send_hit(site, "/app#part", at=NOON)
    assert sorted(View.objects.values_list("path", flat=True)) == ["/app", "/app", "/app#/orders"]


def test_refused_hits_are_counted_by_site_day_and_reason(site: Site) -> None:
    other = SiteFactory()
    for _ in range(2):
        outcome(said(site, "evil.example"))
    outcome(said(site, webdriver=True))
    outcome(said(other))
    outcome(said(Site(key="nobody")))
    outcome(said(site))
    assert set(RefusedHits.objects.values_list("site", "day", "reason", "hits")) == {
        (site.pk, NOON.date(), "other-host", 2),
        (site.pk, NOON.date(), "webdriver", 1),
        (other.pk, NOON.date(), "other-host", 1),
    }


class Watched(InTest):
    """Counts the statements, and refuses them while it is away."""

    def __init__(self) -> None:
        super().__init__()
        self.statements: list[str] = []
        self.is_away = False

    async def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        self.statements.append(statement)
        if self.is_away:
            raise psycopg.OperationalError("away")
        return await super().execute(statement, parameters)


def test_a_flood_of_refusals_is_one_write(site: Site) -> None:
    database = Watched()

    async def run() -> list[str]:
        ingest = Ingest(database, database, clock=lambda: NOON)
        for _ in range(300):
            await ask(ingest, said(site, "evil.example"), [PLAIN, BROWSER])
        await ingest.reception.close()
        return database.statements

    statements = asyncio.run(run())
    assert ["SELECT" in statement or "INSERT" in statement for statement in statements] == [True, True]
    assert RefusedHits.objects.get().hits == 300


def test_counts_that_cannot_be_written_are_kept_for_the_next_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracking.tally.WRITE_SECONDS", 0.01)
    database = Watched()

    async def run() -> None:
        tally = Tally(database)
        database.is_away = True
        tally.add(site.pk, NOON.date(), Refusal.BOT)
        while len(database.statements) < 3:
            await asyncio.sleep(0.01)
        database.is_away = False
        tally.add(site.pk, NOON.date(), Refusal.BOT)
        while len(database.statements) < 4:
            await asyncio.sleep(0.01)
        tally.add(site.pk, NOON.date(), Refusal.BOT)
        await tally.close()

    asyncio.run(run())
    assert RefusedHits.objects.get().hits == 3


def test_keys_that_nobody_has_do_not_reach_the_database_each_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 100.0
    monkeypatch.setattr("tracking.known.time.monotonic", lambda: moment)

    database = Watched()

    async def run() -> list[Rules | None]:
        nonlocal moment
        known = known_sites(database)
        for n in range(100):
            assert await known.get(f"nobody{n}") is None
        assert len(database.statements) == 1
        moment += MISSING_SECONDS + 1
        await known.get("nobody")
        assert len(database.statements) == 2
        moment += REREAD_SECONDS + 1
        database.is_away = True
        with pytest.raises(psycopg.OperationalError):
            await known.get("nobody")
        return [await known.get(site.key)]

    assert asyncio.run(run()) == [Rules(site.pk, "shop.example")]


def test_new_rules_hold_after_some_seconds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 100.0
    monkeypatch.setattr("tracking.known.time.monotonic", lambda: moment)
    database = InTest()

    async def hosts(known: Known[Rules]) -> Sequence[str]:
        rules = await known.get(site.key)
        assert rules
        return rules.hostnames

    known = known_sites(database)
    assert asyncio.run(hosts(known)) == ()
    Intake.objects.create(site=site, hostnames=["www.shop.example"])
    moment += REREAD_SECONDS + 1
    assert asyncio.run(hosts(known)) == ("www.shop.example",)


def test_a_site_s_own_word_on_a_source_goes_first(site: Site) -> None:
    SourceRule.objects.create(site=site, pattern="partner.example", source="Partner", channel="Affiliates")
    SourceRule.objects.create(site=site, looks_at="utm_source", pattern="spring", source="Spring mail", channel="Email")
    SourceRule.objects.create(site=SiteFactory(), pattern="blog.example", source="Somebody else’s")
    for number, (referrer, query) in enumerate(
        [("https://m.partner.example/", ""), ("https://blog.example/", ""), ("", "utm_source=Spring")]
    ):
        send_hit(site, referrer=referrer, query=query, ip=f"203.0.113.{number}")
    assert set(Visit.objects.values_list("channel", "source")) == {
        ("Affiliates", "Partner"),
        ("Referral", "blog.example"),
        ("Email", "Spring mail"),
    }


def test_a_browser_that_names_itself_beside_its_user_agent_is_told(site: Site) -> None:
    assert outcome(said(site), (b"sec-ch-ua", b'"Brave";v="142", "Chromium";v="142"')) == ""
    assert Visit.objects.get().browser == "Brave"


def test_a_flood_from_one_network_is_refused_and_others_are_not(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracking.ingest.BURST", 50)
    monkeypatch.setattr("tracking.ingest.PER_SECOND", 0.5)
    other = SiteFactory(domain="other.example")
    database = InTest()

    async def run() -> list[tuple[int, dict[str, str]]]:
        ingest = Ingest(database, database, clock=lambda: NOON)
        answers = [await ask(ingest, said(site), [PLAIN, BROWSER], f"2001:db8:0:1::{n:x}") for n in range(1, 200)]
        for ip, of in (("2001:db8:0:2::1", site), ("203.0.113.7", site), ("2001:db8:0:1::1", other)):
            assert (await ask(ingest, said(of, of.domain), [PLAIN, BROWSER], ip))[0] == 202
        await ingest.reception.close()
        return answers

    answers = asyncio.run(run())
    refused = [sent for status, sent in answers if status == 429]
    assert [status for status, _ in answers[:25]] == [202] * 25
    assert {sent["x-humblytics"] for sent in refused} == {"dropped=too-many"}
    assert {sent["retry-after"] for sent in refused} <= {"1", "2"}
    assert View.objects.count() == 202 - len(refused)
    assert RefusedHits.objects.get().hits == len(refused)
