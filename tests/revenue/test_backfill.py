import datetime as dt
import gc
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from revenue import backfill
from revenue.backfill import Limiter
from revenue.connecting import connect
from revenue.models import (
    Attribution,
    Charge,
    CheckoutSession,
    Connection,
    LedgerLine,
    ReadCount,
    Slice,
    Stream,
    StripeAccount,
)
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer, serve
from revenue.sandbox.messages import Request, Response, json_response
from revenue.sandbox.world import World
from revenue.sync import Report, sync
from sites.models import Site
from tests.revenue.books import sums, truth
from tests.revenue.conftest import moment
from tests.revenue.shopping import paid_charge

pytestmark = pytest.mark.django_db
HOUR, DAY = 3600, 86_400
SESSIONS = "/v1/checkout/sessions"
ITEM = {"price_data": {"currency": "eur", "unit_amount": 100, "product_data": {"name": "Tea"}}, "quantity": 1}
Run = Callable[..., Report]


def open_sessions(world: World, account: Account, count: int) -> None:
    for _ in range(count):
        world.create_session(account, mode="payment", line_items=[ITEM], success_url="https://shop.example/")


@pytest.fixture
def history(world: World, account: Account, connection: Connection) -> int:
    """Sessions of three years, a few in each second and none for long; how many they are."""
    StripeAccount.objects.update(opened_at=moment(world) - dt.timedelta(days=1100))
    for days in (1000, 700, 400, 200, 100, 50, 10):
        with world.at(world.now() - days * DAY):
            open_sessions(world, account, 9)
    return 63


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revenue.pager.PAGE_LENGTH", 4)


@examples(max_examples=8, suppress_health_check=list(HealthCheck))
@given(bursts=st.lists(st.tuples(st.integers(0, 400 * DAY), st.integers(1, 230)), max_size=3))
def test_backfill_any_count(settings: Any, bursts: list[tuple[int, int]]) -> None:
    Connection.objects.all().delete()
    StripeAccount.objects.all().delete()
    world = World()
    account = world.add_account("Shop")
    for age, count in bursts:
        with world.at(world.now() - age):
            open_sessions(world, account, count)
    with serve(world) as server:
        settings.STRIPE_API_BASE = server.url
        site = Site.objects.get_or_create(domain="any.example")[0]
        report = sync(connect(site, account.secret_key, moment(world)), moment(world), drain=True)

    assert report.error == ""
    assert CheckoutSession.objects.count() == sum(count for _, count in bursts)
    assert not Slice.objects.exists()


def test_the_history_is_read_by_several_at_once_and_completely(
    run: Run, history: int, small_pages: None, sandbox: SandboxServer
) -> None:
    windows: set[tuple[str, str]] = set()
    sandbox.faults.append(lambda request: windows.add((request.path, bounds_of(request))))  # type: ignore[func-returns-value]
    report = run()

    assert report.status == "connected"
    assert report.covered_to
    assert CheckoutSession.objects.count() == history
    assert not Slice.objects.exists()
    # The head of the list, its history, and what of that was divided.
    assert len([path for path, _ in windows if path == SESSIONS]) > 2


def bounds_of(request: Request) -> str:
    return "&".join(part for part in request.query.split("&") if part.startswith("created"))


def test_what_a_reader_finds_divided_is_never_left_out(
    run: Run, history: int, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "WORTH_DIVIDING", 0.001)
    run()

    assert CheckoutSession.objects.count() == history


class KilledError(BaseException):
    pass


@pytest.mark.parametrize("at", [1, 2, 5, 11])
def test_a_backfill_that_is_killed_goes_on_where_it_was(
    run: Run, history: int, small_pages: None, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer, at: int
) -> None:
    stored = 0
    store = backfill.Backfill._store

    def killing(self: Any, read: Any) -> None:
        nonlocal stored
        stored += len(read)
        if stored >= at:
            raise KilledError
        store(self, read)

    monkeypatch.setattr(backfill.Backfill, "_store", killing)
    with pytest.raises(KilledError):
        run()
    assert Stream.objects.get(name="checkout_session").covered_to
    half = CheckoutSession.objects.count()
    assert half < history
    slices = Slice.objects.filter(name="checkout_session").count()

    monkeypatch.setattr(backfill.Backfill, "_store", store)
    asked: list[str] = []
    sandbox.faults.append(lambda request: asked.append(request.path))  # type: ignore[func-returns-value]
    report = run(drain=False)

    assert CheckoutSession.objects.count() == history
    assert (report.error, report.covered_to is not None) == ("", True)
    # Each slice begins again with the second it had come to, in which there are nine.
    assert report.objects["checkout_session"].seen <= history - half + 9 * slices


def test_until_the_history_is_read_it_is_not_known_how_far_all_is_covered(
    run: Run, history: int, small_pages: None, sandbox: SandboxServer
) -> None:
    asked = 0

    def forbid(request: Request) -> Response | None:
        nonlocal asked
        asked += request.path == SESSIONS
        return json_response(401, {"error": {}}) if asked > 6 else None

    sandbox.faults.append(forbid)
    report = run()

    assert (report.status, report.covered_to) == ("auth_failed", None)
    assert 0 < CheckoutSession.objects.count() < history
    sandbox.faults.clear()
    assert run().covered_to
    assert CheckoutSession.objects.count() == history


