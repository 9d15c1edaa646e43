import datetime as dt
import logging
import traceback
from typing import Any

import pytest

from revenue.connecting import ConnectError, connect, disconnect
from revenue.encryption import UnreadableError
from revenue.models import Connection, LedgerLine, StripeAccount
from revenue.sandbox.accounts import READ_PERMISSIONS, Account
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.messages import Response, json_response
from revenue.sandbox.world import World
from revenue.stripe_client import KeyShapeError
from revenue.sync import sync
from sites.models import Site
from tests.factories import SiteFactory
from tests.revenue.conftest import moment

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("kind", ["secret_key", "restricted_key", "live_secret_key"])
def test_a_site_is_connected_to_the_account_of_its_key(
    site: Site, account: Account, sandbox: SandboxServer, kind: str
) -> None:
    key = getattr(account, kind)
    connection = connect(site, f" {key}\n", NOW)
    connection.refresh_from_db()

    assert connection.account.acct_id == account.id
    assert connection.account.livemode is kind.startswith("live")
    assert (connection.account.country, connection.account.default_currency) == ("DE", "eur")
    assert (connection.status, connection.problem, connection.connected_at) == ("connected", "", NOW)
    assert connection.open_key().reveal() == key
    assert key[8:] not in connection.sealed_key
    assert connection.key_hint == f"{key[:7]}_…{key[-4:]}"


def test_another_key_of_the_account_replaces_the_first(site: Site, account: Account, sandbox: SandboxServer) -> None:
    connect(site, account.secret_key, NOW)
    connect(site, account.restricted_key, NOW)

    assert Connection.objects.get().open_key().reveal() == account.restricted_key


def test_a_new_key_mends_a_refused_one(connection: Connection, site: Site, account: Account) -> None:
    Connection.objects.update(status="auth_failed", problem="Expired.")
    StripeAccount.objects.update(due_at=NOW + dt.timedelta(hours=1))
    connect(site, account.secret_key, NOW)
    connection.refresh_from_db()

    assert (connection.status, connection.problem, connection.account.due_at) == ("connected", "", None)


def test_a_key_of_another_account_is_a_second_connection(
    site: Site, account: Account, world: World, sandbox: SandboxServer
) -> None:
    connect(site, account.secret_key, NOW)
    connect(site, world.add_account("Other").secret_key, NOW)
    connect(site, account.live_secret_key, NOW)

    assert Connection.objects.filter(site=site).count() == StripeAccount.objects.count() == 3


def test_two_sites_share_one_account_each_with_its_own_sealed_key(
    site: Site, account: Account, sandbox: SandboxServer
) -> None:
    ours = connect(site, account.secret_key, NOW)
    theirs = connect(SiteFactory(), account.secret_key, NOW)
    theirs.sealed_key = ours.sealed_key

    assert StripeAccount.objects.count() == 1
    with pytest.raises(UnreadableError):
        theirs.open_key()


def test_every_missing_permission_is_named_at_once(
    site: Site, account: Account, world: World, sandbox: SandboxServer
) -> None:
    allowed = READ_PERMISSIONS - {"rak_dispute_read", "rak_event_read", "rak_charge_read"}
    key = world.add_restricted_key(account, frozenset(allowed))

    with pytest.raises(ConnectError) as caught:
        connect(site, key, NOW)

    assert "Charges and Refunds (rak_charge_read); Disputes (rak_dispute_read); Events (rak_event_read)." in str(
        caught.value
    )
    assert not Connection.objects.exists()
    assert not StripeAccount.objects.exists()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(json_response(401, {"error": {"message": "Invalid"}}), id="refused"),
        pytest.param(Response(302, b"", {"Location": "http://127.0.0.1:9"}), id="redirect"),
        pytest.param(Response(200, b"<html>Log in</html>"), id="HTML"),
        pytest.param(json_response(200, {"object": "account"}), id="no id"),
        pytest.param(json_response(200, {"id": "a" * 65}), id="endless id"),
        pytest.param(json_response(500, {}), id="down"),
    ],
)
def test_a_key_that_reads_nothing_connects_nothing_and_is_not_repeated(
    site: Site, account: Account, sandbox: SandboxServer, answer: Response, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sandbox.faults.append(lambda request: answer)
    with pytest.raises(ConnectError) as caught:
        connect(site, account.secret_key, NOW)

    assert not Connection.objects.exists()
    for text in ("".join(traceback.format_exception(caught.value)), caplog.text):
        assert account.secret_key[8:] not in text


def test_a_text_that_is_no_key_never_reaches_stripe(site: Site, sandbox: SandboxServer) -> None:
    asked: list[Any] = []
    sandbox.faults.append(asked.append)
    with pytest.raises(KeyShapeError):
        connect(site, "sk_live_51Nx8qLK\nJ2eZvKYlo2C", NOW)

    assert asked == []


def test_disconnecting_destroys_the_key_and_keeps_the_history(connection: Connection, world: World, buy: Any) -> None:
    buy()
    sync(connection, moment(world))
    disconnect(connection)
    connection.refresh_from_db()

    assert (connection.sealed_key, connection.key_hint, connection.status) == ("", "", "disconnected")
    with pytest.raises(UnreadableError):
        connection.open_key()
    assert LedgerLine.objects.exists()
