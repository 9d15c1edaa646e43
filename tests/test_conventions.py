"""The house rules that code can check: who may open what, which way the apps depend, and how things are named."""

import html
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from revenue.models import Connection, StripeAccount
from sites.models import ApiToken, Role, Site
from sites.sharing import share
from sites.tokens import issue
from splittests.models import SplitTest, State
from tests.factories import MembershipFactory, SiteFactory, send_hit
from tests.splittests.selling import made
from tracking.hits import Refusal
from tracking.models import RefusedHits

BASE_DIR = Path(settings.BASE_DIR)
TEMPLATES = BASE_DIR / "templates"

# A higher app may know a lower one, never the other way round.
APPS = ("sites", "tracking", "revenue", "splittests")
PACKAGES = (*APPS, "humblytics", "tests")

# What a program reads with a token of the site.
BY_TOKEN = {f"tracking:api-{name}" for name in ("live", "figures", "series", "breakdown")}
BY_TOKEN |= {f"revenue:api-{name}" for name in ("figures", "series", "breakdown", "coverage", "payments")}
BY_TOKEN |= {"splittests:api-variants"}

# What may be opened without logging in. Everything else is closed unless it is added here.
PUBLIC = {"login", "tracker", "readyz", "admin:login", "sites:open-share", "tracking:unsubscribe"}
PUBLIC |= {"openapi", "no-api", "metrics", *BY_TOKEN}
# Logging in, what leads to it without an account or a password, and logging out, also half-way in.
PUBLIC |= {
    "account_confirm_email",
    "mfa_authenticate",
    "mfa_login_webauthn",
    "account_login",
    "account_reset_password",
    "password_reset_confirm",
    "logout",
    "sites:join",
}

# What takes a form without a token of the session: mail programs end a report without a cookie, programs have none, and
# what the tracker asks changes nothing.
WITHOUT_CSRF_TOKEN = {"tracking:unsubscribe", "no-api", "tracker", *BY_TOKEN}

# Mail is not served under the pages' policy, and mail programs know style sheets only inside.
MAILS = {"tracking/report_mail.html"}

# Moments and days whose names are Django's, or say the end of a span.
OTHERWISE_NAMED = {"sites.User.last_login", "sites.User.date_joined", "revenue.Stream.covered_to"}
OTHERWISE_NAMED |= {"sites.Session.expire_date"}

# Values for what an address may hold beside the domain; a new converter needs one here.
SAMPLES = {
    "IntConverter": 1,
    "PanelConverter": "goals",
    "PathConverter": "x",
    "RevenuePanelConverter": "cities",
    "SlugConverter": "x",
    "StringConverter": "x",
    "UUIDConverter": uuid.UUID(int=1),
}


@dataclass(frozen=True)
class Route:
    name: str
    view: Callable[..., Any]
    converters: dict[str, Any]

    def address(self, domain: str) -> str:
        arguments = {
            argument: domain if argument == "domain" else SAMPLES[type(converter).__name__]
            for argument, converter in self.converters.items()
        }
        return reverse(self.name, kwargs=arguments)


def routes(resolver: URLResolver, namespace: str = "", converters: Any = None) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        found = (converters or {}) | getattr(entry.pattern, "converters", {})
        if isinstance(entry, URLPattern):
            yield Route(f"{namespace}{entry.name}", entry.callback, found)
        else:
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from routes(entry, inner, found)


ROUTES = list(routes(get_resolver()))
OF_A_SITE = [route for route in ROUTES if "domain" in route.converters and route.name not in BY_TOKEN]
TO_PROGRAMS = [route for route in ROUTES if route.name in BY_TOKEN]
# The admin has its own login page and its own checks, which are Django's.
PRIVATE = [route for route in ROUTES if route.name not in PUBLIC and not route.name.startswith("admin:")]
SHAREABLE = [route for route in ROUTES if getattr(route.view, "is_shareable", False)]
# A link shows the dashboard, or one split test's results.
OF_A_TEST = {route.name for route in SHAREABLE if "test_id" in route.converters}
OF_THE_DASHBOARD = {route.name for route in SHAREABLE} - OF_A_TEST


def test_only_the_listed_views_are_public() -> None:
    assert {route.name for route in ROUTES if not getattr(route.view, "login_required", True)} == PUBLIC


def test_every_app_with_pages_is_found() -> None:
    namespaces = {route.name.partition(":")[0] for route in OF_A_SITE}
    assert namespaces == {app for app in APPS if (BASE_DIR / app / "urls.py").exists()}


def test_strangers_get_404_from_every_address_of_a_site(stranger_client: Client, site: Site) -> None:
    opened = {}
    for route in OF_A_SITE:
        address = route.address(site.domain)
        statuses = {stranger_client.get(address).status_code, stranger_client.post(address).status_code}
        # A view for one method refuses the other before it looks at who asks.
        if statuses - {405} != {404}:
            opened[route.name] = statuses
    assert opened == {}


def test_no_login_opens_what_is_read_with_a_token(owner_client: Client, site: Site) -> None:
    assert {route.name for route in TO_PROGRAMS} == BY_TOKEN
    for route in TO_PROGRAMS:
        response = owner_client.get(route.address(site.domain))
        assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("scope", ApiToken.Scope)
