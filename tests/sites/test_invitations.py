"""Inviting somebody, and the link that they join with."""

import datetime as dt
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from sites import invitations
from sites.invitations import VALID_FOR, address, invite, send
from sites.models import AuditEntry, Invitation, Membership, Role, Site, User
from tests.factories import PASSWORD, MembershipFactory, UserFactory

PAGE = "/shop.example/settings/members/"
INVITE = f"{PAGE}invitations/"
ANNA = "anna@example.com"
CHOSEN = "a horse of another colour"


@pytest.fixture
def has_mail(settings: Any) -> None:
    settings.HAS_MAIL_SERVER = True


@pytest.fixture
def invited(site: Site, owner: User) -> Invitation:
    return invite(site, owner, ANNA, Role.EDITOR, timezone.now())


def link(invitation: Invitation) -> str:
    invitation.refresh_from_db()
    return address(invitation).removeprefix("http://localhost:8000")


def role(email: str) -> int | None:
    return Membership.objects.filter(user__email=email).values_list("role", flat=True).first()


@pytest.mark.usefixtures("has_mail")
def test_somebody_is_invited_by_mail_and_joins_with_a_password_of_their_own(
    owner_client: Client, client: Client, site: Site
) -> None:
    page = owner_client.post(INVITE, {"email": "Anna@Example.com", "role": Role.EDITOR}, follow=True).content.decode()
    (sent,) = mail.outbox
    path = link(Invitation.objects.get())
    assert sent.to == [ANNA]
    assert f"http://localhost:8000{path}\n" in sent.body
    # What was mailed is its reader's, and nobody's here.
    assert path not in page
    assert "Choose a password" in client.get(path).content.decode()
    assert "too short" in client.post(path, {"password": "short"}).content.decode()
    assert client.post(path, {"password": CHOSEN}).headers["Location"] == "/shop.example/"
    assert client.get("/shop.example/").status_code == 200
    assert User.objects.get(email=ANNA).check_password(CHOSEN)
    assert role(ANNA) == Role.EDITOR
    assert client.get(path).status_code == 404
    assert list(AuditEntry.objects.order_by("pk").values_list("actor", "action", "subject")) == [
        ("owner@example.com", "invited", "anna@example.com, Editor"),
        (ANNA, "joined", "as Editor, by owner@example.com"),
        (ANNA, "logged_in", "invitation"),
    ]


def test_without_a_mail_server_the_link_is_shown_to_hand_over(owner_client: Client, site: Site) -> None:
    page = owner_client.post(INVITE, {"email": ANNA, "role": Role.VIEWER}, follow=True).content.decode()
    assert link(Invitation.objects.get()) in page
    assert "no mail can be sent" in page
    assert mail.outbox == []


