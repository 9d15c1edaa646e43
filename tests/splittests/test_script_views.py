import datetime as dt
import gzip
import json
import re
import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from sites.models import Site
from splittests.exposures import gather
from splittests.models import Exposed, Kind, SplitTest, State
from splittests.preview import EVERY_PAGE, OVER, pick_token, preview_url
from splittests.redirects import VALID, sign, variant_of
from splittests.script_views import MAX_AGE
from tests.factories import CHROME, FIREFOX, IPHONE, PLAIN, SiteFactory, collect, send_hit
from tests.splittests.selling import NOON, made
from tracking.models import Intake, Presence, View

# Of a network that is known to be in Germany.
GERMAN = "91.64.0.7"


def script(site: Site, ip: str = "203.0.113.7", user_agent: str = CHROME, **headers: str) -> tuple[Any, Any]:
    response = Client().get(f"/js/{site.key}.js", REMOTE_ADDR=ip, HTTP_USER_AGENT=user_agent, headers=headers)
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


def keys(site: Site, ip: str = GERMAN, user_agent: str = CHROME, **headers: str) -> list[str]:
    """The tests that somebody in Germany is in."""
    return [test["key"] for test in script(site, ip, user_agent, **headers)[1].get("tests", [])]


def test_changes_are_told_with_the_elements_of_all_variants(site: Site) -> None:
    loud = [{"selector": "h1", "action": "css", "name": "color", "value": "red"}]
    long = [{"selector": "#buy", "action": "html", "name": "", "value": "<b>Buy</b>"}]
    variants = ({"name": "Control"}, {"name": "Loud", "changes": loud}, {"name": "Long", "changes": long})
    made(*variants, site=site, key="k", pages=["/p/*", "!/p/x"], currency="eur")
    told = [script(site, f"203.0.113.{n}")[1]["tests"][0] for n in range(30)]
    assert {one["name"]: one["changes"] for one in told} == {"Control": [], "Loud": loud, "Long": long}
    pages = {"include": [{"path": "^\\/p\\/[^]*$"}], "exclude": [{"path": "^\\/p\\/x$"}]}
    assert all((one["find"], one["pages"]) == (["h1", "#buy"], pages) for one in told)


def test_a_test_is_only_for_its_share_and_its_audience(site: Site) -> None:
    fields = {"site": site, "pages": ["/"], "currency": "eur", "kind": Kind.CODE}
    two = ({"name": "Control"}, {"name": "B"})
    made(*two, key="phones", devices=["Mobile", "Tablet"], **fields)
    made(*two, key="desktops", devices=["Desktop"], **fields)
    made(*two, key="dach", countries=["DE", "AT"], **fields)
    made(*two, key="france", countries=["FR"], **fields)
    made(*two, key="half", traffic_percent=50, **fields)
    assert set(keys(site)) - {"half"} == {"desktops", "dach"}
    assert set(keys(site, user_agent=IPHONE)) - {"half"} == {"phones", "dach"}
    assert set(keys(site, ip="203.0.113.7")) - {"half"} == {"desktops"}
    shown = [keys(site, f"91.64.0.{n}") for n in range(100)]
    assert 30 < sum("half" in each for each in shown) < 70


@pytest.mark.parametrize("header", ["Sec-GPC", "DNT"])
def test_whose_hits_are_not_counted_is_shown_the_page_as_it_is(site: Site, split_test: SplitTest, header: str) -> None:
    assert keys(site, **{header: "1"}) == ["headline"]
    Intake.objects.create(site=site, respects_gpc=True, respects_dnt=True, excluded_networks=["198.51.100.0/24"])
    assert keys(site) == ["headline"]
    response, config = script(site, GERMAN, **{header: "1"})
    assert "tests" not in config
    # Another visitor's answer is another one.
    assert response["Cache-Control"] == "private, max-age=300"
    assert keys(site, ip="198.51.100.9") == []


def ask(site: Site, url: str, referrer: str = "", ip: str = GERMAN) -> list[str]:
    body = json.dumps({"url": url, "referrer": referrer})
    response = Client(enforce_csrf_checks=True).post(
        f"/js/{site.key}.js", body, "text/plain", REMOTE_ADDR=ip, HTTP_USER_AGENT=CHROME
    )
    assert response["Access-Control-Allow-Origin"] == "*"
    return [test["key"] for test in response.json()]


