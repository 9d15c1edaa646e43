import datetime as dt

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from sites.models import Role, Site, User
from tests.factories import MembershipFactory, SiteFactory
from tracking import sources
from tracking.forms import host_pattern, network
from tracking.hits import Refusal
from tracking.models import Intake, RefusedHits, SourceRule
from tracking.refusals import WORDS, refused_lately

PAGE = "/shop.example/settings/tracking/"
NOW = dt.datetime(2026, 11, 20, 0, 30, tzinfo=dt.UTC)
RULE = {"looks_at": "referrer", "pattern": "partner.example", "source": "Partner", "channel": ""}


@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 404), (Role.EDITOR, 404), (Role.ADMIN, 200), (Role.OWNER, 200)]
)
def test_tracking_settings_are_for_admins_of_the_site(
    owner_client: Client, owner: User, role: Role, status: int
) -> None:
    MembershipFactory(site__domain="other.example", user=owner, role=role)
    page = "/other.example/settings/tracking/"
    assert owner_client.get(page).status_code == status
    assert owner_client.post(page, {"respects_gpc": "on"}, follow=True).status_code == status
    assert owner_client.post(f"{page}rules/", RULE, follow=True).status_code == status
    assert Intake.objects.count() == SourceRule.objects.count() == int(status == 200)


def test_the_settings_say_which_version_of_the_sources_is_known(owner_client: Client, site: Site) -> None:
    assert f"from version {sources.VERSION} of its list" in owner_client.get(PAGE).content.decode()


def test_what_is_entered_is_kept_as_hits_are_compared_with_it(owner_client: Client, site: Site) -> None:
    data = {
        "hostnames": " WWW.Shop.example\r\n*.shop.example, https://münchen.example/x\r\nwww.shop.example\r\n",
        "excluded_networks": "203.0.113.7\r\n198.51.100.77/24\r\n2001:DB8::1\r\n2001:db8::/32",
        "respects_gpc": "on",
        "has_hash_routes": "on",
    }
    response = owner_client.post(PAGE, data, follow=True)
    intake = Intake.objects.get(site=site)
    assert intake.hostnames == ["www.shop.example", "*.shop.example", "xn--mnchen-3ya.example"]
    assert intake.excluded_networks == ["203.0.113.7", "198.51.100.0/24", "2001:db8::1", "2001:db8::/32"]
    assert (intake.respects_gpc, intake.respects_dnt, intake.has_hash_routes) == (True, False, True)
    assert "www.shop.example\n*.shop.example" in response.content.decode()


def test_emptied_settings_are_as_without_any(owner_client: Client, site: Site) -> None:
    Intake.objects.create(site=site, hostnames=["www.shop.example"], respects_dnt=True)
    owner_client.post(PAGE, {"hostnames": "", "excluded_networks": "\n \n", "x": "y"})
    intake = Intake.objects.get(site=site)
    assert (intake.hostnames, intake.excluded_networks, intake.respects_dnt) == ([], [], False)


def test_each_wrong_line_is_named_and_nothing_is_saved(owner_client: Client, site: Site) -> None:
    data = {"hostnames": "www.shop.example\nlocalhost\n*.\na_b.example", "excluded_networks": "203.0.113.7/33\nme"}
    page = owner_client.post(PAGE, data).content.decode()
    for wrong in ("localhost", "*.", "a_b.example"):
        assert f"“{wrong}” is no host." in page
    for wrong in ("203.0.113.7/33", "me"):
        assert f"“{wrong}” is no IP address" in page
    assert "www.shop.example\nlocalhost" in page
    assert not Intake.objects.exists()


def test_a_list_has_an_end(owner_client: Client, site: Site) -> None:
    data = {"hostnames": "\n".join(f"h{n}.shop.example" for n in range(201))}
    assert "200 is the most" in owner_client.post(PAGE, data).content.decode()


@given(st.text(max_size=60))
def test_any_line_is_a_host_or_named_as_none(text: str) -> None:
    try:
        found = host_pattern(text)
    except ValidationError:
        return
    assert host_pattern(found) == found
    assert found == found.lower()


