"""The view id in the metadata of a payment's customer, whom not every key may read and who outlives the payment."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from revenue.connecting import check, connect
from revenue.crediting import credit
from revenue.facts import gather
from revenue.health import Code, Level, judge
from revenue.models import Attribution, Charge, Connection, Finding
from revenue.sandbox import faults
from revenue.sandbox.accounts import READ_PERMISSIONS, Account, Owner
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.messages import Request, Response, json_response
from revenue.sandbox.world import World
from revenue.sync import Report
from sites.models import Site
from tests.revenue.books import sums, truth
from tests.revenue.conftest import moment, seen
from tests.revenue.shopping import subscribe
from tracking.models import View

pytestmark = pytest.mark.django_db
HOUR, DAY = 3600, 86_400
WITHOUT = READ_PERMISSIONS - {"rak_customer_read"}
Run = Callable[..., Report]
Buy = Callable[..., str]


@pytest.fixture
def customer(world: World, account: Account) -> Callable[..., str]:
    """Make a customer with such a view in his metadata; give his id."""

    def customer(view: View | None = None) -> str:
        metadata = {"humblytics_view_id": str(view.id)} if view else {}
        made = world.create_customer(Owner(account.id, False), {"name": "Zoe", "metadata": metadata})
        return str(made["id"])

    return customer


@pytest.fixture
def come_back(world: World) -> Callable[[str, View], None]:
    """Let a customer begin another purchase, which overwrites what his metadata carry."""

    def come_back(customer: str, view: View) -> None:
        world.update_customer(customer, {"metadata": {"humblytics_view_id": str(view.id)}})

    return come_back


@pytest.fixture
def asked(sandbox: SandboxServer) -> list[str]:
    """The addresses at which the customer was asked for."""
    found: list[str] = []

    def note(request: Request) -> None:
        if "customer" in request.query:
            found.append(request.path)

    sandbox.faults.append(note)
    return found


@pytest.fixture
def restricted(site: Site, account: Account, world: World, sandbox: SandboxServer) -> str:
    """The connection's key, which may read all but customers."""
    key = world.add_restricted_key(account, WITHOUT)
    connect(site, key, moment(world))
    return key


def decided(charge: str) -> tuple[str, str, str]:
    row = Attribution.objects.get(model="last_non_direct", charge=charge)
    return row.reason, row.evidence, row.source


def test_a_payment_is_credited_by_its_customers_metadata(
    run: Run, buy: Buy, site: Site, world: World, customer: Callable[..., str], owner_client: Client, account: Account
) -> None:
    view = seen(site, moment(world), channel="Email", source="Letter")
    charge = buy(customer=customer(view))
    report = run()

    assert decided(charge) == ("", "customer_metadata", "Letter")
    assert (report.attributed, report.unattributed) == (1, {})
    assert sums() == truth(world, account)
    page = owner_client.get(f"/shop.example/revenue/payments/{charge}/").content.decode()
    assert "<dd>Metadata of the customer</dd>" in page
    assert str(view.id) in page


def test_what_belongs_to_the_purchase_is_believed_more_and_the_clients_reference_less(
    run: Run, buy: Buy, site: Site, world: World, customer: Callable[..., str]
) -> None:
    letter, advert = (seen(site, moment(world), source=source) for source in ("Letter", "Advert"))
    id = {"humblytics_view_id": str(letter.id)}
    more = buy(customer=customer(advert), metadata=id)
    less = buy(customer=customer(advert), client_reference_id=str(letter.id))
    run()

    assert decided(more) == ("", "session_metadata", "Letter")
    assert decided(less) == ("", "customer_metadata", "Advert")


@pytest.mark.parametrize(("days", "reason"), [(20, ""), (40, "too_old")])
def test_the_window_holds_for_a_customer_who_comes_back(
    run: Run, buy: Buy, site: Site, world: World, customer: Callable[..., str], days: int, reason: str
) -> None:
    zoe = customer(seen(site, moment(world), source="Letter"))
    world.advance(days * DAY)
    charge = buy(customer=zoe)
    run()

    assert decided(charge)[:2] == (reason, "customer_metadata")


