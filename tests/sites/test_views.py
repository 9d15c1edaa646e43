import re

import pytest
from django.test import Client
from django.urls import reverse

from sites.models import Membership, Role, Site, User
from tests.factories import PASSWORD, MembershipFactory, SiteFactory


def test_index_lists_the_sites_one_is_a_member_of(owner_client: Client, site: Site, owner: User) -> None:
    SiteFactory(domain="foreign.example")
    MembershipFactory(site__domain="another.example", user=owner, role=Role.VIEWER)
    assert [each.domain for each in owner_client.get("/").context["sites"]] == ["another.example", "shop.example"]


def test_index_without_sites_leads_to_adding_one(owner_client: Client) -> None:
    assert 'href="/sites/new/"' in owner_client.get("/").content.decode()


def test_a_new_site_leads_to_its_dashboard(owner_client: Client, owner: User) -> None:
    response = owner_client.post("/sites/new/", {"domain": "New.Example", "timezone": "Europe/Berlin"})
    assert response.headers["Location"] == "/new.example/"
    assert Membership.objects.get(user=owner).site.domain == "new.example"


def test_a_mistake_in_a_new_site_is_shown_in_the_form(owner_client: Client) -> None:
    response = owner_client.post("/sites/new/", {"domain": "localhost", "timezone": "Europe/Berlin"})
    assert response.status_code == 200
    assert "There is no domain in “localhost”." in response.content.decode()
    assert not Site.objects.exists()


def test_settings_show_script_tag_and_members(owner_client: Client, site: Site) -> None:
    page = owner_client.get("/shop.example/settings/").content.decode()
    tag = f"&lt;script src=&quot;http://localhost:8000/js/{site.key}.js&quot;&gt;&lt;/script&gt;"
    assert tag in page
    assert "owner@example.com" in page


def test_settings_save_the_time_zone(owner_client: Client, site: Site) -> None:
    owner_client.post("/shop.example/settings/", {"timezone": "Asia/Tokyo", "domain": "evil.example"})
    site.refresh_from_db()
    assert (site.timezone, site.domain) == ("Asia/Tokyo", "shop.example")


@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 404), (Role.EDITOR, 404), (Role.ADMIN, 200), (Role.OWNER, 200)]
)
def test_settings_are_for_admins_of_the_site(owner_client: Client, owner: User, role: Role, status: int) -> None:
    MembershipFactory(site__domain="other.example", user=owner, role=role)
    assert owner_client.get("/other.example/settings/").status_code == status


@pytest.mark.parametrize(
    ("role", "tabs"),
    [
        (Role.VIEWER, ["Dashboard", "Revenue", "Split tests"]),
        (Role.EDITOR, ["Dashboard", "Revenue", "Split tests"]),
        (Role.ADMIN, ["Dashboard", "Revenue", "Split tests", "Settings"]),
        (Role.OWNER, ["Dashboard", "Revenue", "Split tests", "Settings"]),
    ],
)
def test_a_site_has_the_tabs_that_its_member_may_open(
    owner_client: Client, owner: User, role: Role, tabs: list[str]
) -> None:
    MembershipFactory(site__domain="other.example", user=owner, role=role)
    for path in ("", "revenue/", "split-tests/"):
        page = owner_client.get(f"/other.example/{path}").content.decode()
        shown = re.search(r'<nav class="tabs" aria-label="other.example">(.*?)</nav>', page, re.DOTALL)
        assert shown
        found = re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a>', shown[1])
        assert [title for _, title in found] == tabs
        assert {owner_client.get(address).status_code for address, _ in found} == {200}


@pytest.mark.parametrize("path", ["/Shop.Example/", "/shop/", "/-shop.example/", "/shop..example/"])
def test_only_a_host_name_is_the_address_of_a_site(owner_client: Client, site: Site, path: str) -> None:
    assert owner_client.get(path).status_code == 404


def test_an_e_mail_address_in_any_case_logs_in(client: Client, owner: User) -> None:
    response = client.post(reverse("login"), {"username": "Owner@Example.com", "password": PASSWORD})
    assert response.headers["Location"] == "/"


def test_a_panel_of_an_expired_session_has_its_whole_page_loaded_again(client: Client, site: Site) -> None:
    response = client.get("/shop.example/top-pages/", headers={"HX-Request": "true"}, follow=True)
    assert response.headers["HX-Refresh"] == "true"
    assert response.content == b""
