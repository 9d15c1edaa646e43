import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from revenue.models import Attribution, Charge, CheckoutSession, InvoicePayment, LedgerLine
from revenue.sandbox.accounts import Account, Owner
from revenue.sandbox.world import World
from revenue.sync import Report
from sites.models import Site
from tests.revenue.conftest import moment, seen
from tests.revenue.shopping import buy, everything, subscribe
from tracking.models import View, Visit

pytestmark = pytest.mark.django_db
HOUR, DAY = 3600, 86_400
Run = Callable[..., Report]


def begun(world: World, account: Account, **session: Any) -> dict[str, Any]:
    return world.pay(world.create_session(account, **subscribe(**session))["id"])


def sources() -> list[tuple[str, str]]:
    """Why each payment is credited to nobody, or to which source, the oldest first."""
    decided = {row.charge: row for row in Attribution.objects.filter(model="last_non_direct")}
    paid = Charge.objects.filter(status="succeeded").order_by("created_at")
    return [(decided[charge.stripe_id].reason, decided[charge.stripe_id].source) for charge in paid]


def test_every_renewal_is_credited_to_the_visit_that_began_the_subscription(
    run: Run, world: World, account: Account, site: Site
) -> None:
    view = seen(site, moment(world), channel="Email", source="Letter")
    begun(world, account, metadata={"humblytics_view_id": str(view.id)})
    run()
    for _ in range(4):
        world.advance(31 * DAY)
        report = run(drain=False)

    assert sources() == [("", "Letter")] * 5
    assert (report.payments, report.attributed) == (5, 5)
    assert set(Attribution.objects.values_list("evidence", flat=True)) == {"session_metadata"}
    assert sum(LedgerLine.objects.filter(kind="charge").values_list("amount", flat=True)) == 5 * 900


def test_a_subscription_carries_the_id_itself_and_renewals_after_its_window_inherit(
    run: Run, world: World, account: Account, site: Site
) -> None:
    view = seen(site, moment(world), channel="Email", source="Letter")
    session = begun(world, account, subscription_data={"metadata": {"humblytics_view_id": str(view.id)}})
    # As if it had been begun without a checkout.
    world.hide(session["id"], until=world.now() + 999 * DAY)
    run()
    world.advance(95 * DAY)
    run()

    assert sources() == [("", "Letter")] * 4
    assert set(Attribution.objects.values_list("evidence", flat=True)) == {"subscription_metadata"}


def test_an_invoice_carries_the_id_itself(run: Run, world: World, account: Account, site: Site) -> None:
    view = seen(site, moment(world), source="Letter")
    invoice = begun(world, account)["invoice"]
    # As a merchant does who changes the draft.
    with world._act(Owner(account.id, False)) as act:
        act.change(act.get(invoice), metadata={"humblytics_view_id": str(view.id)})
    run()

    assert sources() == [("", "Letter")]
    assert set(Attribution.objects.values_list("evidence", flat=True)) == {"invoice_metadata"}


def test_renewals_are_credited_when_the_view_is_gone_and_the_first_payment_stays_so(
    run: Run, world: World, account: Account, site: Site
) -> None:
    view = seen(site, moment(world), channel="Email", source="Letter")
    begun(world, account, metadata={"humblytics_view_id": str(view.id)})
    run()
    View.objects.filter(site=site).delete()
    Visit.objects.filter(site=site).delete()
    world.advance(62 * DAY)
    run()
    Attribution.objects.update(rules_version=0)
    run()

    assert sources() == [("", "Letter")] * 3


def test_a_trial_is_no_purchase_and_its_first_payment_is_credited(
    run: Run, world: World, account: Account, site: Site
) -> None:
    view = seen(site, moment(world), channel="Email", source="Letter")
    begun(
        world,
        account,
        metadata={"humblytics_view_id": str(view.id)},
        subscription_data={"trial_period_days": 45},
    )
    assert run().payments == 0
    world.advance(46 * DAY)

    assert run().payments == 1
    assert sources() == [("", "Letter")]


