import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from revenue.connecting import connect
from revenue.models import Charge, StripeAccount
from revenue.sandbox.http import serve
from revenue.sandbox.world import World
from revenue.sync import sync
from sites.models import Site
from splittests.models import SplitTest, State
from splittests.results import Arm, Reading, Results, overview, results_of
from tests.factories import send_hit
from tests.splittests.selling import HOUR, NOON, booked, connected, paid, running, seen


@pytest.fixture
def account(site: Site) -> StripeAccount:
    return connected(site, "acct_1", livemode=True)


def arm(name: str, **figures: int) -> Arm:
    nothing = dict.fromkeys(("visitors", "conversions", "orders", "gross", "net", "net_squares"), 0)
    return Arm(name=name, weight=1, currency="eur", **nothing | figures)


def bought(name: str, gross: int, net: int, orders: int = 1) -> Arm:
    """The arm of one visitor who bought."""
    return arm(name, visitors=1, conversions=1, orders=orders, gross=gross, net=net, net_squares=net**2)


def test_each_variant_has_its_visitors_and_what_they_paid(
    site: Site, account: StripeAccount, django_assert_num_queries: Any
) -> None:
    test = running(site, "Control", "B", "C")
    first = seen(test, "Control", ip="203.0.113.1")
    seen(test, "Control", ip="203.0.113.2")
    second = seen(test, "B", ip="203.0.113.3")
    seen(test, "B", ip="203.0.113.3", at=NOON + HOUR)
    send_hit(site, ip="203.0.113.4", at=NOON)
    paid(account, first, 1000)
    paid(account, first, 500)
    paid(account, second, 4000)
    with django_assert_num_queries(1):
        results = results_of(test)
    assert results == Results(
        arms=(
            arm("Control", visitors=2, conversions=1, orders=2, gross=1500, net=1500, net_squares=1500**2),
            bought("B", 4000, 4000),
            arm("C"),
        ),
        excluded=0,
    )


def test_a_refund_lowers_the_variant_it_came_from_even_after_the_test_has_stopped(
    site: Site, account: StripeAccount
) -> None:
    test = running(site, "Control", "B")
    kept = paid(account, seen(test, "Control", ip="203.0.113.1"), 1000)
    returned = paid(account, seen(test, "B", ip="203.0.113.2"), 1000)
    test.stop(NOON + HOUR)
    test.refresh_from_db()
    booked(account, returned, "refund", -400, NOON + 50 * HOUR)
    booked(account, kept, "fee", -59)
    assert results_of(test).arms == (bought("Control", 1000, 1000), bought("B", 1000, 600))


def test_stripes_own_payments_and_refunds_arrive_at_the_variant(site: Site, settings: Any) -> None:
    world = World()
    shop = world.add_account("Shop")
    now = timezone.now()
    test = running(site, "Control", "B", started_at=now - HOUR)
    view_id = seen(test, "B", ip="203.0.113.1", at=now)
    price = {"currency": "eur", "unit_amount": 5000, "product_data": {"name": "Tea"}}
    with serve(world) as server:
        settings.STRIPE_API_BASE = server.url
        connection = connect(site, shop.secret_key, now)
        session = world.create_session(
            shop,
            mode="payment",
            line_items=[{"price_data": price, "quantity": 1}],
            success_url="https://shop.example/thanks",
            metadata={"humblytics_view_id": str(view_id)},
        )
        world.pay(session["id"])
        sync(connection, timezone.now(), drain=True)
        assert results_of(test).arms == (arm("Control"), bought("B", 5000, 5000))

        world.refund(Charge.objects.get().stripe_id, 1500)
        sync(connection, timezone.now(), drain=True)
        assert results_of(test).arms == (arm("Control"), bought("B", 5000, 3500))


def test_disputes_and_payments_that_fail_later_lower_revenue_and_refunds_that_fail_raise_it(
    site: Site, account: StripeAccount
) -> None:
    test = running(site, "Control")
    view = seen(test, "Control", ip="203.0.113.1")
    booked(account, paid(account, view, 1000), "dispute", -1000)
    booked(account, paid(account, view, 200), "payment_failure", -200)
    charge = paid(account, view, 500)
    booked(account, charge, "refund", -500)
    booked(account, charge, "refund_failure", 500)
    assert results_of(test).arms == (bought("Control", 1700, 500, orders=3),)


def test_a_visitor_of_two_variants_is_counted_apart(site: Site, account: StripeAccount) -> None:
    test = running(site, "Control", "B")
    seen(test, "Control", ip="203.0.113.1")
    paid(account, seen(test, "B", ip="203.0.113.1", at=NOON + HOUR), 1000, at=NOON + HOUR)
    seen(test, "Control", ip="203.0.113.2")
    assert results_of(test) == Results((arm("Control", visitors=1), arm("B")), excluded=1)


