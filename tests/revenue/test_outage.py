"""Weeks without a sync leave no gap, and weeks of it take less than half of the reads that Stripe grants."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.db.models import Sum

from revenue import budget, streams
from revenue.models import Charge, Connection, Finding, ReadCount, StripeAccount
from revenue.pager import PAGE_LENGTH
from revenue.sandbox.accounts import Account
from revenue.sandbox.world import World
from revenue.sync import Report, catch_up
from sites.models import Site
from tests.revenue.books import booked, everything, moved
from tests.revenue.conftest import moment, seen
from tests.revenue.shopping import buy, paid_charge, subscribe

pytestmark = pytest.mark.django_db
MINUTE, HOUR, DAY = 60, 3600, 86_400
MONTH = 30 * DAY


def begin(world: World, account: Account, **carried: str) -> list[str]:
    """Sell something of every kind, with more to come for weeks; give the charges that were paid at once."""
    params = {"metadata": {"humblytics_view_id": carried["view"]}} if carried else {}
    charges = [paid_charge(world, account, amount, **params)["id"] for amount in (5000, 6000, 7000, 8000)]
    world.pay(world.create_session(account, **subscribe(interval="week", **params))["id"])
    world.pay(world.create_session(account, **subscribe(subscription_data={"trial_period_days": 20}))["id"])
    for method, outcome in (("sepa_debit", "pay"), ("sepa_debit", "fail"), ("boleto", "pay")):
        session = world.create_session(account, **buy(payment_method_types=[method], **params))
        world.pay(session["id"], outcome, after=20 * DAY)
    hold = {"payment_intent_data": {"capture_method": "manual"}}
    world.pay(world.create_session(account, **buy(**hold))["id"])
    world.refund(charges[0], 500, "pending", then=(40 * DAY, "failed"))
    world.refund(charges[0], 600, "requires_action", then=(35 * DAY, "succeeded"))
    return charges


@pytest.mark.parametrize("drain", [pytest.param(True, id="the command"), pytest.param(False, id="the beat")])
def test_an_outage_of_45_days_leaves_no_gap(
    run: Callable[..., Report], world: World, account: Account, site: Site, drain: bool
) -> None:
    view = str(seen(site, moment(world), channel="Email").id)
    charges = begin(world, account, view=view)
    dispute = world.dispute(charges[1])
    run()
    for week in range(7):
        world.advance(45 * DAY / 7)
        paid_charge(world, account, 100 + week)
        world.refund(charges[2], 10 + week)
        if week == 1:
            world.close_dispute(dispute["id"])
            world.fail_payment(charges[3])
    # The events of the first weeks are gone; what they would have told is found all the same.
    report = run(drain=drain)
    assert (report.status, report.error) == ("connected", "")
    assert booked() == moved(world, account)

    before = everything()
    assert run(full=True, is_verified=True).error == ""
    assert everything() == before
    # The session's four payments, seven renewals, and both debits that were paid in the end.
    assert report.attributed == 4 + 7 + 2
    assert not Finding.objects.exists()


@pytest.mark.parametrize(
    ("sales", "seconds"),
    [
        pytest.param(0, 6 * HOUR, id="nothing sold"),
        pytest.param(10, DAY, id="10 sales a month"),
        pytest.param(100, 6 * HOUR, id="100 sales a month"),
        pytest.param(10_000, HOUR, id="10,000 sales a month"),
        pytest.param(0, MONTH, id="nothing sold, the month", marks=pytest.mark.nightly),
        pytest.param(10, MONTH, id="10 sales a month, the month", marks=pytest.mark.nightly),
        pytest.param(100, MONTH, id="100 sales a month, the month", marks=pytest.mark.nightly),
        pytest.param(10_000, 2 * DAY, id="10,000 sales a month, two days", marks=pytest.mark.nightly),
    ],
)
def test_a_month_takes_less_than_half_of_stripes_reads(
    connection: Connection, world: World, account: Account, sales: int, seconds: int
) -> None:
    """Let the beat read as it would. A part of the month stands for the whole, with its sweeps on top."""
    a_month_was_sold(connection.account, moment(world), sales)
    end = world.now() + seconds
    next_sale = world.now() + min(HOUR, MONTH / sales) if sales else end
    catch_up(connection, moment(world))
    first = total_reads()
    while world.now() < end:
        due_at = StripeAccount.objects.get().due_at
        assert due_at
        until = max(due_at.timestamp(), world.now() + MINUTE)
        while next_sale < until:
            world.advance(next_sale - world.now())
            paid_charge(world, account, 700)
            next_sale += MONTH / sales
        world.advance(until - world.now())
        connection.refresh_from_db()
        assert catch_up(connection, moment(world)).outcome.problem == ""

    reads = total_reads() - first
    whole = reads * MONTH / seconds + sweeps_of(sales)
    assert whole < budget.share(sales)
    assert booked() == moved(world, account)


def a_month_was_sold(account: StripeAccount, now: dt.datetime, sales: int) -> None:
    """Let the pace be that of a shop that has sold so much in the last 30 days."""
    Charge.objects.bulk_create(
        Charge(
            account=account,
            stripe_id=f"ch_before_{number}",
            created_at=now - dt.timedelta(seconds=number * MONTH / sales),
            observed_at=now,
            status="succeeded",
            captured=True,
            amount=700,
            amount_captured=700,
            amount_refunded=0,
            currency="eur",
            balance_transaction="txn_before",
        )
        for number in range(sales)
    )


def sweeps_of(sales: int) -> int:
    """What it takes in a month to read each list again: its last weeks each day, and half a year each week."""
    pages = [sales * reach.days // budget.DAYS // PAGE_LENGTH + 1 for reach in (streams.SWEEP, streams.DEEP_SWEEP)]
    return len(streams.LISTS) * (budget.DAYS * pages[0] + 5 * pages[1])


def total_reads() -> int:
    return ReadCount.objects.aggregate(reads=Sum("reads"))["reads"] or 0
