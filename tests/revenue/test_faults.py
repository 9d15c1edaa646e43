"""What Stripe, the network and merchants do to us, and the tests that show how each of it ends.

What belongs to one module is tested with that module and only named here.
"""

import datetime as dt
import importlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client

from revenue.connecting import ConnectError, connect
from revenue.models import (
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Connection,
    Finding,
    LedgerLine,
    Refund,
    Stream,
)
from revenue.sandbox import faults
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.world import World
from revenue.sync import Report, sync
from sites.models import Site
from tests.revenue.books import booked, everything, moved
from tests.revenue.conftest import moment, seen
from tests.revenue.shopping import buy as bought
from tests.revenue.shopping import charges_of

pytestmark = pytest.mark.django_db
HOUR, DAY = 3600, 86_400
Run = Callable[..., Report]
Buy = Callable[..., str]

# What may happen, and the tests of tests/revenue, by module, that show what becomes of it.
FAULTS: list[tuple[str, list[str]]] = [
    (
        "the second page is empty and promises more",
        [
            "pager.test_empty_page_has_more_true",
            "pager.test_a_window_that_never_ends_well_is_an_error_after_three_tries",
            "sync.test_a_list_that_cannot_be_read_moves_nothing_and_is_reported",
        ],
    ),
    ("the same page for ever", ["pager.test_repeated_ids_detected"]),
    ("101 charges in one second, across a page's edge", ["faults.test_101_charges_of_one_second_are_each_stored_once"]),
    (
        "a charge shows up ten minutes, or five hours, after it was created",
        ["sync.test_object_visible_10min_late", "sync.test_what_shows_up_five_hours_late_is_healed_and_an_alarm"],
    ),
    ("429 without a word how long to wait", ["faults.test_a_429_that_does_not_say_how_long_is_waited_out"]),
    (
        "429 for two hours",
        [
            "faults.test_two_hours_of_429_lose_nothing_and_are_told",
            "ration.test_stripe_is_left_alone_for_as_long_as_it_asks",
        ],
    ),
    ("every third request is answered with 500", ["sync.test_every_third_answer_an_error_does_not_stop_a_sync"]),
    (
        "401 in the middle of a list",
        ["sync.test_a_key_refused_mid_window_keeps_what_is_stored_and_moves_nothing"],
    ),
    ("403 for disputes only", ["sync.test_a_missing_permission_leaves_the_other_lists_read"]),
    (
        "the cursor's object is gone, or the whole account is another",
        ["pager.test_cursor_gone_restarts_window", "faults.test_a_key_that_opens_another_account_stores_nothing_of_it"],
    ),
    (
        "a hotel's log-in page with status 200",
        [
            "sync.test_a_list_that_cannot_be_read_moves_nothing_and_is_reported",
            "stripe_client.test_an_error_has_a_name_and_nothing_secret_in_it",
        ],
    ),
    (
        "JSON that is cut off",
        [
            "stripe_client.test_what_may_pass_is_tried_again",
            "sync.test_a_list_that_cannot_be_read_moves_nothing_and_is_reported",
        ],
    ),
    ("a redirect to another host", ["stripe_client.test_a_redirect_is_not_followed"]),
    ("a live object under a test key", ["sync.test_live_objects_under_a_test_key_stop_the_sync"]),
    ("an object twice on one page", ["pager.test_an_object_that_comes_twice_is_given_once"]),
    ("an older snapshot comes after a newer one", ["sync.test_two_workers_older_snapshot_loses"]),
    ("more than ten refunds of one charge", ["faults.test_more_refunds_than_a_charge_shows_are_all_counted"]),
    (
        "a pending refund fails after 40 days",
        [
            "sync.test_refund_pending_then_failed_45_days_later",
            "faults.test_a_refund_that_fails_after_40_days_comes_back_on_that_day",
        ],
    ),
    ("a refund of no charge", ["faults.test_a_refund_of_no_charge_is_a_line_of_its_own"]),
    ("a refund of a part, then a dispute over the rest, won", ["faults.test_a_dispute_that_is_won_cancels_out"]),
    ("an inquiry", ["faults.test_an_inquiry_moves_no_money"]),
    ("a dispute in another currency than its charge", ["faults.test_a_dispute_counts_in_the_currency_it_was_taken_in"]),
    ("a debit that had succeeded fails five days later", ["faults.test_a_debit_that_fails_later_is_taken_back"]),
    ("a checkout that is paid after 20 days", ["faults.test_a_checkout_that_is_paid_after_20_days_counts_on_that_day"]),
    (
        "an expired checkout is recovered",
        ["sync_subscriptions.test_a_buyer_who_comes_back_to_an_expired_checkout_is_known_by_the_first_one"],
    ),
    ("a hold that is never captured", ["faults.test_a_hold_that_is_never_captured_is_no_revenue"]),
    ("less is captured than was held, or in several parts", ["faults.test_what_was_captured_counts"]),
    ("a trial", ["sync_subscriptions.test_a_trial_is_no_purchase_and_its_first_payment_is_credited"]),
    (
        "a renewal in two payments",
        ["sync_subscriptions.test_a_renewal_paid_in_two_parts_is_two_payments_each_counted_once"],
    ),
    (
        "an invoice is paid outside of Stripe",
        ["sync_subscriptions.test_money_that_never_came_to_stripe_is_no_revenue"],
    ),
    ("an invoice is paid with credit", ["sync_subscriptions.test_what_a_customers_credit_pays_is_no_revenue"]),
    (
        "currencies with three decimals, none, and two that are none",
        [
            "money.test_money_is_written_with_the_decimals_stripe_gives_it",
            "faults.test_amounts_of_every_kind_of_currency_are_exact",
        ],
    ),
    ("99,999,999,999 rupiah", ["faults.test_amounts_of_every_kind_of_currency_are_exact"]),
    (
        "an exchange rate of 0.000011",
        ["stripe_client.test_a_fraction_is_read_exactly", "faults.test_an_exchange_rate_changes_no_amount"],
    ),
    (
        "a type or a state that nobody has heard of",
        [
            "faults.test_movements_nobody_has_heard_of_are_counted_and_an_alarm",
            "sync.test_values_nobody_knows_are_stored_as_they_are",
        ],
    ),
    (
        "a charge without a movement for three days",
        ["faults.test_a_movement_that_is_missing_for_two_days_is_an_alarm"],
    ),
    (
        "something evil, endless or foreign in place of the view id",
        [
            "sync.test_whatever_is_carried_can_be_stored",
            "sync.test_a_payment_that_is_nobodys_says_why_and_is_still_counted",
            "faults.test_whatever_is_carried_is_escaped_and_its_money_counted",
            "attribution.test_a_payment_without_a_visit_has_exactly_one_reason",
        ],
    ),
    ("one view id on 500 purchases", ["faults.test_one_view_on_500_purchases_earns_all_of_them"]),
    ("two sites on one account", ["sync.test_two_sites_share_an_account_and_each_gets_its_own"]),
    (
        "a key of another account in place of the first",
        ["connecting.test_a_key_of_another_account_is_a_second_connection"],
    ),
    (
        "something else is pasted in place of a key",
        ["stripe_client.test_what_is_no_key_is_refused_with_a_reason_that_does_not_repeat_it"],
    ),
    ("the key is taken away", ["connecting.test_disconnecting_destroys_the_key_and_keeps_the_history"]),
    (
        "the keys that open the keys are missing",
        [
            "faults.test_without_the_encryption_keys_pages_are_served_and_the_check_fails",
            "sync.test_a_key_that_cannot_be_opened_is_reported",
        ],
    ),
    ("Stripe's clock and ours differ by an hour", ["faults.test_stripes_clock_counts_and_a_difference_is_told"]),
    ("45 days without a sync", ["outage.test_an_outage_of_45_days_leaves_no_gap"]),
    (
        "events in the form of 2019",
        ["faults.test_events_of_an_old_version_are_as_good", "sync.test_event_payload_never_used"],
    ),
    (
        "the command runs while the beat does",
        [
            "crashes.test_two_workers_and_the_command_at_once_end_in_the_same_ledger",
            "sync.test_two_runs_at_once_do_no_harm_even_without_the_lock",
        ],
    ),
    (
        "a task is delivered three times, or three days late",
        [
            "crashes.test_a_task_that_is_delivered_again_changes_nothing",
            "sync_revenue.test_a_task_that_waits_longer_than_its_interval_is_dropped",
        ],
    ),
    ("our clock is set back", ["sync.test_the_watermark_follows_stripes_clock_and_never_goes_back"]),
    (
        "a worker dies in the middle of a list",
        [
            "crashes.test_a_worker_killed_in_the_middle_of_a_long_list_loses_and_doubles_nothing",
            "crashes.test_a_tick_killed_at_any_statement_leaves_the_next_one_complete",
            "backfill.test_a_backfill_that_is_killed_goes_on_where_it_was",
        ],
    ),
]


