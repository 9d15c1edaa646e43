import dataclasses
import datetime as dt
import json
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest
from django.db import connection as database
from django.db import models

from revenue import budget
from revenue import sync as syncing
from revenue import tick as ticking
from revenue.allowlist import rows
from revenue.attribution import Reason
from revenue.connecting import connect, disconnect
from revenue.mirror import Stored, Tally, store
from revenue.models import (
    Attribution,
    Charge,
    CheckoutSession,
    Connection,
    Finding,
    LedgerLine,
    Refund,
    Stream,
    StripeAccount,
)
from revenue.sandbox.accounts import Account, Owner
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.messages import Request, Response, json_response
from revenue.sandbox.world import World
from revenue.streams import HINTS, LISTS
from revenue.stripe_client import MalformedAnswerError
from revenue.sync import LOCK, LockedError, Report, sync
from sites.models import Site
from tests.factories import SiteFactory
from tests.revenue.books import MIRROR, everything, sums, truth
from tests.revenue.conftest import moment, seen

pytestmark = pytest.mark.django_db
HOUR, DAY = 3600, 86_400


class Broken:
    """Answer a path with `response` from the n-th request on, so many times; count the requests."""

    def __init__(self, path: str, response: Response | Exception, first: int = 1, times: int = 99) -> None:
        self.path, self.response, self.first, self.times = path, response, first, times
        self.asked = 0

    def __call__(self, request: Request) -> Response | None:
        if request.path != self.path:
            return None
        self.asked += 1
        if not self.first <= self.asked < self.first + self.times:
            return None
        if isinstance(self.response, Exception):
            raise self.response
        return self.response


def refused(status: int) -> Response:
    return json_response(status, {"error": {"message": "no", "type": "invalid_request_error"}})


@pytest.fixture
def requests(sandbox: SandboxServer) -> list[str]:
    """The paths that were asked for."""
    asked: list[str] = []
    sandbox.faults.append(lambda request: asked.append(request.path))  # type: ignore[func-returns-value]
    return asked


@pytest.fixture
def hide(world: World, account: Account) -> Callable[[int], None]:
    """Keep all there is, and the events that tell of it, from being seen for some seconds."""

    def hide(seconds: int) -> None:
        for kind in ("checkout.session", "balance_transaction", "charge", "event"):
            for item in world.page(Owner(account.id, False), kind, lambda item: True, 100).data:
                world.hide(item["id"], until=world.now() + seconds)

    return hide


def totals(report: Report) -> Counter[str]:
    found: Counter[str] = Counter()
    for tally in report.objects.values():
        found.update(dataclasses.asdict(tally))
    return found


Run = Callable[..., Report]
Buy = Callable[..., str]


def test_a_payment_through_a_checkout_is_credited_to_its_visit(
    run: Run, buy: Buy, site: Site, world: World, account: Account
) -> None:
    view = seen(site, moment(world), channel="Email", source="Letter", exit_path="/buy", country="DE")
    charge = buy(5000, metadata={"humblytics_view_id": str(view.id)})
    report = run()
    decision = Attribution.objects.get(model="last_non_direct")

    assert (decision.charge, decision.reason, decision.evidence) == (charge, "", "session_metadata")
    assert (decision.site, decision.view_id, decision.visit_id) == (site, view.id, view.visit_id)
    assert (decision.channel, decision.source, decision.page, decision.landing_page) == ("Email", "Letter", "/buy", "/")
    assert Attribution.objects.count() == 3
    assert sums() == truth(world, account)
    assert report.as_json() == {
        "site": "shop.example",
        "account": account.id,
        "mode": "test",
        "status": "connected",
        "covered_to": report.covered_to and report.covered_to.isoformat(),
        # Each list from a day ago on, and its history before.
        "reads": 12,
        "objects": {
            "checkout_session": {"seen": 1, "new": 1, "changed": 0, "healed": 0},
            # The movement brings its charge along, and the charge's own list shows it once more.
            "balance_transaction": {"seen": 1, "new": 1, "changed": 0, "healed": 0},
            "charge": {"seen": 2, "new": 1, "changed": 0, "healed": 0},
            "refund": {"seen": 0, "new": 0, "changed": 0, "healed": 0},
            "dispute": {"seen": 0, "new": 0, "changed": 0, "healed": 0},
            "invoice_payment": {"seen": 0, "new": 0, "changed": 0, "healed": 0},
        },
        "payments": 1,
        "attributed": 1,
        "unattributed": {},
        "unmatched_balance_transactions": 0,
        "error": None,
    }


