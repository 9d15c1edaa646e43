import datetime as dt
from dataclasses import astuple
from typing import Any

import pytest
from django.utils import timezone

from revenue.connecting import connect
from revenue.models import Charge, StripeAccount
from revenue.sandbox.http import serve
from revenue.sandbox.world import World
from revenue.sync import sync
from sites.models import Site
from splittests import results
from splittests.exposures import gather, gather_running
from splittests.models import SplitTest, State
from splittests.readings import Arm, Results, Returns
from tests.factories import CHROME, IPHONE, send_hit
from tests.splittests.selling import HOUR, NOON, booked, connected, paid, running, seen


def results_of(test: SplitTest, now: dt.datetime = NOON) -> Results:
    gather(test)
    return results.results_of(test, now)


def overview(site: Site) -> list[SplitTest]:
    gather_running(site)
    return results.overview(site)


@pytest.fixture
def account(site: Site) -> StripeAccount:
    return connected(site, "acct_1", livemode=True)


def arm(name: str, **figures: int) -> Arm:
    nothing = dict.fromkeys(("visitors", "conversions", "orders", "gross", "net", "capped", "capped_squares"), 0)
    return Arm(name=name, weight=1, currency="eur", **nothing | figures)


def bought(name: str, gross: int, net: int, orders: int = 1) -> Arm:
    """The arm of one visitor who bought."""
    return arm(name, visitors=1, conversions=1, orders=orders, gross=gross, net=net, capped=net, capped_squares=net**2)


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
    gather(test)
    # Visitors, what they brought, which metrics there are, and whether the money is real.
    with django_assert_num_queries(4):
        found = results.results_of(test, NOON)
    assert found == Results(
        arms=(
            arm(
                "Control",
                visitors=2,
                conversions=1,
                orders=2,
                gross=1500,
                net=1500,
                capped=1500,
                capped_squares=1500**2,
            ),
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


@pytest.mark.parametrize(("hours", "orders"), [pytest.param(47, 1, id="inside"), pytest.param(48, 0, id="at its end")])
def test_only_orders_within_the_conversion_window_count(
    site: Site, account: StripeAccount, hours: int, orders: int
) -> None:
    test = running(site, "Control", window_days=2)
    first_at = NOON.replace(microsecond=0)
    view = seen(test, "Control", ip="203.0.113.1", at=first_at)
    paid(account, view, 1000, at=first_at + hours * HOUR)
    assert results_of(test).arms[0].orders == orders


def test_visitors_inside_the_conversion_window_are_ripening(site: Site) -> None:
    test = running(site, "Control", "B", window_days=1)
    for ip, name, hours in [("1", "Control", 0), ("2", "B", 2), ("3", "B", 3)]:
        seen(test, name, ip=f"203.0.113.{ip}", at=NOON + hours * HOUR)
    assert [results_of(test, NOON + hours * HOUR).ripening for hours in (3, 24.5, 26.5, 30)] == [3, 2, 1, 0]
    SplitTest.objects.update(window_days=None)
    test.refresh_from_db()
    assert results_of(test).ripening == 0


def test_a_cap_holds_for_each_visitor_of_all_variants_and_changes_only_what_is_compared(
    site: Site, account: StripeAccount
) -> None:
    test = running(site, "Control", "B", cap_percentile=90)
    for number in range(9):
        paid(account, seen(test, "Control", ip=f"203.0.113.{number}"), 1000 + number)
    whale = seen(test, "B", ip="203.0.113.99")
    paid(account, whale, 600)
    paid(account, whale, 900_000)
    # A visitor who got everything back is no buyer for the percentile.
    booked(account, paid(account, seen(test, "B", ip="203.0.113.98"), 500), "refund", -500)
    found = results_of(test)
    assert found.cap == 1008
    control, variant = found.arms
    assert (variant.gross, variant.net, variant.capped, variant.capped_squares) == (901_100, 900_600, 1008, 1008**2)
    assert control.net == control.capped == sum(range(1000, 1009))


def test_what_goes_back_after_the_stop_is_told_with_its_last_day(site: Site, account: StripeAccount) -> None:
    test = running(site, "Control", "B")
    returned = paid(account, seen(test, "B", ip="203.0.113.2"), 1000)
    disputed = paid(account, seen(test, "Control", ip="203.0.113.1"), 3000)
    booked(account, returned, "refund", -100, NOON + HOUR / 2)
    test.stop(NOON + HOUR)
    test.refresh_from_db()
    assert results_of(test).returns is None
    booked(account, returned, "refund", -400, NOON + 50 * HOUR)
    booked(account, disputed, "dispute", -3000, NOON + 70 * HOUR)
    assert results_of(test).returns == Returns(3400, NOON + 70 * HOUR)
    booked(account, disputed, "dispute", 3000, NOON + 90 * HOUR)
    assert results_of(test).returns == Returns(400, NOON + 90 * HOUR)
    booked(account, returned, "refund_failure", 500, NOON + 95 * HOUR)
    assert results_of(test).returns == Returns(-100, NOON + 95 * HOUR)


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
    view = seen(test, "Control", ip="203.0.113.1")
    for currency in ("usd", "chf", "usd"):
        paid(account, view, 1000, currency=currency)
    found = results_of(test)
    assert (found.arms, found.strays) == ((arm("Control", visitors=1),), (("usd", 2), ("chf", 1)))


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
    draft = SplitTest.objects.create(site=site, name="Draft", key="draft", pages=["/"], currency="eur")
    both = [first.variants.get(name="B").pk, second.variants.get(name="Control").pk]
    send_hit(site, ip="203.0.113.1", at=NOON, variants=both)
    seen(first, "Control", ip="203.0.113.2")
    seen(second, "B", ip="203.0.113.1")
    gather_running(site)
    with django_assert_num_queries(1):
        tests = results.overview(site)
    assert [(test, test.visitors) for test in tests] == [(draft, 0), (second, 0), (first, 2)]


def test_overview_counts_for_each_test_only_views_while_it_ran(site: Site) -> None:
    stopped = running(site, "Control", state=State.STOPPED, stopped_at=NOON)
    current = running(site, "Control", key="current", started_at=NOON)
    seen(stopped, "Control", ip="203.0.113.1", at=NOON)
    seen(current, "Control", ip="203.0.113.1", at=NOON - HOUR / 2)
    assert [test.visitors for test in overview(site)] == [0, 0]


def test_test_money_does_not_count_beside_live_money(site: Site, account: StripeAccount) -> None:
    test = running(site, "Control", "B")
    view = seen(test, "B", ip="203.0.113.1")
    paid(account, view, 1000)
    paid(connected(site, "acct_1", livemode=False), view, 9900)
    assert results_of(test).arms == (arm("Control"), bought("B", 1000, 1000))


def grown(test: SplitTest, zone: str = "Europe/Berlin") -> dict[dt.date, list[tuple[int, float, float, int]]]:
    """What each arm had at the end of each day: visitors, what they brought, its squares, conversions."""
    found: dict[dt.date, list[tuple[int, float, float, int]]] = {}

    def looks(days: Any, planned: int | None) -> list[Any]:
        found.update({day: [(*astuple(arm.sums), arm.conversions) for arm in arms] for day, arms in days})
        return []

    gather(test)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "looks", looks)
        results.by_day(test, zone)
    return found


def test_each_day_has_what_had_happened_by_its_end(
    site: Site, account: StripeAccount, django_assert_num_queries: Any
) -> None:
    test = running(site, "Control", "B")
    first = seen(test, "Control", ip="203.0.113.1")
    seen(test, "B", ip="203.0.113.2")
    charge = paid(account, first, 1000)
    paid(account, first, 500, at=NOON + 13 * HOUR)
    booked(account, charge, "refund", -400, NOON + 50 * HOUR)
    seen(test, "B", ip="203.0.113.3", at=NOON + 25 * HOUR)
    day = NOON.date()
    first_day, nobody = (1, 1000, 1000**2, 1), (1, 0, 0, 0)
    assert grown(test) == {
        day: [first_day, nobody],
        # 13 hours after noon of UTC the next day has begun in both zones.
        day + 24 * HOUR: [(1, 1500, 1500**2, 1), (2, 0, 0, 0)],
        day + 48 * HOUR: [(1, 1100, 1100**2, 1), (2, 0, 0, 0)],
    }
    # Five hours west it is still the same evening.
    assert grown(test, "America/New_York")[day] == [(1, 1500, 1500**2, 1), nobody]
    with django_assert_num_queries(2):
        results.by_day(test, "UTC")


def test_the_last_day_has_what_the_results_say(site: Site, account: StripeAccount) -> None:
    test = running(site, "Control", "B", cap_percentile=90, window_days=3)
    for number in range(12):
        name, at = ("Control", "B")[number % 2], NOON + number * 7 * HOUR
        view = seen(test, name, ip=f"203.0.113.{number}", at=at)
        if number % 3 == 0:
            charge = paid(account, view, 1000 + 100 * number, at=at + HOUR)
            paid(account, view, 5000, at=at + 20 * HOUR)
            booked(account, charge, "refund", -300, at + 100 * HOUR)
    found = results_of(test)
    *_, last = grown(test).values()
    assert found.cap is not None
    assert last == [(*astuple(arm.sums), arm.conversions) for arm in found.arms]


def test_parts_of_the_audience_add_up_to_all_of_it(
    site: Site, account: StripeAccount, django_assert_num_queries: Any
) -> None:
    test = running(site, "Control", "B")
    variants = [variant.pk for variant in test.variants.order_by("pk")]
    for number, browser in enumerate([IPHONE, CHROME, IPHONE, IPHONE, CHROME]):
        address = f"91.64.0.{number}"
        view = send_hit(site, ip=address, user_agent=browser, at=NOON, variants=[variants[number % 2]])
        paid(account, view, 1000 * (number + 1))
    gather(test)
    with django_assert_num_queries(1):
        groups = results.breakdown(test, "device")
    assert [(group.value, [arm.visitors for arm in group.results.arms]) for group in groups] == [
        ("Mobile", [2, 1]),
        ("Desktop", [1, 1]),
    ]
    for index, whole in enumerate(results_of(test).arms):
        parts = [group.results.arms[index] for group in groups]
        assert whole.name == parts[0].name
        for figure in ("visitors", "conversions", "orders", "gross", "net", "capped", "capped_squares"):
            assert getattr(whole, figure) == sum(getattr(part, figure) for part in parts)
    assert [group.value for group in results.breakdown(test, "country")] == ["DE"]


def test_only_the_largest_parts_of_the_audience_are_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "GROUPS", 1)
    test = running(site, "Control", "B")
    control = test.variants.get(name="Control").pk
    for number, browser in enumerate([IPHONE, CHROME, IPHONE]):
        send_hit(site, ip=f"203.0.113.{number}", user_agent=browser, at=NOON, variants=[control])
    gather(test)
    assert [group.value for group in results.breakdown(test, "device")] == ["Mobile"]