@pytest.mark.parametrize(
    ("minutes", "orders"),
    [
        pytest.param(-10, 0, id="before the exposure"),
        pytest.param(0, 1, id="in the same second"),
        pytest.param(10, 1, id="after it"),
    ],
)
def test_only_orders_after_the_exposure_count(site: Site, account: StripeAccount, minutes: int, orders: int) -> None:
    test = running(site, "Control")
    send_hit(site, "/pricing", ip="203.0.113.1", at=NOON - HOUR / 3)
    view = seen(test, "Control", ip="203.0.113.1")
    paid(account, view, 1000, at=NOON + dt.timedelta(minutes=minutes))
    assert results_of(test).arms[0].orders == orders


def test_an_order_begun_on_another_page_of_the_same_visitor_counts(site: Site, account: StripeAccount) -> None:
    test = running(site, "Control")
    seen(test, "Control", ip="203.0.113.1")
    checkout = send_hit(site, "/checkout", ip="203.0.113.1", at=NOON + HOUR)
    paid(account, checkout, 1000, at=NOON + HOUR)
    assert results_of(test).arms == (bought("Control", 1000, 1000),)


@pytest.mark.parametrize(("amount", "orders"), [pytest.param(4999, 0, id="below"), pytest.param(5000, 1, id="reached")])
def test_orders_below_the_target_do_not_count(site: Site, account: StripeAccount, amount: int, orders: int) -> None:
    test = running(site, "Control", target_amount=5000)
    paid(account, seen(test, "Control", ip="203.0.113.1"), amount)
    assert results_of(test).arms[0].orders == orders


def test_an_order_that_reached_the_target_still_counts_when_a_refund_takes_it_below(
    site: Site, account: StripeAccount
) -> None:
    test = running(site, "Control", target_amount=5000)
    booked(account, paid(account, seen(test, "Control", ip="203.0.113.1"), 5000), "refund", -1000)
    assert results_of(test).arms == (bought("Control", 5000, 4000),)


def test_orders_in_another_currency_do_not_count(site: Site, account: StripeAccount) -> None:
    test = running(site, "Control")
    paid(account, seen(test, "Control", ip="203.0.113.1"), 1000, currency="usd")
    assert results_of(test).arms == (arm("Control", visitors=1),)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"model": "first"}, id="another model"),
        pytest.param({"reason": "too_old"}, id="not attributed"),
        pytest.param({"site_id": None}, id="no site"),
    ],
)
def test_only_the_decision_for_the_purchases_own_view_counts(
    site: Site, account: StripeAccount, fields: dict[str, Any]
) -> None:
    test = running(site, "Control")
    paid(account, seen(test, "Control", ip="203.0.113.1"), 1000, **fields)
    assert results_of(test).arms == (arm("Control", visitors=1),)


def test_only_views_while_the_test_runs_are_exposures(site: Site) -> None:
    test = running(site, "Control", stopped_at=NOON + HOUR, state=State.STOPPED)
    seen(test, "Control", ip="203.0.113.1", at=NOON - 2 * HOUR)
    # A visit that had begun before the test counts from its first view of the test on.
    send_hit(site, ip="203.0.113.2", at=NOON - HOUR * 1.2)
    seen(test, "Control", ip="203.0.113.2", at=NOON - HOUR * 0.9)
    seen(test, "Control", ip="203.0.113.3", at=NOON + HOUR)
    assert results_of(test).arms == (arm("Control", visitors=1),)


def test_variants_that_a_page_of_another_site_reports_are_not_counted(site: Site, stranger: Any) -> None:
    test = running(site, "Control")
    other = Site.objects.for_user(stranger).get()
    send_hit(other, at=NOON, variants=[test.variants.get().pk])
    assert results_of(test).arms == (arm("Control"),)


def test_overview_counts_each_tests_visitors_without_those_who_saw_two_variants(
    site: Site, django_assert_num_queries: Any
) -> None:
    first = running(site, "Control", "B", name="First")
    second = running(site, "Control", "B", name="Second", key="second")
    draft = SplitTest.objects.create(site=site, name="Draft", key="draft", path="/", currency="eur")
    both = [first.variants.get(name="B").pk, second.variants.get(name="Control").pk]
    send_hit(site, ip="203.0.113.1", at=NOON, variants=both)
    seen(first, "Control", ip="203.0.113.2")
    seen(second, "B", ip="203.0.113.1")
    with django_assert_num_queries(1):
        tests = overview(site)
    assert [(test, test.visitors) for test in tests] == [(draft, 0), (second, 0), (first, 2)]


def test_overview_counts_for_each_test_only_views_while_it_ran(site: Site) -> None:
    stopped = running(site, "Control", state=State.STOPPED, stopped_at=NOON)
    current = running(site, "Control", key="current", started_at=NOON)
    seen(stopped, "Control", ip="203.0.113.1", at=NOON)
    seen(current, "Control", ip="203.0.113.1", at=NOON - HOUR / 2)
    assert [test.visitors for test in overview(site)] == [0, 0]