def test_nothing_personal_is_stored(run: Run, buy: Buy, requests: list[str]) -> None:
    buy(customer_email="jane.doe@customers.example")
    run()

    stored = json.dumps(
        [list(model._base_manager.values()) for model in [*MIRROR, LedgerLine, Attribution]], default=str
    )
    for personal in ("jane.doe", "customers.example", "Robin", "4242"):
        assert personal not in stored


def test_resync_is_noop_on_totals(run: Run, buy: Buy, world: World) -> None:
    for amount in (100, 200, 300):
        world.refund(buy(amount), 50)
    run()
    before = everything()
    again = run()
    whole = run(full=True)

    assert everything() == before
    for report in (again, whole):
        assert totals(report)["new"] == totals(report)["changed"] == totals(report)["healed"] == 0
        assert totals(report)["seen"] > 0


def test_an_old_charge_that_changes_is_found_by_its_event(
    run: Run, buy: Buy, world: World, account: Account, requests: list[str]
) -> None:
    charge = buy(5000)
    run()
    world.advance(20 * DAY)
    run()
    world.refund(charge, 2000)
    requests.clear()
    report = run(drain=False)

    assert Charge.objects.get().amount_refunded == 2000
    assert f"/v1/charges/{charge}" in requests
    assert sums() == truth(world, account)
    assert totals(report)["healed"] == 0


def test_a_quiet_tick_reads_the_events_only(run: Run, buy: Buy, world: World, requests: list[str]) -> None:
    buy()
    run()
    world.advance(600)
    run()
    requests.clear()
    world.advance(600)
    report = run(drain=False)

    assert requests == ["/v1/events"]
    assert report.reads == 1
    assert report.status == "connected"


def test_the_lists_in_which_money_moves_are_read_when_two_hours_have_passed(
    run: Run, world: World, requests: list[str]
) -> None:
    run()
    world.advance(2 * HOUR + 1)
    requests.clear()
    run(drain=False)

    assert requests == ["/v1/events", "/v1/checkout/sessions", "/v1/balance_transactions"]


def test_every_list_is_read_again_each_day_and_the_account_looked_at(
    run: Run, world: World, requests: list[str]
) -> None:
    run()
    world.advance(DAY)
    requests.clear()
    run(drain=False)
    assert requests == ["/v1/account", "/v1/events", *(path for path, _ in LISTS.values())]

    requests.clear()
    run(drain=False)
    assert requests == ["/v1/events"]


@pytest.mark.parametrize(
    ("age", "is_seen"),
    [
        pytest.param(30 * DAY, "after a day", id="within 35 days"),
        pytest.param(60 * DAY, "after a week", id="within half a year"),
    ],
)
def test_sweeps_find_what_was_never_shown_before(
    run: Run, buy: Buy, world: World, account: Account, hide: Callable[[int], None], age: int, is_seen: str
) -> None:
    with world.at(world.now() - age):
        buy(700)
    hide(HOUR)
    run()
    world.advance(2 * HOUR)
    run(drain=False)
    assert not Charge.objects.exists()
    world.advance(DAY)
    run(drain=False)
    assert Charge.objects.exists() is (is_seen == "after a day")
    world.advance(7 * DAY)
    run(drain=False)

    assert Charge.objects.exists()
    assert sums() == truth(world, account)
    assert Finding.objects.filter(kind="healed").count() == 3


def test_event_payload_never_used(run: Run, buy: Buy, world: World, account: Account, sandbox: SandboxServer) -> None:
    charge = buy(5000)
    run()
    world.advance(2 * DAY)
    run()
    lie = {"id": charge, "object": "charge", "amount_captured": 1, "amount": 1, "amount_refunded": 1}
    event = {"id": "evt_1", "object": "event", "created": world.now(), "livemode": False, "data": {"object": lie}}
    answer = json_response(200, {"object": "list", "has_more": False, "data": [event]})
    sandbox.faults.append(Broken("/v1/events", answer))
    run(drain=False)

    assert sums() == truth(world, account)


