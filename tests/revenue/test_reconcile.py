from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from revenue import stats
from revenue.attribution import Model
from revenue.connecting import connect
from revenue.models import BalanceTransaction, Charge, Connection, Finding, LedgerLine, Refund
from revenue.models.findings import FindingKind
from revenue.reconcile import differences, unmatched
from revenue.sandbox.accounts import READ_PERMISSIONS, Account
from revenue.sandbox.faults import changed, changed_objects, permission_missing
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.world import World
from revenue.sync import Report, catch_up, sync
from sites import periods
from sites.models import Site
from tests.factories import SiteFactory
from tests.revenue.books import sums, truth
from tests.revenue.conftest import moment, seen
from tests.revenue.shopping import everything, subscribe
from tracking.stats import ask

pytestmark = pytest.mark.django_db
HOUR, DAY = 3600, 86_400
Run = Callable[..., Report]
Buy = Callable[..., str]


def wrong(report: Report) -> list[tuple[str, str]]:
    """What does not add up, and is not only waited for."""
    return [(each.kind.value, each.subject) for each in report.differences if not each.is_waiting]


@pytest.fixture
def charge(buy: Buy, world: World, run: Run) -> str:
    """A payment of three days ago with a refund and a dispute, read and proved."""
    charge = buy(5000)
    world.refund(charge, 1000)
    world.dispute(charge, 500)
    run()
    world.advance(3 * DAY)
    assert run(is_verified=True).differences == ()
    return charge


def lose_a_movement() -> None:
    BalanceTransaction.objects.filter(type="refund").delete()


def lose_a_line() -> None:
    LedgerLine.objects.filter(kind="refund").delete()


def change_a_line() -> None:
    LedgerLine.objects.filter(kind="charge").update(amount=4999)


def change_a_fee() -> None:
    LedgerLine.objects.filter(kind="fee", amount=-100).update(amount=-1)


def double_a_line() -> None:
    line = LedgerLine.objects.get(kind="dispute")
    line.pk, line.key = None, "dispute:twice"
    line.save()


def lose_a_refund() -> None:
    Refund.objects.all().delete()


def miss_what_was_refunded() -> None:
    Charge.objects.update(amount_refunded=0)


def miss_what_was_captured() -> None:
    LedgerLine.objects.filter(kind="charge").delete()


# What is broken in the database, what is found to be wrong then, and what is told.
DAMAGES: list[tuple[Callable[[], object], set[str], set[str]]] = [
    (lose_a_movement, {"unproved"}, {"unproved", "healed"}),
    (lose_a_line, {"unmatched"}, {"unmatched"}),
    (change_a_line, {"unequal", "captured"}, {"unequal", "captured"}),
    (change_a_fee, {"unequal"}, {"unequal"}),
    (double_a_line, {"doubled"}, {"doubled"}),
    (lose_a_refund, {"refunded"}, {"healed"}),
    (miss_what_was_refunded, {"refunded"}, {"healed"}),
    (miss_what_was_captured, {"unmatched", "captured"}, {"unmatched", "captured"}),
]


@pytest.mark.usefixtures("charge")
def test_whatever_is_missing_or_wrong_is_found_read_again_and_told(
    run: Run, world: World, account: Account, connection: Connection
) -> None:
    for damage, kinds, told in DAMAGES:
        damage()
        found = {each.kind.value for each in differences(connection.account, moment(world))}
        assert (damage, found) == (damage, kinds)
        report = run(is_verified=True)

        assert (damage, wrong(report)) == (damage, [])
        assert sums() == truth(world, account)
        assert (damage, set(Finding.objects.values_list("kind", flat=True))) == (damage, told)
        assert not Finding.objects.filter(gone_at=None).exists()
        assert run(is_verified=True).differences == ()
        Finding.objects.all().delete()


def test_a_movement_that_was_never_seen_is_found_by_the_balance(
    run: Run, buy: Buy, world: World, account: Account, connection: Connection
) -> None:
    with world.at(world.now() - 400 * DAY):
        lost = buy(700)
    for kind in ("checkout.session", "balance_transaction", "charge"):
        for item in everything(world, account, kind):
            world.hide(item["id"], until=world.now() + HOUR)
    run()
    world.advance(9 * DAY)
    run()
    assert not LedgerLine.objects.exists()
    # The beat waits until all movements must have shown up, and leaves long lists to somebody who asks for them.
    for kinds in ([], [FindingKind.BALANCE]):
        connection.account.refresh_from_db()
        by_beat = catch_up(connection, moment(world), is_verified=True)
        assert [each.kind for each in by_beat.differences] == kinds
        world.advance(HOUR)
    assert Finding.objects.get(kind="balance").gone_at is None
    report = run(is_verified=True)

    assert wrong(report) == []
    assert report.objects["balance_transaction"].healed == 1
    assert LedgerLine.objects.filter(charge=lost, kind="charge").get().amount == 700
    assert Finding.objects.get(kind="balance").gone_at == moment(world)


def test_the_proof_of_a_quiet_account_takes_three_reads(run: Run, charge: str) -> None:
    reads = [run(drain=False, is_verified=is_verified).reads for is_verified in (False, True)]

    assert reads == [1, 4]


