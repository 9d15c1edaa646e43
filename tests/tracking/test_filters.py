"""Filters as an address can say them: whatever it says, exactly the right visits are counted."""

import asyncio
import csv
import datetime as dt
import io
import ipaddress
import json
import uuid
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from sites.models import Site
from sites.periods import between
from tests.factories import CHROME, PLAIN, InTest, ask, send_event, send_hit
from tests.tracking.plain import Plain, filters_of
from tracking import stats
from tracking.dimensions import DIMENSIONS
from tracking.filters import GOAL, LONGEST_VALUE, How
from tracking.ingest import Ingest
from tracking.models import Goal, Visit

NOON = dt.datetime(2026, 11, 10, 12, tzinfo=dt.UTC)
DAY = "from=2026-11-10&to=2026-11-10"
PROXY = "127.0.0.1"
# What somebody may name a campaign, a page, an event or a goal, to the harm of a query that takes it for its own.
TEXTS = (
    *("100%", "100", "1000", "100 percent", "%", "%%", "%s", "%(site)s", "_", "a_b", "aXb", "ab", "a*b", "*"),
    *("\\", "a\\b", "a\\\\b", "\\%", "\\_", "c:\\100%\\a_b", "'", "''", '"', "it's", "' OR '1'='1"),
    *("'; DROP TABLE tracking_visit; --", "{a,b}", '{"a","b"}', "NULL", ".*", "[a-z]+", "$1", "a&is.page=/b", "a+b"),
    *("<script>alert(1)</script>", "é", "e\u0301", "日本", "🍵", "👩‍🚀", "שלום", "\u202eabc", "a\u00a0b", "x" * 1_500),
)
# One of each of the ways in which a visit is asked for something.
ASKED_DIFFERENTLY = ("utm_campaign", "page", GOAL)
# What a part of a text finds.
CONTAINING = {
    "100%": {"100%", "c:\\100%\\a_b"},
    "0%\\": {"c:\\100%\\a_b"},
    "A_B": {"a_b", "c:\\100%\\a_b"},
    "%%": {"%%"},
    "\\\\": {"a\\\\b"},
    "a*": {"a*b"},
    "OR '1'='1": {"' OR '1'='1"},
    "本": {"日本"},
    "\u202e": {"\u202eabc"},
}
# What cannot stand in a visit, and what is left of it.
READ_AS = {
    "is.page=/100%25%00": "is.page=/100%25",
    "has.event=%00": "has.event=",
    "has.page=%ed%a0%bc": "has.page=\ufffd\ufffd\ufffd",
    "not.page=%ff": "",
    f"is.page={'x' * (LONGEST_VALUE + 1)}": "",
    f"is.page={'x' * LONGEST_VALUE}": "is.page=-",
    "is.event=100%": "is.event=100%25",
    "is.Page=/ab&IS.page=/ab&is.page[]=/ab&is.=ab&.page=/ab&is.page.x=/ab": "",
}


def hits_of(site: Site, n: int, text: str) -> Iterator[dict[str, str]]:
    """Give a visit that has the text in everything that its sender may choose, on a host that names the visit."""
    tags = urlencode(dict.fromkeys(("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"), text[:99]))
    root, view = f"https://v{n}.{site.domain}/", str(uuid.uuid4())
    yield {"view": view, "url": f"{root}{text}?{tags}", "referrer": f"https://else.example/{text}"}
    yield {"view": view, "url": root, "id": str(uuid.uuid4()), "event": text}
    yield {"view": str(uuid.uuid4()), "url": f"{root}{text}/last"}


async def send_all(site: Site, ingest: Ingest) -> None:
    for n, text in enumerate(TEXTS):
        place = quote(text[:99]).encode()
        told = (b"x-forwarded-for", f"203.0.113.{n}".encode()), (b"cf-ipcountry", b"DE")
        headers = [PLAIN, (b"user-agent", CHROME.encode()), *told, (b"cf-region", place), (b"cf-ipcity", place)]
        for hit in hits_of(site, n, text):
            status, answered = await ask(ingest, json.dumps({"site": site.key, **hit}).encode(), headers, PROXY)
            assert (status, answered.get("x-humblytics")) == (202, None)
    await ingest.reception.close()


@pytest.fixture
def odd(site: Site) -> Plain:
    """Visits, and goals, of every text there is."""
    asyncio.run(send_all(site, Ingest(InTest(), InTest(), [ipaddress.ip_network(PROXY)], clock=lambda: NOON)))
    for n, text in enumerate(TEXTS):
        kind, pattern = ("event", text[:120]) if n % 2 else ("page", f"/{text}")
        Goal.objects.create(site=site, name=text[:100], kind=kind, pattern=pattern)
    return Plain(site)


def hosts_found(client: Client, query: str) -> set[str]:
    response = client.get(f"/shop.example/export/hosts.csv?{DAY}&{query}")
    assert response.status_code == 200
    return {row[0] for row in csv.reader(io.StringIO(response.content.decode()))} - {"Host"}


def hosts_right(odd: Plain, *told: tuple[str, str, str]) -> set[str]:
    day = between("2026-11-10", "2026-11-10", odd.site.zone)
    return {row.value for row in odd.breakdown("hostname", day, filters_of(*told))}


