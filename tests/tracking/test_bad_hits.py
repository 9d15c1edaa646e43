"""What browsers, proxies and people with bad intentions may send to /collect, and what becomes of it."""

import asyncio
import datetime as dt
import ipaddress
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from sites.models import Site
from tests.factories import CHROME, PLAIN, InTest, SiteFactory, ask, collect, send_engagement, send_event, send_hit
from tracking.devices import LONGEST_USER_AGENT
from tracking.hits import LONGEST_BODY, LONGEST_BODY_WITH_PROPS, Refusal
from tracking.ingest import STATUSES, Ingest
from tracking.models import Event, RefusedHits, View, Visit
from tracking.wire import Message

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
BROWSER = (b"user-agent", CHROME.encode())
PROXIES = [ipaddress.ip_network("10.0.0.0/8")]
KNOWN_STATUSES = {202, *STATUSES.values()}


def said(of: Site, **changed: object) -> bytes:
    hit = {"site": of.key, "view": str(uuid.uuid4()), "url": f"https://{of.domain}/"} | changed
    return json.dumps(hit).encode()


def outcome(body: bytes, *headers: tuple[bytes, bytes]) -> tuple[int, str]:
    status, sent = collect(body, [PLAIN, BROWSER, *headers], at=NOON)
    return status, sent.get("x-humblytics", "")


class Line:
    """A client that sends its body in its own way; `reads` counts how often it was asked for more."""

    def __init__(self, ingest: Ingest, more: Callable[[], Awaitable[bytes]], *headers: tuple[bytes, bytes]) -> None:
        self.reads = 0
        self.status = 0
        self._ingest, self._more, self._headers = ingest, more, headers

    async def send_all(self) -> int:
        scope = {"type": "http", "method": "POST", "headers": [PLAIN, BROWSER, *self._headers], "client": ("::1", 1)}
        await self._ingest(scope, self._receive, self._send)
        return self.status

    async def _receive(self) -> Message:
        self.reads += 1
        return {"type": "http.request", "body": await self._more(), "more_body": True}

    async def _send(self, message: Message) -> None:
        self.status = message.get("status", self.status)


async def spaces() -> bytes:
    return b" " * 1000


async def silence() -> bytes:
    await asyncio.sleep(0.02)
    return b""


