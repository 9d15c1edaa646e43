from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis
from playwright.sync_api import Browser

from sites.models import Site, User
from tests.browser import chromium
from tests.factories import MembershipFactory, SiteFactory, UserFactory, confirm


def pytest_configure() -> None:
    # The real hasher is slow on purpose.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the database that is set, since all else is the same on every machine."""
    for item in items:
        if {"db", "transactional_db"} & set(getattr(item, "fixturenames", ())) or item.get_closest_marker("django_db"):
            item.add_marker(pytest.mark.services)
        if "stack" in getattr(item, "fixturenames", ()):
            # An installation takes half a minute to start: one for the tests of a module, not one in each process.
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


# How long an example takes says how busy the machine is. What a fixture holds may stay from example to example.
hypothesis.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
hypothesis.load_profile("patient")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Let tests whose transactions are real empty all tables after them; all else the audit log still refuses."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sites_auditentry DISABLE TRIGGER refuse_truncate")


@pytest.fixture
def owner(db: None) -> User:
    return UserFactory(email="owner@example.com")


@pytest.fixture
def stranger(db: None) -> User:
    """Somebody with an account and a site of their own."""
    return MembershipFactory(user__email="stranger@example.com").user


@pytest.fixture
def site(owner: User) -> Site:
    return MembershipFactory(site=SiteFactory(domain="shop.example"), user=owner).site


@pytest.fixture
def owner_client(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    confirm(client)
    return client


@pytest.fixture
def stranger_client(stranger: User) -> Client:
    client = Client()
    client.force_login(stranger)
    confirm(client)
    return client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser
