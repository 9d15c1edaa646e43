import datetime as dt
import hashlib
import html
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sites.models import ApiToken, Role, ShareLink, Site, User
from sites.sharing import GUESSES_A_MINUTE, TooManyGuessesError, is_right, share
from sites.tokens import digest, issue, use
from tests.factories import MembershipFactory, SiteFactory, send_hit

PAGE = "/shop.example/settings/sharing/"
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def address(link: ShareLink) -> str:
    return f"/share/{link.token}/"


@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 404), (Role.EDITOR, 404), (Role.ADMIN, 200), (Role.OWNER, 200)]
)
def test_sharing_is_for_admins_of_the_site(owner_client: Client, owner: User, role: Role, status: int) -> None:
    MembershipFactory(site__domain="other.example", user=owner, role=role)
    page = "/other.example/settings/sharing/"
    assert owner_client.get(page).status_code == status
    posted = owner_client.post(f"{page}links/", {"link-name": "Board"}, follow=True)
    assert (posted.status_code, ShareLink.objects.count()) == (status, int(status == 200))
    posted = owner_client.post(f"{page}tokens/", {"token-name": "Shop", "token-scope": "events"}, follow=True)
    assert (posted.status_code, ApiToken.objects.count()) == (status, int(status == 200))


def test_a_link_is_made_and_shown_with_its_address(owner_client: Client, site: Site) -> None:
    response = owner_client.post(f"{PAGE}links/", {"link-name": "For <the> board"}, follow=True)
    link = ShareLink.objects.get()
    page = response.content.decode()
    assert f"http://localhost:8000/share/{link.token}/" in page
    assert "For &lt;the&gt; board" in page
    assert "No password" in page
    assert len(link.token) == 32


def test_a_link_s_password_is_kept_as_a_hash_and_shown_nowhere(owner_client: Client, site: Site) -> None:
    data = {"link-name": "Board", "link-password": "open sesame"}
    page = owner_client.post(f"{PAGE}links/", data, follow=True).content.decode()
    assert "With a password" in page
    assert "open sesame" not in page
    assert "open sesame" not in ShareLink.objects.get().password


def test_a_mistake_in_a_new_link_is_shown_and_the_password_is_not(owner_client: Client, site: Site) -> None:
    response = owner_client.post(f"{PAGE}links/", {"link-name": "", "link-password": "short"})
    page = response.content.decode()
    assert response.status_code == 200
    assert "This field is required." in page
    assert "at least 8 characters" in page
    assert 'value="short"' not in page
    assert not ShareLink.objects.exists()


def test_a_link_or_token_of_another_site_cannot_be_revoked(owner_client: Client, site: Site) -> None:
    other = SiteFactory()
    link = share(other, "Board", "")
    issue(other, "Shop")
    assert owner_client.post(f"{PAGE}links/{link.pk}/revoke/").status_code == 404
    assert owner_client.post(f"{PAGE}tokens/{ApiToken.objects.get().pk}/revoke/").status_code == 404
    assert ShareLink.objects.exists()
    assert ApiToken.objects.exists()


def test_a_link_leads_to_the_dashboard_without_tabs_and_menus(client: Client, site: Site) -> None:
    send_hit(site)
    response = client.get(address(share(site, "Board", "")), follow=True)
    assert response.redirect_chain == [("/shop.example/", 302)]
    page = response.content.decode()
    assert response.context["is_shared"] is True
    assert "shop.example" in page
    for nowhere in ("/settings/", "/revenue/", "/split-tests/", "/logout/", 'class="menu site-menu"', 'href="/"'):
        assert nowhere not in page


def test_every_address_on_a_shared_dashboard_can_be_opened(client: Client, site: Site) -> None:
    send_hit(site, "/a", "https://news.example/today", "utm_campaign=autumn")
    page = client.get(address(share(site, "Board", "")), follow=True).content.decode()
    found = set(re.findall(r'(?:href|hx-get)="(/[^"]*)"', page))
    assert any("/details/" in each for each in found)
    failed = {each for each in found if not each.startswith("/static/") and client.get(each).status_code != 200}
    assert failed == set()