def test_a_bill_that_shows_up_after_its_payment_still_leads_to_the_subscription(
    run: Run, world: World, account: Account, site: Site
) -> None:
    view = seen(site, moment(world), source="Letter")
    begun(world, account, metadata={"humblytics_view_id": str(view.id)})
    for bill in everything(world, account, "invoice_payment"):
        world.hide(bill["id"], until=world.now() + 300)
    assert run().unattributed == {"no_session": 1}
    world.advance(301)
    run(drain=False)

    assert sources() == [("", "Letter")]


def test_a_renewal_and_its_first_payment_are_decided_about_in_their_order(
    run: Run, world: World, account: Account, site: Site
) -> None:
    view = seen(site, moment(world), channel="Email", source="Letter")
    session = begun(world, account, interval="week", metadata={"humblytics_view_id": str(view.id)})
    world.hide(session["id"], until=world.now() + 8 * DAY)
    run()
    # A renewal is charged when its draft has been open for an hour.
    world.advance(7 * DAY + HOUR + 300)
    with world._act(Owner(account.id, False)) as act:
        act.change(everything(world, account, "charge")[-1], metadata={"humblytics_view_id": str(uuid.uuid4())})
    run()
    assert sources() == [("no_id", ""), ("waiting", "")]
    # What the renewal waits for has not come, and the session that began it all shows up.
    world.advance(DAY)
    run()

    assert sources() == [("", "Letter")] * 2


def test_a_subscription_without_an_id_says_so(run: Run, world: World, account: Account) -> None:
    begun(world, account)
    world.advance(40 * DAY)
    run()
    assert sources() == [("no_id", "")] * 2
    before = list(Attribution.objects.values())
    run()

    assert list(Attribution.objects.values()) == before


def test_a_renewal_paid_in_two_parts_is_two_payments_each_counted_once(
    run: Run, world: World, account: Account, site: Site
) -> None:
    view = seen(site, moment(world), source="Letter")
    session = begun(world, account, metadata={"humblytics_view_id": str(view.id)})
    world.set_renewals(session["subscription"], "wait")
    world.advance(31 * DAY)
    invoice = everything(world, account, "invoice")[-1]["id"]
    world.pay_invoice(invoice, 400)
    world.pay_invoice(invoice)
    run()

    assert sorted(LedgerLine.objects.filter(kind="charge").values_list("amount", flat=True)) == [400, 500, 900]
    assert sources() == [("", "Letter")] * 3


def test_money_that_never_came_to_stripe_is_no_revenue(run: Run, world: World, account: Account) -> None:
    session = begun(world, account)
    world.set_renewals(session["subscription"], "wait")
    world.advance(31 * DAY)
    world.pay_invoice_off_stripe(everything(world, account, "invoice")[-1]["id"])
    report = run()

    assert report.payments == 1
    assert InvoicePayment.objects.filter(type="payment_record", amount_paid=900).exists()
    assert sum(LedgerLine.objects.filter(kind="charge").values_list("amount", flat=True)) == 900


def test_what_a_customers_credit_pays_is_no_revenue(run: Run, world: World, account: Account) -> None:
    session = begun(world, account)
    world.credit_customer(session["customer"], 5000)
    world.advance(31 * DAY)

    assert run().payments == 1


def test_a_buyer_who_comes_back_to_an_expired_checkout_is_known_by_the_first_one(
    run: Run, world: World, account: Account, site: Site
) -> None:
    view = seen(site, moment(world), source="Letter")
    opened = world.create_session(
        account,
        **buy(),
        metadata={"humblytics_view_id": str(view.id)},
        after_expiration={"recovery": {"enabled": True}},
    )
    run()
    world.advance(DAY + HOUR)
    again = world.recover(opened["id"])
    world.pay(again["id"])
    run()
    CheckoutSession.objects.filter(stripe_id=again["id"]).update(view_id="")
    Attribution.objects.all().delete()
    run()

    assert CheckoutSession.objects.get(stripe_id=again["id"]).recovered_from == opened["id"]
    assert sources() == [("", "Letter")]


def test_the_reports_moment_covers_what_money_moved_in(run: Run, world: World, account: Account) -> None:
    begun(world, account)
    report = run()

    assert report.covered_to == moment(world) - dt.timedelta(seconds=60)