def test_a_filter_finds_exactly_the_visits_that_it_says(owner_client: Client, odd: Plain) -> None:
    assert len(odd.visits) == len(TEXTS)
    wrong = {}
    for dimension in (*DIMENSIONS, GOAL):
        for text in TEXTS if dimension in ASKED_DIFFERENTLY else TEXTS[:: len(TEXTS) // 3]:
            for how in How:
                found = hosts_found(owner_client, urlencode({f"{how}.{dimension}": text}))
                if mistaken := found ^ hosts_right(odd, (how, dimension, text)):
                    wrong[how, dimension, text] = mistaken
    assert wrong == {}
    assert Visit.objects.count() == len(TEXTS)


def test_contains_means_just_these_letters(owner_client: Client, odd: Plain) -> None:
    for part, texts in CONTAINING.items():
        hosts = {f"v{TEXTS.index(text)}.shop.example" for text in texts}
        for dimension in ("utm_campaign", "city", "page", "event"):
            assert hosts_found(owner_client, urlencode({f"has.{dimension}": part})) == hosts


def test_a_country_contains_what_its_name_does(owner_client: Client, odd: Plain) -> None:
    everybody = hosts_found(owner_client, "")
    for part in ("german", "GERMANY", "many", ""):
        assert hosts_found(owner_client, urlencode({"has.country": part})) == everybody
    for part in ("DE", "United", "Germany!", "%", "_"):
        assert hosts_found(owner_client, urlencode({"has.country": part})) == set()


PARTS = st.sampled_from(TEXTS) | st.sampled_from(TEXTS).flatmap(
    lambda text: st.builds(lambda start, length: text[start : start + length], st.integers(0, 5), st.integers(0, 5))
)
CONDITIONS = st.dictionaries(
    st.tuples(st.sampled_from(list(How)), st.sampled_from([*ASKED_DIFFERENTLY, "event", "entry_page"])),
    st.lists(PARTS, min_size=1, max_size=3),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60)
@given(conditions=CONDITIONS)
def test_several_filters_find_the_visits_for_which_all_are_true(
    owner_client: Client, odd: Plain, conditions: dict[tuple[str, str], list[str]]
) -> None:
    told = [(how, dimension, text) for (how, dimension), texts in conditions.items() for text in texts]
    query = urlencode([(f"{how}.{dimension}", text) for how, dimension, text in told])
    assert hosts_found(owner_client, query) == hosts_right(odd, *told)


def test_what_cannot_stand_in_a_visit_means_what_is_left_of_it(owner_client: Client, odd: Plain) -> None:
    for query, left in READ_AS.items():
        assert hosts_found(owner_client, query) == hosts_found(owner_client, left)


@pytest.fixture
def longest(site: Site) -> Site:
    """A visit that two payments kept going from the first minute of a day of UTC to the last of the next."""
    site.timezone = "Europe/Berlin"
    site.save()
    gateway = "https://checkout.stripe.com/"
    for path, referrer, moment in (
        ("/start", "", "2025-11-10T00:00Z"),
        ("/paid", gateway, "2025-11-10T23:59Z"),
        ("/thanks", gateway, "2025-11-11T23:58Z"),
    ):
        send_hit(site, path, referrer, at=dt.datetime.fromisoformat(moment))
    assert Visit.objects.get().views == 3
    return site


def test_the_last_page_of_the_longest_visit_finds_it_in_a_period_that_ends_when_it_had_begun(longest: Site) -> None:
    asked = stats.ask(longest, between("2026-11-10", "2026-11-10", longest.zone), filters_of(("is", "page", "/thanks")))
    now = dt.datetime(2026, 11, 10, 0, 1, tzinfo=dt.UTC)
    assert stats.totals(asked, now, asked.period.year_before).previous.visits == 1


def test_the_first_page_of_the_longest_visit_finds_its_last_in_a_period_that_began_just_before(longest: Site) -> None:
    period = between("2025-11-12", "2025-11-12", longest.zone)
    assert period.start_at == dt.datetime(2025, 11, 11, 23, tzinfo=dt.UTC)
    rows = stats.breakdown(stats.ask(longest, period, filters_of(("is", "entry_page", "/start"))), "page")
    assert [row.value for row in rows] == ["/thanks"]


def test_an_event_that_comes_long_after_its_visit_is_found_with_it(site: Site) -> None:
    """A server reports a refund weeks after the order, or somebody comes back to a page that was left open."""
    Goal.objects.create(site=site, name="Refunded", kind="event", pattern="refund")
    later = NOON + dt.timedelta(days=40)
    send_event(site, "refund", {"plan": "pro"}, view_id=send_hit(site, "/buy", at=NOON), at=later)
    of_visit, of_event = (between(day, day, site.zone) for day in ("2026-11-10", "2026-12-20"))
    for told in (("is", "event", "refund"), ("is", "goal", "Refunded")):
        assert stats.visitors(stats.ask(site, of_visit, filters_of(told))) == 1
    assert stats.visitors(stats.ask(site, of_visit, filters_of(("not", "event", "refund")))) == 0
    asked = stats.ask(site, of_event, filters_of(("is", "entry_page", "/buy")))
    assert [row.value for row in stats.breakdown(asked, "event")] == ["refund"]
    assert [(each.name, each.value) for each in stats.properties(asked)] == [("plan", "pro")]
    assert [row.times for row in stats.goals(asked)] == [1]
    elsewhere = stats.ask(site, of_event, filters_of(("not", "entry_page", "/buy")))
    assert stats.breakdown(elsewhere, "event") == []
