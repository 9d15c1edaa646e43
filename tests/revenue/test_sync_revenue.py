import datetime as dt
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from revenue import tasks
from revenue.connecting import connect, disconnect
from revenue.management.commands import sync_revenue
from revenue.models import Connection, Finding, LedgerLine, StripeAccount
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.messages import json_response
from revenue.sandbox.world import World
from revenue.streams import LISTS
from revenue.sync import LockedError
from sites.models import Site
from tests.factories import SiteFactory
from tests.revenue.conftest import moment

pytestmark = pytest.mark.django_db


def command(name: str, *arguments: str, **options: Any) -> tuple[int, str, str]:
    """Run a command; give its exit status and what it wrote."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(name, *arguments, stdout=out, stderr=err, **options)
    except SystemExit as exit:
        return int(exit.code or 0), out.getvalue(), err.getvalue()
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    return 0, out.getvalue(), err.getvalue()


def test_the_report_is_on_stdout_and_the_progress_on_stderr(connection: Connection, buy: Callable[..., str]) -> None:
    buy(4200)
    status, out, err = command("sync_revenue", "--json")
    (report,) = json.loads(out)["sites"]

    assert status == 0
    assert (report["site"], report["payments"], report["error"]) == ("shop.example", 1, None)
    assert "shop.example" in err
    assert LedgerLine.objects.filter(kind="charge").get().amount == 4200


def test_for_people_it_is_a_line_per_connection(connection: Connection, account: Account) -> None:
    _, out, _ = command("sync_revenue", "shop.example")

    assert out.startswith(f"shop.example {account.id} (test): connected; ")
    assert "adds up" not in out
    assert command("sync_revenue", "--verify")[1].endswith(" payments attributed, and everything adds up.\n")


def test_without_a_connection_there_is_nothing_to_do() -> None:
    assert command("sync_revenue", "--json") == (0, '{\n  "sites": []\n}\n', "")


def test_an_unknown_domain_is_wrong_usage(connection: Connection) -> None:
    assert command("sync_revenue", "shop.example", "nowhere.example")[0] == 2


def test_a_domain_without_a_connection_is_wrong_usage(connection: Connection) -> None:
    SiteFactory(domain="quiet.example")

    assert command("sync_revenue", "quiet.example")[0] == 2
    disconnect(connection)
    assert command("sync_revenue", "shop.example")[0] == 2
    assert command("sync_revenue")[0] == 0


def test_a_refused_key_is_a_failure(connection: Connection, sandbox: SandboxServer) -> None:
    sandbox.faults.append(lambda request: json_response(401, {"error": {}}))
    status, out, _ = command("sync_revenue", "--json")

    assert status == 1
    assert json.loads(out)["sites"][0]["status"] == "auth_failed"


def test_one_list_left_unread_is_done_in_part(connection: Connection, sandbox: SandboxServer) -> None:
    sandbox.faults.append(lambda request: json_response(403, {"error": {}}) if request.path == "/v1/disputes" else None)

    assert command("sync_revenue")[0] == 3


def test_one_site_of_two_failing_is_done_in_part(connection: Connection, sandbox: SandboxServer, world: World) -> None:
    other = world.add_account("Other")
    connect(SiteFactory(), other.secret_key, moment(world))
    sandbox.faults.append(
        lambda request: json_response(401, {"error": {}}) if other.secret_key in str(request.headers) else None
    )

    assert command("sync_revenue")[0] == 3


def test_another_run_on_the_account_is_told_apart(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*args: Any, **options: Any) -> None:
        raise LockedError

    monkeypatch.setattr(sync_revenue, "sync", locked)

    assert command("sync_revenue")[0] == 4


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_key_is_read_from_standard_input(
    site: Site, account: Account, sandbox: SandboxServer, typed: Callable[[str], None]
) -> None:
    typed(account.secret_key + "\n")
    status, out, err = command("connect_stripe", "shop.example")

    assert status == 0
    assert Connection.objects.get().open_key().reveal() == account.secret_key
    assert account.id in out
    assert account.secret_key not in out + err


def test_a_key_is_read_from_a_file(site: Site, account: Account, sandbox: SandboxServer, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(account.restricted_key + "\n")

    assert command("connect_stripe", "shop.example", "--key-file", str(file))[0] == 0
    assert Connection.objects.get().open_key().reveal() == account.restricted_key


@pytest.mark.parametrize(
    ("domain", "key", "status"),
    [
        pytest.param("nowhere.example", "", 2, id="unknown domain"),
        pytest.param("shop.example", "pk_test_51Nx8qLKJ2eZvKYlo2C", 2, id="publishable key"),
        pytest.param("shop.example", "sk_test_51Nx8qLKJ2eZvKYlo2C", 1, id="key nobody has"),
    ],
)
def test_what_cannot_be_connected_is_said_without_the_key(
    site: Site, sandbox: SandboxServer, typed: Callable[[str], None], domain: str, key: str, status: int
) -> None:
    typed(key)
    found, out, err = command("connect_stripe", domain)

    assert found == status
    assert "51Nx8" not in out + err


def test_a_key_file_that_is_not_there_is_wrong_usage(site: Site, tmp_path: Path) -> None:
    assert command("connect_stripe", "shop.example", "--key-file", str(tmp_path / "none"))[0] == 2


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The connections that the beat sent to be read."""
    numbers: list[int] = []
    monkeypatch.setattr(tasks.sync_connection, "delay", numbers.append)
    return numbers