def test_a_token_opens_what_it_is_for_on_its_own_site(client: Client, site: Site, scope: ApiToken.Scope) -> None:
    """And nothing on another one, be there one or not."""
    other = SiteFactory(domain="other.example")
    headers = {"Authorization": f"Bearer {issue(site, 'Sheet', scope)}"}
    statuses = {}
    for route in TO_PROGRAMS:
        for domain in (other.domain, "nowhere.example"):
            response = client.get(route.address(domain), headers=headers)
            assert (response.status_code, response.json()["error"]) == (404, "not-found")
            assert response.json()["message"] == f"This token is of no site {domain}."
        statuses[route.name] = client.get(route.address(site.domain), headers=headers).status_code
    opened = {
        ApiToken.Scope.EVENTS: set(),
        ApiToken.Scope.TRAFFIC: {name for name in BY_TOKEN if name.startswith("tracking:")},
        ApiToken.Scope.REVENUE: BY_TOKEN,
    }
    assert {name for name, status in statuses.items() if status != 403} == opened[scope]


def test_who_is_not_logged_in_is_sent_to_the_login_page(client: Client, site: Site) -> None:
    opened = {}
    for route in PRIVATE:
        address = route.address(site.domain)
        for response in (client.get(address), client.post(address)):
            if response.headers.get("Location") != f"{reverse('login')}?next={address}":
                opened[route.name] = response.status_code
    assert opened == {}


def leads_to_login(client: Client, route: Route, domain: str) -> bool:
    """Tell whether both a look at the address and a form sent to it lead to the login page."""
    address = route.address(domain)
    login = f"{reverse('login')}?next={address}"
    return all(response.headers.get("Location") == login for response in (client.get(address), client.post(address)))


def test_a_share_link_opens_the_shareable_pages_of_its_site_and_nothing_else(client: Client, site: Site) -> None:
    other = SiteFactory(domain="other.example")
    send_hit(site)
    link = share(site, "For the board", "")
    client.get(reverse("sites:open-share", args=[link.token]))
    opened = {route.name for route in PRIVATE if client.get(route.address(site.domain)).status_code == 200}
    assert opened == OF_THE_DASHBOARD
    assert "tracking:dashboard" in opened
    assert {route.name for route in PRIVATE if not leads_to_login(client, route, site.domain)} == opened
    assert {route.name for route in PRIVATE if not leads_to_login(client, route, other.domain)} == set()
    link.delete()
    assert {route.name for route in PRIVATE if not leads_to_login(client, route, site.domain)} == set()


def test_a_share_link_opens_no_more_to_somebody_with_an_account(stranger_client: Client, site: Site) -> None:
    send_hit(site)
    link = share(site, "For the board", "")
    stranger_client.get(reverse("sites:open-share", args=[link.token]))
    opened = {route.name for route in OF_A_SITE if stranger_client.get(route.address(site.domain)).status_code < 400}
    assert opened == OF_THE_DASHBOARD


def test_a_link_to_results_opens_those_of_its_test_and_nothing_else(
    client: Client, stranger_client: Client, site: Site
) -> None:
    other = SiteFactory(domain="other.example")
    for owner, number in ((site, 1), (site, 2), (other, 3)):
        test = SplitTest.objects.create(pk=number, site=owner, key=f"t{number}", pages=["/"], currency="eur")
        test.variants.create(name="Control")
    link = share(site, "For the board", "", split_test_id=SAMPLES["IntConverter"])
    for each in (client, stranger_client):
        each.get(reverse("sites:open-share", args=[link.token]))
    assert {route.name for route in PRIVATE if not leads_to_login(client, route, site.domain)} == OF_A_TEST
    assert {route.name for route in PRIVATE if not leads_to_login(client, route, other.domain)} == set()
    opened = {route.name for route in OF_A_SITE if stranger_client.get(route.address(site.domain)).status_code == 200}
    # The sample of a slug is no part of an audience.
    assert opened == OF_A_TEST - {"splittests:breakdown"}
    assert client.get(f"/{site.domain}/split-tests/1/breakdown/device/").status_code == 200
    for foreign in (
        f"/{site.domain}/split-tests/2/",
        f"/{other.domain}/split-tests/3/",
        f"/{other.domain}/split-tests/1/",
    ):
        assert client.get(foreign).status_code == 302
        assert stranger_client.get(foreign).status_code == 404
    link.delete()
    assert {route.name for route in PRIVATE if not leads_to_login(client, route, site.domain)} == set()


@pytest.fixture
def used(site: Site) -> Site:
    """A site with something on each of its pages, but for goals."""
    send_hit(site)
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=True, default_currency="eur")
    Connection.objects.create(site=site, account=account, connected_at=timezone.now(), synced_at=timezone.now())
    for state in State:
        made({"name": "Control"}, site=site, key=state, pages=["/"], currency="eur", state=state)
    return site