def test_a_channel_is_the_visit_s_on_its_first_page_and_on_each_after_it(site: Site) -> None:
    change = {"selector": "h1", "action": "text", "name": "", "value": "Hello"}
    variants = ({"name": "Control", "changes": [change]}, {"name": "B", "changes": [change]})
    fields = {"site": site, "pages": ["/"], "currency": "eur"}
    made(*variants, key="search", channels=["Organic Search"], **fields)
    made(*variants, key="mail", channels=["Email"], **fields)
    made(*variants, key="code", kind=Kind.CODE, channels=["Organic Search"], **fields)
    made(*variants, key="all", **fields)
    page, google = f"https://{site.domain}/", "https://www.google.com/"
    _, config = script(site, GERMAN)
    assert ([test["key"] for test in config["tests"]], config["ask"]) == (["all"], 1)
    assert ask(site, page, google) == ["search"]
    assert ask(site, f"{page}?utm_medium=email&utm_source=letter", google) == ["mail"]
    assert ask(site, page) == []
    # Once the view is known its visit decides, whatever a later page says of itself.
    send_hit(site, referrer=google, ip=GERMAN)
    _, config = script(site, GERMAN)
    assert ([test["key"] for test in config["tests"]], config.get("ask")) == (["search", "code", "all"], None)
    assert ask(site, f"{page}?utm_medium=email") == ["search"]
    later = timezone.now() - dt.timedelta(minutes=31)
    Presence.objects.update(last_at=later)
    assert script(site, GERMAN)[1]["ask"] == 1
    assert ask(site, page) == []
    # Back from the payment page the visit goes on for longer.
    assert ask(site, page, "https://checkout.stripe.com/") == ["search"]