def many(name: str, visitors: int, conversions: int, amount: int = 1000, weight: int = 1) -> Arm:
    """An arm whose buyers paid the same each."""
    total = conversions * amount
    return Arm(name, weight, "eur", visitors, conversions, conversions, total, total, conversions * amount**2)


def reading(control: Arm, variant: Arm) -> Reading:
    return Results((control, variant), 0).readings[0]


@pytest.mark.parametrize(
    ("control", "variant", "tone", "sentence"),
    [
        pytest.param(
            many("A", 99, 30),
            many("B", 1000, 300),
            "",
            "Too early to tell: both need 100 visitors and 25 conversions.",
            id="few visitors",
        ),
        pytest.param(
            many("A", 1000, 300),
            many("B", 1000, 24),
            "",
            "Too early to tell: both need 100 visitors and 25 conversions.",
            id="few conversions",
        ),
        pytest.param(
            many("A", 1000, 100),
            many("B", 1000, 200),
            "good",
            "Between €0.69 and €1.31 more per visitor than A.",
            id="more",
        ),
        pytest.param(
            many("A", 1000, 200),
            many("B", 1000, 100),
            "bad",
            "Between €0.69 and €1.31 less per visitor than A.",
            id="less",
        ),
        pytest.param(
            many("A", 1000, 100),
            many("B", 1000, 110),
            "",
            "Anything between €0.17 less and €0.37 more per visitor than A: the difference may be chance.",
            id="either",
        ),
        pytest.param(
            many("A", 100, 100),
            many("B", 100, 100),
            "",
            "All visitors brought the same, so there is no range to be given.",
            id="no spread",
        ),
    ],
)
def test_the_sentence_says_what_the_interval_says(control: Arm, variant: Arm, tone: str, sentence: str) -> None:
    found = reading(control, variant)
    assert (found.tone, found.sentence) == (tone, sentence)


def test_every_text_stands_without_visitors_or_purchases() -> None:
    for control, variant in [
        (arm("A"), arm("B")),
        (arm("A", visitors=1), arm("B", visitors=1)),
        (arm("A", visitors=900), arm("B", visitors=900)),
    ]:
        found = reading(control, variant)
        assert (found.difference_text, found.uplift_text, found.p_text) == ("–", "", "–")
        assert found.drawing is None
        assert (control.average_order_text, control.per_visitor_range, control.returned_text) == ("–", "", "")
    assert (arm("A").rate_text, arm("A").rate_range, arm("A").per_visitor_text) == ("–", "", "–")


def test_figures_are_given_with_their_ranges() -> None:
    control, variant = many("A", 1000, 100), many("B", 1000, 110)
    found = reading(control, variant)
    assert (control.rate_text, control.rate_range) == ("10.0%", "8.3% to 12.0%")
    assert (control.per_visitor_text, control.per_visitor_range) == ("€1.00", "€0.81 to €1.19")
    assert (control.average_order_text, control.net_text) == ("€10.00", "€1,000.00")
    assert (found.difference_text, found.uplift_text) == ("+€0.10", "+10.0% (-18.2% to +38.2%)")
    assert found.p_text == "p = 0.466"


def test_drawings_share_a_scale_on_which_zero_has_its_place() -> None:
    results = Results((many("A", 1000, 100), many("B", 1000, 200), many("C", 1000, 150)), 0)
    drawings = [found.drawing for found in results.readings]
    assert all(one is not None for one in drawings)
    for one in drawings:
        assert one is not None
        assert 0 < one.zero < one.low < one.estimate < one.high < 100
    assert len({one.zero for one in drawings if one}) == 1


@pytest.mark.parametrize(
    ("control", "variant", "is_lopsided"),
    [
        pytest.param(many("A", 1000, 1), many("B", 1100, 1), False, id="chance"),
        pytest.param(many("A", 1000, 1), many("B", 1200, 1), True, id="not chance"),
        pytest.param(many("A", 1000, 1), many("B", 2000, 1, weight=2), False, id="as the weights say"),
        pytest.param(arm("A"), arm("B"), False, id="nobody"),
    ],
)
def test_visitors_who_split_unlike_the_weights_are_noticed(control: Arm, variant: Arm, is_lopsided: bool) -> None:
    assert Results((control, variant), 0).is_lopsided is is_lopsided


def test_test_money_does_not_count_beside_live_money(site: Site, account: StripeAccount) -> None:
    test = running(site, "Control", "B")
    view = seen(test, "B", ip="203.0.113.1")
    paid(account, view, 1000)
    paid(connected(site, "acct_1", livemode=False), view, 9900)
    assert results_of(test).arms == (arm("Control"), bought("B", 1000, 1000))