@given(st.ip_addresses())
def test_a_network_of_one_is_an_address(address: object) -> None:
    assert network(f"{address}") == str(address)


def test_own_address_is_shown_and_kept_nowhere(owner_client: Client, site: Site) -> None:
    response = owner_client.get(PAGE, REMOTE_ADDR="198.51.100.23", HTTP_X_FORWARDED_FOR="192.0.2.1")
    assert "<code>198.51.100.23</code>" in response.content.decode()
    assert "192.0.2.1" not in response.content.decode()
    assert response["Cache-Control"] == "private, no-store"
    assert not Intake.objects.exists()


def test_a_rule_is_kept_in_the_words_that_hits_are_compared_with(owner_client: Client, site: Site) -> None:
    owner_client.post(f"{PAGE}rules/", RULE | {"pattern": "https://www.Partner.example/page", "channel": "Affiliates"})
    owner_client.post(f"{PAGE}rules/", RULE | {"looks_at": "utm_source", "pattern": " Spring-Mail "})
    kept = SourceRule.objects.values_list("looks_at", "pattern", "source", "channel")
    assert list(kept) == [
        ("referrer", "partner.example", "Partner", "Affiliates"),
        ("utm_source", "spring-mail", "Partner", ""),
    ]
    assert "spring-mail" in owner_client.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("told", "mistake"),
    [
        pytest.param({"pattern": "partner"}, "There is no domain in “partner”.", id="no host"),
        pytest.param({"source": ""}, "This field is required.", id="no name"),
        pytest.param({"channel": "Luck"}, "Select a valid choice.", id="another channel"),
        pytest.param({"pattern": "WWW.known.example"}, "There is a rule for this already", id="twice"),
    ],
)
def test_a_mistake_in_a_rule_is_shown(owner_client: Client, site: Site, told: dict[str, str], mistake: str) -> None:
    SourceRule.objects.create(site=site, pattern="known.example", source="Known")
    SourceRule.objects.create(site=SiteFactory(), pattern="partner.example", source="Somebody else’s")
    response = owner_client.post(f"{PAGE}rules/", RULE | told)
    assert response.status_code == 200
    assert mistake in response.content.decode()
    assert SourceRule.objects.filter(site=site).count() == 1


def test_a_rule_is_removed_from_its_own_site_only(owner_client: Client, site: Site) -> None:
    own = SourceRule.objects.create(site=site, pattern="known.example", source="Known")
    other = SourceRule.objects.create(site=SiteFactory(), pattern="known.example", source="Known")
    assert owner_client.post(f"{PAGE}rules/{other.pk}/remove/").status_code == 404
    assert owner_client.post(f"{PAGE}rules/{own.pk}/remove/").status_code == 302
    assert SourceRule.objects.get() == other


def refuse(site: Site, day: dt.date, reason: str, hits: int) -> None:
    RefusedHits.objects.create(site=site, day=day, reason=reason, hits=hits)


def test_refused_hits_are_told_for_thirty_days_the_most_frequent_first(site: Site) -> None:
    today = NOW.date()
    refuse(site, today, Refusal.OTHER_HOST, 5)
    refuse(site, today - dt.timedelta(days=29), Refusal.OTHER_HOST, 2)
    refuse(site, today - dt.timedelta(days=30), Refusal.OTHER_HOST, 1000)
    refuse(site, today, Refusal.BOT, 1234)
    refuse(site, today, "of-a-later-version", 1)
    refuse(SiteFactory(), today, Refusal.BOT, 7)
    assert [(each.what, each.count) for each in refused_lately(site, NOW)] == [
        ("Crawlers", "1,234"),
        ("Another host’s page", "7"),
        ("of-a-later-version", "1"),
    ]


def test_refused_hits_stand_on_the_page_with_what_to_do(owner_client: Client, site: Site) -> None:
    assert "Every hit was taken." in owner_client.get(PAGE).content.decode()
    refuse(site, timezone.now().date(), Refusal.OTHER_HOST, 5)
    assert "add it to the hosts that count" in owner_client.get(PAGE).content.decode()


def test_every_refusal_has_words() -> None:
    assert set(WORDS) == set(Refusal)