def test_a_body_that_is_too_large_is_refused_before_all_of_it_is_there(site: Site) -> None:
    assert outcome(said(site, referrer="x" * LONGEST_BODY)) == (413, "dropped=too-large")
    props = {"text": "x" * LONGEST_BODY}
    assert outcome(said(site, event="e", id=str(uuid.uuid4()), props=props)) == (202, "")
    database = InTest()

    async def run() -> list[tuple[int, int]]:
        ingest = Ingest(database, database)
        told = Line(ingest, spaces, (b"content-length", b"10000000"))
        endless = Line(ingest, spaces, (b"transfer-encoding", b"chunked"))
        return [(await line.send_all(), line.reads) for line in (told, endless)]

    assert asyncio.run(run()) == [(413, 0), (413, LONGEST_BODY_WITH_PROPS // 1000 + 1)]


def test_while_one_body_comes_slowly_others_are_taken(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracking.wire.BODY_SECONDS", 0.5)
    database = InTest()

    async def run() -> tuple[int, int]:
        ingest = Ingest(database, database)
        slow = asyncio.create_task(Line(ingest, silence).send_all())
        await asyncio.sleep(0.05)
        status, _ = await ask(ingest, said(site), [PLAIN, BROWSER])
        assert not slow.done()
        return status, await slow

    assert asyncio.run(run()) == (202, 408)


def test_a_connection_that_breaks_off_leaves_nothing(site: Site) -> None:
    assert collect(said(site)[:20], [PLAIN, BROWSER])[0] == 400
    database = InTest()

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        assert message.get("status", 400) == 400

    scope = {"type": "http", "method": "POST", "headers": [PLAIN, BROWSER], "client": ("::1", 1)}
    asyncio.run(Ingest(database, database)(scope, gone, send))
    assert not View.objects.exists()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("/a\\u0000b", "/ab", id="nul"),
        pytest.param("/a\\ud800b", "/ab", id="lone-surrogate"),
        pytest.param("/a\\ud83d\\ude00b", "/a😀b", id="surrogate-pair"),
        pytest.param("/a\\u202eb", "/a\u202eb", id="right-to-left"),
    ],
)
def test_text_that_the_database_cannot_keep_is_cleaned(site: Site, text: str, kept: str) -> None:
    body = said(site, url="https://shop.example/PATH", referrer="https://a.example/PATH")
    assert outcome(body.replace(b"/PATH", text.encode())) == (202, "")
    assert View.objects.get().path == kept


def test_invalid_utf_8_is_malformed_and_a_byte_order_mark_is_not(site: Site) -> None:
    assert outcome(said(site).replace(b'/"', b'/\xff"')) == (400, "dropped=malformed")
    assert outcome(b"\xef\xbb\xbf" + said(site)) == (202, "")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"7", b"null", b'"text"', b'{"site":', b"[" * 4000, b'{"a":' * 1000, b'{"x": NaN}'),
        *(b'{"x": 1e999}', b'{"x": -Infinity}', b'{"x": 1, "x": 2}', b'{"x": {"y": 1, "y": 2}}', b'{"x": 1} {}'),
        b'{"x": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_plain_json_object_is_malformed(db: None, body: bytes) -> None:
    assert outcome(body) == (400, "dropped=malformed")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        *((b"text/plain", 202), (b"Text/Plain; charset=utf-8", 202), (b"application/json", 202)),
        *((b"multipart/form-data; boundary=x", 415), (b"application/x-www-form-urlencoded", 415), (b"", 415)),
    ],
)
def test_beacons_are_plain_text_or_json(site: Site, kind: bytes, status: int) -> None:
    assert collect(said(site), [(b"content-type", kind), BROWSER], at=NOON)[0] == status


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "about:blank",
        "blob:https://a/b",
        "//a/",
        "",
        "x",
    ],
)
def test_addresses_of_no_web_page_are_malformed(site: Site, url: str) -> None:
    assert outcome(said(site, url=url)) == (400, "dropped=malformed")


def test_of_a_page_s_address_only_host_path_and_known_tags_are_kept(site: Site) -> None:
    secrets = "secret-user", "secret-word", "secret-token", "secret-part", "secret-mail"
    user, word, token, part, mail = secrets
    send_hit(site, f"/reset?token={token}&email={mail}%40a.example&utm_source=news&gclid=x#{part}", at=NOON)
    url = f"https://{user}:{word}@shop.example:8443/reset?token={token}"
    referrer = f"https://{user}:{word}@other.example/page?token={token}#{part}"
    assert outcome(said(site, url=url, referrer=referrer)) == (202, "")
    visit = Visit.objects.get()
    assert (visit.utm_source, visit.click_id, visit.entry_path) == ("news", "gclid", "/reset")
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT count(*) FROM "{table}" AS row WHERE row::text ~ %s', ["|".join(secrets)])
            assert cursor.fetchone() == (0,), table


def test_a_path_of_any_length_is_kept_as_far_as_it_is_of_use(site: Site) -> None:
    assert outcome(said(site, url="https://shop.example/" + "a" * 6_000)) == (202, "")
    assert len(View.objects.get().path) == 2_000
    assert outcome(said(site, url="https://shop.example/" + "a" * 100_000)) == (413, "dropped=too-large")


def test_a_site_that_was_deleted_is_answered_as_one_that_never_was(site: Site) -> None:
    deleted = SiteFactory()
    body = said(deleted)
    deleted.delete()
    never = said(Site(key="abcdefghijkm", domain="never.example"))
    assert collect(body, [PLAIN, BROWSER]) == collect(never, [PLAIN, BROWSER])
    assert outcome(body) == (400, "dropped=unknown-site")
    assert not RefusedHits.objects.exists()


