"""Logging in, passwords, and that nothing there tells who has an account."""

import re
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sites import tasks
from sites.models import AuditEntry, User
from tests.factories import PASSWORD, UserFactory

NEW = "a horse of another colour"


@pytest.fixture
def has_mail(settings: Any) -> None:
    """A mail server, and a worker that is always there."""
    settings.HAS_MAIL_SERVER = True


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the worker was asked to send to whom."""
    asked: list[str] = []
    monkeypatch.setattr(tasks.send_new_password, "delay", asked.append)
    return asked


def log_in(client: Client, email: str, password: str) -> Any:
    return client.post("/login/", {"username": email, "password": password})


def test_a_wrong_password_and_an_unknown_address_are_answered_and_noted_alike(client: Client, owner: User) -> None:
    def shown(response: Any) -> str:
        return re.sub(r'value="[^"]*"', "", response.content.decode())

    wrong, unknown = log_in(client, owner.email, "x" * 12), log_in(client, "nobody@example.com", "x" * 12)
    owner.is_active = False
    owner.save()
    inactive = log_in(client, owner.email, PASSWORD)
    assert shown(wrong) == shown(unknown) == shown(inactive)
    assert "The e-mail address or the password is wrong." in shown(wrong)
    assert list(AuditEntry.objects.order_by("pk").values_list("actor", "action")) == [
        ("owner@example.com", "login_failed"),
        ("nobody known", "login_failed"),
        ("owner@example.com", "login_failed"),
    ]
    assert "nobody@example.com" not in str(AuditEntry.objects.values_list())


def test_a_wrong_password_costs_as_much_as_an_unknown_address(
    client: Client, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many questions to the database, and as many hashes of a password, which take by far the longest."""
    hashed: list[str] = []
    encode = MD5PasswordHasher.encode

    def counting(self: MD5PasswordHasher, password: str, salt: str) -> str:
        hashed.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)
    costs = []
    # The first of all also begins the counts.
    for email in ("first@example.com", owner.email, "nobody@example.com"):
        hashed.clear()
        with CaptureQueriesContext(connection) as asked:
            log_in(client, email, "x" * 12)
        costs.append((len(asked), len(hashed)))
    assert costs[1] == costs[2]
    assert costs[1][1] == 1


def test_a_log_in_is_noted_without_an_address(client: Client, owner: User) -> None:
    assert log_in(client, owner.email, PASSWORD).status_code == 302
    assert AuditEntry.objects.values_list("actor", "action", "subject").get() == (
        owner.email,
        "logged_in",
        "password",
    )


def test_nobody_signs_up(client: Client, db: None) -> None:
    for path in ("/signup/", "/accounts/signup/", "/account/signup/"):
        client.post(path, {"email": "new@example.com", "password1": NEW, "password2": NEW})
    assert not User.objects.exists()


@pytest.mark.usefixtures("has_mail")
def test_a_forgotten_password_is_set_anew_by_a_link_that_works_once(
    client: Client, owner: User, sent: list[str]
) -> None:
    kept = Client()
    log_in(kept, owner.email, PASSWORD)
    page = client.post(
        "/login/forgotten/", {"email": "Owner@Example.com"}, headers={"X-Forwarded-Host": "evil.example"}
    )
    assert "a mail with a link is on its way" in page.content.decode()
    tasks.send_new_password(*sent)
    (message,) = mail.outbox
    found = re.search(r"http://localhost:8000(/login/new-password/\S+)", message.body)
    assert found
    assert "evil.example" not in message.body
    form = client.get(found[1], follow=True)
    assert form["Referrer-Policy"] == "strict-origin"
    assert form["Cache-Control"] == "private, no-store"
    address = form.redirect_chain[-1][0]
    assert "too short" in client.post(address, {"new_password1": "x", "new_password2": "x"}).content.decode()
    done = client.post(address, {"new_password1": NEW, "new_password2": NEW}, follow=True)
    assert "Your password is changed." in done.content.decode()
    assert "does not work any more" in client.get(found[1], follow=True).content.decode()
    # Who knew the old one is out.
    assert kept.get("/").status_code == 302
    assert log_in(client, owner.email, PASSWORD).status_code == 200
    assert log_in(client, owner.email, NEW).status_code == 302


@pytest.mark.usefixtures("has_mail")
def test_asking_for_a_link_says_nothing_of_who_has_an_account(client: Client, owner: User, sent: list[str]) -> None:
    UserFactory(email="idle@example.com", is_active=False)
    addresses = [owner.email, "nobody@example.com", "idle@example.com"]
    pages = {client.post("/login/forgotten/", {"email": email}).content for email in addresses}
    assert len(pages) == 1
    # The one who waits for the answer waits as long: all that differs is done by the worker.
    assert sent == addresses
    for email in sent:
        tasks.send_new_password(email)
    assert [message.to for message in mail.outbox] == [[owner.email]]


def test_without_a_mail_server_the_page_says_what_to_do(client: Client, owner: User, sent: list[str]) -> None:
    for page in (client.get("/login/forgotten/"), client.post("/login/forgotten/", {"email": owner.email})):
        assert "manage.py changepassword" in page.content.decode()
    assert sent == []


def test_a_password_is_changed_with_the_old_one_and_ends_the_other_sessions(owner: User) -> None:
    client, other = Client(), Client()
    for each in (client, other):
        log_in(each, owner.email, PASSWORD)
    address = reverse("account_change_password")
    told = {"new_password1": NEW, "new_password2": NEW}
    assert "incorrectly" in client.post(address, told | {"old_password": "x"}).content.decode()
    assert client.post(address, told | {"old_password": PASSWORD}).headers["Location"] == "/account/"
    assert client.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 302


@pytest.mark.parametrize("who", ["client", "owner_client", "admin_client"])
def test_the_admin_s_own_login_logs_nobody_in(
    who: str, request: pytest.FixtureRequest, owner: User, django_user_model: Any
) -> None:
    """Its form would ask for no second factor."""
    UserFactory(email="root@example.com", is_staff=True, is_superuser=True)
    client = request.getfixturevalue(who)
    before = client.session.get("_auth_user_id")
    for response in (
        client.get("/admin/login/?next=/admin/sites/"),
        client.post("/admin/login/?next=/admin/sites/", {"username": "root@example.com", "password": PASSWORD}),
    ):
        found = (response.status_code, response.headers.get("Location"))
        assert (
            found
            == {
                "client": (302, "/login/?next=/admin/sites/"),
                "owner_client": (403, None),
                "admin_client": (302, "/admin/"),
            }[who]
        )
    assert client.session.get("_auth_user_id") == before
