import gzip
import json
import re
from typing import Any

import pytest
from django.test import Client

from sites.models import Site
from splittests.models import SplitTest, State
from tests.factories import CHROME, FIREFOX
from tests.splittests.selling import made
from tracking.models import Intake


def script(site: Site, ip: str = "203.0.113.7", user_agent: str = CHROME) -> tuple[Any, Any]:
    response = Client().get(f"/js/{site.key}.js", REMOTE_ADDR=ip, HTTP_USER_AGENT=user_agent)
    assert response.status_code == 200
    config = re.search(r"\}\)\((\{.*\})\)\s*$", response.content.decode())
    assert config
    return response, json.loads(config[1])


@pytest.fixture
def split_test(site: Site) -> SplitTest:
    text = {"selector": "h1", "action": "text", "name": "", "value": "</script><script>alert(1)</script>"}
    variants = ({"name": "Control"}, {"name": "Bold", "changes": [text]})
    return made(*variants, site=site, key="headline", pages=["/"], currency="eur")


def test_the_script_knows_its_site_and_may_be_kept_for_a_while(site: Site) -> None:
    response, config = script(site)
    assert config == {"site": site.key, "url": "[^#]*"}
    assert response["Content-Type"] == "text/javascript; charset=utf-8"
    assert response["Cache-Control"] == "public, max-age=300"


def test_the_script_is_sent_small_and_only_when_it_has_changed(site: Site) -> None:
    address = f"/js/{site.key}.js"
    response = Client().get(address, HTTP_ACCEPT_ENCODING="gzip, br")
    assert response["Content-Encoding"] == "gzip"
    assert response["Vary"] == "Accept-Encoding"
    assert len(response.content) < 1536
    assert gzip.decompress(response.content) == script(site)[0].content
    again = Client().get(address, HTTP_ACCEPT_ENCODING="gzip, br", HTTP_IF_NONE_MATCH=response["ETag"])
    assert (again.status_code, again.content) == (304, b"")


def test_a_site_with_routes_behind_the_hash_has_them_counted(site: Site) -> None:
    Intake.objects.create(site=site, has_hash_routes=True)
    assert script(site)[1]["url"] == "[^#]*(#!?/.*)?"


def test_a_visitor_is_always_shown_the_same_variant_and_visitors_differ(site: Site, split_test: SplitTest) -> None:
    shown = {f"203.0.113.{n}": script(site, f"203.0.113.{n}")[1]["tests"][0]["name"] for n in range(40)}
    assert set(shown.values()) == {"Control", "Bold"}
    for ip, name in shown.items():
        assert script(site, ip)[1]["tests"][0]["name"] == name
    assert any(script(site, ip, FIREFOX)[1]["tests"][0]["name"] != name for ip, name in shown.items())


def test_one_visitors_script_is_kept_for_nobody_else(site: Site, split_test: SplitTest) -> None:
    assert script(site)[0]["Cache-Control"] == "private, max-age=300"


@pytest.mark.parametrize("state", [State.DRAFT, State.STOPPED])
def test_only_running_tests_are_shown(site: Site, split_test: SplitTest, state: State) -> None:
    SplitTest.objects.update(state=state)
    assert "tests" not in script(site)[1]


@pytest.mark.django_db
def test_no_site_no_script() -> None:
    assert Client().get("/js/nothere.js").status_code == 404
