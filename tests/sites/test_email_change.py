"""Changing the address that somebody logs in with."""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from sites.accounts import email_change
from sites.models import AuditEntry, User
from tests.factories import PASSWORD, UserFactory

PAGE = "/account/email/"
NEW = "new@example.com"


@pytest.fixture(autouse=True)
def has_mail(settings: Any) -> None:
    settings.HAS_MAIL_SERVER = True


def asked(client: Client, email: str = NEW) -> str:
    """Ask for the address; give the path of the link that it gets."""
    mail.outbox.clear()
    shown = client.post(PAGE, {"email": email}, follow=True).content.decode()
    assert f"on its way to {email.lower()}" in shown
    (sent,) = mail.outbox
    assert sent.to == [email.lower()]
    found = re.search(r"http://localhost:8000(/account/email/confirm/\S+)", str(sent.body))
    assert found
    return found[1]


def may_log_in(email: str) -> bool:
    return bool(Client().post("/login/", {"username": email, "password": PASSWORD}).status_code == 302)


def test_the_new_address_holds_once_its_link_is_opened_and_the_old_one_is_told(
    owner_client: Client, client: Client, owner: User, django_capture_on_commit_callbacks: Any
) -> None:
    link = asked(owner_client, "New@Example.com")
    assert may_log_in(owner.email)
    assert not may_log_in(NEW)
    page = client.get(link)
    assert "log in as new@example.com instead of owner@example.com" in page.content.decode()
    assert (page["Referrer-Policy"], page["Cache-Control"]) == ("strict-origin", "private, no-store")
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(link).headers["Location"] == "/login/"

    assert may_log_in(NEW)
    assert not may_log_in(owner.email)
    (told,) = mail.outbox
    assert (told.to, NEW in str(told.body)) == (["owner@example.com"], True)
    entry = AuditEntry.objects.get(action="email_changed")
    assert (entry.actor, entry.subject) == (NEW, "owner@example.com to new@example.com")
    # It works once, and who has asked is still logged in.
    assert client.get(link).status_code == client.post(link).status_code == 404
    assert NEW in owner_client.get("/account/").content.decode()


def test_until_then_the_old_one_stays_however_often_one_asks_and_only_the_last_link_works(
    owner_client: Client, owner: User
) -> None:
    first = asked(owner_client, "first@example.com")
    # What the page offers is to cancel; a second browser may still show the form.
    second = asked(owner_client)
    owner.refresh_from_db()
    assert owner.email == "owner@example.com"
    assert owner_client.get(first).status_code == 404
    owner_client.post("/account/email/cancel/")
    assert owner_client.get(second).status_code == 404
    assert owner_client.get(f"{second[:-2]}x/").status_code == 404
    # And back again, from an address that was changed here.
    for email in (NEW, "owner@example.com"):
        owner_client.post(asked(owner_client, email))
        owner.refresh_from_db()
        assert owner.email == email
    assert EmailAddress.objects.get().email == owner.email


def test_an_address_that_somebody_else_has_is_answered_alike_and_not_given(owner_client: Client, owner: User) -> None:
    UserFactory(email="taken@example.com")
    link = asked(owner_client, "taken@example.com")
    page = owner_client.post(link, follow=True).content.decode()
    assert "Somebody else logs in with this address. Nothing has changed." in page
    owner.refresh_from_db()
    assert owner.email == "owner@example.com"
    assert "This is your address already" in owner_client.post(PAGE, {"email": owner.email}).content.decode()


def test_one_that_is_given_to_somebody_else_in_the_same_moment_is_not_given_twice(
    owner_client: Client, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = asked(owner_client)
    UserFactory(email=NEW)
    monkeypatch.setattr(email_change, "is_taken", lambda address: False)
    assert "Somebody else logs in" in owner_client.post(link, follow=True).content.decode()
    owner.refresh_from_db()
    assert owner.email == "owner@example.com"


def test_without_mail_nothing_is_asked_for(owner_client: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert (
        "could not be sent. Nothing has changed."
        in owner_client.post(PAGE, {"email": NEW}, follow=True).content.decode()
    )
    settings.HAS_MAIL_SERVER = False
    assert "cannot send mail" in owner_client.post(PAGE, {"email": NEW}).content.decode()
    assert not EmailAddress.objects.filter(email=NEW).exists()


def test_it_asks_who_one_is_and_not_too_often(owner: User, owner_client: Client) -> None:
    idle = Client()
    idle.force_login(owner)
    assert idle.get(PAGE).headers["Location"].startswith("/account/confirm/")
    assert idle.post(PAGE, {"email": NEW}).headers["Location"].startswith("/account/confirm/")
    statuses = [owner_client.post(PAGE, {"email": f"{n}@example.com"}).status_code for n in range(6)]
    assert statuses == [302] * 5 + [429]
