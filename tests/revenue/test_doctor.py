"""Why does revenue not show up, and why is it not credited? Asked of a shop in the sandbox."""

import datetime as dt
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from revenue.connecting import connect, disconnect
from revenue.models import Connection, StripeAccount
from revenue.sandbox import faults
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.world import World
from sites.models import Site
from tests.factories import CHROME, PLAIN, SiteFactory, collect, send_hit
from tests.revenue.conftest import seen

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)

Examine = Callable[[], dict[str, str]]


@pytest.fixture(autouse=True)
def only_mode(settings: Any) -> None:
    """As for who runs a demo: there is no live mode that could be meant."""
    settings.STRIPE_IS_SANDBOX = True


@pytest.fixture
def examine(site: Site) -> Examine:
    """Run the command; give the level of each cause. Its exit status must fit."""

    def examine() -> dict[str, str]:
        out, status = io.StringIO(), 0
        try:
            call_command("doctor", site.domain, "--json", stdout=out)
        except SystemExit as ended:
            status = int(str(ended.code))
        report = json.loads(out.getvalue())
        assert report["site"] == site.domain
        levels = [cause["level"] for cause in report["causes"]]
        assert status == (0 if report["is_well"] else 3)
        assert report["is_well"] is not any(level in ("problem", "warning") for level in levels)
        return {cause["reason"] or cause["code"]: cause["level"] for cause in report["causes"]}

    return examine


@pytest.fixture
def credited(site: Site, run: Any, buy: Any) -> None:
    """A shop that is well: a view, and a payment that is credited to it."""
    view = send_hit(site, "/buy")
    buy(metadata={"humblytics_view_id": str(view)})
    run()


def test_a_shop_that_is_well_has_nothing_to_do(site: Site, credited: None, examine: Examine) -> None:
    assert examine() == {}
    out = io.StringIO()
    call_command("doctor", site.domain, stdout=out)
    assert out.getvalue() == "shop.example: nothing stands in the way of its revenue.\n"


def test_a_site_that_is_not_there_is_wrong_usage() -> None:
    with pytest.raises(CommandError) as caught:
        call_command("doctor", "nowhere.example")
    assert caught.value.returncode == 2


def test_a_site_without_anything(site: Site, examine: Examine) -> None:
    assert examine() == {"not_connected": "problem", "no_views": "problem"}


def test_causes_are_told_with_what_to_do(site: Site, connection: Connection) -> None:
    Connection.objects.update(status="auth_failed")
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", site.domain, stdout=out)
    assert ended.value.code == 3
    assert out.getvalue().startswith(f"Problem ({connection.account}): Stripe refuses the key.\n    Make a new")


# Why revenue does not show up.


def test_a_key_that_was_removed(credited: None, connection: Connection, examine: Examine) -> None:
    disconnect(connection)
    assert examine() == {"key_removed": "problem"}


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        pytest.param(faults.key_refused(), {"key_refused": "problem"}, id="revoked"),
        pytest.param(faults.server_error(), {"unreachable": "warning"}, id="down"),
        pytest.param(faults.too_many_requests(retry_after=3600), {"throttled": "warning"}, id="throttled"),
    ],
)
def test_trouble_with_stripe(
    credited: None, run: Any, sandbox: SandboxServer, examine: Examine, trouble: Any, expected: dict[str, str]
) -> None:
    sandbox.faults.always(trouble)
    run()
    assert examine() == expected
    sandbox.faults.clear()
    run()
    assert examine() == {}


def test_a_permission_that_is_gone(credited: None, run: Any, sandbox: SandboxServer, examine: Examine) -> None:
    sandbox.faults.always(faults.permission_missing("rak_dispute_read"), path="/v1/disputes")
    run()
    assert examine() == {"permission_missing": "warning"}


