"""What attackers send to the pages, each by name: what becomes of it, through the real middleware."""

import csv
import datetime as dt
import io
import json
import re
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from revenue.models import Attribution, CheckoutSession, Connection, LedgerLine, StripeAccount
from revenue.tables import PANELS
from sites.models import ApiToken, AuditEntry, Membership, Role, Site, User
from sites.tokens import issue
from splittests.exposures import gather_running
from splittests.models import SplitTest
from tests.factories import PASSWORD, MembershipFactory, confirm, send_event, send_hit
from tests.splittests.selling import running
from tests.test_conventions import OF_A_SITE
from tracking.export import FORMULA
from tracking.models import Goal
from tracking.tables import TITLES

RUN = "=HYPERLINK(1)"


@pytest.fixture
def hostile(site: Site) -> Site:
    """A site on which whatever somebody may choose would be run by a spreadsheet."""
    names = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
    view = send_hit(site, query=urlencode(dict.fromkeys(names, RUN)))
    send_event(site, RUN, {RUN: RUN}, view)
    Goal.objects.create(site=site, name=RUN, kind="event", pattern=RUN)
    now = timezone.now()
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=True, default_currency="eur")
    Connection.objects.create(site=site, account=account, connected_at=now, synced_at=now)
    texts = ("page", "landing_page", "source", "referrer", *names, "region", "city", "browser", "os", "device")
    test = SplitTest.objects.create(site=site, name=RUN, key="x", pages=["/"], currency="eur", pk=1)
    variants = [test.variants.create(name=f"{RUN}{n}").pk for n in range(2)]
    LedgerLine.objects.create(
        account=account,
        key="charge:ch_1:gross",
        kind="charge",
        amount=-5,
        currency="eur",
        occurred_at=now,
        charge="ch_1",
    )
    Attribution.objects.create(
        account=account, charge="ch_1", model="last_non_direct", site=site, rules_version=1, decided_at=now,
        variants=variants, **dict.fromkeys(texts, RUN),
    )  # fmt: skip
    CheckoutSession.objects.create(
        account=account, stripe_id="cs_1", created_at=now, observed_at=now, currency="eur", amount_total=5
    )
    return site


def is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"-?\d+(\.\d+)?", cell))


def test_no_csv_gives_a_spreadsheet_anything_to_run(owner_client: Client, hostile: Site) -> None:
    addresses = set()
    for route in OF_A_SITE:
        for name in (*TITLES, *PANELS) if "name" in route.converters else ("",):
            told = {"domain": hostile.domain, "name": name, "test_id": 1}
            kept = {argument: told[argument] for argument in route.converters if argument in told}
            if kept.keys() == route.converters.keys() and re.fullmatch(
                route.converters["name"].regex if name else "", name
            ):
                addresses.add(reverse(route.name, kwargs=kept))
    found = 0
    for address in sorted(address for address in addresses if address.endswith(".csv")):
        response = owner_client.get(address)
        assert response["Content-Type"] == "text/csv; charset=utf-8", address
        cells = [cell for row in csv.reader(io.StringIO(response.content.decode())) for cell in row]
        assert [cell for cell in cells if cell.startswith(FORMULA) and not is_number(cell)] == [], address
        found += any(RUN in cell for cell in cells)
    # The hostile texts do stand in them.
    assert found > 10


def test_a_member_who_was_removed_finds_nothing_with_the_next_request(owner_client: Client, site: Site) -> None:
    send_hit(site)
    pages = [f"/{site.domain}/{path}" for path in ("", "channels/", "export/channels.csv", "revenue/", "settings/")]
    assert {owner_client.get(page).status_code for page in pages} == {200}
    Membership.objects.all().delete()
    assert {owner_client.get(page).status_code for page in pages} == {404}