def test_a_list_that_breaks_off_leaves_the_others_read(
    run: Run, history: int, small_pages: None, sandbox: SandboxServer
) -> None:
    empty = json_response(200, {"object": "list", "data": [], "has_more": True})
    sandbox.faults.append(
        lambda request: empty if request.path == SESSIONS and "created%5Blt" in request.query else None
    )
    report = run()

    assert report.is_in_part
    assert "broke off 3 times" in report.error
    assert set(Slice.objects.values_list("name", flat=True)) == {"checkout_session"}
    sandbox.faults.clear()
    assert run().error == ""
    assert CheckoutSession.objects.count() == history


def test_a_cursor_that_is_lost_is_found_again_by_its_time(
    run: Run, history: int, small_pages: None, sandbox: SandboxServer
) -> None:
    gone = json_response(400, {"error": {"code": "resource_missing", "param": "starting_after"}})
    turns = iter(range(1000))
    sandbox.faults.append(lambda request: gone if "starting_after" in request.query and next(turns) % 3 == 0 else None)

    assert run().error == ""
    assert CheckoutSession.objects.count() == history


def test_a_list_that_is_not_in_order_is_read_whole(run: Run, history: int, sandbox: SandboxServer) -> None:
    whole = [{"id": f"cs_{number}", **SESSION, "created": 1_700_000_000 + number * 7 % 5} for number in range(9)]

    def shuffled(request: Request) -> Response | None:
        if request.path != SESSIONS or "created%5Blt" not in request.query:
            return None
        first = 5 if "starting_after=cs_4" in request.query else 0
        return json_response(200, {"object": "list", "data": whole[first : first + 5], "has_more": first == 0})

    sandbox.faults.append(shuffled)
    assert run().error == ""
    assert CheckoutSession.objects.filter(stripe_id__regex="^cs_[0-9]$").count() == 9
    assert not Slice.objects.exists()


SESSION = {
    "object": "checkout.session",
    "livemode": False,
    "mode": "payment",
    "status": "complete",
    "payment_status": "paid",
}


def test_the_reads_of_every_reader_are_counted(
    run: Run, history: int, small_pages: None, sandbox: SandboxServer
) -> None:
    before = ReadCount.objects.get().reads
    asked: list[str] = []
    sandbox.faults.append(lambda request: asked.append(request.path))  # type: ignore[func-returns-value]
    report = run()

    assert report.reads == len(asked) == ReadCount.objects.get().reads - before


def test_the_first_reading_may_take_more_than_a_days_part_but_leaves_a_fifth(
    run: Run, history: int, small_pages: None
) -> None:
    ReadCount.objects.update(reads=7990)
    report = run(drain=False)

    assert (report.status, report.reads) == ("rationed", 10)
    ReadCount.objects.update(read_on=dt.date(2020, 1, 1))
    assert run(drain=False).covered_to
    assert CheckoutSession.objects.count() == history


def test_a_limiter_lets_through_a_burst_and_then_so_many_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(backfill.time, "monotonic", lambda: now)
    pauses: list[float] = []
    monkeypatch.setattr(backfill.time, "sleep", pauses.append)
    limiter = Limiter(8)
    for _ in range(11):
        limiter.wait()

    assert pauses == [0.125, 0.25, 0.375]
    now += 0.375
    limiter.wait()
    assert pauses[-1] == 0.125


def test_after_a_long_reading_the_database_knows_how_large_its_tables_are(
    run: Run, world: World, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revenue.mirror.MANY", 3)
    for amount in range(7):
        paid_charge(world, account, 100 + amount)
    run()
    with database.cursor() as cursor:
        cursor.execute("SELECT relname, reltuples FROM pg_class WHERE relname LIKE 'revenue_%%'")
        known = dict(cursor.fetchall())

    assert known["revenue_charge"] == Charge.objects.count() == 7
    assert known["revenue_attribution"] == Attribution.objects.count() == 21


def test_garbage_is_collected_seldom_while_a_history_is_read_and_as_usual_after_it(run: Run, history: int) -> None:
    usual = gc.get_threshold()
    meanwhile = set()

    def interrupted(text: str) -> None:
        meanwhile.add(gc.get_threshold())
        if len(meanwhile) > 1:
            raise KeyboardInterrupt

    run(progress=interrupted)
    assert min(meanwhile)[0] > usual[0]
    meanwhile.add(usual)
    with pytest.raises(KeyboardInterrupt):
        run(full=True, progress=interrupted)
    assert gc.get_threshold() == usual


def test_what_is_read_again_is_booked_again_and_by_todays_rules(run: Run, world: World, account: Account) -> None:
    paid_charge(world, account, 5000)
    run()
    LedgerLine.objects.update(amount=1)
    run(full=True)

    assert sums() == truth(world, account)