def test_an_account_that_is_another_one(
    credited: None, run: Any, world: World, sandbox: SandboxServer, examine: Examine
) -> None:
    sandbox.faults.always(faults.replaced("id", "acct_1Another"), path="/v1/account")
    later = world.now() + 86_400 * 2
    world.now = lambda: later
    run()
    assert "account_changed" in examine()


def test_a_key_that_cannot_be_decrypted(credited: None, run: Any, examine: Examine) -> None:
    Connection.objects.update(sealed_key="v1.broken")
    run()
    assert examine() == {"key_unreadable": "problem"}


def test_nobody_reads_the_account(credited: None, examine: Examine) -> None:
    now = timezone.now()
    Connection.objects.update(tried_at=now - HOUR, synced_at=now - HOUR, connected_at=now - HOUR)
    StripeAccount.objects.update(due_at=now - HOUR / 2)
    assert examine() == {"no_worker": "warning"}
    Connection.objects.update(synced_at=now - 10 * HOUR)
    assert examine() == {"no_worker": "problem"}


def test_a_history_that_is_still_being_read(
    site: Site, connection: Connection, examine: Examine, run: Any, buy: Any, sandbox: SandboxServer
) -> None:
    send_hit(site)
    assert examine() == {"backfilling": "note"}


def test_an_account_without_payments(site: Site, run: Any, examine: Examine) -> None:
    send_hit(site)
    run()
    assert examine() == {"no_payments": "warning"}


def test_payments_that_are_all_of_another_site(
    site: Site, account: Account, run: Any, buy: Any, examine: Examine
) -> None:
    send_hit(site)
    other = SiteFactory()
    connect(other, account.secret_key, timezone.now())
    buy(metadata={"humblytics_view_id": str(send_hit(other, "/buy"))})
    run()
    assert examine() == {"elsewhere": "warning"}


def test_only_the_test_mode_is_connected(credited: None, examine: Examine, settings: Any) -> None:
    settings.STRIPE_IS_SANDBOX = False
    assert examine() == {"test_mode": "warning"}


# Why payments are not credited.


def test_no_view_was_ever_counted(run: Any, buy: Any, examine: Examine) -> None:
    buy()
    run()
    assert examine() == {"no_views": "problem", "no_id": "warning"}


def test_hits_that_are_refused(site: Site, credited: None, examine: Examine) -> None:
    for _ in range(3):
        body = json.dumps(
            {"site": site.key, "view": "0190f3c2-7a54-7c1d-9b7e-5d2f8e6a4c10", "url": "https://x.example/"}
        )
        _, answered = collect(body.encode(), [PLAIN, (b"user-agent", CHROME.encode())])
        assert "other-host" in answered["x-humblytics"]
    assert examine() == {"hits_refused": "warning"}


@pytest.mark.parametrize(
    ("carried", "reason"),
    [
        pytest.param({}, "no_id", id="nothing"),
        pytest.param({"metadata": {"humblytics_view_id": ""}}, "no_id", id="empty"),
        pytest.param({"metadata": {"humblytics_view_id": "undefined"}}, "malformed", id="not an id"),
    ],
)
def test_a_checkout_that_carries_no_view_id(
    site: Site, run: Any, buy: Any, examine: Examine, carried: dict[str, Any], reason: str
) -> None:
    send_hit(site)
    buy(**carried)
    run()
    assert examine() == {reason: "warning"}


def test_a_view_that_is_too_old(site: Site, run: Any, buy: Any, examine: Examine) -> None:
    send_hit(site)
    view = seen(site, timezone.now() - dt.timedelta(days=40))
    buy(metadata={"humblytics_view_id": str(view.id)})
    run()
    assert examine() == {"too_old": "warning"}


def test_a_view_that_has_not_arrived_is_waited_for(site: Site, run: Any, buy: Any, examine: Examine) -> None:
    send_hit(site)
    buy(metadata={"humblytics_view_id": "0190f3c2-7a54-4c1d-9b7e-5d2f8e6a4c10"})
    run()
    assert examine() == {"waiting": "note"}
