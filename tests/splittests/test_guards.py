"""Guards are asked of tests on a site that is only on this machine, whose pages a server of this test has."""

import datetime as dt
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from revenue.models import Connection
from sites.models import Site
from splittests import addresses
from splittests.guards import Level, StartError, check, findings
from splittests.models import SplitTest, State
from splittests.probing import Answer, ProbeError, probe
from tests.factories import MembershipFactory, SiteFactory, send_event, send_hit
from tests.splittests.selling import NOON, connected, made, paid

NOW = NOON + dt.timedelta(hours=1)
PAGES: dict[str, tuple[int, str]] = {
    "/b": (200, ""),
    "/gone": (404, ""),
    "/broken": (500, ""),
    "/closed": (403, ""),
    "/slash": (301, "/slash/"),
    "/slash/": (200, ""),
    "/moved": (302, "/b"),
    "/away": (302, "http://169.254.169.254/latest/"),
    "/round": (302, "/round"),
}


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, location = PAGES[self.path]
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://shop.localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop(db: None) -> Site:
    site = MembershipFactory(site=SiteFactory(domain="shop.localhost")).site
    send_hit(site, "/pricing", at=NOON)
    return site


Make = Callable[..., SplitTest]


@pytest.fixture
def draft(shop: Site) -> Make:
    def make(*variants: dict[str, Any], **fields: Any) -> SplitTest:
        told = {"key": "new", "pages": ["/pricing"], "currency": "eur", "kind": "code", "goal": "page"}
        told |= {"goal_pattern": "/pricing", "state": State.DRAFT, "started_at": None, "site": shop}
        return made({"name": "Control"}, *(variants or ({"name": "B"},)), **told | fields)

    return make


def told(test: SplitTest, level: Level) -> str:
    return " ".join(finding.text for finding in findings(test, NOW) if finding.level == level)


def change(selector: str) -> dict[str, str]:
    return {"selector": selector, "action": "text", "name": "", "value": "New"}


def test_a_sound_test_can_be_started(draft: Make) -> None:
    assert {finding.level for finding in findings(draft(), NOW)} == {Level.FINE}
    check(draft(key="other"), NOW, is_confirmed=False)


@pytest.mark.parametrize(
    ("variants", "fields", "said"),
    [
        pytest.param([], {"pages": ["/nowhere"]}, "Nobody has been seen on /nowhere", id="no traffic"),
        pytest.param([], {"pages": ["/*", "!/pricing"]}, "Nobody has been seen", id="none but on what is left out"),
        pytest.param([{"name": "B"}], {"kind": "changes"}, "“B” changes nothing", id="no changes"),
        pytest.param([{"name": "B"}], {"kind": "redirect"}, "“B” leads nowhere", id="no address"),
        pytest.param(
            [{"name": "B", "redirect_url": "/pricing"}],
            {"kind": "redirect"},
            "“B” leads to the page under test itself",
            id="to itself",
        ),
        pytest.param([], {"goal": "revenue"}, "Connect a Stripe account first", id="no Stripe"),
        pytest.param([], {"ends_at": NOON}, "Its end has passed", id="over"),
    ],
)
def test_a_broken_test_is_refused(draft: Make, variants: list[Any], fields: dict[str, Any], said: str) -> None:
    test = draft(*variants, **fields)
    assert said in told(test, Level.REFUSAL)
    with pytest.raises(StartError, match=said.partition(" ")[0]):
        check(test, NOW, is_confirmed=True)


def test_revenue_may_be_a_metric_alone(draft: Make, shop: Site) -> None:
    test = draft()
    test.metrics.create(name="Revenue", goal="revenue")
    assert "Connect a Stripe account" in told(test, Level.REFUSAL)
    account = connected(shop, "acct_1", True)
    assert told(test, Level.REFUSAL) == ""
    paid(account, send_hit(shop, "/pricing", at=NOON), 1000, currency="usd")
    assert "Nobody has paid in EUR in the last 30 days, but in USD." in told(test, Level.WARNING)
    paid(account, send_hit(shop, "/pricing", at=NOON), 1000)
    assert told(test, Level.WARNING) == ""


def test_an_account_that_is_not_read_brings_no_revenue(draft: Make, shop: Site) -> None:
    test = draft(goal="revenue")
    connected(shop, "acct_1", True)
    connected(shop, "acct_of_test_mode", False)
    for status, level in (
        ("auth_failed", Level.REFUSAL),
        ("key_unreadable", Level.REFUSAL),
        ("degraded", Level.WARNING),
    ):
        Connection.objects.filter(account__livemode=True).update(status=status)
        assert "The payments of acct_1 (live) are missing." in told(test, level)
        assert "acct_of_test_mode" not in told(test, Level.FINE)
    Connection.objects.update(status="throttled")
    assert "acct_1 (live) is connected." in told(test, Level.FINE)
    Connection.objects.update(status="auth_failed")
    connected(shop, "acct_2", True)
    assert "Stripe refuses the key." in told(test, Level.WARNING)
    assert told(test, Level.REFUSAL) == ""