@pytest.mark.parametrize("header", [b"cf-connecting-ip", b"x-real-ip", b"true-client-ip", b"forwarded", b"client-ip"])
def test_headers_that_anybody_may_send_move_nobody(site: Site, header: bytes) -> None:
    spoofed = [(header, b"91.64.0.1"), (b"x-forwarded-for", b"91.64.0.1"), (b"cf-ipcountry", b"JP")]
    collect(said(site), [PLAIN, BROWSER], ip="24.48.0.1", at=NOON, trusted_proxies=PROXIES)
    collect(said(site), [PLAIN, BROWSER, *spoofed], ip="24.48.0.1", at=NOON, trusted_proxies=PROXIES)
    visit = Visit.objects.get()
    assert (visit.views, visit.country) == (2, "CA")


@pytest.mark.parametrize(
    "forwarded",
    [
        *("", ",", "evil", "1.1.1.1, evil", "256.1.1.1", "::ffff:91.64.0.1", "[::1]:80", "fe80::1%eth0", "１.1.1.1"),
        *(", ".join(["91.64.0.1"] * 300), "\x00", "[", "1:2:3", "a" * 4_000),
    ],
)
def test_no_forwarded_header_breaks_a_hit(site: Site, forwarded: str) -> None:
    headers = [PLAIN, BROWSER, (b"x-forwarded-for", forwarded.encode())]
    status, _ = collect(said(site), headers, ip="10.0.0.1", trusted_proxies=PROXIES)
    assert (status, View.objects.count()) == (202, 1)


@pytest.mark.parametrize(
    ("user_agent", "reason"),
    [
        pytest.param(b"", "dropped=bot", id="empty"),
        pytest.param(b"curl/8.5.0", "dropped=bot", id="program"),
        pytest.param(CHROME.replace("Chrome/", "HeadlessChrome/").encode(), "dropped=bot", id="headless"),
        pytest.param(
            b"Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)", "dropped=bot", id="ai-crawler"
        ),
        pytest.param(CHROME.encode() + b"x" * 20_000, "", id="of-20-kB"),
        pytest.param(b"\xff\xfe" * 20 + b"\x80", "", id="no-ascii"),
    ],
)
def test_user_agents_of_every_kind_are_taken_or_named(site: Site, user_agent: bytes, reason: str) -> None:
    status, sent = collect(said(site), [PLAIN, (b"user-agent", user_agent)], at=NOON)
    assert (status, sent.get("x-humblytics", "")) == (202, reason)
    assert View.objects.count() == (0 if reason else 1)
    assert RefusedHits.objects.count() == (1 if reason else 0)


def test_of_a_long_user_agent_only_the_beginning_tells_visitors_apart(site: Site) -> None:
    for end in ("a", "b"):
        send_hit(site, user_agent=CHROME.ljust(LONGEST_USER_AGENT) + end, at=NOON)
    assert Visit.objects.get().views == 2


@pytest.mark.django_db(transaction=True)
def test_a_hit_that_comes_a_thousand_times_at_once_is_one() -> None:
    from tracking.connections import Pipe  # noqa: PLC0415  needs no database of the test's own

    site = SiteFactory(domain="shop.example")
    view, event = str(uuid.uuid4()), str(uuid.uuid4())
    bodies = [said(site, view=view), said(site, view=view, event="signup", id=event)] * 500

    async def run() -> set[int]:
        servers = [(Pipe(), Pipe()) for _ in range(3)]
        ingests = [Ingest(*pipes, clock=lambda: NOON) for pipes in servers]
        hits = [ask(ingests[n % 3], body, [PLAIN, BROWSER]) for n, body in enumerate(bodies)]
        statuses = {status for status, _ in await asyncio.gather(*hits)}
        for ingest, pipes in zip(ingests, servers, strict=True):
            await ingest.reception.close()
            for pipe in pipes:
                await pipe.close()
        return statuses

    assert asyncio.run(run()) == {202}
    assert (View.objects.count(), Event.objects.count(), Visit.objects.get().views) == (1, 1, 1)