# What lost or doubled money in other programs, and the test that shows that it cannot here.
ELSEWHERE: list[tuple[str, str]] = [
    (
        "only what is newer than the newest is read (PostHog #30743)",
        "faults.test_same_second_burst_across_poll_boundary",
    ),
    ("objects show up late (singer-io/tap-stripe #45)", "sync.test_object_visible_10min_late"),
    ("an empty page ends a list (stripe/sync-engine-fork #378)", "pager.test_empty_page_has_more_true"),
    ("the newest page is read over and over (stripe/sync-engine-fork #92)", "backfill.test_backfill_any_count"),
    (
        "refunds are never looked at again (airbyte #31917, #36070)",
        "sync.test_refund_pending_then_failed_45_days_later",
    ),
    ("gaps and doubles at the edges of slices (airbyte #32286)", "pager.test_window_edges_inclusive_no_dup"),
    ("what is new differs from what is all (airbyte #65911)", "sync_machine.test_incremental_equals_full_resync"),
    ("everything is added again (PostHog #34914)", "sync.test_resync_is_noop_on_totals"),
    ("events' own contents are believed (PostHog #98651)", "sync.test_event_payload_never_used"),
    ("an older state replaces a newer one (dj-stripe #1560)", "sync.test_two_workers_older_snapshot_loses"),
    ("a deleted cursor ends a list (singer-io/tap-stripe)", "pager.test_cursor_gone_restarts_window"),
    ("a page that repeats is read for ever (singer-io/tap-stripe)", "pager.test_repeated_ids_detected"),
]


