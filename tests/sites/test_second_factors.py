"""Codes of an app and recovery codes: asked for, good once, sealed, and in nobody's way out."""

import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, format_hotp_value, hotp_value
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from sites.models import AuditEntry, User
from tests.factories import PASSWORD, UserFactory, confirm


def code_of(secret: str, steps: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def pass_on(client: Client, user: User) -> Any:
    """Give the password; the answer leads to the second factor, or in."""
    return client.post("/login/?next=/account/", {"username": user.email, "password": PASSWORD})


@pytest.fixture
def secured(owner: User, django_capture_on_commit_callbacks: Any) -> str:
    """An owner with codes of an app; give the app's secret."""
    client = Client()
    client.force_login(owner)
    confirm(client)
    client.get("/account/code/")
    secret: str = client.session[SECRET_SESSION_KEY]
    assert client.post("/account/code/", {"code": "000000"}).status_code == 200
    with django_capture_on_commit_callbacks(execute=True):
        done = client.post("/account/code/", {"code": code_of(secret)})
    assert done.headers["Location"] == "/account/recovery-codes/"
    return secret


def recovery_code(user: User) -> str:
    code: str = Authenticator.objects.get(user=user, type="recovery_codes").wrap().get_unused_codes()[0]
    return code


def test_a_password_alone_does_not_log_in(client: Client, owner: User, secured: str) -> None:
    assert pass_on(client, owner).headers["Location"] == "/login/code/"
    assert client.get("/account/").headers["Location"] == "/login/?next=/account/"
    # Back at the login, it goes on where it was.
    assert client.get("/login/").headers["Location"] == "/login/code/"
    assert "This code is wrong" in client.post("/login/code/", {"code": "000000"}).content.decode()
    done = client.post("/login/code/", {"code": code_of(secured)})
    assert done.headers["Location"] == "/account/"
    assert client.get("/account/").status_code == 200
    noted = list(AuditEntry.objects.order_by("pk").values_list("action", "subject"))
    assert noted == [
        ("factor_added", "codes of an app"),
        ("login_failed", "wrong code"),
        ("logged_in", "password and code of an app"),
    ]


def test_somebody_half_way_in_can_go_back(client: Client, owner: User, secured: str) -> None:
    pass_on(client, owner)
    client.post("/logout/")
    assert client.get("/login/").status_code == 200
    assert client.get("/login/code/").headers["Location"] == "/login/"


def test_the_admin_asks_for_the_second_factor(client: Client, secured: str, owner: User) -> None:
    User.objects.update(is_staff=True, is_superuser=True)
    client.post("/admin/login/", {"username": owner.email, "password": PASSWORD})
    pass_on(client, owner)
    assert client.get("/admin/").headers["Location"] == "/admin/login/?next=/admin/"
    client.post("/login/code/", {"code": code_of(secured)})
    assert client.get("/admin/").status_code == 200


def test_a_code_that_somebody_has_seen_is_worth_nothing_once_it_was_used(owner: User, secured: str) -> None:
    code = code_of(secured)
    first, second = Client(), Client()
    for each in (first, second):
        pass_on(each, owner)
    assert first.post("/login/code/", {"code": code}).status_code == 302
    assert second.post("/login/code/", {"code": f"{code[:3]} {code[3:]}"}).status_code == 200
    assert second.post("/login/code/", {"code": code_of(secured, 1)}).status_code == 302


def test_a_recovery_code_works_once_in_place_of_the_app(owner: User, secured: str) -> None:
    code = recovery_code(owner)
    first, second = Client(), Client()
    for each in (first, second):
        pass_on(each, owner)
    assert first.post("/login/code/", {"code": code}).status_code == 302
    assert second.post("/login/code/", {"code": code}).status_code == 200
    assert "9 left" in first.get("/account/").content.decode()


def test_after_ten_wrong_codes_even_the_right_one_waits(client: Client, owner: User, secured: str) -> None:
    pass_on(client, owner)
    statuses = [client.post("/login/code/", {"code": "000000"}).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    refused = client.post("/login/code/", {"code": code_of(secured)})
    assert refused.status_code == 429
    assert "Try again in" in refused.content.decode()


def test_codes_are_no_longer_asked_for_once_they_were_removed(client: Client, owner: User, secured: str) -> None:
    client.force_login(owner)
    address = reverse("mfa_deactivate_totp")
    # Who only found the browser open cannot.
    assert client.post(address).headers["Location"].startswith("/account/confirm/")
    assert Authenticator.objects.exists()
    assert client.post("/account/confirm/?next=/account/", {"password": "x"}).status_code == 200
    assert client.post("/account/confirm/?next=/account/", {"password": PASSWORD}).headers["Location"] == "/account/"
    client.post(address)
    assert not Authenticator.objects.exists()
    assert pass_on(Client(), owner).headers["Location"] == "/account/"


def test_one_confirms_by_a_code_too(client: Client, owner: User, secured: str) -> None:
    client.force_login(owner)
    page = client.get("/account/confirm/?next=/account/recovery-codes/").content.decode()
    assert 'href="/account/confirm/code/?next=' in page
    there = "/account/confirm/code/?next=/account/recovery-codes/"
    assert client.post(there, {"code": code_of(secured)}).headers["Location"] == "/account/recovery-codes/"
    assert recovery_code(owner) in client.get("/account/recovery-codes/").content.decode()


def test_new_recovery_codes_replace_the_old_ones(client: Client, owner: User, secured: str) -> None:
    old = recovery_code(owner)
    client.force_login(owner)
    confirm(client)
    assert "10 that are left" in client.get("/account/recovery-codes/renew/").content.decode()
    client.post("/account/recovery-codes/renew/")
    assert recovery_code(owner) != old
    assert old not in client.get("/account/recovery-codes/").content.decode()


def test_the_secrets_are_sealed_and_sealed_anew_with_the_stripe_keys(
    owner: User, secured: str, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code = recovery_code(owner)
    assert secured not in str(list(Authenticator.objects.values_list("data")))
    new = "new:" + "A" * 43 + "="
    settings.HUMBLYTICS_ENCRYPTION_KEYS = f"{new},{settings.HUMBLYTICS_ENCRYPTION_KEYS}"
    call_command("rotate_encryption_keys")
    assert "2 secrets were sealed anew." in capsys.readouterr().out
    settings.HUMBLYTICS_ENCRYPTION_KEYS = new
    assert recovery_code(owner) == code
    client = Client()
    pass_on(client, owner)
    assert client.post("/login/code/", {"code": code_of(secured)}).status_code == 302


def test_the_admin_lists_second_factors_without_their_secrets_and_takes_one_away(
    admin_client: Client, owner: User, secured: str
) -> None:
    factor = Authenticator.objects.get(type="totp")
    address = reverse("admin:mfa_authenticator_change", args=[factor.pk])
    page = admin_client.get(address).content.decode()
    assert factor.data["secret"] not in page
    assert "data" not in admin_client.get(address).context["adminform"].form.fields
    admin_client.post(reverse("admin:mfa_authenticator_delete", args=[factor.pk]), {"post": "yes"})
    Authenticator.objects.filter(type="recovery_codes").delete()
    assert pass_on(Client(), owner).headers["Location"] == "/account/"


def test_another_s_passkey_is_not_found(client: Client, owner: User) -> None:
    theirs = Authenticator.objects.create(user=UserFactory(), type="webauthn", data={"name": "x", "credential": {}})
    client.force_login(owner)
    confirm(client)
    assert client.post(reverse("mfa_remove_webauthn", args=[theirs.pk])).status_code == 404