def test_what_moves_after_the_balance_was_read_is_not_held_against_it(
    charge: str, buy: Buy, world: World, connection: Connection
) -> None:
    world.advance(HOUR)
    buy(900)
    connection.account.refresh_from_db()

    assert catch_up(connection, moment(world), is_verified=True).differences == []


def test_a_balance_that_no_movement_explains_stays_a_finding_until_it_is_explained(
    run: Run, charge: str, world: World, sandbox: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    def one_more(content: dict[str, Any]) -> dict[str, Any]:
        (part,) = content["available"]
        return {**content, "available": [{**part, "amount": part["amount"] + 1}]}

    sandbox.faults.always(changed(one_more), path="/v1/balance")
    for _ in range(2):
        report = run(is_verified=True)
        assert wrong(report) == [("balance", "eur")]
        assert (report.status, report.error) == ("connected", "Something does not add up.")
    assert caplog.text.count("All movements are not Stripe’s balance: eur") == 1
    sandbox.faults.clear()
    world.advance(HOUR)
    assert run(is_verified=True).error == ""

    assert Finding.objects.get().gone_at == moment(world)


def test_a_balance_that_moves_while_it_is_looked_at_is_not_judged(
    run: Run, charge: str, sandbox: SandboxServer
) -> None:
    looks = iter(range(99))

    def moving(content: dict[str, Any]) -> dict[str, Any]:
        return {**content, "pending": [{"amount": next(looks), "currency": "eur"}]}

    sandbox.faults.always(changed(moving), path="/v1/balance")
    before = sandbox.served["/v1/balance"]

    told: list[str] = []

    assert run(is_verified=True, progress=told.append).differences == ()
    assert sandbox.served["/v1/balance"] == before + 4
    assert "balance: not compared, for money moved all the time" in told


def test_a_balance_of_another_shape_is_an_error_and_proves_nothing(
    run: Run, charge: str, sandbox: SandboxServer
) -> None:
    sandbox.faults.always(changed(lambda content: {**content, "available": [{"currency": "eur"}]}), path="/v1/balance")
    report = run(is_verified=True)

    assert report.status == "degraded"
    assert "available" in report.error


def test_a_key_that_may_not_read_the_balance_proves_the_rest(
    run: Run, charge: str, site: Site, account: Account, world: World
) -> None:
    key = world.add_restricted_key(account, READ_PERMISSIONS - {"rak_balance_read"})
    connect(site, key, moment(world))
    LedgerLine.objects.filter(kind="refund").update(amount=-1)
    told: list[str] = []
    report = run(is_verified=True, progress=told.append)

    assert (report.status, report.differences) == ("connected", ())
    assert Finding.objects.get().kind == "unequal"
    assert "balance: not compared, for the key may not read it" in told


def test_a_payment_that_is_not_booked_is_waited_for_for_two_days(run: Run, buy: Buy, world: World) -> None:
    world.booked_after = 3 * DAY
    charge = buy(5000)
    key = f"charge:{charge}:gross"
    for is_waiting in (True, True, False):
        (each,) = run(is_verified=True).differences
        assert (each.kind, each.subject, each.is_waiting) == (FindingKind.UNPROVED, key, is_waiting)
        assert Finding.objects.exists() is not is_waiting
        world.advance(DAY)
    report = run(is_verified=True)

    assert report.differences == ()
    assert Finding.objects.get(subject=key).gone_at == moment(world)
    # Nor is a movement without a line an alarm at once: what it belongs to may show up later.
    LedgerLine.objects.all().delete()
    (each,) = differences(Connection.objects.get().account, moment(world))[:1]
    assert (each.kind, each.is_waiting) == (FindingKind.UNMATCHED, True)


def test_a_type_that_nobody_knows_is_an_alarm_at_once_and_counted(
    run: Run, world: World, account: Account, connection: Connection
) -> None:
    world.enter(account, "moon_landing", -700)
    report = run(is_verified=True)

    assert wrong(report) == [("unmatched", BalanceTransaction.objects.get().stripe_id)]
    assert report.unmatched_balance_transactions == unmatched(connection.account).count() == 1
    assert Finding.objects.get().gone_at is None


def test_what_moves_another_of_stripes_balances_is_left_out_of_the_sum(
    run: Run, charge: str, world: World, account: Account
) -> None:
    BalanceTransaction.objects.create(
        account=Connection.objects.get().account,
        stripe_id="txn_card",
        created_at=moment(world),
        observed_at=moment(world),
        type="issuing_transaction",
        reporting_category="issuing_transaction",
        balance_type="issuing",
        amount=-900,
        fee=0,
        net=-900,
        currency="eur",
    )

    assert run(is_verified=True).differences == ()


def test_nothing_is_judged_by_the_balance_before_the_history_is_read(
    run: Run, buy: Buy, world: World, sandbox: SandboxServer
) -> None:
    buy()
    sandbox.faults.always(permission_missing("rak_balance_transaction_source_read"), path="/v1/balance_transactions")
    sandbox.served.clear()
    report = run(is_verified=True)

    assert sandbox.served["/v1/balance"] == 0
    assert wrong(report) == []
    assert report.is_in_part


def test_what_does_not_add_up_is_shown_with_the_revenue_and_in_the_settings(
    run: Run, world: World, account: Account, owner_client: Client
) -> None:
    world.enter(account, "moon_landing", -700)
    run(is_verified=True)
    movement = BalanceTransaction.objects.get().stripe_id
    pages = ("/shop.example/revenue/", "/shop.example/settings/revenue/")
    revenue, settings = (owner_client.get(page).content.decode() for page in pages)
    assert "1 thing in Stripe’s books and ours does not add up" in revenue
    assert "1 balance transaction without a line in the ledger" in settings
    assert "Still so" in settings
    assert movement in settings
    BalanceTransaction.objects.update(type="stripe_fee")
    world.advance(HOUR)
    Finding.objects.update(gone_at=moment(world))
    revenue, settings = (owner_client.get(page).content.decode() for page in pages)

    assert "not add up:" not in revenue
    assert "Each balance transaction of a sale has its line in the ledger" in settings
    assert "In order since" in settings


def test_a_page_view_that_pays_again_and_again_is_pointed_out_and_its_money_counted(
    run: Run, buy: Buy, site: Site, world: World, account: Account, owner_client: Client
) -> None:
    view = seen(site, moment(world))
    carried = {"humblytics_view_id": str(view.id)}
    session = world.create_session(account, **subscribe(interval="day", metadata=carried))
    world.pay(session["id"])
    for amount in range(100, 119):
        buy(amount, metadata=carried)
    world.advance(30 * DAY)
    # A subscription is bought once, however often it is renewed.
    run()
    run(is_verified=True)
    assert not Finding.objects.exists()
    buy(119, metadata=carried)
    run()
    report = run(is_verified=True)

    assert (report.differences, report.unattributed) == ((), {})
    assert report.attributed == 20 + 30
    assert sums() == truth(world, account)
    finding = Finding.objects.get()
    assert (finding.kind, finding.subject, finding.detail) == ("shared_view", str(view.id), "21 times")
    assert (
        "A page view that pays again and again" in owner_client.get("/shop.example/settings/revenue/").content.decode()
    )
    assert "not add up" not in owner_client.get("/shop.example/revenue/").content.decode()


def test_whatever_is_carried_as_a_view_id_the_money_counts_and_the_page_shows_it_as_text(
    run: Run, buy: Buy, world: World, account: Account, sandbox: SandboxServer, owner_client: Client
) -> None:
    foreign = seen(SiteFactory(domain="other.example"), moment(world)).id
    view_id = "0190f3c2-7a54-7c1d-9b7e-5d2f8e6a4c10"
    strange = ["x" * 10_000, "<script>alert(1)</script>", "nul \0 inside", "'; DROP TABLE revenue_charge; --"]
    strange += [[view_id], {"id": view_id}, 7, True, str(foreign), view_id]
    for _ in strange:
        buy(5000)
    sessions = [session["id"] for session in everything(world, account, "checkout.session")]
    carried = dict(zip(sessions, strange, strict=True))

    def carry(session: dict[str, Any]) -> dict[str, Any]:
        return {**session, "metadata": {"humblytics_view_id": carried[session["id"]]}}

    sandbox.faults.always(changed_objects(carry), path="/v1/checkout/sessions*")
    world.advance(2 * HOUR)
    report = run()
    page = owner_client.get("/shop.example/revenue/").content.decode()
    payments = "".join(
        owner_client.get(f"/shop.example/revenue/payments/{charge.stripe_id}/").content.decode()
        for charge in Charge.objects.all()
    )

    assert report.unattributed == {"malformed": 8, "other_site": 1, "unknown": 1}
    assert report.payments == 10
    assert sums() == truth(world, account)
    assert "€500.00" in page
    assert "&lt;script&gt;alert(1)" in payments
    assert "<script>alert" not in page + payments


def test_each_payment_of_two_sites_accounts_is_credited_to_one_of_them_at_most(
    run: Run, buy: Buy, site: Site, world: World, account: Account, connection: Connection
) -> None:
    blog = SiteFactory(domain="blog.example")
    second = connect(blog, account.secret_key, moment(world))
    for amount, where in [(1000, site), (2000, blog), (4000, None)]:
        carried = {"humblytics_view_id": str(seen(where, moment(world)).id)} if where else {}
        buy(amount, metadata=carried)
    ours, theirs = run(), sync(second, moment(world))

    assert (ours.attributed, theirs.attributed) == (1, 1)
    # The account's, and so the same on both.
    assert ours.unattributed == theirs.unattributed == {"no_id": 1}
    day = periods.picked("today", moment(world), site.zone)
    found = [stats.totals(ask(each, day), Model.LAST_NON_DIRECT)[0] for each in (site, blog)]
    assert [(total.attributed, total.unattributed, total.elsewhere) for total in found] == [
        (1000, 4000, 2000),
        (2000, 4000, 1000),
    ]
    assert {total.account_net for total in found} == {7000}
