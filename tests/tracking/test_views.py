import csv
import datetime as dt
import html
import io
import re
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from sites.models import Site
from sites.sharing import share
from tests.factories import FIREFOX, IPHONE, send_hit
from tests.mmdb import write_mmdb
from tracking.dimensions import DIMENSIONS
from tracking.hits import Refusal
from tracking.models import Event, Goal, Intake, RefusedHits, View, Visit
from tracking.tables import CARD_TABS, TABS_OF, TITLES

GERMAN, AMERICAN = "91.64.7.7", "8.8.8.8"
TAGS = {
    "utm_source": "letter",
    "utm_medium": "cpc",
    "utm_campaign": "autumn",
    "utm_term": "lamp",
    "utm_content": "top",
    "gclid": "abc",
}

# A value that each panel has of the visit below, as it is shown.
SHOWN = {
    "channels": "Paid Search",
    "sources": "letter",
    "referrers": "news.example/today",
    "campaigns": "autumn",
    "utm-sources": "letter",
    "utm-mediums": "cpc",
    "utm-terms": "lamp",
    "utm-contents": "top",
    "click-ids": "gclid",
    "top-pages": "/a",
    "entry-pages": "/a",
    "exit-pages": "/b",
    "hosts": "shop.example",
    "countries": "United States",
    "regions": "Bavaria",
    "cities": "Munich",
    "browsers": "Chrome",
    "operating-systems": "Windows",
    "devices": "Desktop",
    "events": "signup",
    "goals": "Account",
    "properties": "plan: pro",
}
# And as a filter holds it, where that is something else.
HELD = {"country": "US"}


def send_event(site: Site, view: uuid.UUID, name: str, **props: object) -> None:
    seen = View.objects.get(id=view)
    Event.objects.create(
        site=site,
        id=uuid.uuid4(),
        view_id=view,
        visit_id=seen.visit_id,
        visitor=seen.visitor,
        at=seen.at,
        name=name,
        path=seen.path,
        props=props,
    )


def page_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def lines_of(client: Client, panel: str, query: str = "") -> dict[str, tuple[str, ...]]:
    table = client.get(f"/shop.example/{panel}/?{query}").context["table"]
    return {line.label: line.cells for line in table.lines}


def rows_of(client: Client, path: str) -> list[list[str]]:
    response = client.get(f"/shop.example/export/{path}")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(response.content.decode())))


@pytest.fixture
def visited(site: Site) -> Site:
    """One visit that has a value of everything."""
    first = send_hit(site, "/a", "https://news.example/today", urlencode(TAGS), ip=AMERICAN)
    send_hit(site, "/b", ip=AMERICAN)
    Visit.objects.update(region="Bavaria", city="Munich")
    send_event(site, first, "signup", plan="pro")
    Goal.objects.create(site=site, name="Account", kind="event", pattern="signup")
    return site


@pytest.fixture
def busy(site: Site) -> Site:
    """Three visitors of today and one of ten days ago, from different places with different devices."""
    ago = timezone.now() - dt.timedelta(days=10)
    send_hit(site, "/", "https://www.google.com/", ip=GERMAN, user_agent=FIREFOX)
    send_hit(site, "/pricing", ip=GERMAN, user_agent=FIREFOX)
    send_hit(site, "/", query="utm_source=letter&utm_medium=email&utm_campaign=autumn", ip=AMERICAN)
    send_hit(site, "/blog/lamps", ip="84.128.9.1", user_agent=IPHONE)
    send_hit(site, "/old", ip=GERMAN, at=ago)
    return site


# The dashboard


def test_dashboard_asks_for_a_table_of_each_card_in_its_period(owner_client: Client, visited: Site) -> None:
    page = page_of(owner_client, "/shop.example/?period=7d")
    for panel in ("channels", "top-pages", "countries", "browsers", "goals"):
        assert f'hx-get="/shop.example/{panel}/?period=7d"' in page


