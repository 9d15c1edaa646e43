"""What asks to confirm who one is, and that nothing of what was refused is kept."""

import time

import pytest
from django.test import Client

from sites.models import ApiToken, Site, User
from sites.sharing import share
from tests.factories import PASSWORD, MembershipFactory, confirm, send_hit
from tests.test_conventions import OF_A_SITE

# Beside every file that can be taken.
CONFIRMING = {"sites:add-token", "sites:revoke-token", "sites:delete", "revenue:replace", "revenue:disconnect"}
SHARING = "/shop.example/settings/sharing/"
TOKENS = f"{SHARING}tokens/"
CSV = "/shop.example/export/channels.csv"


@pytest.fixture
def idle(owner: User, site: Site) -> Client:
    """Somebody whose log-in was long ago."""
    client = Client()
    client.force_login(owner)
    return client


def test_the_listed_views_and_all_files_ask() -> None:
    asking = {route.name for route in OF_A_SITE if getattr(route.view, "is_confirming", False)}
    files = {route.name for route in OF_A_SITE if getattr(route.view, "is_exporting", False)}
    assert asking == CONFIRMING | files


def test_a_form_is_refused_and_one_comes_back_to_its_page(idle: Client, site: Site) -> None:
    told = {"token-name": "Sheet", "token-scope": "traffic"}
    page = f"http://testserver{SHARING}"
    refused = idle.post(TOKENS, told, headers={"Referer": page})
    assert refused.headers["Location"] == f"/account/confirm/?next={SHARING.replace('/', '%2F')}"
    assert not ApiToken.objects.exists()
    # Neither the form nor the address it came from waits in the session.
    assert "Sheet" not in str(dict(idle.session))
    assert "127.0.0.1" not in str(dict(idle.session))
    asked = idle.get(refused.headers["Location"])
    assert "Nothing has been done yet." in asked.content.decode()
    assert "This is not your password." in idle.post(refused.headers["Location"], {"password": "x"}).content.decode()
    assert (
        idle.post(refused.headers["Location"], {"password": PASSWORD, "next": SHARING}).headers["Location"] == SHARING
    )
    assert idle.post(TOKENS, told).status_code == 200
    assert ApiToken.objects.exists()


def test_a_file_is_refused_until_then_and_a_page_is_not(idle: Client, site: Site) -> None:
    send_hit(site)
    assert idle.get("/shop.example/").status_code == 200
    refused = idle.get(CSV, headers={"Referer": "http://testserver/shop.example/?period=7d"})
    assert refused.headers["Location"] == "/account/confirm/?next=%2Fshop.example%2F%3Fperiod%3D7d"
    confirm(idle)
    assert idle.get(CSV).headers["Content-Type"].startswith("text/csv")


@pytest.mark.parametrize("said", ["", "https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_one_never_comes_back_to_another_site(idle: Client, said: str) -> None:
    assert idle.post(TOKENS, headers={"Referer": said}).headers["Location"] == "/account/confirm/?next=%2F"


def test_a_key_is_not_set_until_then(idle: Client, site: Site) -> None:
    page = "/shop.example/settings/revenue/"
    assert "confirm first that it is you" in idle.get(page).content.decode()
    response = idle.post(page, {"provider": "stripe", "method": "stripe_api", "secret_key": "sk_test_51Canary00000"})
    assert response.headers["Location"].startswith("/account/confirm/")
    assert "Canary" not in str(dict(idle.session))
    confirm(idle)
    assert "confirm first that it is you" not in idle.get(page).content.decode()


def test_it_holds_for_a_quarter_of_an_hour_and_logging_in_counts(client: Client, owner: User, site: Site) -> None:
    client.post("/login/", {"username": owner.email, "password": PASSWORD})
    assert client.get(CSV).status_code == 200
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 15 * 60}]
    session.save()
    assert client.get(CSV).status_code == 302


def test_somebody_else_s_confirmation_counts_for_nothing(idle: Client, owner: User) -> None:
    confirm(idle)
    session = idle.session
    session["account_authentication_methods_user"] = str(owner.pk + 1)
    session.save()
    assert idle.get(CSV).status_code == 302


def test_who_may_not_do_it_is_not_asked_but_finds_nothing(client: Client, site: Site) -> None:
    client.force_login(MembershipFactory().user)
    assert client.post(TOKENS).status_code == 404
    assert client.get(CSV).status_code == 404


def test_a_guest_of_a_share_link_takes_what_it_shows_without_being_asked(client: Client, site: Site) -> None:
    send_hit(site)
    client.get(f"/share/{share(site, 'Board', '').token}/")
    assert client.get(CSV).status_code == 200


def test_a_panel_s_form_leads_the_whole_window_there(idle: Client) -> None:
    response = idle.post(TOKENS, headers={"HX-Request": "true"})
    assert response.headers["HX-Redirect"].startswith("/account/confirm/")


def test_after_ten_wrong_passwords_confirming_waits_too(idle: Client) -> None:
    statuses = [idle.post("/account/confirm/", {"password": "x"}).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