@pytest.mark.usefixtures("has_mail")
def test_a_mail_that_fails_says_so_and_shows_the_link(owner_client: Client, site: Site, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    page = owner_client.post(INVITE, {"email": ANNA, "role": Role.VIEWER}, follow=True).content.decode()
    assert "could not be sent" in page
    assert link(Invitation.objects.get()) in page


def test_who_has_an_account_logs_in_to_join(client: Client, site: Site, invited: Invitation) -> None:
    anna = UserFactory(email=ANNA)
    page = client.get(link(invited)).content.decode()
    assert "There is an account with this address." in page
    # Whoever holds the link cannot set a password of an account that there is.
    client.post(link(invited), {"password": CHOSEN})
    assert User.objects.get(email=ANNA).check_password(PASSWORD)
    response = client.post(f"/login/?next={link(invited)}", {"username": ANNA, "password": PASSWORD})
    assert response.headers["Location"] == link(invited)
    assert role(ANNA) is None
    assert client.post(link(invited)).headers["Location"] == "/shop.example/"
    assert Membership.objects.get(user=anna).role == Role.EDITOR


def test_somebody_else_who_is_logged_in_does_not_join(stranger_client: Client, invited: Invitation) -> None:
    assert "log out first" in stranger_client.get(link(invited)).content.decode()
    assert stranger_client.post(link(invited), {"password": CHOSEN}).status_code == 200
    assert role(ANNA) is None
    assert Invitation.objects.exists()


@pytest.mark.parametrize("what", ["expired", "revoked", "sent anew", "altered", "another's", "nonsense"])
def test_a_link_that_does_not_hold_shows_nothing(
    owner_client: Client, client: Client, site: Site, owner: User, invited: Invitation, what: str
) -> None:
    path = link(invited)
    match what:
        case "expired":
            Invitation.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
        case "revoked":
            owner_client.post(f"{INVITE}{invited.pk}/revoke/")
        case "sent anew":
            owner_client.post(f"{INVITE}{invited.pk}/resend/")
            assert client.get(link(invited)).status_code == 200
        case "altered":
            path = f"{path[:-2]}{'0' if path[-2] != '0' else '1'}/"
        case "another's":
            other = invite(site, owner, "ben@example.com", Role.VIEWER, timezone.now())
            path = path.replace(f"/{invited.pk}-", f"/{other.pk}-")
        case "nonsense":
            path = "/invitation/x-y/"
    for response in (client.get(path), client.post(path, {"password": CHOSEN})):
        assert response.status_code == 404
        assert "does not work any more" in response.content.decode()
        assert response["Cache-Control"] == "private, no-store"
        assert response["Referrer-Policy"] == "strict-origin"
    assert not User.objects.filter(email=ANNA).exists()


def test_a_link_works_once_even_if_it_is_used_twice_at_once(invited: Invitation) -> None:
    assert invitations.join_anew(invited, CHOSEN) is not None
    User.objects.filter(email=ANNA).delete()
    # As the second of two requests that both found the invitation.
    assert invitations.join_anew(invited, "another horse of colour") is None
    assert not User.objects.filter(email=ANNA).exists()


@pytest.mark.parametrize("own", Role)
@pytest.mark.parametrize("given", Role)
def test_nobody_invites_to_more_than_they_have(client: Client, site: Site, own: Role, given: Role) -> None:
    client.force_login(MembershipFactory(site=site, role=own).user)
    response = client.post(INVITE, {"email": ANNA, "role": given})
    assert response.status_code == (404 if own < Role.ADMIN else 302 if given <= own else 200)
    assert Invitation.objects.exists() == (own >= Role.ADMIN and given <= own)


def test_an_administrator_has_nothing_of_an_owner_s_invitation(client: Client, site: Site, owner: User) -> None:
    above = invite(site, owner, ANNA, Role.OWNER, timezone.now())
    client.force_login(MembershipFactory(site=site, role=Role.ADMIN).user)
    before = Invitation.objects.values().get()
    assert link(above) not in client.get(PAGE).content.decode()
    client.post(f"{INVITE}{above.pk}/resend/")
    client.post(f"{INVITE}{above.pk}/revoke/")
    client.post(INVITE, {"email": ANNA, "role": Role.VIEWER})
    assert Invitation.objects.values().get() == before


def test_a_member_is_not_invited_and_an_invitation_of_another_site_is_not_found(
    owner_client: Client, site: Site, invited: Invitation
) -> None:
    page = owner_client.post(INVITE, {"email": "OWNER@example.com", "role": Role.VIEWER}).content.decode()
    assert "is a member already" in page
    other = MembershipFactory()
    elsewhere = invite(other.site, other.user, ANNA, Role.VIEWER, timezone.now())
    for what in ("resend", "revoke"):
        assert owner_client.post(f"{INVITE}{elsewhere.pk}/{what}/").status_code == 404


@pytest.mark.usefixtures("has_mail")
def test_an_invitation_is_told_from_the_settings_and_not_from_the_request(
    owner_client: Client, site: Site, invited: Invitation
) -> None:
    owner_client.post(f"{INVITE}{invited.pk}/resend/", headers={"X-Forwarded-Host": "evil.example"})
    assert "evil.example" not in mail.outbox[0].body
    assert send(invited, timezone.now())
    assert Invitation.objects.get().expires_at - timezone.now() <= VALID_FOR
