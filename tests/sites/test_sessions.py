"""Where somebody is logged in, ending that, and deleting the account."""

import datetime as dt
import re
import time

import pytest
from django.test import Client
from django.utils import timezone

from sites.forgetting import forget
from sites.models import AuditEntry, Invitation, Membership, Role, Session, Site, Tries, User
from tests.factories import FIREFOX, IPHONE, PASSWORD, MembershipFactory, UserFactory


def logged_in(user: User, agent: str) -> Client:
    client = Client(headers={"User-Agent": agent}, REMOTE_ADDR="203.0.113.77")
    assert client.post("/login/", {"username": user.email, "password": PASSWORD}).status_code == 302
    return client


def ends_offered(client: Client) -> list[str]:
    return re.findall(r'action="(/account/sessions/[0-9a-f]+/end/)"', client.get("/account/").content.decode())


def test_one_sees_the_own_sessions_and_ends_one(owner: User) -> None:
    here, there = logged_in(owner, FIREFOX), logged_in(owner, IPHONE)
    logged_in(UserFactory(), FIREFOX)
    page = here.get("/account/").content.decode()
    assert "Firefox on Linux" in page
    assert "Safari on iOS" in page
    assert "In the last quarter of an hour" in page
    (end,) = ends_offered(here)
    # What lets somebody in stands nowhere in the page.
    assert not any(key in page for key in Session.objects.values_list("session_key", flat=True))
    assert here.post(end).headers["Location"] == "/account/"
    assert there.get("/account/").status_code == 302
    assert here.get("/account/").status_code == 200
    assert here.post(end).status_code == 404


def test_another_s_session_is_not_found(owner: User) -> None:
    theirs, mine = logged_in(UserFactory(), FIREFOX), logged_in(owner, FIREFOX)
    logged_in(owner, IPHONE)
    (end,) = ends_offered(mine)
    assert theirs.post(end).status_code == 404


def test_all_others_are_ended_at_once(owner: User) -> None:
    here, *others = (logged_in(owner, agent) for agent in (FIREFOX, IPHONE, IPHONE))
    here.post("/account/sessions/end-others/")
    assert {client.get("/account/").status_code for client in others} == {302}
    assert here.get("/account/").status_code == 200


def test_a_session_keeps_no_address_and_no_user_agent(owner: User) -> None:
    client = logged_in(owner, f"{FIREFOX} Qz7Marker")
    kept = str([*Session.objects.values(), dict(client.session), *AuditEntry.objects.values(), *Tries.objects.values()])
    assert "Firefox" in kept
    assert not re.search(r"203\.0\.113|Qz7Marker", kept)


def test_a_session_says_when_it_was_last_used_to_within_a_quarter_of_an_hour(owner: User) -> None:
    client = logged_in(owner, FIREFOX)
    before = Session.objects.get().seen_at
    client.get("/account/")
    assert Session.objects.get().seen_at == before
    session = client.session
    session["seen"] = time.time() - 16 * 60
    session.save()
    client.get("/account/")
    seen_at = Session.objects.get().seen_at
    assert seen_at
    assert timezone.now() - seen_at < dt.timedelta(minutes=1)


def test_what_has_ended_is_forgotten(owner: User, site: Site) -> None:
    now = timezone.now()
    client, _ = logged_in(owner, FIREFOX), logged_in(owner, IPHONE)
    Session.objects.exclude(pk=client.session.session_key).update(expire_date=now)
    for days in (29, 31):
        expires_at = now - dt.timedelta(days=days)
        Invitation.objects.create(site=site, email=f"{days}@example.com", invited_by="x", expires_at=expires_at)
    forget(now)
    assert Session.objects.count() == Invitation.objects.count() == 1
    assert Tries.objects.exists()
    forget(now + dt.timedelta(hours=1))
    assert not Tries.objects.exists()


def test_the_only_owner_of_a_site_keeps_the_account_and_is_told_why(owner_client: Client, site: Site) -> None:
    assert "You are the only owner of shop.example." in owner_client.get("/account/delete/").content.decode()
    assert owner_client.post("/account/delete/").status_code == 200
    assert User.objects.filter(email="owner@example.com").exists()


def test_an_account_is_deleted_with_its_sessions_and_memberships(site: Site, owner: User) -> None:
    MembershipFactory(site=site, role=Role.OWNER)
    here, there = logged_in(owner, FIREFOX), logged_in(owner, IPHONE)
    assert here.post("/account/delete/").headers["Location"] == "/login/"
    assert not User.objects.filter(pk=owner.pk).exists()
    assert not Session.objects.filter(user__isnull=False).exists()
    assert there.get("/account/").status_code == 302
    assert Membership.objects.filter(site=site).count() == 1
    assert list(AuditEntry.objects.filter(action="left").values_list("actor", "domain")) == [(owner.email, site.domain)]


def test_an_account_is_not_deleted_by_who_found_the_browser_open(client: Client, owner: User) -> None:
    client.force_login(owner)
    assert client.post("/account/delete/").headers["Location"].startswith("/account/confirm/")
    assert User.objects.filter(pk=owner.pk).exists()


@pytest.mark.parametrize("path", ["/account/sessions/x/end/", "/account/sessions/end-others/"])
def test_a_session_is_ended_by_a_form_alone(owner_client: Client, path: str) -> None:
    assert owner_client.get(path).status_code == 405