def test_object_visible_10min_late(
    run: Run, buy: Buy, world: World, account: Account, hide: Callable[[int], None]
) -> None:
    run()
    late = buy(700)
    hide(590)
    for _ in range(2):
        assert totals(run())["new"] == 0
        world.advance(300)
    run()

    assert LedgerLine.objects.filter(charge=late).exists()
    assert sums() == truth(world, account)


def test_what_shows_up_five_hours_late_is_healed_and_an_alarm(
    run: Run, buy: Buy, world: World, account: Account, hide: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    late = buy(700)
    hide(5 * HOUR)
    for _ in range(5):
        run()
        world.advance(HOUR)
    assert not LedgerLine.objects.filter(charge=late).exists()
    assert not Finding.objects.exists()
    report = run()

    assert {name: tally.healed for name, tally in report.objects.items() if tally.healed} == {
        "checkout_session": 1,
        "balance_transaction": 1,
        "charge": 1,
    }
    assert sums() == truth(world, account)
    assert set(Finding.objects.values_list("kind", flat=True)) == {"healed"}
    assert Finding.objects.filter(subject=late, found_at=moment(world)).exists()
    assert f"healed 2 objects: {late}" in caplog.text


def test_a_full_sync_finds_what_no_sweep_reaches(
    run: Run, buy: Buy, world: World, account: Account, hide: Callable[[int], None]
) -> None:
    with world.at(world.now() - 300 * DAY):
        lost = buy(700)
    hide(HOUR)
    run()
    world.advance(9 * DAY)
    run()
    assert not LedgerLine.objects.filter(charge=lost).exists()
    report = run(full=True)

    assert totals(report)["healed"] == 3
    assert sums() == truth(world, account)


def test_a_change_that_an_event_or_a_movement_explains_is_no_alarm(
    run: Run, buy: Buy, world: World, account: Account
) -> None:
    charge = buy(5000)
    run()
    world.advance(3 * HOUR)
    world.refund(charge, 10)
    for item in world.page(Owner(account.id, False), "event", lambda item: True, 2).data:
        world.hide(item["id"], until=world.now() + HOUR)
    report = run()

    assert Charge.objects.get().amount_refunded == 10
    assert totals(report)["healed"] == 0


def test_refund_pending_then_failed_45_days_later(
    run: Run, buy: Buy, world: World, account: Account, sandbox: SandboxServer
) -> None:
    refund = world.refund(buy(5000), 2000, status="pending")
    run()
    world.advance(HOUR)
    run()
    world.advance(10 * DAY)
    world.settle_refund(refund["id"], "failed")
    world.advance(35 * DAY)
    # Neither an event tells of it nor the list of movements.
    empty = json_response(200, {"object": "list", "has_more": False, "data": []})
    sandbox.faults.append(Broken("/v1/balance_transactions", empty))
    run()

    assert Refund.objects.get().status == "failed"
    assert sums()["eur"]["refunded"] == 0


def test_an_open_checkout_is_read_again_until_it_has_ended(
    run: Run, buy: Buy, world: World, account: Account, requests: list[str]
) -> None:
    item = {"price_data": {"currency": "eur", "unit_amount": 100, "product_data": {"name": "Tea"}}, "quantity": 1}
    session = world.create_session(account, mode="payment", line_items=[item], success_url="https://shop.example/")
    run()
    world.advance(HOUR)
    run()
    world.advance(40 * DAY)
    run()
    assert CheckoutSession.objects.get().status == "expired"

    requests.clear()
    world.advance(2 * HOUR)
    run()
    assert f"/v1/checkout/sessions/{session['id']}" not in requests


def test_no_more_than_a_few_unfinished_objects_are_read_again_at_once(
    run: Run, buy: Buy, world: World, requests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "MOST_REFETCHED", 3)
    for _ in range(5):
        world.refund(buy(100), 1, status="pending")
    run()
    world.advance(HOUR)
    run()
    world.advance(200 * DAY)
    requests.clear()
    run()
    first = [path for path in requests if path.startswith("/v1/refunds/")]
    requests.clear()
    run()
    second = [path for path in requests if path.startswith("/v1/refunds/")]

    assert len(first) == 3
    assert len(second) == 2
    assert not set(first) & set(second)


def test_an_unfinished_object_that_is_gone_does_not_take_the_others_turn(
    run: Run, buy: Buy, world: World, requests: list[str]
) -> None:
    refund = world.refund(buy(100), 1, status="pending")["id"]
    for _ in range(2):
        run()
        world.advance(DAY)
    world.hide(refund, until=world.now() + 99 * DAY)
    requests.clear()
    run()
    run()

    assert requests.count(f"/v1/refunds/{refund}") == 1
    assert Refund.objects.get().status == "pending"


def test_two_workers_older_snapshot_loses(run: Run, buy: Buy, world: World, account: Account) -> None:
    charge = buy(5000)
    run()
    old = dict(world.find(Owner(account.id, False), "charge", charge) or {})
    old_at = moment(world)
    world.advance(60)
    world.refund(charge, 2000)
    run()
    row = StripeAccount.objects.get()
    tallies = {name: Tally() for name in LISTS}
    store(row, rows(row, [old], old_at), tallies)

    assert Charge.objects.get().amount_refunded == 2000
    assert tallies["charge"] == Tally(seen=1)
    assert sums() == truth(world, account)


def test_a_snapshot_of_the_same_second_is_taken(run: Run, buy: Buy, world: World, account: Account) -> None:
    charge = buy(5000)
    run()
    row = Charge.objects.get()
    new = {**(world.find(Owner(account.id, False), "charge", charge) or {}), "amount_refunded": 7}
    store(row.account, rows(row.account, [new], row.observed_at), {name: Tally() for name in LISTS})

    assert Charge.objects.get().amount_refunded == 7


class KilledError(BaseException):
    pass


@pytest.mark.parametrize("at", range(1, 9))
def test_a_run_killed_anywhere_leaves_the_next_one_complete(
    run: Run, buy: Buy, world: World, account: Account, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr("revenue.pager.PAGE_LENGTH", 2)
    with world.at(world.now() - DAY):
        for amount in (100, 200, 300, 400, 500):
            world.refund(buy(amount), 10)
    stores = 0

    def killing(*args: Any, **options: Any) -> Stored:
        nonlocal stores
        stores += 1
        if stores == at:
            raise KilledError
        return store(*args, **options)

    monkeypatch.setattr(ticking, "store", killing)
    with pytest.raises(KilledError):
        run()
    drained = set(Stream.objects.exclude(covered_to=None).values_list("name", flat=True))
    assert "refund" not in drained
    assert drained <= {"checkout_session", "balance_transaction", "charge"}
    if at <= 3:
        assert not drained

    monkeypatch.setattr(ticking, "store", store)
    report = run()
    assert report.status == "connected"
    assert sums() == truth(world, account)
    assert Stream.objects.exclude(covered_to=None).count() == len(LISTS) + 1


def test_a_key_refused_mid_window_keeps_what_is_stored_and_moves_nothing(
    run: Run, buy: Buy, sandbox: SandboxServer, connection: Connection, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setattr("revenue.pager.PAGE_LENGTH", 2)
    for amount in (100, 200, 300):
        buy(amount)
    sandbox.faults.append(Broken("/v1/charges", refused(401), first=2))
    report = run()
    connection.refresh_from_db()

    assert (report.status, connection.status) == ("auth_failed", "auth_failed")
    assert not report.is_in_part
    assert connection.problem == report.error != ""
    assert connection.synced_at is None
    assert Charge.objects.count() == 3
    assert Stream.objects.get(name="charge").covered_to is None
    assert report.covered_to is None

    sandbox.faults.clear()
    assert run().status == "connected"
    connection.refresh_from_db()
    assert (connection.status, connection.problem) == ("connected", "")
    assert connection.synced_at == moment(world)


def test_a_missing_permission_leaves_the_other_lists_read(
    run: Run, buy: Buy, sandbox: SandboxServer, world: World, account: Account
) -> None:
    buy()
    sandbox.faults.append(Broken("/v1/disputes", refused(403)))
    report = run()

    assert report.status == "degraded"
    assert report.is_in_part
    assert "Disputes" in report.error
    assert report.covered_to is None
    assert Stream.objects.get(name="refund").covered_to is not None
    assert sums() == truth(world, account)


def test_hints_that_could_not_be_read_are_read_later(run: Run, buy: Buy, sandbox: SandboxServer, world: World) -> None:
    run()
    covered_to = Stream.objects.get(name="event").covered_to
    world.advance(HOUR)
    sandbox.faults.append(Broken("/v1/events", refused(403)))
    run()

    assert Stream.objects.get(name="event").covered_to == covered_to


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(json_response(200, {"object": "list", "data": [], "has_more": True}), id="empty, but more"),
        pytest.param(Response(302, b"", {"Location": "http://127.0.0.1:9/"}), id="redirect"),
        pytest.param(Response(200, b"<html>Log in</html>"), id="HTML"),
        pytest.param(Response(200, b'{"object": "list", "da'), id="cut short"),
    ],
)
def test_a_list_that_cannot_be_read_moves_nothing_and_is_reported(
    run: Run, buy: Buy, sandbox: SandboxServer, world: World, account: Account, fault: Response
) -> None:
    buy()
    sandbox.faults.append(Broken("/v1/charges", fault))
    report = run()

    assert report.status == "degraded"
    assert report.error
    assert Stream.objects.get(name="charge").covered_to is None
    sandbox.faults.clear()
    assert run().error == ""
    assert sums() == truth(world, account)


def test_live_objects_under_a_test_key_stop_the_sync(
    run: Run, sandbox: SandboxServer, buy: Buy, world: World, account: Account
) -> None:
    charge = buy()
    live = {**(world.find(Owner(account.id, False), "charge", charge) or {}), "livemode": True}
    sandbox.faults.append(
        Broken("/v1/charges", json_response(200, {"object": "list", "data": [live], "has_more": False}))
    )
    report = run()

    assert report.status == "degraded"
    assert not report.is_in_part


def test_every_third_answer_an_error_does_not_stop_a_sync(
    run: Run, buy: Buy, sandbox: SandboxServer, world: World, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revenue.pager.PAGE_LENGTH", 1)
    for amount in (100, 200, 300):
        buy(amount)
    turns = iter(range(1000))
    sandbox.faults.append(lambda request: Response(500) if next(turns) % 3 == 0 else None)

    assert run().status == "connected"
    assert sums() == truth(world, account)


def test_the_watermark_follows_stripes_clock_and_never_goes_back(run: Run, world: World) -> None:
    run()
    first = Stream.objects.get(name="charge").covered_to
    assert first
    assert abs(first - (moment(world) - dt.timedelta(seconds=60))) <= dt.timedelta(seconds=1)
    world.advance(-600)
    run()

    assert Stream.objects.get(name="charge").covered_to == first


def test_only_one_run_reads_an_account_at_a_time(run: Run, connection: Connection) -> None:
    parameters = {
        name: value
        for name, value in database.get_connection_params().items()
        if name in ("dbname", "user", "host", "port")
    }
    with psycopg.connect(**parameters) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK, connection.account_id])
        with pytest.raises(LockedError):
            run()
        connection.refresh_from_db()
        assert connection.tried_at is None
        other.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, connection.account_id])

    assert run().status == "connected"
    with psycopg.connect(**parameters) as other:
        taken = other.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, connection.account_id]).fetchone()
    assert taken == (True,)


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_do_no_harm_even_without_the_lock(
    buy: Buy, world: World, account: Account, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revenue.pager.PAGE_LENGTH", 3)
    monkeypatch.setattr(syncing, "_only_run", nullcontext)
    for amount in range(100, 110):
        world.refund(buy(amount), 10)

    def work() -> Report:
        try:
            return sync(connection, moment(world), drain=True)
        finally:
            database.close()

    with ThreadPoolExecutor(3) as pool:
        reports = [future.result() for future in [pool.submit(work) for _ in range(3)]]

    assert {report.error for report in reports} == {""}
    assert sum(totals(report)["new"] for report in reports) == 50
    assert sums() == truth(world, account)
    assert Attribution.objects.count() == 30


def test_a_key_that_cannot_be_opened_is_reported(run: Run, connection: Connection, settings: Any) -> None:
    settings.HUMBLYTICS_ENCRYPTION_KEYS = "other:" + "A" * 43 + "="
    report = run()

    assert report.status == "key_unreadable"
    assert report.reads == 0


def test_a_disconnected_account_is_not_read(run: Run, connection: Connection, buy: Buy, requests: list[str]) -> None:
    buy()
    run()
    disconnect(connection)
    requests.clear()
    report = run()

    assert (report.status, requests) == ("disconnected", [])
    assert LedgerLine.objects.exists()


def test_a_connection_that_is_ended_during_a_sync_stays_ended(run: Run, buy: Buy, connection: Connection) -> None:
    buy()
    run(progress=lambda text: disconnect(Connection.objects.get()))
    connection.refresh_from_db()

    assert (connection.status, connection.sealed_key, connection.synced_at) == ("disconnected", "", None)


def test_the_key_shows_up_nowhere(
    run: Run,
    buy: Buy,
    account: Account,
    sandbox: SandboxServer,
    connection: Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    buy()
    told: list[str] = []
    for status in (200, 401, 403, 500):
        sandbox.faults[:] = [] if status == 200 else [Broken("/v1/charges", refused(status))]
        report = run(progress=told.append)
        told += [repr(report), json.dumps(report.as_json())]
        connection.refresh_from_db()
        told += [repr(vars(connection)), connection.problem]

    assert told
    for text in (*told, caplog.text):
        assert account.secret_key not in text
        assert account.secret_key[8:] not in text


def test_a_view_that_arrives_after_the_payment_is_bound_to_it(run: Run, buy: Buy, site: Site, world: World) -> None:
    view_id = uuid.uuid4()
    buy(metadata={"humblytics_view_id": str(view_id)})
    assert run().unattributed == {"waiting": 1}
    world.advance(2 * HOUR)
    assert run().unattributed == {"unknown": 1}
    view = seen(site, moment(world))
    type(view).objects.filter(pk=view.pk).update(id=view_id)
    report = run(drain=False)

    assert (report.attributed, report.unattributed) == (1, {})


def test_a_session_that_shows_up_after_its_charge_is_still_asked(
    run: Run, buy: Buy, site: Site, world: World, account: Account
) -> None:
    view = seen(site, moment(world))
    buy(metadata={"humblytics_view_id": str(view.id)})
    (session,) = world.page(Owner(account.id, False), "checkout.session", lambda item: True, 1).data
    world.hide(session["id"], until=world.now() + 300)
    assert run().unattributed == {"no_session": 1}
    world.advance(301)

    assert run().attributed == 1


@pytest.mark.parametrize(
    ("carried", "evidence"),
    [
        pytest.param(lambda id: {"metadata": {"humblytics_view_id": id}}, "session_metadata", id="session"),
        pytest.param(lambda id: {"client_reference_id": id}, "client_reference_id", id="reference"),
        pytest.param(
            lambda id: {"payment_intent_data": {"metadata": {"humblytics_view_id": id}}},
            "charge_metadata",
            id="payment intent",
        ),
    ],
)
def test_the_evidence_says_what_carried_the_id(
    run: Run, buy: Buy, site: Site, world: World, carried: Callable[[str], dict[str, Any]], evidence: str
) -> None:
    buy(**carried(str(seen(site, moment(world)).id)))
    run()

    assert Attribution.objects.get(model="last").evidence == evidence


@pytest.mark.parametrize(
    ("session", "reason"),
    [
        pytest.param({}, "no_id", id="nothing"),
        pytest.param({"client_reference_id": "order 7"}, "no_id", id="the merchant's reference"),
        pytest.param({"metadata": {"humblytics_view_id": "undefined"}}, "malformed", id="undefined"),
        pytest.param({"metadata": {"humblytics_view_id": "<script>'; --"}}, "malformed", id="script"),
    ],
)
def test_a_payment_that_is_nobodys_says_why_and_is_still_counted(
    run: Run, buy: Buy, world: World, account: Account, session: dict[str, Any], reason: str
) -> None:
    buy(**session)
    report = run()

    assert (report.payments, report.unattributed) == (1, {reason: 1})
    assert Reason(reason).sentence
    assert sums() == truth(world, account)


def test_two_sites_share_an_account_and_each_gets_its_own(
    run: Run, buy: Buy, site: Site, account: Account, world: World, connection: Connection
) -> None:
    blog = SiteFactory(domain="blog.example")
    for where in (site, blog):
        buy(metadata={"humblytics_view_id": str(seen(where, moment(world)).id)})
    assert run().unattributed == {"other_site": 1}

    second = connect(blog, account.secret_key, moment(world))
    theirs = sync(second, moment(world), drain=True)
    ours = run()

    assert StripeAccount.objects.count() == 1
    assert Charge.objects.count() == 2
    assert (ours.payments, ours.attributed) == (theirs.payments, theirs.attributed) == (1, 1)


def test_an_id_of_another_sites_view_does_not_shadow_our_own(run: Run, buy: Buy, site: Site, world: World) -> None:
    view = seen(site, moment(world))
    stolen = seen(SiteFactory(domain="thief.example"), moment(world))
    # The table's key begins with the site, so the same id may stand on two of them.
    models.QuerySet(type(view)).filter(site=stolen.site).update(id=view.id)
    buy(metadata={"humblytics_view_id": str(view.id)})

    assert run().attributed == 1


def test_test_money_and_live_money_never_meet(run: Run, buy: Buy, site: Site, account: Account, world: World) -> None:
    item = {"price_data": {"currency": "eur", "unit_amount": 777, "product_data": {"name": "Tea"}}, "quantity": 1}
    live = world.create_session(
        account, livemode=True, mode="payment", line_items=[item], success_url="https://shop.example/"
    )
    world.pay(live["id"])
    buy(100)
    run()
    real = connect(site, account.live_secret_key, moment(world))
    report = sync(real, moment(world), drain=True)

    assert report.mode == "live"
    assert [line.amount for line in LedgerLine.objects.filter(account=real.account, kind="charge")] == [777]
    assert [line.amount for line in LedgerLine.objects.exclude(account=real.account).filter(kind="charge")] == [100]


def raw_charge(**changed: Any) -> dict[str, Any]:
    return {
        "id": "ch_1",
        "object": "charge",
        "created": 1_760_000_000,
        "livemode": False,
        "status": "succeeded",
        "captured": True,
        "amount": 100,
        "amount_captured": 100,
        "amount_refunded": 0,
        "currency": "eur",
        "payment_intent": None,
        "balance_transaction": None,
        "failure_balance_transaction": None,
        "metadata": {},
        **changed,
    }


def raw_session(**changed: Any) -> dict[str, Any]:
    return {
        "id": "cs_1",
        "object": "checkout.session",
        "created": 1_760_000_000,
        "livemode": False,
        "mode": "payment",
        "status": "complete",
        "payment_status": "paid",
        "currency": "eur",
        "amount_total": 100,
        "payment_intent": None,
        "subscription": None,
        "expires_at": 1_760_086_400,
        "metadata": {},
        "client_reference_id": None,
        **changed,
    }


def raw_refund(**changed: Any) -> dict[str, Any]:
    return {
        "id": "re_1",
        "object": "refund",
        "created": 1_760_000_000,
        "charge": "ch_1",
        "status": "succeeded",
        "amount": 100,
        "currency": "eur",
        **changed,
    }


def raw_dispute(status: str) -> dict[str, Any]:
    return {**raw_refund(id="dp_1", object="dispute", status=status), "livemode": False}


@pytest.fixture
def keep(connection: Connection, world: World) -> Iterator[Callable[..., None]]:
    def keep(*objects: dict[str, Any]) -> None:
        account = connection.account
        store(account, rows(account, objects, moment(world)), {name: Tally() for name in LISTS})

    return keep


def test_values_nobody_knows_are_stored_as_they_are(keep: Callable[..., None]) -> None:
    keep(raw_charge(status="levitating", status_details={"new": True}))

    assert Charge.objects.get().status == "levitating"
    assert not LedgerLine.objects.exists()


@pytest.mark.parametrize(
    "carried",
    ["x" * 10_000, "nul \0 inside", "half \ud800 a letter", ["a", "list"], {"an": "object"}, 7, True],
)
def test_whatever_is_carried_can_be_stored(keep: Callable[..., None], carried: Any) -> None:
    keep(raw_charge(metadata={"humblytics_view_id": carried}))

    assert 0 < len(Charge.objects.get().view_id) <= 500


@pytest.mark.parametrize(
    "damage",
    [{"amount": "100"}, {"amount": 1.5}, {"amount": True}, {"amount": 2**63}, {"currency": "euros"}, {"status": 7}],
)
def test_a_damaged_object_is_refused_with_its_page(keep: Callable[..., None], damage: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswerError):
        keep(raw_charge(), raw_charge(id="ch_2", **damage))

    assert not Charge.objects.exists()


def test_a_refund_without_a_charge_is_booked_once_and_unbooked_when_it_fails(keep: Callable[..., None]) -> None:
    refund = raw_refund(charge=None, balance_transaction="txn_1")
    movement = {
        "id": "txn_1",
        "object": "balance_transaction",
        "created": 1_760_000_000,
        "type": "refund",
        "reporting_category": "refund",
        "source": refund,
        "amount": -100,
        "fee": 5,
        "net": -105,
        "currency": "eur",
    }
    keep(movement)
    keep(refund)
    assert {line.key: line.amount for line in LedgerLine.objects.all()} == {"refund:re_1": -100, "fee:txn_1": -5}

    keep({**refund, "status": "failed"})
    assert [line.key for line in LedgerLine.objects.all()] == ["fee:txn_1"]


def test_a_movement_of_a_type_never_seen_is_unmatched(keep: Callable[..., None], run: Run) -> None:
    movement = {
        "id": "txn_1",
        "object": "balance_transaction",
        "created": 1_760_000_000,
        "reporting_category": "other",
        "source": None,
        "amount": -100,
        "fee": 0,
        "net": -100,
        "currency": "eur",
    }
    keep({**movement, "type": "payout"})
    assert run().unmatched_balance_transactions == 0
    keep({**movement, "id": "txn_2", "type": "moon_landing"})
    assert run().unmatched_balance_transactions == 1
    # Its fee is in the ledger, but nothing that it is the fee of.
    keep({**movement, "id": "txn_3", "type": "charge", "source": raw_charge(status="pending"), "fee": 3})
    assert run().unmatched_balance_transactions == 2


@pytest.mark.parametrize(
    ("item", "is_read_again"),
    [
        pytest.param(raw_session(payment_status="unpaid"), True, id="session, bank debit on its way"),
        pytest.param(raw_session(), False, id="session, paid"),
        pytest.param(raw_session(status="expired", payment_status="unpaid"), False, id="session, expired"),
        pytest.param(raw_charge(status="pending"), True, id="charge, pending"),
        pytest.param(raw_charge(captured=False, amount_captured=0), True, id="charge, authorized"),
        pytest.param(raw_charge(captured=False, amount_captured=0, amount_refunded=100), False, id="charge, released"),
        pytest.param(raw_charge(status="failed", captured=False), False, id="charge, failed"),
        pytest.param(raw_charge(), True, id="charge, not booked yet"),
        pytest.param(raw_charge(balance_transaction="txn_1"), False, id="charge, captured"),
        pytest.param(raw_refund(status="pending"), True, id="refund, pending"),
        pytest.param(raw_refund(status="requires_action"), True, id="refund, waits for bank details"),
        pytest.param(raw_refund(), False, id="refund, done"),
        pytest.param(raw_dispute("needs_response"), True, id="dispute, open"),
        pytest.param(raw_dispute("warning_needs_response"), True, id="inquiry, open"),
        pytest.param(raw_dispute("lost"), False, id="dispute, lost"),
        pytest.param(raw_dispute("won"), False, id="dispute, won"),
    ],
)
def test_what_can_still_change_is_read_again_however_old_it_is(
    keep: Callable[..., None], run: Run, world: World, requests: list[str], item: dict[str, Any], is_read_again: bool
) -> None:
    keep(item)
    world.advance(25 * HOUR)
    run()

    assert any(path.endswith(f"/{item['id']}") for path in requests) is is_read_again


def test_stripe_takes_no_more_than_twenty_types_of_events() -> None:
    assert len(set(HINTS)) == len(HINTS) <= 20


def test_a_clock_that_was_set_back_puts_no_reading_off(run: Callable[..., Report], world: World) -> None:
    run(drain=False)
    assert not Connection.objects.due(moment(world))
    assert Connection.objects.due(moment(world) - dt.timedelta(hours=1))