def test_the_beat_sends_the_accounts_that_are_due(connection: Connection, world: World, sent: list[int]) -> None:
    never = connect(SiteFactory(), world.add_account("Other").secret_key, moment(world))
    gone = connect(SiteFactory(), world.add_account("Gone").secret_key, moment(world))
    disconnect(gone)
    accounts = StripeAccount.objects.filter(pk=connection.account_id)
    accounts.update(due_at=timezone.now() + dt.timedelta(minutes=1))
    tasks.sync_due_accounts()
    assert sent == [never.pk]

    accounts.update(due_at=timezone.now())
    tasks.sync_due_accounts()
    assert sorted(sent) == sorted([never.pk, never.pk, connection.pk])


def test_an_account_of_two_sites_is_read_once_and_with_the_key_that_works(
    connection: Connection, account: Account, world: World, sent: list[int]
) -> None:
    second = connect(SiteFactory(), account.secret_key, moment(world))
    tasks.sync_due_accounts()
    assert len(sent) == 1

    sent.clear()
    Connection.objects.filter(pk=second.pk).update(status="auth_failed")
    tasks.sync_due_accounts()
    assert sent == [connection.pk]


def test_what_one_sites_key_has_read_is_there_for_both(
    connection: Connection, account: Account, world: World, buy: Callable[..., str]
) -> None:
    second = connect(SiteFactory(), account.secret_key, moment(world))
    tasks.sync_connection(connection.pk)
    second.refresh_from_db()

    assert second.synced_at


def test_the_task_reads_an_account_however_often_and_late_it_runs(
    connection: Connection, buy: Callable[..., str]
) -> None:
    buy(300)
    for _ in range(3):
        tasks.sync_connection(connection.pk)
    tasks.sync_connection(connection.pk + 1)

    assert LedgerLine.objects.filter(kind="charge").get().amount == 300
    connection.refresh_from_db()
    assert connection.tried_at


def test_a_task_beside_another_run_ends_quietly(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*args: Any, **options: Any) -> None:
        raise LockedError

    monkeypatch.setattr(tasks, "catch_up", locked)
    tasks.sync_connection(connection.pk)