def test_a_member_who_opens_a_link_stays_a_member(owner_client: Client, site: Site) -> None:
    send_hit(site)
    response = owner_client.get(address(share(site, "Board", "")), follow=True)
    assert response.context["is_shared"] is False
    assert "/shop.example/settings/" in response.content.decode()


def test_a_share_page_tells_its_address_to_nobody_and_is_not_kept(client: Client, site: Site) -> None:
    for response in (
        client.get(address(share(site, "Open", ""))),
        client.get(address(share(site, "Closed", "open sesame"))),
        client.get("/share/nothing-here/"),
    ):
        assert response["Referrer-Policy"] == "strict-origin"
        assert response["X-Robots-Tag"] == "noindex, nofollow"
        assert response["Cache-Control"] == "private, no-store"


def test_what_a_link_shows_is_kept_in_no_cache(client: Client, site: Site) -> None:
    send_hit(site)
    response = client.get(address(share(site, "Board", "")), follow=True)
    assert response["Cache-Control"] == "private, no-store"


def test_a_revoked_link_says_so_and_shows_nothing_more(owner_client: Client, client: Client, site: Site) -> None:
    send_hit(site)
    link = share(site, "Board", "")
    assert client.get(address(link), follow=True).status_code == 200
    owner_client.post(f"{PAGE}links/{link.pk}/revoke/")
    assert client.get("/shop.example/").headers["Location"] == "/login/?next=/shop.example/"
    response = client.get(address(link))
    assert response.status_code == 404
    assert "This link shows nothing." in response.content.decode()


def test_a_link_with_a_password_opens_with_it_and_not_without(client: Client, site: Site) -> None:
    send_hit(site)
    link = share(site, "Board", "open sesame")
    assert "has a password" in client.get(address(link)).content.decode()
    wrong = client.post(address(link), {"password": "open barley"})
    assert "This is not the password." in wrong.content.decode()
    assert "open barley" not in wrong.content.decode()
    assert client.get("/shop.example/").status_code == 302
    assert client.post(address(link), {"password": "open sesame"}).headers["Location"] == "/shop.example/"
    assert client.get("/shop.example/").status_code == 200


def test_a_password_form_of_another_site_s_page_is_refused(site: Site) -> None:
    link = share(site, "Board", "open sesame")
    client = Client(enforce_csrf_checks=True)
    assert client.post(address(link), {"password": "open sesame"}).status_code == 403


def test_opening_a_link_gives_the_session_a_new_id(client: Client, site: Site) -> None:
    client.get(address(share(site, "One", "")))
    before = client.session.session_key
    client.get(address(share(site, "Two", "")))
    assert client.session.session_key != before
    assert len(client.session["shares"]) == 2


def test_after_some_wrong_passwords_even_the_right_one_waits(client: Client, site: Site) -> None:
    link = share(site, "Board", "open sesame")
    for _ in range(GUESSES_A_MINUTE):
        assert "This is not the password." in client.post(address(link), {"password": "open barley"}).content.decode()
    response = client.post(address(link), {"password": "open sesame"})
    assert "Too many wrong passwords. Try again in a minute." in response.content.decode()
    assert client.get("/shop.example/").status_code == 302


def test_guesses_are_counted_by_the_minute_and_right_ones_are_not(site: Site) -> None:
    link, other = share(site, "Board", "open sesame"), share(site, "Press", "open sesame")
    for _ in range(3 * GUESSES_A_MINUTE):
        assert is_right(link, "open sesame", NOW)
    for _ in range(GUESSES_A_MINUTE):
        assert not is_right(link, "open barley", NOW)
    for seconds in (0, 59):
        with pytest.raises(TooManyGuessesError):
            is_right(link, "open sesame", NOW + dt.timedelta(seconds=seconds))
    assert is_right(other, "open sesame", NOW)
    assert is_right(link, "open sesame", NOW + dt.timedelta(seconds=60))