def test_a_lower_role_holds_from_the_next_request_on(owner_client: Client, site: Site) -> None:
    Membership.objects.update(role=Role.VIEWER)
    assert owner_client.get(f"/{site.domain}/settings/").status_code == 404
    assert owner_client.post(f"/{site.domain}/settings/sharing/tokens/", {"token-name": "x"}).status_code == 404


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param({}, id="without-a-token"),
        pytest.param({"HX-Request": "true"}, id="with-the-header-of-htmx"),
        pytest.param({"X-CSRFToken": "a" * 64}, id="with-a-token-that-was-made-up"),
        pytest.param({"Origin": "https://evil.example"}, id="from-another-site"),
        pytest.param({"Origin": "null"}, id="from-a-sandboxed-page"),
    ],
)
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"])
def test_a_form_of_another_site_is_refused(site: Site, owner: User, forged: dict[str, str], kind: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    client.get(f"/{site.domain}/settings/")
    response = client.post(f"/{site.domain}/settings/", b"timezone=Asia/Tokyo", content_type=kind, headers=forged)
    assert response.status_code == 403
    site.refresh_from_db()
    assert site.timezone == "UTC"


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
@pytest.mark.django_db
def test_no_other_host_gets_into_a_page(owner_client: Client, site: Site, header: str) -> None:
    """Addresses that are given away come from BASE_URL, redirects stay on the host they came from."""
    owner_client.post(f"/{site.domain}/settings/sharing/links/", {"link-name": "Board"})
    for page in ("/", f"/{site.domain}/settings/", f"/{site.domain}/settings/sharing/", "/nowhere/", "/admin/"):
        response = owner_client.get(page, headers={header: "evil.example"})
        assert response.status_code == 400 or header == "X-Forwarded-Host"
        assert b"evil.example" not in response.content
        assert "evil.example" not in response.get("Location", "")


def test_a_login_page_leads_nowhere_else(client: Client, owner: User) -> None:
    for target in ("https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil.example"):
        response = client.post(
            f"/login/?{urlencode({'next': target})}", {"username": owner.email, "password": PASSWORD}
        )
        assert (response.status_code, response["Location"]) == (302, "/")
        client.logout()


def log_in(client: Client, user: User) -> str:
    """Log in as a browser does; give the session's id."""
    assert client.post("/login/", {"username": user.email, "password": PASSWORD}).status_code == 302
    return client.cookies["humblytics_sessionid"].value


def test_a_session_that_somebody_else_began_is_not_logged_in(client: Client, owner: User) -> None:
    session = client.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    assert log_in(client, owner) != planted
    other = Client()
    other.cookies["humblytics_sessionid"] = planted
    assert other.get("/").status_code == 302


@pytest.mark.parametrize("ended", ["by logging out", "by a new password", "by being deactivated"])
def test_a_session_that_was_ended_opens_nothing(client: Client, owner: User, site: Site, ended: str) -> None:
    kept = Client()
    kept.cookies["humblytics_sessionid"] = log_in(client, owner)
    assert kept.get("/").status_code == 200
    if ended == "by logging out":
        client.post(reverse("logout"))
    else:
        owner.is_active = ended == "by a new password"
        owner.set_password(PASSWORD + "!")
        owner.save()
    assert kept.get("/")["Location"].startswith("/login/")


def test_not_even_a_superuser_edits_a_line_of_the_ledger(admin_client: Client, hostile: Site) -> None:
    line = LedgerLine.objects.get()
    for page in ("change", "delete"):
        address = reverse(f"admin:revenue_ledgerline_{page}", args=[line.pk])
        assert admin_client.post(address, {"amount": 1, "post": "yes"}).status_code == 403
    listed = reverse("admin:revenue_ledgerline_changelist")
    admin_client.post(listed, {"action": "delete_selected", "_selected_action": line.pk, "post": "yes"})
    assert LedgerLine.objects.get().amount == -5
    # To look at it is no attempt.
    admin_client.get(reverse("admin:revenue_ledgerline_change", args=[line.pk]))
    subjects = AuditEntry.objects.filter(action="refused").values_list("subject", flat=True)
    assert list(subjects) == [f"ledger line {line.pk}"] * 2


@pytest.mark.parametrize("role", Role)
def test_a_stranger_s_number_in_an_address_of_one_s_own_site_is_not_found(
    client: Client, site: Site, hostile: Site, role: Role
) -> None:
    """The site in the address is one's own, what stands behind it is another's."""
    mine = MembershipFactory(role=role)
    client.force_login(mine.user)
    confirm(client)
    of_hostile = {"test_id": 1, "number": Connection.objects.get().pk, "charge": "ch_1"}
    opened = {}
    for route in OF_A_SITE:
        named = {name: of_hostile[name] for name in route.converters if name in of_hostile}
        if named and len(named) + 1 == len(route.converters):
            address = reverse(route.name, kwargs={"domain": mine.site.domain, **named})
            for response in (client.get(address), client.post(address)):
                if response.status_code not in (404, 405):
                    opened[f"{route.name} {response.status_code}"] = address
    assert opened == {}


@pytest.mark.parametrize(
    ("first", "hours"), [pytest.param("2026-03-28", 23, id="summer"), pytest.param("2026-10-24", 25, id="winter")]
)
def test_another_time_zone_moves_visits_and_money_between_days_and_loses_none(
    owner_client: Client, client: Client, site: Site, first: str, hours: int
) -> None:
    """Over the night in which the clocks are changed, with a visit and a payment each three hours."""
    begun = dt.datetime.fromisoformat(f"{first}T00:30+00:00")
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=True, default_currency="eur")
    Connection.objects.create(site=site, account=account, connected_at=begun, synced_at=begun)
    moments = [begun + dt.timedelta(hours=n) for n in range(72)]
    for n, at in enumerate(moments[::3]):
        send_hit(site, ip=f"203.0.113.{n}", at=at)
        told = {"account": account, "kind": "charge", "currency": "eur", "occurred_at": at}
        LedgerLine.objects.create(key=f"charge:ch_{n}:gross", charge=f"ch_{n}", amount=2**n, **told)
    headers = {"Authorization": f"Bearer {issue(site, 'Sheet', ApiToken.Scope.REVENUE)}"}
    asked = {
        "from": str(begun.date() - dt.timedelta(days=2)),
        "to": str(begun.date() + dt.timedelta(days=4)),
        "by": "day",
    }
    for zone in ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati"):
        owner_client.post(f"/{site.domain}/settings/", {"timezone": zone})
        site.refresh_from_db()
        days = [str(at.astimezone(site.zone).date()) for at in moments[::3]]
        points = {}
        for panel in ("series", "revenue/series"):
            told = client.get(f"/api/v1/sites/{site.domain}/{panel}", asked, headers=headers).json()
            points[panel] = {each["start"]: each for each in told["points"]}
        assert {day: each["visits"] for day, each in points["series"].items() if each["visits"]} == {
            day: days.count(day) for day in days
        }
        assert {day: each["net"] for day, each in points["revenue/series"].items() if each["net"]} == {
            day: sum(2**n for n, other in enumerate(days) if other == day) for day in days
        }