def test_the_proof_waits_until_another_run_has_ended(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[dict[str, Any]] = []

    def locked_once(*args: Any, **options: Any) -> None:
        tries.append(options)
        if len(tries) == 1:
            raise LockedError

    monkeypatch.setattr(tasks, "catch_up", locked_once)
    tasks.verify_connection.apply([connection.pk])

    assert tries == [{"is_verified": True}] * 2


def test_each_account_has_its_books_proved_in_the_night(
    connection: Connection, account: Account, world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = connect(SiteFactory(), account.secret_key, moment(world))
    other = connect(SiteFactory(), world.add_account("Other").secret_key, moment(world))
    sent: dict[int, int] = {}

    def take(arguments: list[int], countdown: int) -> None:
        sent[arguments[0]] = countdown

    monkeypatch.setattr(tasks.verify_connection, "apply_async", take)
    tasks.verify_accounts()
    assert sorted(sent) in ([connection.pk, other.pk], [second.pk, other.pk])
    assert all(0 <= seconds < tasks.SPREAD_SECONDS for seconds in sent.values())
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} >= {tasks.verify_accounts.name}

    world.enter(account, "moon_landing", -700)
    tasks.verify_connection(connection.pk)
    assert Finding.objects.get().kind == "unmatched"


def test_what_does_not_add_up_is_a_difference_and_is_told_line_by_line(
    connection: Connection, world: World, account: Account
) -> None:
    world.enter(account, "moon_landing", -700)
    assert command("sync_revenue", "--json")[0] == 0
    status, out, err = command("sync_revenue", "--verify", "--json")
    (report,) = json.loads(out)["sites"]

    assert status == 3
    assert report["error"] == "Something does not add up."
    assert (report["status"], report["unmatched_balance_transactions"]) == ("connected", 1)
    assert "-€7.00, moon_landing" in err


def test_what_is_only_waited_for_is_told_and_is_no_difference(
    connection: Connection, world: World, buy: Callable[..., str]
) -> None:
    world.booked_after = 86_400
    charge = buy()
    status, out, err = command("sync_revenue", "--verify", "--json")

    assert status == 0
    assert json.loads(out)["sites"][0]["error"] is None
    assert f"is waited for: A line of the ledger without a movement on Stripe’s balance: charge:{charge}:gross" in err


def test_whole_lists_are_read_again_from_a_day_on(
    connection: Connection, sandbox: SandboxServer, world: World, buy: Callable[..., str]
) -> None:
    for days in (300, 400):
        with world.at(world.now() - days * 86_400):
            buy()
    command("sync_revenue")
    day = (moment(world) - dt.timedelta(days=350)).date()
    seen: list[str] = []
    sandbox.faults.append(lambda request: seen.append(request.query))  # type: ignore[func-returns-value]
    status, out, _ = command("sync_revenue", "--since", f"{day}", "--json")
    (report,) = json.loads(out)["sites"]

    assert status == 0
    assert report["objects"]["checkout_session"]["seen"] == 1
    midnight = int(dt.datetime.combine(day, dt.time(), connection.site.zone).timestamp())
    assert sum(f"created[gte]={midnight}" in unquote(query) for query in seen) == len(LISTS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--since", "31.1.2026"], "--since 31.1.2026: a date is written like 2026-01-31.", id="no date"),
        pytest.param(["--since", "2026-02-30"], "--since 2026-02-30: a date is written like 2026-01-31.", id="no day"),
        pytest.param(["--since", ""], "--since : a date is written like 2026-01-31.", id="empty"),
        pytest.param(["--since", "2990-01-01"], "--since 2990-01-01: that day is still to come.", id="to come"),
        pytest.param(
            ["--full", "--since", "2026-01-31"], "--full reads everything: leave --since out, or --full.", id="both"
        ),
    ],
)
def test_a_day_that_cannot_be_read_from_is_wrong_usage(
    connection: Connection, arguments: list[str], sentence: str
) -> None:
    status, out, err = command("sync_revenue", *arguments)

    assert (status, out) == (2, "")
    assert sentence in err


def test_a_task_that_waits_longer_than_its_interval_is_dropped(settings: Any) -> None:
    assert tasks.sync_connection.expires == tasks.sync_due_accounts.expires == settings.BEAT_SECONDS