def test_what_a_customer_carries_later_changes_no_payment_and_is_no_alarm(
    run: Run, buy: Buy, site: Site, world: World, customer: Callable[..., str], come_back: Callable[..., None]
) -> None:
    first, nobody = customer(seen(site, moment(world), source="Letter")), customer()
    charges = [buy(customer=first), buy(customer=nobody)]
    run()
    before = [decided(charge) for charge in charges]
    # As it was begun on a page that had been seen before, even the second could be credited to it.
    for one in (first, nobody):
        come_back(one, seen(site, moment(world), source="Advert"))
    world.advance(8 * DAY)
    reports = [run(drain=False), run(full=True)]

    assert [decided(charge) for charge in charges] == before == [("", "customer_metadata", "Letter"), ("no_id", "", "")]
    assert not any(tally.changed or tally.healed for report in reports for tally in report.objects.values())
    assert not Finding.objects.exists()


def test_a_payment_is_not_credited_to_a_page_that_was_seen_after_it(
    run: Run, buy: Buy, site: Site, world: World, customer: Callable[..., str], come_back: Callable[..., None]
) -> None:
    zoe = customer(seen(site, moment(world), source="Letter"))
    first = buy(customer=zoe)
    world.advance(10 * DAY)
    come_back(zoe, seen(site, moment(world), source="Advert"))
    second = buy(customer=zoe)
    # Both are read for the first time only now.
    run()

    assert decided(first)[:2] == ("too_late", "customer_metadata")
    assert decided(second) == ("", "customer_metadata", "Advert")


def test_a_renewal_follows_its_subscription_whatever_the_customer_bought_since(
    run: Run,
    site: Site,
    world: World,
    account: Account,
    customer: Callable[..., str],
    come_back: Callable[..., None],
) -> None:
    zoe = customer(seen(site, moment(world), source="Letter"))
    world.pay(world.create_session(account, **subscribe(interval="week", customer=zoe))["id"])
    run()
    world.advance(5 * DAY)
    come_back(zoe, seen(site, moment(world), source="Advert"))
    world.advance(3 * DAY)
    run()

    charges = Charge.objects.order_by("created_at").values_list("stripe_id", "customer_view_id")
    assert len(charges) == len({carried for _, carried in charges}) == 2
    assert [decided(charge) for charge, _ in charges] == [("", "customer_metadata", "Letter")] * 2


def test_what_shows_up_late_and_is_believed_more_decides_again(
    run: Run, buy: Buy, site: Site, world: World, account: Account, customer: Callable[..., str]
) -> None:
    letter, advert = (seen(site, moment(world), source=source) for source in ("Letter", "Advert"))
    charge = buy(customer=customer(advert), metadata={"humblytics_view_id": str(letter.id)})
    (session,) = world.page(Owner(account.id, False), "checkout.session", lambda item: True, 1).data
    world.hide(session["id"], until=world.now() + 300)
    run()
    assert decided(charge) == ("", "customer_metadata", "Advert")
    world.advance(301)
    run()

    assert decided(charge) == ("", "session_metadata", "Letter")


def test_a_renewal_whose_bill_shows_up_late_follows_its_subscription(
    run: Run,
    site: Site,
    world: World,
    account: Account,
    customer: Callable[..., str],
    come_back: Callable[..., None],
    connection: Connection,
    django_assert_num_queries: Any,
) -> None:
    zoe = customer(seen(site, moment(world), source="Letter"))
    world.pay(world.create_session(account, **subscribe(interval="week", customer=zoe))["id"])
    run()
    world.advance(5 * DAY)
    come_back(zoe, seen(site, moment(world), source="Advert"))
    world.advance(2 * DAY + 2 * HOUR)
    owner = Owner(account.id, False)
    bill = world.page(owner, "invoice_payment", lambda item: True, 1).data[0]
    world.hide(bill["id"], until=world.now() + HOUR)
    run()
    renewal = Charge.objects.latest("created_at").stripe_id
    assert decided(renewal) == ("", "customer_metadata", "Advert")
    world.advance(HOUR)
    run()

    assert decided(renewal) == ("", "customer_metadata", "Letter")
    # And that is the end of it: for what is still open is asked, and nothing decided again.
    with django_assert_num_queries(6):
        credit(connection.account, moment(world))