def test_tests_by_channel_are_given_on_the_site_s_own_pages_only(site: Site, split_test: SplitTest) -> None:
    SplitTest.objects.update(channels=["Direct"])
    assert ask(site, f"https://{site.domain}/") == ["headline"]
    assert ask(site, "https://elsewhere.example/") == []
    for nonsense in (b"", b"[]", b"{", b"\xff", b"x" * 9000):
        response = Client().post(f"/js/{site.key}.js", nonsense, "text/plain")
        assert (response.status_code, response["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert Client().post(f"/js/{site.key}.js", '{"url": 1, "referrer": null}', "text/plain").json() == []


def test_many_tests_take_no_more_questions_than_one(site: Site, django_assert_num_queries: Any) -> None:
    for n in range(10):
        variants = ({"name": "Control"}, {"name": "B"}, {"name": "C"})
        audience = {"countries": ["DE"], "devices": ["Desktop"], "channels": ["Direct"] if n % 2 else []}
        made(*variants, site=site, key=f"t{n}", pages=["/"], currency="eur", **audience)
    # The site with its rules, and the tests; for channels the salts and the visit.
    with django_assert_num_queries(4):
        script(site, GERMAN)
    SplitTest.objects.update(channels=[])
    with django_assert_num_queries(2):
        assert len(script(site, GERMAN)[1]["tests"]) == 10


@pytest.fixture
def redirect(site: Site) -> SplitTest:
    variants = ({"name": "Control"}, {"name": "New page", "redirect_url": "/new"})
    fields = {"kind": Kind.REDIRECT, "started_at": timezone.now() - dt.timedelta(hours=1)}
    return made(*variants, site=site, key="page", pages=["/old"], currency="eur", **fields)


def test_another_page_is_told_with_a_word_that_makes_the_view_there_an_exposure(
    site: Site, redirect: SplitTest
) -> None:
    told = {one["name"]: one for one in (script(site, f"203.0.113.{n}")[1]["tests"][0] for n in range(30))}
    assert (told["Control"]["to"], told["New page"]["to"]) == ("", "/new")
    assert all(one["away"] == ["/new"] for one in told.values())
    assert "sign" not in told["Control"]
    word = told["New page"]["sign"]
    assert re.fullmatch(r"[\w:-]+", word)
    send_hit(site, "/new", ip="91.64.0.1", split=word)
    send_hit(site, "/new", ip="91.64.0.2", split=f"{word}x")
    send_hit(site, "/new", ip="91.64.0.3", split=word, at=timezone.now() + dt.timedelta(minutes=10, seconds=1))
    send_hit(site, "/new", ip="91.64.0.4")
    gather(redirect)
    (exposed,) = Exposed.objects.filter(test=redirect)
    assert exposed.variant_id == told["New page"]["variant"]
    assert sorted(View.objects.values_list("path", "variants")) == [("/new", [])] * 3 + [
        ("/new", [told["New page"]["variant"]])
    ]


def test_a_bot_that_is_led_to_another_page_is_no_exposure(site: Site, redirect: SplitTest) -> None:
    word = sign(redirect.variants.get(name="New page").pk, timezone.now())
    said = {"site": site.key, "view": str(uuid.uuid4()), "url": f"https://{site.domain}/new", "split": word}
    agent = (b"user-agent", b"Googlebot/2.1 (+http://www.google.com/bot.html)")
    assert collect(json.dumps(said).encode(), [PLAIN, agent])[1]["x-humblytics"] == "dropped=bot"
    said["webdriver"] = True
    chrome = (b"user-agent", CHROME.encode())
    assert collect(json.dumps(said).encode(), [PLAIN, chrome])[1]["x-humblytics"] == "dropped=webdriver"
    assert not View.objects.exists()


def test_a_script_kept_by_a_browser_holds_words_that_still_hold(site: Site, redirect: SplitTest) -> None:
    assert dt.timedelta(seconds=MAX_AGE) < VALID
    assert variant_of(sign(12, NOON), NOON + VALID - dt.timedelta(seconds=1)) == 12
    assert variant_of(sign(12, NOON), NOON + VALID) is None
    assert variant_of("12-99999999999:AAAA", NOON) is None


def served(site: Site, query: str) -> str:
    response = Client().get(f"/js/{site.key}.js?{query}")
    assert (response.status_code, response["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert (response["Access-Control-Allow-Origin"], response["Cache-Control"]) == ("*", "no-store")
    return response.content.decode()


def test_a_preview_s_script_has_its_variant_be_the_test_running_or_not(site: Site, split_test: SplitTest) -> None:
    SplitTest.objects.update(state=State.DRAFT, countries=["FR"], traffic_percent=1)
    bold = split_test.variants.get(name="Bold")
    page, _, query = preview_url(split_test, bold).partition("?")
    assert page == "https://shop.example/"
    text = served(site, f"utm_source=a&{query}")
    config = json.loads(text[text.rindex("})(") + 3 : text.rindex(")")])
    (test,) = config["tests"]
    assert (test["variant"], test["changes"], test["pages"]) == (bold.pk, bold.changes, EVERY_PAGE)
    assert config["note"] == "Preview of “Bold”. Nothing is counted here."
    assert "sendBeacon" not in text


def test_a_preview_of_another_page_is_on_that_page(site: Site, redirect: SplitTest) -> None:
    address = preview_url(redirect, redirect.variants.get(name="New page"))
    assert address.startswith("https://shop.example/new?humblytics_preview=")
    assert '"tests":[]' in served(site, address.partition("?")[2])


def test_a_token_that_is_old_forged_or_another_site_s_shows_nothing(
    site: Site, split_test: SplitTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SiteFactory()
    query = preview_url(split_test, split_test.variants.get(name="Bold")).partition("?")[2]
    assert served(other, query) == ""
    for nonsense in (f"{query}x", "humblytics_preview=1:2:3", "humblytics_preview=x"):
        assert OVER.partition("’")[0] in served(site, nonsense)
    assert served(site, f"humblytics_pick={pick_token(other)}") == ""
    assert served(site, "humblytics_pick=1:2:3") == ""
    assert "humblytics-picker" in served(site, f"humblytics_pick={pick_token(site)}")
    assert '"dashboard":"http://localhost:8000"' in served(site, f"humblytics_pick={pick_token(site)}")
    monkeypatch.setattr("splittests.preview.GOOD_FOR", dt.timedelta(seconds=-1))
    assert OVER.partition("’")[0] in served(site, query)
    assert served(site, f"humblytics_pick={pick_token(site)}") == ""