def is_test(name: str) -> bool:
    module, function = name.split(".")
    return callable(getattr(importlib.import_module(f"tests.revenue.test_{module}"), function, None))


@pytest.mark.parametrize(("fault", "tests"), [pytest.param(*row, id=row[0]) for row in FAULTS])
def test_every_fault_has_a_test(fault: str, tests: list[str]) -> None:
    assert len(FAULTS) == 50
    assert tests
    assert [test for test in tests if not is_test(test)] == []


@pytest.mark.parametrize(("loss", "test"), [pytest.param(*row, id=row[0]) for row in ELSEWHERE])
def test_every_loss_known_elsewhere_has_a_test(loss: str, test: str) -> None:
    assert is_test(test)


@pytest.fixture
def is_true(world: World, account: Account) -> Callable[[], bool]:
    """Tell whether each payment is worth here what it is in the sandbox's own books."""
    return lambda: booked() == moved(world, account)


def sold() -> dict[tuple[str, str, str], int]:
    """What each payment's sales came to, and in which currency; without fees, and without what came to nothing."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for (payment, kind, currency, _), amount in booked().items():
        if kind != "fees":
            sums[payment, kind, currency] += amount
    return {key: amount for key, amount in sums.items() if amount}


def days(line: LedgerLine) -> int:
    """How many days after the first line of its payment a line is."""
    first = min(LedgerLine.objects.filter(charge=line.charge).values_list("occurred_at", flat=True))
    return round((line.occurred_at - first) / dt.timedelta(days=1))


def test_101_charges_of_one_second_are_each_stored_once(
    run: Run, buy: Buy, is_true: Callable[[], bool], sandbox: SandboxServer
) -> None:
    made = {buy(100) for _ in range(101)}
    report = run()

    assert set(Charge.objects.values_list("stripe_id", flat=True)) == made
    assert report.objects["charge"].new == 101
    assert sandbox.served["/v1/charges"] > 2
    assert is_true()


def test_same_second_burst_across_poll_boundary(
    run: Run, buy: Buy, world: World, is_true: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revenue.pager.PAGE_LENGTH", 2)
    run()
    world.advance(HOUR)
    for _ in range(3):
        for amount in (100, 200, 300):
            buy(amount)
        # In the middle of the second: what comes after it is as old as what was read.
        run(drain=False)

    assert Charge.objects.count() == 9
    assert is_true()


def test_a_429_that_does_not_say_how_long_is_waited_out(
    run: Run, buy: Buy, sandbox: SandboxServer, is_true: Callable[[], bool]
) -> None:
    buy(100)
    sandbox.faults.script([None, *[faults.too_many_requests("global-rate")] * 5], path="/v1/balance_transactions")
    report = run()

    assert (report.status, report.error) == ("connected", "")
    assert is_true()


def test_two_hours_of_429_lose_nothing_and_are_told(
    run: Run, buy: Buy, world: World, sandbox: SandboxServer, is_true: Callable[[], bool]
) -> None:
    buy(100)
    before = run().covered_to
    buy(200)
    sandbox.faults.always(faults.too_many_requests())
    for _ in range(4):
        world.advance(HOUR / 2)
        report = run()
        assert (report.status, report.covered_to) == ("throttled", before)
    sandbox.faults.clear()

    assert run().status == "connected"
    assert is_true()


def test_a_key_that_opens_another_account_stores_nothing_of_it(
    run: Run, buy: Buy, world: World, account: Account
) -> None:
    world.refund(buy(100), 50, "pending")
    run()
    before = everything()
    other = world.add_account("Other")
    world.keys[account.secret_key] = world.keys[other.secret_key]
    world.pay(world.create_session(other, **bought(700))["id"])
    world.advance(DAY)
    report = run()

    assert report.status == "account_changed"
    assert everything() == before


def test_more_refunds_than_a_charge_shows_are_all_counted(
    run: Run, buy: Buy, world: World, is_true: Callable[[], bool]
) -> None:
    charge = buy(5000)
    for _ in range(12):
        world.refund(charge, 100)
    run()

    assert Refund.objects.count() == 12
    assert sold()[charge, "refunded", "eur"] == -1200
    assert is_true()


def test_a_refund_that_fails_after_40_days_comes_back_on_that_day(
    run: Run, buy: Buy, world: World, is_true: Callable[[], bool]
) -> None:
    world.refund(buy(5000), 2000, "pending", then=(40 * DAY, "failed"))
    run()
    assert sum(sold().values()) == 3000
    world.advance(41 * DAY)
    run()

    lines = {line.kind: (line.amount, days(line)) for line in LedgerLine.objects.exclude(kind="fee")}
    assert lines == {"charge": (5000, 0), "refund": (-2000, 0), "refund_failure": (2000, 40)}
    assert is_true()


def test_a_refund_of_no_charge_is_a_line_of_its_own(
    run: Run, world: World, account: Account, is_true: Callable[[], bool]
) -> None:
    world.refund_unused(account, 700, "eur")
    report = run()

    assert sold() == {("", "refunded", "eur"): -700}
    assert report.unmatched_balance_transactions == 0
    assert is_true()


def test_a_dispute_that_is_won_cancels_out(run: Run, buy: Buy, world: World, is_true: Callable[[], bool]) -> None:
    charge = buy(5000)
    world.refund(charge, 2000)
    dispute = world.dispute(charge)
    run()
    assert sold()[charge, "disputed", "eur"] == -3000
    world.advance(20 * DAY)
    world.close_dispute(dispute["id"], won=True)
    run(drain=False)

    assert sold() == {(charge, "gross", "eur"): 5000, (charge, "refunded", "eur"): -2000}
    assert is_true()


def test_an_inquiry_moves_no_money(run: Run, buy: Buy, world: World, is_true: Callable[[], bool]) -> None:
    dispute = world.dispute(buy(5000), status="warning_needs_response")
    run()
    assert not LedgerLine.objects.filter(kind="dispute").exists()
    assert is_true()
    world.advance(3 * DAY)
    world.escalate_dispute(dispute["id"])
    run(drain=False)

    assert LedgerLine.objects.filter(kind="dispute").count() == 1
    assert is_true()


def test_a_dispute_counts_in_the_currency_it_was_taken_in(
    run: Run, buy: Buy, world: World, is_true: Callable[[], bool]
) -> None:
    charge = buy(5000, "usd")
    world.dispute(charge, is_settled_currency=True)
    run()

    assert sold()[charge, "gross", "usd"] == 5000
    assert (charge, "disputed", "eur") in sold()
    assert is_true()


def test_a_debit_that_fails_later_is_taken_back(
    run: Run, world: World, account: Account, is_true: Callable[[], bool]
) -> None:
    session = world.create_session(account, **bought(5000, payment_method_types=["sepa_debit"]))
    intent = world.pay(session["id"], after=HOUR)["payment_intent"]
    (charge,) = charges_of(world, account, intent)
    world.advance(2 * HOUR)
    run()
    assert sold()[charge["id"], "gross", "eur"] == 5000
    world.advance(5 * DAY)
    world.fail_payment(charge["id"])
    run(drain=False)

    assert (charge["id"], "gross", "eur") not in sold()
    assert days(LedgerLine.objects.get(kind="payment_failure")) == 5
    assert is_true()


def test_a_checkout_that_is_paid_after_20_days_counts_on_that_day(
    run: Run, world: World, account: Account, site: Site, is_true: Callable[[], bool]
) -> None:
    view = seen(site, moment(world))
    session = world.create_session(
        account, **bought(5000, payment_method_types=["boleto"], metadata={"humblytics_view_id": str(view.id)})
    )
    world.pay(session["id"], after=20 * DAY)
    begun_at = moment(world)
    assert run().payments == 0
    assert CheckoutSession.objects.get().payment_status == "unpaid"
    world.advance(21 * DAY)
    report = run(drain=False)

    assert (report.payments, report.attributed) == (1, 1)
    assert CheckoutSession.objects.get().payment_status == "paid"
    assert LedgerLine.objects.get(kind="charge").occurred_at - begun_at == dt.timedelta(days=20)
    assert is_true()


def test_a_hold_that_is_never_captured_is_no_revenue(
    run: Run, buy: Buy, world: World, is_true: Callable[[], bool]
) -> None:
    buy(5000, payment_intent_data={"capture_method": "manual"})
    for _ in range(3):
        assert run().payments == 0
        assert sold() == {}
        world.advance(4 * DAY)

    assert Charge.objects.get().amount_refunded == 5000
    assert is_true()


def test_what_was_captured_counts(run: Run, buy: Buy, world: World, is_true: Callable[[], bool]) -> None:
    less, parts = (buy(5000, payment_intent_data={"capture_method": "manual"}) for _ in range(2))
    world.capture(less, 3000)
    world.capture(parts, 1000, is_final=False)
    run()
    assert is_true()
    world.advance(2 * HOUR)
    world.capture(parts, 1500, is_final=True)
    report = run(drain=False)

    sums = sold()
    assert (sums[less, "gross", "eur"], sums[parts, "gross", "eur"]) == (3000, 2500)
    assert report.payments == 2
    assert is_true()


@pytest.mark.parametrize(
    ("currency", "amount"),
    [("kwd", 5120), ("jpy", 500), ("isk", 500), ("ugx", 250_000), ("idr", 99_999_999_999)],
)
def test_amounts_of_every_kind_of_currency_are_exact(
    run: Run, buy: Buy, is_true: Callable[[], bool], currency: str, amount: int
) -> None:
    charge = buy(amount, currency)
    run()

    assert sold()[charge, "gross", currency] == amount
    assert is_true()


def test_an_exchange_rate_changes_no_amount(
    run: Run, buy: Buy, sandbox: SandboxServer, is_true: Callable[[], bool]
) -> None:
    buy(5000, "usd")
    sandbox.faults.always(faults.replaced("exchange_rate", 1.1e-5), path="/v1/balance_transactions")

    assert run().status == "connected"
    assert is_true()


def test_movements_nobody_has_heard_of_are_counted_and_an_alarm(
    run: Run, buy: Buy, world: World, account: Account, is_true: Callable[[], bool]
) -> None:
    buy(5000)
    world.enter(account, "moon_landing", -700, category="lunar")
    report = run(is_verified=True)

    assert report.unmatched_balance_transactions == 1
    unknown = BalanceTransaction.objects.get(type="moon_landing")
    assert unknown.amount == -700
    assert list(Finding.objects.values_list("kind", "subject")) == [("unmatched", unknown.stripe_id)]
    assert is_true()


def test_a_movement_that_is_missing_for_two_days_is_an_alarm(
    run: Run, buy: Buy, world: World, is_true: Callable[[], bool]
) -> None:
    world.booked_after = 3 * DAY
    charge = buy(5000)
    assert [each.is_waiting for each in run(is_verified=True).differences] == [True]
    assert sold() == {(charge, "gross", "eur"): 5000}
    assert not Finding.objects.exists()
    world.advance(2 * DAY + HOUR)
    run(is_verified=True)
    assert Finding.objects.get(gone_at=None).kind == "unproved"
    world.advance(DAY)
    report = run(is_verified=True)

    assert (report.error, report.unmatched_balance_transactions) == ("", 0)
    assert Finding.objects.get().gone_at
    assert LedgerLine.objects.get(kind="charge").balance_transaction
    assert is_true()


@pytest.mark.parametrize(
    "carried",
    ["<script>alert(1)</script>", "'; DROP TABLE revenue_charge; --", "x" * 500, "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe"],
)
def test_whatever_is_carried_is_escaped_and_its_money_counted(
    run: Run, buy: Buy, owner_client: Client, is_true: Callable[[], bool], carried: str
) -> None:
    buy(5000, metadata={"humblytics_view_id": carried})
    report = run()
    page = owner_client.get("/shop.example/revenue/payments/").content.decode()

    assert report.unattributed == {"malformed": 1}
    assert "€50.00" in page
    assert "<script>alert" not in page
    assert is_true()


def test_one_view_on_500_purchases_earns_all_of_them(
    run: Run, buy: Buy, world: World, site: Site, is_true: Callable[[], bool]
) -> None:
    view = seen(site, moment(world))
    for _ in range(500):
        buy(100, metadata={"humblytics_view_id": str(view.id)})
    report = run()

    assert (report.payments, report.attributed) == (500, 500)
    assert is_true()


def test_without_the_encryption_keys_pages_are_served_and_the_check_fails(
    run: Run, buy: Buy, owner_client: Client, site: Site, account: Account, world: World, settings: Any
) -> None:
    buy(5000)
    run()
    settings.HUMBLYTICS_ENCRYPTION_KEYS = ""

    assert [found.id for found in run_checks() if found.id.startswith("revenue.")] == ["revenue.E001"]
    assert run().status == "key_unreadable"
    assert owner_client.get("/shop.example/revenue/").status_code == 200
    with pytest.raises(ConnectError, match="HUMBLYTICS_ENCRYPTION_KEYS"):
        connect(site, account.secret_key, moment(world))


def test_stripes_clock_counts_and_a_difference_is_told(
    run: Run,
    buy: Buy,
    world: World,
    connection: Connection,
    is_true: Callable[[], bool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for off in (-1, 1):
        buy(5000)
        caplog.clear()
        sync(connection, moment(world) + dt.timedelta(hours=off), drain=True)

        assert "clock" in caplog.text
        assert Stream.objects.get(name="charge").covered_to == moment(world) - dt.timedelta(seconds=60)
        assert is_true()
        world.advance(HOUR)


def test_events_of_an_old_version_are_as_good(site: Site, world: World, sandbox: SandboxServer) -> None:
    account = world.add_account("Old", api_version="2019-12-03")
    connection = connect(site, account.secret_key, moment(world))
    charge = world.pay(world.create_session(account, **bought(5000))["id"])["payment_intent"]
    sync(connection, moment(world), drain=True)
    world.advance(20 * DAY)
    sync(connection, moment(world), drain=True)
    world.refund(charges_of(world, account, charge)[0]["id"], 2000)
    report = sync(connection, moment(world))

    assert report.objects["charge"].changed == 1
    assert booked() == moved(world, account)