def test_dashboard_hands_picked_days_and_filters_to_its_panels(owner_client: Client, visited: Site) -> None:
    page = page_of(owner_client, "/shop.example/?from=2026-01-01&to=2026-01-31&is.device=Desktop")
    assert 'hx-get="/shop.example/channels/?from=2026-01-01&to=2026-01-31&is.device=Desktop"' in page
    assert 'name="from" value="2026-01-01"' in page


def test_dashboard_shows_revenue_of_its_period_to_members(owner_client: Client, visited: Site) -> None:
    assert 'hx-get="/shop.example/revenue/headline/?period=7d"' in page_of(owner_client, "/shop.example/?period=7d")


def test_dashboard_counts_the_visit(owner_client: Client, visited: Site) -> None:
    context = owner_client.get("/shop.example/?period=7d").context
    assert [figure.value for figure, *_ in context["figures"]] == ["1", "1", "2", "2.0", "0%", "0s"]
    assert context["chart"].points[-1].value == "1"


@pytest.mark.parametrize(
    "nonsense",
    [
        "period=<b>",
        "from=x&to=y",
        "from=2026-02-01&to=2026-01-01",
        "from=0001-01-01&to=9999-12-31",
        "versus=never&by=minute&metric=money",
        "is.nothing=1&what.page=/&is.page",
        "is.page=%00&has.page=%25_%5C",
        "is.page=%ff%fe",
        "dimension=nothing&how=is&value=1",
        "is.page=" + "x" * 2001,
        "&".join(f"not.page=/{n}" for n in range(100)),
    ],
)
def test_dashboard_of_nonsense_is_a_dashboard(owner_client: Client, visited: Site, nonsense: str) -> None:
    context = owner_client.get(f"/shop.example/?{nonsense}").context
    question = context["question"]
    assert (question.period.name, question.versus, question.bucket) == ("30d", "previous", None)
    for panel in TITLES:
        assert owner_client.get(f"/shop.example/{panel}/?{nonsense}").status_code == 200


