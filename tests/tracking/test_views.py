import datetime as dt
import html

import pytest
from django.test import Client
from django.utils import timezone

from sites.models import Site
from tests.factories import send_hit

PANELS = {
    "top-pages": ("Top pages", "/a"),
    "entry-pages": ("Entry pages", "/a"),
    "channels": ("Channels", "Email"),
    "sources": ("Sources", "letter"),
    "referrers": ("Referrers", "news.example/today"),
    "campaigns": ("Campaigns", "autumn"),
    "countries": ("Countries", "United States"),
    "browsers": ("Browsers", "Chrome"),
    "operating-systems": ("Operating systems", "Windows"),
    "devices": ("Devices", "Desktop"),
}


@pytest.fixture
def visited(site: Site) -> Site:
    tags = "utm_source=letter&utm_medium=email&utm_campaign=autumn"
    send_hit(site, "/a", "https://news.example/today", tags, ip="8.8.8.8")
    return site


def test_dashboard_waits_for_the_first_hit_with_the_script_tag(owner_client: Client, site: Site) -> None:
    page = owner_client.get("/shop.example/").content.decode()
    assert f'<script src="http://localhost:8000/js/{site.key}.js"></script>' in html.unescape(page)
    assert 'hx-get="/shop.example/first-hit/" hx-trigger="every 3s"' in page


def test_first_hit_has_the_page_loaded_again(owner_client: Client, site: Site) -> None:
    waiting = owner_client.get("/shop.example/first-hit/")
    assert (waiting.status_code, waiting.headers.get("HX-Refresh")) == (204, None)
    send_hit(site)
    assert owner_client.get("/shop.example/first-hit/").headers["HX-Refresh"] == "true"


def test_dashboard_asks_for_each_panel_in_its_period(owner_client: Client, visited: Site) -> None:
    page = html.unescape(owner_client.get("/shop.example/?period=7d").content.decode())
    for panel in PANELS:
        assert f'hx-get="/shop.example/{panel}/?period=7d"' in page


def test_dashboard_hands_picked_days_to_its_panels(owner_client: Client, visited: Site) -> None:
    page = html.unescape(owner_client.get("/shop.example/?from=2026-01-01&to=2026-01-31").content.decode())
    assert 'hx-get="/shop.example/channels/?from=2026-01-01&to=2026-01-31"' in page
    assert 'name="from" value="2026-01-01"' in page


def test_dashboard_of_nonsense_shows_the_default_period(owner_client: Client, visited: Site) -> None:
    response = owner_client.get("/shop.example/?period=<b>&from=x")
    assert response.context["period"].name == "30d"


def test_dashboard_counts_the_visit(owner_client: Client, visited: Site) -> None:
    response = owner_client.get("/shop.example/?period=7d")
    assert response.context["figures"][0].value == "1"
    assert response.context["chart"].points[-1].value == "1"


@pytest.mark.parametrize("panel", PANELS)
def test_panel_shows_its_rows(owner_client: Client, visited: Site, panel: str) -> None:
    title, label = PANELS[panel]
    page = owner_client.get(f"/shop.example/{panel}/").content.decode()
    assert f'<section class="panel" id="{panel}"' in page
    assert f">{title}</h2>" in page
    assert f"<bdi>{label}</bdi>" in page


@pytest.mark.parametrize("panel", PANELS)
def test_panel_says_when_it_is_empty(owner_client: Client, site: Site, panel: str) -> None:
    page = owner_client.get(f"/shop.example/{panel}/").content.decode()
    assert "this period" in page
    assert "<table" not in page


def test_panel_escapes_what_visitors_made_up(owner_client: Client, site: Site) -> None:
    send_hit(site, "/<script>alert(1)</script>")
    assert "<script>" not in owner_client.get("/shop.example/top-pages/").content.decode()


def test_panel_draws_rows_in_proportion_to_the_largest(owner_client: Client, site: Site) -> None:
    for ip in ("8.8.8.8", "193.99.144.80", "9.9.9.9"):
        send_hit(site, "/", ip=ip)
    send_hit(site, "/a", ip="8.8.8.8")
    rows = owner_client.get("/shop.example/top-pages/").context["rows"]
    assert rows == [
        {"label": "/", "cells": ["3", "3"], "share": 100},
        {"label": "/a", "cells": ["1", "1"], "share": 33.33},
    ]


def test_what_is_not_known_has_a_name(owner_client: Client, site: Site) -> None:
    send_hit(site)
    assert owner_client.get("/shop.example/sources/").context["rows"][0]["label"] == "Direct or unknown"
    assert owner_client.get("/shop.example/countries/").context["rows"][0]["label"] == "Unknown"


def test_live_visitors_are_named_in_singular_and_plural(owner_client: Client, site: Site) -> None:
    assert "0 visitors now" in owner_client.get("/shop.example/live-visitors/").content.decode()
    send_hit(site)
    assert "1 visitor now" in owner_client.get("/shop.example/live-visitors/").content.decode()


def test_last_days_end_with_today(owner_client: Client, site: Site) -> None:
    send_hit(site, at=timezone.now() - dt.timedelta(days=1))
    send_hit(site)
    response = owner_client.get("/shop.example/last-days/")
    assert "<strong>1</strong> visitor today" in response.content.decode()
    assert [bar.value for bar in response.context["chart"].points[-2:]] == ["1", "1"]