@pytest.fixture
def unused(site: Site) -> Site:
    """A site whose only hit was refused."""
    RefusedHits.objects.create(site=site, day=timezone.now().date(), reason=Refusal.OTHER_HOST, hits=1)
    return site


def offered(client: Client, site: Site) -> set[tuple[str, str]]:
    """The methods and addresses of the links, panels and forms on all pages of the site that the client may read."""
    tests = [reverse("splittests:results", args=[site.domain, test.pk]) for test in SplitTest.objects.for_site(site)]
    found = set()
    for address in [*(route.address(site.domain) for route in OF_A_SITE), *tests]:
        page = client.get(address).content.decode()
        found |= {("get", html.unescape(told)) for told in re.findall(r'(?:href|hx-get)="(/[^"]*)"', page)}
        found |= {("post", told) for told in re.findall(r'<form[^>]* action="(/[^"]*)"', page)}
    return found


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", ["used", "unused"])
@pytest.mark.django_db
def test_pages_offer_their_reader_nothing_that_is_not_found(
    client: Client, request: pytest.FixtureRequest, state: str, role: Role
) -> None:
    site = request.getfixturevalue(state)
    client.force_login(MembershipFactory(site=site, role=role).user)
    ending = {("post", reverse("logout")), ("post", reverse("sites:leave", args=[site.domain]))}
    # Who has been removed has no role to change.
    addresses = sorted(offered(client, site) - ending, key=lambda offer: ("/remove/" in offer[1], offer))
    assert {reverse(f"{name}:dashboard", args=[site.domain]) for name in ("tracking", "revenue")} <= {
        address for _, address in addresses
    }
    ends = [
        (method, address)
        for method, address in addresses
        if not address.startswith("/static/") and getattr(client, method)(address).status_code >= 400
    ]
    assert ends == []


def test_only_traffic_and_the_results_of_a_test_are_shareable() -> None:
    assert {name.partition(":")[0] for name in OF_THE_DASHBOARD} == {"tracking"}
    assert {"splittests:results", "splittests:over-time", "splittests:breakdown"} == OF_A_TEST
    assert [route.name for route in SHAREABLE if "/settings/" in route.address("shop.example")] == []


def test_every_form_but_the_listed_needs_the_token_of_the_session() -> None:
    assert {route.name for route in ROUTES if getattr(route.view, "csrf_exempt", False)} == WITHOUT_CSRF_TOKEN


def own_models() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if model._meta.app_label in APPS]


def test_foreign_keys_point_down() -> None:
    upward = [
        str(field)
        for model in own_models()
        for field in (*model._meta.fields, *model._meta.many_to_many)
        if field.related_model is not None and field.related_model._meta.app_label in APPS
        if APPS.index(field.related_model._meta.app_label) > APPS.index(model._meta.app_label)
    ]
    assert upward == []


def test_moments_and_days_are_named_as_such() -> None:
    wrong = set()
    for model in own_models():
        for field in model._meta.fields:
            # A moment is a day to isinstance, so it comes first.
            if isinstance(field, models.DateTimeField):
                fits = re.search(r"(^|_)at$", field.name)
            elif isinstance(field, models.DateField):
                fits = re.search(r"_on$|^(day|month)$", field.name)
            else:
                continue
            if not fits:
                wrong.add(str(field))
    assert wrong == OTHERWISE_NAMED


def templates() -> list[Path]:
    found = sorted(TEMPLATES.rglob("*.html"))
    assert found
    return found


def is_page(template: Path) -> bool:
    # 500.html stands alone, because what it would extend may be what broke.
    alone = {"base.html", "500.html", *MAILS}
    return "{% extends " in template.read_text() or str(template.relative_to(TEMPLATES)) in alone


def test_parts_of_pages_begin_with_an_underscore_and_pages_do_not() -> None:
    wrong = [
        str(template.relative_to(TEMPLATES))
        for template in templates()
        if template.name.startswith("_") == is_page(template)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "forbidden",
    [
        pytest.param(r"<[^>]*\sstyle\s*=", id="style attribute"),
        pytest.param(r"<style\b", id="style element"),
        pytest.param(r"<[^>]*\s(on\w+|hx-on[\w:-]*)\s*=", id="event attribute"),
        pytest.param(r"<script\b(?![^>]*\ssrc=)", id="inline script"),
        pytest.param(r"(href|action|src)\s*=\s*[\"']?\s*javascript:", id="javascript address"),
        pytest.param(r"\|\s*safe\b|{%\s*autoescape\s+off", id="unescaped text"),
    ],
)
def test_templates_keep_to_the_content_security_policy(forbidden: str) -> None:
    wrong = [
        str(template.relative_to(TEMPLATES))
        for template in templates()
        if str(template.relative_to(TEMPLATES)) not in MAILS
        if re.search(forbidden, template.read_text(), re.IGNORECASE)
    ]
    assert wrong == []


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "common", "services", "selectors", "managers", "misc"}
    modules = [module for package in PACKAGES for module in (BASE_DIR / package).rglob("*.py")]
    assert modules
    named_so = [str(module.relative_to(BASE_DIR)) for module in modules if drawers & {module.stem, module.parent.name}]
    assert named_so == []
