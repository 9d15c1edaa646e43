"""The line that says where the total comes from, and what it cannot vouch for."""

from collections.abc import Callable

import pytest
from django.test import Client

from revenue.connecting import disconnect
from revenue.models import BalanceTransaction, Connection, Finding, LedgerLine
from revenue.sandbox import faults
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.world import World
from revenue.sync import Report
from sites.models import Site
from tests.revenue.conftest import moment, seen
from tests.revenue.shopping import subscribe

pytestmark = pytest.mark.django_db
Run, Buy = Callable[..., Report], Callable[..., str]
DAY = 86_400
PAGE = "/shop.example/revenue/"


@pytest.fixture
def text(owner_client: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setattr("revenue.views.timezone.now", lambda: moment(world))

    def text(query: str = "") -> str:
        return " ".join(owner_client.get(f"{PAGE}totals/?{query}").content.decode().split())

    return text


@pytest.mark.parametrize("query", ["currency=usd", "amounts=settled"])
def test_a_total_is_reconciled_until_a_movement_is_unexplained(
    query: str, run: Run, buy: Buy, text: Callable[..., str]
) -> None:
    buy(5_000, "usd")
    run()
    assert "</strong>, reconciled to the cent, as of" in text(query)
    LedgerLine.objects.filter(kind="charge").delete()
    assert "reconciled to the cent" not in text(query)
    assert "<strong>Unmatched</strong>: €46.00 moved on Stripe’s balance" in text(query)


def test_a_movement_of_a_type_never_seen_is_unexplained_too(run: Run, buy: Buy, text: Callable[..., str]) -> None:
    buy(5_000, "usd")
    run()
    assert "</strong>, reconciled to the cent, as of" in text()
    LedgerLine.objects.filter(kind="charge").delete()
    BalanceTransaction.objects.update(type="levitation", reporting_category="levitation")
    assert "reconciled to the cent" not in text()
    assert "<strong>Unmatched</strong>: €46.00 moved on Stripe’s balance" in text()


def test_what_is_not_booked_on_stripes_balance_yet_is_not_reconciled(
    run: Run, buy: Buy, text: Callable[..., str]
) -> None:
    buy(5_000)
    buy(700)
    run()
    LedgerLine.objects.filter(kind="charge", amount=700).update(balance_transaction="")
    shown = text()
    assert "<strong>Not on Stripe’s balance yet</strong>: €7.00 of it." in shown
    assert "reconciled to the cent" not in shown


def test_what_was_paid_in_another_currency_is_named_beside_the_total(
    run: Run, buy: Buy, text: Callable[..., str]
) -> None:
    buy(5_000)
    buy(5_000)
    buy(900, "usd")
    run()
    shown = text()
    assert "Stripe’s total <strong>€100.00</strong>" in shown
    assert "Paid in USD, and not in it: <strong>$9.00</strong> of 1 payment." in shown


def test_an_account_that_is_disconnected_is_said_to_be(
    run: Run, buy: Buy, text: Callable[..., str], connection: Connection
) -> None:
    buy(5_000)
    run()
    disconnect(connection)
    shown = text()
    assert "is disconnected: nothing new is read from it. What was read until then stays." in shown
    assert "Stripe’s total <strong>€50.00</strong>" in shown


def test_what_the_last_proof_found_is_listed(run: Run, buy: Buy, text: Callable[..., str], world: World) -> None:
    buy()
    run()
    account = LedgerLine.objects.all()[0].account
    found = {"found_at": moment(world), "account": account}
    Finding.objects.create(kind="unequal", subject="charge:ch_1:gross", detail="€1.00 in the ledger", **found)
    Finding.objects.create(kind="healed", subject="ch_2", gone_at=moment(world), **found)
    shown = text()
    assert "1 thing in Stripe’s books and ours does not add up." in shown
    assert "<code>charge:ch_1:gross</code> (€1.00 in the ledger)" in shown
    assert "ch_2" not in shown
    assert "reconciled to the cent" not in shown


def test_disputes_that_the_key_may_not_read_are_unknown(
    run: Run, buy: Buy, text: Callable[..., str], sandbox: SandboxServer, world: World
) -> None:
    buy()
    run()
    assert "Disputes unknown" not in text()
    sandbox.faults.always(faults.permission_missing("rak_dispute_read"), path="/v1/disputes")
    for _ in range(3):
        world.advance(DAY)
        run()
    assert "Disputes unknown" in text()
    assert "reconciled to the cent" not in text()


def test_checkouts_without_a_payment_are_explained(
    run: Run, text: Callable[..., str], world: World, account: Account
) -> None:
    trial = world.create_session(account, **subscribe(subscription_data={"trial_period_days": 45}))
    world.pay(trial["id"])
    run()
    assert "is no payment at Stripe: 1 checkout of this period ended without one." in text()


def test_coverage_is_drawn_by_week_and_its_fall_is_told(
    run: Run, buy: Buy, world: World, site: Site, owner_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revenue.views.timezone.now", lambda: moment(world))
    assert "could be credited to a visit yet" in owner_client.get(f"{PAGE}coverage/").content.decode()
    for is_carried in (True, False):
        view = seen(site, moment(world))
        for _ in range(12):
            buy(100, **({"metadata": {"humblytics_view_id": str(view.id)}} if is_carried else {}))
        run()
        world.advance(3_600)
        answer = owner_client.get(f"{PAGE}coverage/")
        page = " ".join(answer.content.decode().split())
        assert ("0 of the last 7 days’ 12 payments are credited to a visit, a smaller share" in page) is not is_carried
        world.advance(10 * DAY)
    shares = [bar.value for bar in answer.context["chart"].points if "no payments" not in bar.label]
    assert shares == ["100%", "0%"]
    assert "12 of 12 payments" in answer.context["chart"].points[0].label