def test_dashboard_opens_in_a_few_queries(
    owner_client: Client, visited: Site, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(11):
        owner_client.get("/shop.example/")


def test_every_address_of_the_dashboard_can_be_followed_without_javascript(owner_client: Client, busy: Site) -> None:
    page = page_of(owner_client, "/shop.example/?is.country=DE")
    links = {address for address in re.findall(r'href="([^"]*)"', page) if not address.startswith(("/static", "#"))}
    assert {"/shop.example/details/channels/?period=30d&is.country=DE", "?period=7d&is.country=DE"} <= links
    assert "?period=30d" in links
    failed = {
        address
        for address in links
        if owner_client.get(f"/shop.example/{address}" if address.startswith("?") else address).status_code != 200
    }
    assert failed == set()


def test_cards_that_cannot_load_by_themselves_link_to_their_details(owner_client: Client, busy: Site) -> None:
    page = page_of(owner_client, "/shop.example/")
    for card in CARD_TABS:
        assert f"Show {card.title}</a></p></noscript>" in page


# Period, comparison and chart


def test_arrows_lead_to_the_periods_beside_with_all_else_that_is_asked(owner_client: Client, visited: Site) -> None:
    page = page_of(owner_client, "/shop.example/?from=2024-02-01&to=2024-02-29&versus=none&is.country=DE")
    rest = "versus=none&is.country=DE"
    assert f'id="earlier" href="?from=2024-01-01&to=2024-01-31&{rest}" data-key="b"' in page
    assert f'id="later" href="?from=2024-03-01&to=2024-03-31&{rest}" data-key="n"' in page
    assert 'id="later" role="link" aria-disabled="true"' in page_of(owner_client, "/shop.example/?period=7d")


def test_dashboard_compares_with_the_period_before_the_year_before_or_nothing(owner_client: Client, site: Site) -> None:
    now = timezone.now()
    for days, visitors in ((0, 3), (7, 2), (365, 1)):
        for n in range(visitors):
            send_hit(site, ip=f"91.64.7.{n + 1}", at=now - dt.timedelta(days=days, minutes=10))
    shown = {}
    for versus in ("previous", "year", "none"):
        context = owner_client.get(f"/shop.example/?period=7d&versus={versus}").context
        visitors_figure, *_ = context["figures"][0]
        marks = [point.before for point in context["chart"].points]
        shown[versus] = (visitors_figure.change, visitors_figure.note, marks[-1])
    assert shown == {"previous": ("+50%", "from 2", "2"), "year": ("+200%", "from 1", "1"), "none": ("", "", "")}


@pytest.mark.parametrize(
    ("query", "buckets", "bucket", "points"),
    [
        ("period=yesterday", ["hour"], "hour", 24),
        ("period=7d", ["hour", "day"], "day", 7),
        ("period=7d&by=hour", ["hour", "day"], "hour", 168),
        ("period=30d", ["day", "week"], "day", 30),
        ("period=30d&by=hour", ["day", "week"], "day", 30),
        ("period=90d&by=month", ["day", "week", "month"], "month", None),
        ("period=12mo", ["day", "week", "month"], "month", None),
        ("period=12mo&by=day", ["day", "week", "month"], "day", 365),
        ("from=2024-01-01&to=2025-12-31", ["week", "month"], "month", 24),
        ("from=2024-01-01&to=2025-12-31&by=week", ["week", "month"], "week", 105),
    ],
)
def test_chart_has_the_spans_that_fit_its_period(
    owner_client: Client, visited: Site, query: str, buckets: list[str], bucket: str, points: int | None
) -> None:
    send_hit(visited, at=dt.datetime(2025, 6, 1, 12, tzinfo=dt.UTC))
    send_hit(visited, at=timezone.now() - dt.timedelta(days=1))
    context = owner_client.get(f"/shop.example/?{query}").context
    assert [name for name, _ in context["buckets"]] == buckets
    assert context["bucket"] == bucket
    if points:
        assert len(context["chart"].points) == points


def test_a_figure_s_link_charts_it(owner_client: Client, visited: Site) -> None:
    page = page_of(owner_client, "/shop.example/?period=7d")
    query = re.search(r'id="metric-views" href="(\?[^"]*)"', page)
    assert query
    response = owner_client.get(f"/shop.example/{query[1]}")
    assert response.context["chart_title"] == "Views"
    assert response.context["chart"].points[-1].value == "2"
    assert 'id="metric-views" href="?period=7d&amp;metric=views" title="Show over time" aria-current="true"' in (
        response.content.decode()
    )


def test_the_chart_s_numbers_are_a_table_and_a_file_too(owner_client: Client, visited: Site) -> None:
    page = page_of(owner_client, "/shop.example/?period=7d&is.country=US")
    assert '<caption class="visually-hidden">Visitors</caption>' in page
    number = r'<td class="number">'
    day = r"[A-Z][a-z]{2} \d+ [A-Z][a-z]{2} \d{4}"
    assert len(re.findall(rf'<th scope="row">{day}</th>{number}0</td>{number}0</td>', page)) == 6
    assert re.search(rf'<th scope="row">{day}, so far</th>{number}1</td>{number}0</td>', page)
    assert 'href="/shop.example/export/over-time.csv?period=7d&is.country=US"' in page


# Panels


@pytest.mark.parametrize("panel", TITLES)
def test_panel_shows_its_rows(owner_client: Client, visited: Site, panel: str) -> None:
    page = page_of(owner_client, f"/shop.example/{panel}/")
    assert f"<bdi>{SHOWN[panel]}</bdi>" in page
    assert f'aria-current="true">{dict(TABS_OF[panel].tabs)[panel]}</a>' in page
    assert f'href="/shop.example/export/{panel}.csv?period=30d"' in page


@pytest.mark.parametrize("address", ["", "channels/", "top-pages/", "details/browsers/"])
def test_what_the_filters_leave_nothing_of_says_so(owner_client: Client, visited: Site, address: str) -> None:
    said = "No visit of this period matches the filters."
    assert said in page_of(owner_client, f"/shop.example/{address}?is.page=/nowhere")
    assert said not in page_of(owner_client, f"/shop.example/{address}?from=2020-01-01&to=2020-01-02")


@pytest.mark.parametrize("panel", TITLES)
def test_panel_says_when_it_is_empty(owner_client: Client, site: Site, panel: str) -> None:
    page = page_of(owner_client, f"/shop.example/{panel}/")
    assert "<table" not in page
    assert owner_client.get(f"/shop.example/{panel}/").context["table"].empty in page


def test_panel_of_goals_leads_to_setting_one_unless_it_is_shared(
    owner_client: Client, client: Client, site: Site
) -> None:
    assert 'href="/shop.example/settings/goals/"' in page_of(owner_client, "/shop.example/goals/")
    client.get(f"/share/{share(site, 'Board', '').token}/")
    assert "/settings/" not in page_of(client, "/shop.example/goals/")


def test_places_are_shown_with_the_credit_that_their_maker_asks_for(
    owner_client: Client, visited: Site, settings: Any, tmp_path: Path
) -> None:
    made = write_mmdb(tmp_path / "places.mmdb", {"8.8.8.0/24": {"country": {"iso_code": "US"}}}, "DBIP-City-Lite")
    settings.GEOIP_PATH = str(made)
    link = '<a href="https://db-ip.com">IP Geolocation by DB-IP</a>'
    for pages in ("", "details/"):
        credited = [name for name in TITLES if link in page_of(owner_client, f"/shop.example/{pages}{name}/")]
        assert credited == ["countries", "regions", "cities"]
    settings.GEOIP_PATH = ""
    assert link not in page_of(owner_client, "/shop.example/countries/")


def test_panel_escapes_what_visitors_made_up(owner_client: Client, site: Site) -> None:
    send_hit(site, "/<script>alert(1)</script>")
    for address in ("top-pages/", "details/top-pages/", "?is.page=<script>", "details/top-pages/?search=<script>"):
        assert "<script>alert" not in owner_client.get(f"/shop.example/{address}").content.decode()


def test_panel_draws_rows_in_proportion_to_the_largest(owner_client: Client, site: Site) -> None:
    for ip in ("8.8.8.8", "193.99.144.80", "9.9.9.9"):
        send_hit(site, "/", ip=ip)
    send_hit(site, "/a", ip="8.8.8.8")
    lines = owner_client.get("/shop.example/top-pages/").context["table"].lines
    assert [(line.label, line.cells, line.share) for line in lines] == [
        ("/", ("3", "3"), 100),
        ("/a", ("1", "1"), 33.33),
    ]


def test_what_is_not_known_has_a_name(owner_client: Client, site: Site) -> None:
    send_hit(site)
    assert list(lines_of(owner_client, "sources")) == ["Direct or unknown"]
    assert list(lines_of(owner_client, "countries")) == ["Unknown"]


def test_goals_have_a_conversion_rate_of_the_visitors_asked_about(owner_client: Client, busy: Site) -> None:
    Goal.objects.create(site=busy, name="Prices", pattern="/pricing")
    assert lines_of(owner_client, "goals", "period=today") == {"Prices": ("1", "1", "33%")}
    assert lines_of(owner_client, "goals", "period=today&is.country=DE&is.browser=Firefox") == {
        "Prices": ("1", "1", "100%")
    }


def test_events_have_a_conversion_rate_of_the_visitors_asked_about(owner_client: Client, busy: Site) -> None:
    for path in ("/pricing", "/blog/lamps"):
        for _ in range(2):
            send_event(busy, View.objects.get(path=path).id, "signup")
    assert lines_of(owner_client, "events", "period=today") == {"signup": ("2", "4", "67%")}
    assert lines_of(owner_client, "events", "period=today&is.browser=Firefox") == {"signup": ("1", "2", "100%")}
    assert rows_of(owner_client, "events.csv?period=today") == [
        ["Event", "Visitors", "Times", "Conversion rate"],
        ["signup", "2", "4", "0.6667"],
    ]


# Filters


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_each_dimension_filters_by_is_is_not_and_contains(owner_client: Client, visited: Site, dimension: str) -> None:
    panels = {
        "page": "top-pages", "entry_page": "entry-pages", "exit_page": "exit-pages", "hostname": "hosts",
        "utm_campaign": "campaigns", "country": "countries", "city": "cities", "os": "operating-systems",
    }  # fmt: skip
    shown = SHOWN[panels.get(dimension, f"{dimension.replace('_', '-')}s")]
    value = HELD.get(dimension, shown)

    def visits(query: str) -> str:
        figures = owner_client.get(f"/shop.example/?{query}").context["figures"]
        return str(figures[1][0].value)

    assert visits(urlencode({f"is.{dimension}": value})) == "1"
    assert visits(urlencode({f"is.{dimension}": "something else"})) == "0"
    assert visits(urlencode({f"not.{dimension}": value})) == "0"
    assert visits(urlencode({f"not.{dimension}": "something else"})) == "1"
    assert visits(urlencode({f"has.{dimension}": value[:-1].upper()})) == "1"
    assert visits(urlencode({f"has.{dimension}": "something else"})) == "0"


def test_a_filter_by_a_goal_keeps_who_reached_it(owner_client: Client, busy: Site) -> None:
    Goal.objects.create(site=busy, name="Prices", pattern="/pri*")
    assert lines_of(owner_client, "countries", "period=today&is.goal=Prices") == {"Germany": ("1", "1")}
    assert set(lines_of(owner_client, "browsers", "period=today&not.goal=Prices")) == {"Chrome", "Safari"}


def test_filters_hold_together(owner_client: Client, busy: Site) -> None:
    query = "period=today&is.country=DE&not.browser=Firefox"
    assert lines_of(owner_client, "top-pages", query) == {"/blog/lamps": ("1", "1")}


def test_two_values_of_one_condition_mean_either(owner_client: Client, busy: Site) -> None:
    query = "period=today&is.browser=Firefox&is.browser=Chrome"
    assert set(lines_of(owner_client, "browsers", query)) == {"Firefox", "Chrome"}
    page = page_of(owner_client, f"/shop.example/?{query}")
    assert "Browser is Firefox or Chrome" in page


def test_a_row_leads_to_its_visits_beside_what_is_filtered_already(owner_client: Client, busy: Site) -> None:
    page = page_of(owner_client, "/shop.example/browsers/?period=7d&is.country=DE")
    assert 'href="/shop.example/?period=7d&is.country=DE&is.browser=Firefox"' in page


def test_chips_say_each_filter_and_lead_to_the_page_without_it(owner_client: Client, busy: Site) -> None:
    page = page_of(owner_client, "/shop.example/?period=7d&is.country=DE&not.page=/old&has.entry_page=blog")
    chips = re.findall(r'<bdi>([^<]*)</bdi></span><a href="\?([^"]*)"', page)
    assert chips == [
        ("Country is Germany", "period=7d&not.page=%2Fold&has.entry_page=blog"),
        ("Page is not /old", "period=7d&is.country=DE&has.entry_page=blog"),
        ("Entry page contains blog", "period=7d&is.country=DE&not.page=%2Fold"),
    ]
    assert 'href="?period=7d" data-key="x"' in page


@pytest.mark.parametrize(
    ("told", "query"),
    [
        ("dimension=page&how=has&value=/blog", "period=7d&is.device=Mobile&has.page=%2Fblog"),
        ("dimension=country&how=is&value=germany", "period=7d&is.device=Mobile&is.country=DE"),
        ("dimension=country&how=not&value=de", "period=7d&is.device=Mobile&not.country=DE"),
        ("dimension=goal&how=not&value=Order", "period=7d&is.device=Mobile&not.goal=Order"),
        ("dimension=country&how=has&value=United", "period=7d&is.device=Mobile&has.country=United"),
    ],
)
def test_the_form_adds_a_filter(owner_client: Client, busy: Site, told: str, query: str) -> None:
    response = owner_client.get(f"/shop.example/?period=7d&is.device=Mobile&{told}")
    assert response.headers["Location"] == f"/shop.example/?{query}"


@pytest.mark.parametrize(
    "told", ["dimension=page&how=is&value=", "dimension=x&how=is&value=1", "dimension=page&value=1"]
)
def test_a_form_that_is_not_filled_in_adds_nothing(owner_client: Client, busy: Site, told: str) -> None:
    assert owner_client.get(f"/shop.example/?period=7d&{told}").context["question"].filters == ()


def test_the_form_offers_whatever_can_be_filtered_by(owner_client: Client, busy: Site) -> None:
    page = page_of(owner_client, "/shop.example/")
    offered = re.findall(r'<option value="([a-z_]+)">', page[: page.index('name="how"')])
    assert offered == [*DIMENSIONS, "goal"]


def test_the_form_suggests_what_there_is(owner_client: Client, busy: Site) -> None:
    assert page_of(owner_client, "/shop.example/suggestions/?period=today&dimension=page").count("<option") == 3
    assert '<option value="/old">' in page_of(owner_client, "/shop.example/suggestions/?dimension=page")
    Goal.objects.create(site=busy, name="Prices", pattern="/pricing")
    assert '<option value="Prices">' in page_of(owner_client, "/shop.example/suggestions/?dimension=goal")
    assert '<option value="Germany">' in page_of(owner_client, "/shop.example/suggestions/?dimension=country")
    assert owner_client.get("/shop.example/suggestions/?dimension=nothing").content.strip() == b""


# Details


def test_details_show_all_figures_of_each_value(owner_client: Client, visited: Site) -> None:
    table = owner_client.get("/shop.example/details/sources/").context["table"]
    assert table.columns == ("Source", "Visitors", "Visits", "Views per visit", "Bounce rate", "Visit duration")
    assert [line.cells for line in table.lines] == [("1", "1", "2.0", "0%", "0s")]
    table = owner_client.get("/shop.example/details/top-pages/").context["table"]
    assert table.columns == ("Page", "Visitors", "Views", "Time on page", "Scroll depth")


def test_details_of_pages_show_how_long_and_how_far_they_were_read(owner_client: Client, visited: Site) -> None:
    View.objects.filter(path="/a").update(engaged_ms=61_000, scrolled=80)
    table = owner_client.get("/shop.example/details/top-pages/").context["table"]
    assert [(line.label, line.cells) for line in table.lines] == [
        ("/a", ("1", "1", "1m 01s", "80%")),
        ("/b", ("1", "1", "–", "–")),
    ]


@pytest.mark.parametrize("panel", TITLES)
def test_details_of_every_panel_open_and_can_be_searched(owner_client: Client, visited: Site, panel: str) -> None:
    address = f"/shop.example/details/{panel}/"
    assert f"<bdi>{SHOWN[panel]}</bdi>" in page_of(owner_client, address)
    part = SHOWN[panel][-2:].upper()
    assert f"<bdi>{SHOWN[panel]}</bdi>" in page_of(owner_client, f"{address}?{urlencode({'search': part})}")
    assert "Nothing here has “%_” in its name." in page_of(owner_client, f"{address}?search=%25_")


def test_details_come_in_pages(owner_client: Client, site: Site) -> None:
    for n in range(51):
        send_hit(site, f"/{n:03}")
    first = page_of(owner_client, "/shop.example/details/top-pages/?period=7d")
    assert ("<bdi>/049</bdi>" in first, "<bdi>/050</bdi>" in first) == (True, False)
    assert 'href="?period=7d&search=&page=2" rel="next"' in first
    assert 'rel="prev"' not in first
    second = page_of(owner_client, "/shop.example/details/top-pages/?period=7d&page=2")
    assert ("<bdi>/049</bdi>" in second, "<bdi>/050</bdi>" in second) == (False, True)
    assert 'href="?period=7d&search=&page=1" rel="prev"' in second
    assert 'rel="next"' not in second


@pytest.mark.parametrize("number", ["0", "-1", "x", "", "1e9", "²", "9999999", "1.5", "%00"])
def test_a_page_number_that_is_none_is_the_first(owner_client: Client, visited: Site, number: str) -> None:
    response = owner_client.get(f"/shop.example/details/top-pages/?page={number}")
    assert response.context["page"] == 1
    assert len(response.context["table"].lines) == 2


def test_a_page_behind_the_last_says_so_and_leads_back(owner_client: Client, visited: Site) -> None:
    page = page_of(owner_client, "/shop.example/details/top-pages/?page=7")
    assert "There are no more." in page
    assert 'page=6" rel="prev"' in page


def test_a_search_keeps_period_and_filters(owner_client: Client, busy: Site) -> None:
    page = page_of(owner_client, "/shop.example/details/top-pages/?period=7d&is.country=DE&search=o")
    for name, value in (("period", "7d"), ("is.country", "DE")):
        assert f'<input type="hidden" name="{name}" value="{value}">' in page
    assert re.findall(r"<bdi>(/[^<]*)</bdi>", page) == ["/blog/lamps"]


def test_a_country_is_searched_by_its_name(owner_client: Client, busy: Site) -> None:
    page = page_of(owner_client, "/shop.example/details/countries/?search=germ")
    assert re.findall(r"<bdi>([^<]*)</bdi>", page) == ["Germany"]


# CSV


def test_csv_has_every_figure_as_a_number(owner_client: Client, visited: Site) -> None:
    assert rows_of(owner_client, "channels.csv") == [
        ["Channel", "Visitors", "Visits", "Views per visit", "Bounce rate", "Visit duration"],
        ["Paid Search", "1", "1", "2.0", "0.0", "0.0"],
    ]
    assert rows_of(owner_client, "goals.csv")[1:] == [["Account", "1", "1", "1.0"]]
    assert rows_of(owner_client, "properties.csv")[1:] == [["plan: pro", "1", "1"]]


def test_csv_has_every_row_of_the_period_and_the_filters(owner_client: Client, busy: Site) -> None:
    for n in range(60):
        send_hit(busy, f"/many/{n:02}", ip=AMERICAN)
    everything = rows_of(owner_client, "top-pages.csv?period=30d")[1:]
    assert len(everything) == 64
    assert {row[0] for row in everything} >= {"/old", "/pricing", "/many/59"}
    assert [row[0] for row in rows_of(owner_client, "top-pages.csv?period=7d&is.country=DE&is.browser=Firefox")] == [
        "Page",
        "/",
        "/pricing",
    ]


def test_csv_is_named_after_site_panel_and_days(owner_client: Client, visited: Site) -> None:
    response = owner_client.get("/shop.example/export/channels.csv?from=2026-01-01&to=2026-01-31")
    name = "shop.example_channels_2026-01-01_2026-01-31.csv"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize("start", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)"])
def test_csv_gives_a_spreadsheet_nothing_to_run(owner_client: Client, site: Site, start: str) -> None:
    send_hit(site, query=urlencode({"utm_campaign": start}))
    assert rows_of(owner_client, "campaigns.csv")[1][0] == f"'{start}"


def test_csv_of_the_chart_has_a_row_for_each_of_its_points(owner_client: Client, busy: Site) -> None:
    rows = rows_of(owner_client, "over-time.csv?period=7d&not.device=Mobile")
    assert rows[0] == ["Day", "Visitors", "Visits", "Views", "Views per visit", "Bounce rate", "Visit duration"]
    assert len(rows) == 8
    today = timezone.now().astimezone(busy.zone).date().isoformat()
    assert rows[-1] == [today, "2", "2", "3", "1.5", "0.5", "0.0"]
    assert rows[1][1:] == ["0", "0", "0", "", "", ""]
    assert rows_of(owner_client, "over-time.csv?period=today")[1][0].endswith("T00:00:00")


def test_csv_of_no_panel_is_not_found(owner_client: Client, visited: Site) -> None:
    for path in ("export/nothing.csv", "export/channels", "details/nothing/", "nothing/"):
        assert owner_client.get(f"/shop.example/{path}").status_code == 404


# Before the first hit, and now


def test_dashboard_waits_for_the_first_hit_with_the_script_tag(owner_client: Client, site: Site) -> None:
    page = page_of(owner_client, "/shop.example/")
    assert f'<script src="http://localhost:8000/js/{site.key}.js"></script>' in page
    assert 'hx-get="/shop.example/first-hit/?refused=0" hx-trigger="every 3s"' in page
    for platform in ("Next.js", "WordPress", "Shopify", "Google Tag Manager"):
        assert f"<summary>{platform}</summary>" in page


def test_a_share_link_of_a_site_without_hits_shows_no_tag_and_asks_for_nothing(client: Client, site: Site) -> None:
    page = html.unescape(client.get(f"/share/{share(site, 'Board', '').token}/", follow=True).content.decode())
    assert "There is nothing to show yet." in page
    assert site.key not in page
    assert "first-hit" not in page


def test_first_hit_has_the_page_loaded_again(owner_client: Client, site: Site) -> None:
    waiting = owner_client.get("/shop.example/first-hit/?refused=0")
    assert (waiting.status_code, waiting.headers.get("HX-Refresh")) == (204, None)
    send_hit(site)
    assert owner_client.get("/shop.example/first-hit/").headers["HX-Refresh"] == "true"


def test_the_waiting_page_tells_what_is_refused_once(owner_client: Client, site: Site) -> None:
    RefusedHits.objects.create(site=site, day=timezone.now().date(), reason=Refusal.OTHER_HOST, hits=1200)
    told = page_of(owner_client, "/shop.example/first-hit/?refused=0")
    assert "Hits arrive, but none of them counts yet" in told
    assert "This site counts pages of shop.example and its subdomains." in told
    assert "Another host’s page" in told
    assert "1,200" in told
    assert 'hx-get="/shop.example/first-hit/?refused=1200"' in told
    assert told in page_of(owner_client, "/shop.example/")
    assert owner_client.get("/shop.example/first-hit/?refused=1200").status_code == 204
    Intake.objects.create(site=site, hostnames=["www.shop.example", "*.shop.test"])
    assert "pages of www.shop.example, *.shop.test." in page_of(owner_client, "/shop.example/")


def test_live_visitors_are_named_in_singular_and_plural(owner_client: Client, site: Site) -> None:
    assert "0 visitors now" in page_of(owner_client, "/shop.example/live-visitors/")
    send_hit(site)
    assert "1 visitor now" in page_of(owner_client, "/shop.example/live-visitors/")


def test_last_days_end_with_today(owner_client: Client, site: Site) -> None:
    send_hit(site, at=timezone.now() - dt.timedelta(days=1))
    send_hit(site)
    response = owner_client.get("/shop.example/last-days/")
    assert (response.context["today"], response.context["visitors"]) == ("1", "2")
    assert [bar.value for bar in response.context["chart"].points[-2:]] == ["1", "1"]


def test_paths_are_read_searched_and_filtered_by_their_letters(owner_client: Client, site: Site) -> None:
    send_hit(site, "/caf%C3%A9")
    send_hit(site, "/\u202eevil", ip="203.0.113.8")
    assert set(lines_of(owner_client, "top-pages")) == {"/café", "/<U+202E>evil"}
    page = page_of(owner_client, f"/shop.example/details/top-pages/?{urlencode({'search': 'Fé'})}")
    assert re.findall(r"<bdi>(/[^<]*)</bdi>", page) == ["/café"]
    told = urlencode({"dimension": "page", "how": "is", "value": "/café"})
    page = html.unescape(owner_client.get(f"/shop.example/?{told}", follow=True).content.decode())
    assert "<bdi>Page is /café</bdi>" in page
    assert lines_of(owner_client, "top-pages", urlencode({"is.page": "/caf%C3%A9"})) == {"/café": ("1", "1")}