def test_a_token_is_shown_once_and_kept_as_its_hash(owner_client: Client, site: Site) -> None:
    response = owner_client.post(f"{PAGE}tokens/", {"token-name": "Shop", "token-scope": "traffic"})
    (token,) = set(re.findall(r"hl_[A-Za-z0-9_-]{43}", response.content.decode()))
    kept = ApiToken.objects.get()
    assert kept.digest == hashlib.sha256(token.encode()).hexdigest()
    assert (kept.site, kept.name, kept.scope, kept.hint) == (site, "Shop", "traffic", token[-4:])
    assert response["Cache-Control"] == "private, no-store"
    page = owner_client.get(PAGE).content.decode()
    assert token not in page
    assert f"hl_…{token[-4:]}" in page


@pytest.mark.parametrize(
    ("said", "mistake"),
    [
        ({"token-name": " ", "token-scope": "traffic"}, "This field is required."),
        ({"token-name": "Shop", "token-scope": ""}, "This field is required."),
        ({"token-name": "Shop", "token-scope": "everything"}, "everything is not one of the available choices."),
    ],
)
def test_a_token_without_a_name_or_a_purpose_is_not_made(
    owner_client: Client, site: Site, said: dict[str, str], mistake: str
) -> None:
    response = owner_client.post(f"{PAGE}tokens/", said)
    assert mistake in response.content.decode()
    assert not ApiToken.objects.exists()


def test_a_token_is_listed_with_what_it_may_and_when_it_was_used(owner_client: Client, site: Site) -> None:
    site.timezone = "Asia/Tokyo"
    site.save()
    token = issue(site, "Sheet", ApiToken.Scope.REVENUE)
    page = owner_client.get(PAGE).content.decode()
    assert "Read traffic and revenue</span>" in page
    assert "never used" in page
    use(token, NOW)
    page = owner_client.get(PAGE).content.decode()
    assert "last used on 20 Nov 2026, 21:00" in page
    assert "never used" not in page


def test_the_page_shows_how_a_token_is_used(owner_client: Client, site: Site) -> None:
    page = html.unescape(owner_client.get(PAGE).content.decode())
    read = re.search(r'curl "http://localhost:8000(/api/[^"]*)"', page)
    assert read
    headers = {"Authorization": f"Bearer {issue(site, 'Sheet', ApiToken.Scope.TRAFFIC)}"}
    assert Client().get(read[1], headers=headers).json()["figures"]["visitors"] == 0


def test_a_token_is_revoked_by_itself(owner_client: Client, site: Site) -> None:
    issue(site, "Shop")
    kept = issue(site, "Office")
    owner_client.post(f"{PAGE}tokens/{site.api_tokens.get(name='Shop').pk}/revoke/")
    assert ApiToken.objects.get().digest == digest(kept)


@pytest.mark.parametrize("made", [lambda site: share(site, "Board", "open sesame"), lambda site: issue(site, "Shop")])
def test_the_admin_revokes_but_shows_no_secret(admin_client: Client, site: Site, made: Any) -> None:
    made(site)
    model, secret = next(
        (row._meta.model_name, row.token if isinstance(row, ShareLink) else row.digest)
        for row in (*ShareLink.objects.all(), *ApiToken.objects.all())
    )
    for path in ("", f"{(ShareLink.objects.first() or ApiToken.objects.first()).pk}/change/"):
        response = admin_client.get(f"/admin/sites/{model}/{path}")
        assert response.status_code == 200
        assert secret not in response.content.decode()
    assert admin_client.get(f"/admin/sites/{model}/add/").status_code == 403


def test_the_page_says_what_there_is_when_there_is_nothing(owner_client: Client, site: Site) -> None:
    page = owner_client.get(PAGE).content.decode()
    assert "There is no share link." in page
    assert "There is no API token." in page


def test_a_link_made_now_has_a_day(owner_client: Client, site: Site) -> None:
    link = share(site, "Board", "")
    assert abs(link.created_at - timezone.now()) < dt.timedelta(hours=1)
    assert reverse("sites:open-share", args=[link.token]) == address(link)