def test_a_split_test_without_a_sale_or_with_two_variants_for_one_visitor_is_told_as_such(
    owner_client: Client, site: Site
) -> None:
    """Nothing is divided by zero, what cannot be known is no number, and a running test stays as it is."""
    test = running(site, "Control", "B", started_at=timezone.now() - dt.timedelta(hours=1))
    page = f"/{site.domain}/split-tests/{test.pk}/"
    assert owner_client.get(page).status_code == 200
    for ip, names in (("203.0.113.1", ["Control"]), ("203.0.113.2", ["B"]), ("203.0.113.3", ["Control", "B"])):
        send_hit(site, ip=ip, variants=[test.variants.get(name=name).pk for name in names])
    gather_running(site)
    shown = owner_client.get(page).content.decode()
    assert "is the winner" not in shown
    assert not re.search(r"\b(nan|inf|infinity)\b", shown, re.IGNORECASE)
    found = json.loads(owner_client.get(f"{page}results.json").content, parse_constant=pytest.fail)
    assert "1" in json.dumps(found)
    weights = list(test.variants.values_list("name", "weight"))
    owner_client.post(f"{page}edit/", {"name": "x", "control_weight": "9", "variants-0-weight": "9"})
    assert list(test.variants.values_list("name", "weight")) == weights