def test_an_id_that_another_site_has_used_is_free(site: Site) -> None:
    other = SiteFactory()
    view = send_hit(site, at=NOON)
    send_hit(other, at=NOON, view_id=view)
    assert View.objects.count() == 2


@pytest.mark.parametrize("jump", [-7200, -600, 600, 7200])
def test_whatever_the_clock_does_no_visit_ends_before_it_began(site: Site, jump: int) -> None:
    jumped = NOON + dt.timedelta(seconds=jump)
    view = send_hit(site, at=NOON)
    send_engagement(site, view, 5_000, at=jumped)
    send_event(site, "signup", view_id=view, at=jumped)
    send_hit(site, at=jumped)
    send_hit(site, at=NOON + dt.timedelta(seconds=1))
    visits = list(Visit.objects.all())
    assert all(visit.started_at <= visit.last_at for visit in visits)
    assert sum(visit.views for visit in visits) == 3


NASTY = st.text(st.sampled_from("a/?#&=%@:[]\\\"'\0\x1f\x7f\ud800é\u202e\n .*"), max_size=30)
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | NASTY
    | st.lists(st.integers(-5, 5), max_size=25)
    | st.dictionaries(st.text(max_size=5) | NASTY, NASTY | st.integers() | st.floats() | st.none(), max_size=3)
)
FIT = st.fixed_dictionaries(
    {"view": st.uuids().map(str), "url": NASTY.map("https://shop.example/{}".format)},
    optional={
        "id": st.uuids().map(str),
        "event": NASTY,
        "referrer": NASTY.map("https://other.example/{}".format),
        "props": st.dictionaries(NASTY, NASTY | st.integers(-9, 9), max_size=3),
        "variants": st.lists(st.integers(1, 9), max_size=3),
        "engaged": st.integers(0, 2**40),
    },
)
NAMES = st.sampled_from(["id", "view", "event", "referrer", "url", "props", "variants", "engaged", "scrolled", "site"])
MEMBERS = FIT | st.builds(lambda fit, odd: fit | odd, FIT, st.dictionaries(NAMES, ODD, max_size=2))
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *(b"content-type", b"user-agent", b"origin", b"x-forwarded-for", b"cf-ipcountry", b"content-length"),
                *(b"sec-purpose", b"sec-gpc", b"dnt", b"referer", b"cookie", b"x-vercel-ip-city"),
            ]
        ),
        st.binary(max_size=60) | st.sampled_from([b"null", b"1", b"text/plain", b"https://shop.example", b"99999999"]),
    ),
    max_size=5,
)


@pytest.mark.django_db
@settings(max_examples=150)
@given(
    said=MEMBERS | st.binary(max_size=200),
    headers=HEADERS,
    ip=st.ip_addresses().map(str) | st.text(max_size=20),
)
def test_nothing_that_is_sent_breaks_the_server_or_is_more_than_one_row(
    site: Site, said: dict[str, Any] | bytes, headers: Sequence[tuple[bytes, bytes]], ip: str
) -> None:
    before = View.objects.count() + Event.objects.count()
    body = said if isinstance(said, bytes) else json.dumps({"site": site.key} | said).encode()
    status, sent = collect(body, [PLAIN, BROWSER, *headers], ip, NOON, trusted_proxies=PROXIES)
    assert status in KNOWN_STATUSES - {STATUSES[Refusal.UNAVAILABLE]}
    rows = View.objects.count() + Event.objects.count() - before
    assert rows in (0, 1)
    assert not rows or (status == 202 and "x-humblytics" not in sent)
