"""The dashboard's numbers as programs are told them, beside what the page itself shows."""

import csv
import datetime as dt
import io
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from sites.api import Scope
from sites.models import Site
from sites.tokens import issue
from tests.factories import FIREFOX, IPHONE, send_event, send_hit
from tracking.export import harmless
from tracking.figures import Metric, clock
from tracking.models import Goal, Visit
from tracking.tables import TITLES

GERMAN, AMERICAN = "91.64.7.7", "8.8.8.8"


@pytest.fixture
def busy(site: Site) -> Site:
    """Visitors of today, of the period before and of the year before, from different places with different devices."""
    view = send_hit(site, "/", "https://www.google.com/", ip=GERMAN, user_agent=FIREFOX)
    send_hit(site, "/pricing", ip=GERMAN, user_agent=FIREFOX)
    tags = {"utm_source": "letter", "utm_medium": "email", "utm_campaign": "autumn", "utm_term": "lamp"}
    send_hit(site, "/", query=urlencode(tags | {"utm_content": "top", "gclid": "x"}), ip=AMERICAN)
    send_hit(site, "/blog/l%C3%A4mps", "https://news.example/today", ip="84.128.9.1", user_agent=IPHONE)
    send_event(site, "signup", {"plan": "pro"}, view, ip=GERMAN, user_agent=FIREFOX)
    send_event(site, "=1+1", {"plan": 7}, view, ip=GERMAN, user_agent=FIREFOX)
    for days in (3, 40, 370):
        send_hit(site, "/old", ip=GERMAN, at=timezone.now() - dt.timedelta(days=days))
    Goal.objects.create(site=site, name="Account", kind="event", pattern="signup")
    Goal.objects.create(site=site, name="Blog", kind="page", pattern="/blog/*")
    return site


@pytest.fixture
def token(site: Site) -> str:
    return issue(site, "Sheet", Scope.TRAFFIC)