def test_a_goal_that_nobody_reached_has_to_be_confirmed(draft: Make, shop: Site) -> None:
    test = draft(goal="click", goal_pattern="Sign up")
    assert "Nobody has reached “Sign up”" in told(test, Level.WARNING)
    with pytest.raises(StartError, match="Nobody has reached"):
        check(test, NOW, is_confirmed=False)
    check(test, NOW, is_confirmed=True)


@pytest.mark.parametrize(
    ("goal", "pattern", "is_reached"),
    [
        ("page", "/pri*", True),
        ("page", "/pri", False),
        ("event", "Outbound link", True),
        ("click", "Outbound link", True),
        ("click", "https://partner.example/o*", True),
        ("click", "https://partner.example", False),
        ("click", "/offer", True),
        ("click", "/partner", False),
        ("form", "signup", True),
        ("form", "*", True),
        ("form", "login", False),
    ],
)
def test_goals_are_found_as_the_script_reports_them(
    draft: Make, shop: Site, goal: str, pattern: str, is_reached: bool
) -> None:
    view = send_hit(shop, "/pricing", at=NOON)
    send_event(shop, "Outbound link", {"url": "partner.example/offer"}, view, at=NOON)
    send_event(shop, "Sign-up form", {"form": "signup"}, view, at=NOON)
    test = draft(goal=goal, goal_pattern=pattern)
    assert ("Nobody has reached" not in told(test, Level.WARNING)) is is_reached


@pytest.mark.parametrize(
    ("path", "level", "said"),
    [
        ("/b", Level.FINE, "answers 200"),
        ("/slash", Level.FINE, "answers 200"),
        ("/gone", Level.REFUSAL, "answers 404"),
        ("/broken", Level.REFUSAL, "answers 500"),
        ("/moved", Level.REFUSAL, "Enter the address that it ends up at"),
        ("/away", Level.REFUSAL, "which is not this site’s"),
        ("/closed", Level.WARNING, "answers 403"),
        ("/round", Level.WARNING, "redirects more than 3 times"),
    ],
)
def test_the_page_of_a_redirect_is_looked_at(draft: Make, origin: str, path: str, level: Level, said: str) -> None:
    test = draft({"name": "B", "redirect_url": origin + path}, kind="redirect")
    assert said in told(test, level)


def test_only_public_addresses_of_the_sites_own_hosts_are_asked(origin: str) -> None:
    port = origin.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "10.0.0.1"):
        with pytest.raises(ProbeError, match="not at a public address"):
            probe(f"http://{host}/b", lambda host: True)
        with pytest.raises(ProbeError, match="usual ports"):
            probe(f"http://{host}:{port}/b", lambda host: True)
    assert probe(f"{origin}/b", lambda host: False, is_local=True) == Answer(302, f"{origin}/b", leaves=True)


@pytest.mark.parametrize(
    ("other", "level", "said"),
    [
        pytest.param({"pages": ["/about"]}, Level.FINE, "No other test", id="other pages"),
        pytest.param({"key": "new", "version": 2}, Level.FINE, "No other test", id="a version of this"),
        pytest.param({"state": State.STOPPED}, Level.FINE, "No other test", id="over"),
        pytest.param({"devices": ["Mobile"]}, Level.FINE, "No other test", id="other visitors"),
        pytest.param({"kind": "code"}, Level.WARNING, "does not bear on the other", id="perhaps independent"),
        pytest.param({"selector": "#price"}, Level.WARNING, "does not bear on the other", id="another element"),
        pytest.param({"selector": "h1"}, Level.REFUSAL, "changes h1 on some", id="the same element"),
        pytest.param({"state": State.PAUSED, "selector": "h1"}, Level.REFUSAL, "changes h1 on some", id="paused"),
        pytest.param({"kind": "redirect"}, Level.REFUSAL, "sends visitors away", id="redirect"),
    ],
)
def test_tests_on_the_same_pages_are_compared(draft: Make, other: dict[str, Any], level: Level, said: str) -> None:
    told_other = {"key": "other", "kind": "changes", "pages": ["/*"], "state": State.RUNNING, **other}
    selector = told_other.pop("selector", "h2")
    draft({"name": "B", "changes": [change(selector)]}, **told_other)
    test = draft({"name": "B", "changes": [change("h1")]}, kind="changes", devices=["Desktop"])
    assert said in told(test, level)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("/b?x=1", ""),
        ("https://shop.example/b", ""),
        ("http://www.shop.example/b", ""),
        ("https://evil.example/b", "only be sent to pages of shop.example"),
        ("https://shop.example.evil.example/", "only be sent"),
        ("https://shop.example@evil.example/", "only be sent"),
        ("https://me@shop.example/", "only be sent"),
        ("https://shop.example:8443/", "only be sent"),
        ("https://shop.example:port/", "no address"),
        ("//evil.example/b", "Write a path"),
        ("/\\evil.example", "backslashes"),
        ("javascript:alert(1)", "Write a path"),
        ("b", "Write a path"),
    ],
)
def test_visitors_are_sent_to_pages_of_the_site_only(site: Site, text: str, error: str) -> None:
    if not error:
        addresses.check(site, text)
        return
    with pytest.raises(addresses.AddressError, match=error):
        addresses.check(site, text)