def test_a_key_that_may_not_read_customers_is_read_as_ever(
    run: Run, buy: Buy, site: Site, world: World, restricted: str, asked: list[str], customer: Callable[..., str]
) -> None:
    charge = buy(customer=customer(seen(site, moment(world))))
    report = run()

    assert (report.status, report.error, report.unattributed) == ("connected", "", {"no_id": 1})
    assert Charge.objects.get(stripe_id=charge).customer_view_id is None
    assert asked == []
    assert Connection.objects.get().lacking == ["Customers"]
    assert Code.PERMISSION_MISSING not in {cause.code for cause in judge(gather(site, moment(world)))}


@pytest.mark.parametrize("is_first", [True, False], ids=["in the history", "in mid-life"])
def test_a_key_that_loses_the_permission_is_read_without_it_in_the_same_run(
    run: Run,
    buy: Buy,
    site: Site,
    world: World,
    account: Account,
    customer: Callable[..., str],
    asked: list[str],
    is_first: bool,
) -> None:
    key = world.add_restricted_key(account, READ_PERMISSIONS)
    connect(site, key, moment(world))
    view = seen(site, moment(world), source="Letter")
    with world.at(world.now() - 2 * DAY):
        old = buy(customer=customer(view), metadata={"humblytics_view_id": str(view.id)})
    if not is_first:
        run()
    world.permit(key, WITHOUT)
    new = buy(metadata={"humblytics_view_id": str(view.id)})
    asked.clear()
    report = run()

    assert (report.status, report.error, report.attributed) == ("connected", "", 2)
    assert sums() == truth(world, account)
    assert Charge.objects.get(stripe_id=new).customer_view_id is None
    assert Charge.objects.get(stripe_id=old).customer_view_id == (None if is_first else str(view.id))
    assert asked == ["/v1/balance_transactions"]
    assert Connection.objects.get().lacking == ["Customers"]
    # Who has made use of it is told.
    told = [cause for cause in judge(gather(site, moment(world))) if cause.code == Code.PERMISSION_MISSING]
    assert [cause.level for cause in told] == ([] if is_first else [Level.NOTE])
    run()
    assert len(asked) == 1


def test_a_permission_that_is_granted_later_is_used_as_soon_as_the_key_is_checked(
    run: Run, buy: Buy, site: Site, world: World, restricted: str, customer: Callable[..., str]
) -> None:
    charge = buy(customer=customer(seen(site, moment(world), source="Letter")))
    run()
    world.permit(restricted, READ_PERMISSIONS)
    check(Connection.objects.get(), moment(world))
    world.advance(DAY)
    report = run()

    assert decided(charge) == ("", "customer_metadata", "Letter")
    # The payment is what it was: nobody had been allowed to look at its customer.
    assert not any(tally.changed or tally.healed for tally in report.objects.values())


@pytest.mark.parametrize("status", [400, 403])
def test_a_refusal_without_a_word_why_costs_nothing_but_the_customer(
    run: Run, buy: Buy, world: World, account: Account, sandbox: SandboxServer, status: int
) -> None:
    def refuse(request: Request) -> Response | None:
        if "customer" in request.query:
            return json_response(status, {"error": {"message": "no", "type": "invalid_request_error"}})
        return None

    buy()
    sandbox.faults.append(refuse)
    report = run()

    assert (report.status, report.error) == ("connected", "")
    assert sums() == truth(world, account)
    # A request that is refused for its form says nothing of the key.
    assert Connection.objects.get().lacking == (["Customers"] if status == 403 else [])


def test_a_list_that_is_refused_for_another_reason_says_so_itself(
    run: Run, buy: Buy, sandbox: SandboxServer, connection: Connection
) -> None:
    sandbox.faults.always(faults.permission_missing("rak_charge_read"), path="/v1/charges")
    assert run().status == "degraded"

    connection.refresh_from_db()
    assert connection.lacking == ["Charges and Refunds"]