def told(token: str, path: str, status: int = 200) -> Any:
    response = Client().get(f"/api/v1/sites/shop.example/{path}", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == status, response.content
    assert response["Cache-Control"] == "no-store"
    return response.json()


QUERIES = [
    "",
    "period=7d",
    "period=12mo&versus=year",
    "is.country=DE&is.country=US&not.browser=Firefox",
    "has.page=/b",
    "is.goal=Account",
    "from=2020-01-01&to=2020-01-31",
]


def rows_of(client: Client, path: str) -> list[list[str]]:
    """The page's own file."""
    return list(csv.reader(io.StringIO(client.get(f"/shop.example/export/{path}").content.decode())))


def plain(figures: dict[str, Any]) -> list[str]:
    """What is told of a row or point, as the page's file has it."""
    return ["" if each is None else f"{each}" for name, each in figures.items() if name != "value"]


@pytest.mark.parametrize("query", [*QUERIES, "versus=none"])
def test_figures_are_those_of_the_dashboard(owner_client: Client, busy: Site, token: str, query: str) -> None:
    page = owner_client.get(f"/shop.example/?{query}").context
    question, shown = page["question"], {figure.metric: figure for figure, _, _ in page["figures"]}
    found = told(token, f"figures?{query}")
    assert (found["site"], found["timezone"]) == ("shop.example", "UTC")
    assert found["period"] == {"from": f"{question.period.first_on}", "to": f"{question.period.last_on}"}
    figures, before = found["figures"], found["before"]
    for metric in (Metric.VISITORS, Metric.VISITS, Metric.VIEWS):
        assert f"{figures[metric]:,}" == shown[metric].value
        assert shown[metric].note == (f"from {before[metric]:,}" if before else "")
    if figures["visits"]:
        assert f"{figures['bounce_rate']:.0%}" == shown[Metric.BOUNCE_RATE].value
        assert f"{figures['views_per_visit']:.1f}" == shown[Metric.VIEWS_PER_VISIT].value
        assert clock(round(figures["visit_duration"])) == shown[Metric.VISIT_DURATION].value
    else:
        assert (figures["bounce_rate"], shown[Metric.BOUNCE_RATE].value) == (None, "–")
    against = question.against
    compared_with = {"from": f"{against.first_on}", "to": f"{against.last_on}"}
    assert found["compared_with"] == (None if question.versus == "none" else compared_with)


def test_figures_of_another_time_zone_are_of_its_days(owner_client: Client, busy: Site, token: str) -> None:
    busy.timezone = "Pacific/Kiritimati"
    busy.save()
    found = told(token, "figures?period=today")
    assert found["timezone"] == "Pacific/Kiritimati"
    assert found["period"]["to"] == f"{timezone.now().astimezone(busy.zone).date()}"


@pytest.mark.parametrize("query", [*QUERIES, "period=today&by=hour&versus=none", "period=12mo&by=week"])
def test_the_series_is_that_of_the_chart(owner_client: Client, busy: Site, token: str, query: str) -> None:
    page = owner_client.get(f"/shop.example/?{query}").context
    headings, *rows = rows_of(owner_client, f"over-time.csv?{query}")
    found = told(token, f"series?{query}")
    assert (found["by"], headings[0]) == (page["bucket"], page["bucket"].title())
    assert [plain(point) for point in found["points"]] == rows
    drawn = page["chart"].points
    if drawn:
        assert [f"{point['visitors']:,}" for point in found["points"]] == [bar.value for bar in drawn]
        before = [f"{point['visitors']:,}" for point in found["before"] or []]
        assert before[: len(drawn)] == [bar.before for bar in drawn if bar.before]


@pytest.mark.parametrize("name", TITLES)
@pytest.mark.parametrize("query", ["", "is.country=DE", "from=2020-01-01&to=2020-01-31"])
def test_a_breakdown_has_the_rows_of_the_panel(
    owner_client: Client, busy: Site, token: str, name: str, query: str
) -> None:
    Visit.objects.filter(country="DE").update(region="Bavaria", city="Munich")
    headings, *rows = rows_of(owner_client, f"{name}.csv?{query}")
    found = told(token, f"breakdown/{name}?{query}")
    assert (found["breakdown"], found["title"], found["page"], found["has_next"]) == (name, TITLES[name], 1, False)
    assert [[harmless(row["label"]), *plain(row)[1:]] for row in found["rows"]] == rows
    for row in found["rows"]:
        assert list(row)[2:] == [heading.lower().replace(" ", "_") for heading in headings[1:]]
    if not query:
        assert rows


def test_a_value_asks_for_just_its_visits(busy: Site, token: str) -> None:
    rows = {row["label"]: row for row in told(token, "breakdown/countries")["rows"]}
    assert {label: row["value"] for label, row in rows.items()} == {"Germany": "DE", "United States": "US"}
    for row in rows.values():
        assert told(token, f"figures?is.country={row['value']}")["figures"]["visits"] == row["visits"]
    lamps = told(token, "breakdown/top-pages?search=lämps")["rows"]
    assert [(row["label"], row["value"]) for row in lamps] == [("/blog/lämps", "/blog/l%C3%A4mps")]


def test_rows_come_in_pages(busy: Site, token: str) -> None:
    everything = told(token, "breakdown/top-pages")["rows"]
    assert len(everything) == 4
    pages = [told(token, f"breakdown/top-pages?limit=3&page={number}") for number in (1, 2, 3)]
    assert [page["rows"] for page in pages] == [everything[:3], everything[3:], []]
    assert [(page["page"], page["has_next"]) for page in pages] == [(1, True), (2, False), (3, False)]


def test_who_is_there_now_is_counted(owner_client: Client, busy: Site, token: str) -> None:
    assert told(token, "live") == {"site": "shop.example", "visitors": 3, "minutes": 5}
    assert owner_client.get("/shop.example/live-visitors/").context["visitors"] == 3


@pytest.mark.parametrize(
    ("query", "parameter", "message", "allowed"),
    [
        pytest.param("period=fortnight", "period", "“fortnight” is none of what “period” may be.", "30d", id="period"),
        pytest.param("from=yesterday", "from", "“from” is a day such as 2026-01-31.", None, id="day"),
        pytest.param("from=2026-02-30", "from", "“from” is a day such as 2026-01-31.", None, id="no-such-day"),
        pytest.param("from=20260131", "from", "“from” is a day such as 2026-01-31.", None, id="another-day"),
        pytest.param(
            "from=2026-02-01&to=2026-01-01",
            "from",
            "The period ends (2026-01-01) before it begins (2026-02-01).",
            None,
            id="backwards",
        ),
        pytest.param("from=2001-01-01", "from", "A period is at most ten years long.", None, id="too-long"),
        pytest.param(
            "to=1066-10-14", "from", "A period lies between the years 1990 and 2200.", None, id="before-the-web"
        ),
        pytest.param("versus=mars", "versus", "“mars” is none of what “versus” may be.", "year", id="versus"),
        pytest.param("is.shoe=40", "is.shoe", "There is no such parameter here.", "is.channel", id="dimension"),
        pytest.param("metric=views", "metric", "There is no such parameter here.", "versus", id="unknown"),
        pytest.param("period=7d&period=30d", "period", "“period” may be given once.", None, id="twice"),
        pytest.param("is.page=%00", "is.page", "“\0” is not what “is.page” may be.", None, id="nul"),
        pytest.param(
            "is.page=" + "x" * 2001, "is.page", "“is.page” may have 2000 letters.", None, id="too-many-letters"
        ),
        pytest.param(
            "&".join(f"not.page=/{n}" for n in range(21)), "filters", "There may be 20 filters.", None, id="too-many"
        ),
    ],
)
def test_what_is_not_understood_is_refused_in_words(
    site: Site, token: str, query: str, parameter: str, message: str, allowed: str | None
) -> None:
    found = told(token, f"figures?{query}", status=400)
    assert (found["error"], found["parameter"], found["message"]) == ("parameter", parameter, message)
    assert allowed is None or allowed in found["allowed"]


def test_a_span_that_does_not_fit_the_period_is_refused(site: Site, token: str) -> None:
    found = told(token, "series?period=30d&by=hour", status=400)
    assert (found["message"], found["allowed"]) == ("30 days are not told by hour.", ["day", "week"])


@pytest.mark.parametrize(
    "page", ["limit=0", "limit=1001", "limit=ten", "limit=٣", "page=0", "page=-1", "page=" + "9" * 99]
)
def test_pages_are_whole_numbers_within_bounds(site: Site, token: str, page: str) -> None:
    name = page.partition("=")[0]
    found = told(token, f"breakdown/channels?{page}", status=400)
    assert found["message"].startswith(f"“{name}” is a whole number from 1 to ")


def test_a_breakdown_that_there_is_not_is_told_with_those_that_there_are(site: Site, token: str) -> None:
    found = told(token, "breakdown/shoes", status=404)
    assert (found["error"], found["message"]) == ("not-found", "“shoes” is none of what “name” may be.")
    assert found["allowed"] == list(TITLES)
