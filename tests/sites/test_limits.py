"""How often something may be tried: by account and by network, whatever a header says, and by all servers together."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client, RequestFactory

from sites import tasks
from sites.accounts import limits
from sites.accounts.limits import TooManyTriesError
from sites.accounts.origin import Origin, network
from sites.models import Tries, User
from tests.factories import PASSWORD, UserFactory
from tracking.visitors import address


def log_in(email: str, password: str, ip: str, **headers: str) -> Any:
    return Client(REMOTE_ADDR=ip).post("/login/", {"username": email, "password": password}, headers=headers)


def asked(name: str) -> Any:
    request = RequestFactory().get("/")
    request.origin = Origin(name, "", "")  # type: ignore[attr-defined]
    return request


@pytest.mark.parametrize(
    ("ip", "counted_as"),
    [
        pytest.param("203.0.113.77", "203.0.113.0/24", id="v4"),
        pytest.param("::ffff:203.0.113.77", "203.0.113.0/24", id="v4-in-v6"),
        pytest.param("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="v6"),
        pytest.param("fe80::1%eth0", "fe80::/64", id="with-a-zone"),
        pytest.param("unknown", "", id="none"),
    ],
)
def test_a_network_stands_for_all_addresses_that_one_sender_may_have(ip: str, counted_as: str) -> None:
    assert network(address(ip)) == counted_as


@pytest.mark.parametrize("email", ["owner@example.com", "nobody@example.com"])
def test_after_ten_wrong_passwords_from_wherever_an_account_waits(owner: User, email: str) -> None:
    """One that there is, and one that there is not."""
    pages = [log_in(email, "x" * 12, f"198.51.{n}.7") for n in range(11)]
    assert [page.status_code for page in pages] == [200] * 10 + [429]
    refused = log_in(email.upper(), PASSWORD, "192.0.2.1")
    assert refused.status_code == 429
    assert "This was tried too often." in refused.content.decode()
    assert 'href="/login/">To the login</a>' in refused.content.decode()
    assert 0 < int(refused["Retry-After"]) <= 15 * 60
    # Nobody else has to wait.
    assert log_in(UserFactory().email, PASSWORD, "192.0.2.1").status_code == 302


def test_a_network_waits_too_and_no_header_makes_it_another(owner: User) -> None:
    for n in range(limits.LOG_IN.of_network):
        log_in(f"user{n}@nowhere.example", "x" * 12, f"203.0.113.{n}")
    forged = {"X-Forwarded-For": "192.0.2.99", "X-Real-IP": "192.0.2.99", "CF-Connecting-IP": "192.0.2.99"}
    assert log_in(owner.email, PASSWORD, "203.0.113.250", **forged).status_code == 429
    # It has used up nobody's own tries.
    assert log_in(owner.email, PASSWORD, "192.0.2.1").status_code == 302


def test_right_passwords_count_for_nothing(owner: User) -> None:
    assert {log_in(owner.email, PASSWORD, "192.0.2.1").status_code for _ in range(12)} == {302}


def test_no_number_of_tries_at_once_gets_past(transactional_db: None) -> None:
    passed: list[int] = []

    def go() -> None:
        for n in range(10):
            try:
                limits.count(asked(f"network {n}"), limits.LOG_IN, "owner@example.com")
                passed.append(n)
            except TooManyTriesError:
                pass
        connection.close()

    threads = [threading.Thread(target=go) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == limits.LOG_IN.of_account


def test_asking_for_reset_links_has_a_limit(
    client: Client, owner: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HAS_MAIL_SERVER = True
    monkeypatch.setattr(tasks.send_new_password, "delay", lambda email: None)
    statuses = [client.post("/login/forgotten/", {"email": "nobody@example.com"}).status_code for _ in range(4)]
    assert statuses == [200] * 3 + [429]


def test_what_is_counted_by_cannot_be_read_back(db: None) -> None:
    limits.count(asked("203.0.113.0/24"), limits.LOG_IN, "owner@example.com")
    assert {len(bytes(row.key)) for row in Tries.objects.all()} == {32}
