import pytest
from django.test import Client

from sites.models import Site, User
from tests.factories import PASSWORD

POLICY = (
    "base-uri 'none'; connect-src 'self'; default-src 'none'; form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self' data:; object-src 'none'; script-src 'self'; style-src 'self'"
)


@pytest.mark.parametrize("path", ["/", "/shop.example/", "/shop.example/revenue/", "/nowhere/", "/admin/", "/login/"])
def test_every_page_forbids_what_it_does_not_need(owner_client: Client, site: Site, path: str) -> None:
    response = owner_client.get(path)
    directives = sorted(each.strip() for each in response["Content-Security-Policy"].split(";"))
    assert "; ".join(directives) == POLICY
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.django_db
def test_readiness_is_told_to_anybody() -> None:
    assert Client().get("/readyz").json() == {"database": "ok", "migrations": "ok"}


def test_cookies_are_kept_from_scripts_and_other_sites(owner: User) -> None:
    owner.set_password(PASSWORD)
    owner.save()
    client = Client()
    client.get("/login/")
    response = client.post("/login/", {"username": owner.email, "password": PASSWORD})
    assert response.status_code == 302
    for name in ("humblytics_sessionid", "humblytics_csrftoken"):
        assert client.cookies[name]["httponly"]
        assert client.cookies[name]["samesite"] == "Lax"


def test_nothing_of_a_member_s_pages_is_kept_in_a_cache(owner_client: Client, site: Site) -> None:
    assert owner_client.get("/shop.example/")["Cache-Control"] == "private, no-store"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/js/nothere.js", "/static/nothere.css", "/collect/"])
def test_a_stranger_who_asks_for_what_is_not_there_gets_no_cookie(path: str) -> None:
    response = Client().get(path)
    assert response.status_code in (302, 404)
    assert not response.cookies
