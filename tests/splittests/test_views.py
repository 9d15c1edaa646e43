import csv
import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from revenue.connecting import disconnect
from revenue.models import Connection, LedgerLine, StripeAccount
from sites.models import Membership, Role, Site, User
from splittests.models import Kind, SplitTest, State, Variant
from tests.factories import send_hit
from tests.splittests.selling import booked, paid

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
INDEX = "/shop.example/split-tests/"
NEW = "/shop.example/split-tests/new/"


@pytest.fixture
def connection(site: Site) -> Connection:
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=True, default_currency="chf")
    return Connection.objects.create(site=site, account=account, connected_at=NOW)


@pytest.fixture
def draft(site: Site) -> SplitTest:
    test = SplitTest.objects.create(site=site, name="Headline", key="headline", pages=["/"], currency="eur")
    test.variants.create(name="Control")
    test.variants.create(name="Loud", changes=[change("Buy now!")])
    return test


@pytest.fixture
def running(draft: SplitTest, connection: Connection) -> SplitTest:
    draft.start(NOW)
    draft.refresh_from_db()
    return draft


def change(text: str) -> dict[str, str]:
    return {"selector": "h1", "action": "text", "name": "", "value": text}


def filled(**changes: str) -> dict[str, str]:
    """What a browser sends for a test with one variant besides the control."""
    said = {
        "name": "Pricing headline",
        "kind": "changes",
        "pages": "/pricing",
        "goal": "revenue",
        "target": "any",
        "currency": "EUR",
        "control_weight": "1",
        "traffic_percent": "100",
        "variants-TOTAL_FORMS": "3",
        "variants-INITIAL_FORMS": "0",
        "metrics-TOTAL_FORMS": "0",
        "metrics-INITIAL_FORMS": "0",
        "variants-0-name": "Loud",
        "variants-0-changes-0-selector": "h1",
        "variants-0-changes-0-value": "Buy now!",
    }
    for row in range(3):
        said |= {f"variants-{row}-weight": "1", f"variants-{row}-changes-0-action": "text"}
        said |= {f"variants-{row}-changes-TOTAL_FORMS": "1", f"variants-{row}-changes-INITIAL_FORMS": "0"}
    # Django's test client can name no field "variants-0-name" by keyword, so "__" stands for the hyphen.
    return said | {name.replace("__", "-"): value for name, value in changes.items()}


def test_index_explains_what_a_split_test_is_and_leads_to_a_new_one(site: Site, owner_client: Client) -> None:
    content = owner_client.get(INDEX).content.decode()
    assert "No split tests yet" in content
    assert f'href="{NEW}"' in content


def test_index_lists_each_test_with_its_goal_and_visitors(running: SplitTest, owner_client: Client) -> None:
    send_hit(running.site, variants=[running.variants.get(name="Loud").pk])
    content = owner_client.get(INDEX).content.decode()
    for text in (f"{INDEX}{running.pk}/", "Headline", "Running", "Any Revenue", 'data-label="Visitors">1</td>'):
        assert text in content


def test_new_test_is_a_draft_whose_first_variant_is_the_control(site: Site, owner_client: Client) -> None:
    said = filled(
        control_weight="3",
        variants__2__changes__0__selector="h1",
        variants__2__changes__0__value="Really, buy!",
        variants__2__weight="2",
    )
    response = owner_client.post(NEW, said)
    test = SplitTest.objects.get()
    assert response["Location"] == f"{INDEX}{test.pk}/"
    assert (test.site, test.key, test.pages, test.kind) == (site, "pricing-headline", ["/pricing"], Kind.CHANGES)
    assert (test.state, test.goal, test.target_amount, test.currency) == (State.DRAFT, "revenue", None, "eur")
    assert list(test.variants.values_list("name", "changes", "weight")) == [
        ("Control", [], 3),
        ("Loud", [change("Buy now!")], 1),
        ("Variant 3", [change("Really, buy!")], 2),
    ]


def test_the_plan_is_laid_down_with_the_test(site: Site, owner_client: Client) -> None:
    content = owner_client.get(NEW).content.decode()
    assert 'name="window_days" value="7"' in content
    owner_client.post(NEW, filled(planned_visitors="12000", window_days="14", cap_percentile="99.5"))
    test = SplitTest.objects.get()
    assert (test.planned_visitors, test.window_days, test.cap_percentile) == (12_000, 14, Decimal("99.5"))
    shown = owner_client.get(f"{INDEX}{test.pk}/").content.decode()
    for text in ("12,000", "14 days", "Percentile 99.5"):
        assert text in shown


def test_the_form_tells_how_long_a_test_of_the_page_would_take(
    connection: Connection, owner_client: Client, site: Site
) -> None:
    assert f'hx-get="{INDEX}plan/"' in owner_client.get(NEW).content.decode()
    yesterday = timezone.now() - dt.timedelta(days=1)
    for number in range(40):
        path = ("/pricing/all", "/pricing%", "/pricing")[min(number, 2)]
        view = send_hit(site, path, ip=f"91.64.0.{number}", at=yesterday)
        if number % 8 == 0:
            paid(connection.account, view, 1000 + number, at=yesterday, currency="chf")
    content = owner_client.get(f"{INDEX}plan/?pages=/pricing&currency=CHF").content.decode()
    assert "/pricing had 38 visitors, of whom 4 paid in CHF." in content
    assert "50% more per visitor" in content
    assert "With two variants of the same weight" in content
    more = "&kind=code&control_weight=2&variants-0-name=A&variants-0-weight=1&variants-1-name=&variants-2-name=B"
    content = owner_client.get(f"{INDEX}plan/?pages=/pricing&currency=CHF{more}").content.decode()
    assert "With 3 variants of weights 2, 1 and 1, such a change of the smallest variant is found" in content
    assert (
        "/pricing* had 40 visitors" in owner_client.get(f"{INDEX}plan/?pages=/pricing*&currency=chf").content.decode()
    )
    assert "too little to plan by" in owner_client.get(f"{INDEX}plan/?pages=/&currency=chf").content.decode()


@pytest.mark.parametrize("query", ["", "pages=/", "currency=eur", "pages=%00&currency=%00"])
def test_nothing_is_planned_before_page_and_currency_are_named(site: Site, owner_client: Client, query: str) -> None:
    content = owner_client.get(f"{INDEX}plan/?{query}").content.decode()
    assert "visitors" not in content


def test_a_plan_may_be_left_open(site: Site, owner_client: Client) -> None:
    owner_client.post(NEW, filled())
    test = SplitTest.objects.get()
    assert (test.planned_visitors, test.window_days, test.cap_percentile) == (None, None, None)


def test_target_is_read_in_its_currency(site: Site, owner_client: Client) -> None:
    owner_client.post(NEW, filled(target="amount", amount="1,500", currency="jpy"))
    test = SplitTest.objects.get()
    assert (test.target_amount, test.currency) == (1500, "jpy")
    assert "Orders of ¥1,500 or more" in owner_client.get(f"{INDEX}{test.pk}/").content.decode()


def test_new_form_suggests_the_currency_of_the_connected_account_before_anybody_has_paid_in_another(
    site: Site, connection: Connection, owner_client: Client
) -> None:
    assert 'value="CHF"' in owner_client.get(NEW).content.decode()
    now = timezone.now()
    paid(connection.account, send_hit(site, at=now), 1000, at=now, currency="usd")
    assert 'value="USD"' in owner_client.get(NEW).content.decode()


def test_new_form_suggests_euros_before_an_account_is_connected(site: Site, owner_client: Client) -> None:
    assert 'value="EUR"' in owner_client.get(NEW).content.decode()


def test_tests_of_one_name_get_keys_of_their_own(site: Site, stranger: User, owner_client: Client) -> None:
    elsewhere = Site.objects.for_user(stranger).get()
    SplitTest.objects.create(site=elsewhere, name="", key="x" * 36, pages=["/"], currency="eur")
    for name in ("x" * 100, "x" * 100, "价格", "价格"):
        owner_client.post(NEW, filled(name=name))
    keys = SplitTest.objects.for_site(site).order_by("pk").values_list("key", flat=True)
    assert list(keys) == ["x" * 36, "x" * 36 + "-2", "split-test", "split-test-2"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"name": ""}, "This field is required.", id="no name"),
        pytest.param({"pages": "pricing"}, "Write its path, such as /pricing", id="no path"),
        pytest.param({"goal": "signups"}, "Select a valid choice.", id="unknown goal"),
        pytest.param({"target": "amount"}, "Write the amount as a number", id="no amount"),
        pytest.param({"target": "amount", "amount": "1.005"}, "EUR has at most 2 decimals.", id="decimals"),
        pytest.param({"target": "amount", "amount": "0"}, "Enter an amount above zero.", id="zero"),
        pytest.param({"target": "amount", "amount": "-5"}, "Enter an amount above zero.", id="negative"),
        pytest.param({"target": "amount", "amount": "9" * 20}, "Enter an amount above zero.", id="huge"),
        pytest.param({"amount": "50"}, "Choose “Target amount” above", id="amount without its choice"),
        pytest.param({"currency": "€"}, "A currency is a code of three letters", id="no currency code"),
        pytest.param({"planned_visitors": "0"}, "greater than or equal to 1", id="nobody planned"),
        pytest.param({"window_days": "0"}, "greater than or equal to 1", id="no window"),
        pytest.param({"cap_percentile": "50"}, "greater than or equal to 90", id="a cap that takes half"),
        pytest.param({"cap_percentile": "100"}, "no more than 2 digits before", id="a cap that takes nothing"),
        pytest.param({"variants__0__changes__0__selector": ""}, "Name the element by a CSS", id="no element"),
        pytest.param(
            {"variants__0__changes__0__selector": "", "variants__0__changes__0__value": ""},
            "Add a change: an element",
            id="no change",
        ),
        pytest.param({"variants__0__weight": "0"}, "greater than or equal to 1", id="no weight"),
        pytest.param({"control_weight": "0"}, "greater than or equal to 1", id="no weight of the control"),
        pytest.param(
            {
                "variants__0__name": "",
                "variants__0__changes__0__selector": "",
                "variants__0__changes__0__value": "",
            },
            "Describe at least one variant",
            id="no variant",
        ),
        pytest.param({"kind": "code", "variants__1__name": "loud"}, "named “loud” already", id="same name"),
        pytest.param({"variants__0__name": "Control"}, "named “Control” already", id="a second control"),
        pytest.param(
            {"variants__0__name": "Control", "variants__1__weight": "none"}, "named “Control” already", id="both"
        ),
        pytest.param({"variants-TOTAL_FORMS": "1000"}, "submit at most 9 forms", id="too many variants"),
        pytest.param({"variants-TOTAL_FORMS": ""}, "Describe at least one variant", id="no rows at all"),
    ],
)
def test_new_form_says_what_is_wrong(site: Site, owner_client: Client, changes: dict[str, str], error: str) -> None:
    response = owner_client.post(NEW, filled(**changes))
    assert response.status_code == 200
    assert error in response.content.decode()
    assert not SplitTest.objects.exists()


def test_variants_of_a_page_with_its_own_code_need_names_alone(site: Site, owner_client: Client) -> None:
    owner_client.post(NEW, filled(kind="code"))
    assert list(SplitTest.objects.get().variants.values_list("name", "changes")) == [("Control", []), ("Loud", [])]


def test_start_is_refused_before_a_stripe_account_is_connected(draft: SplitTest, owner_client: Client) -> None:
    response = owner_client.post(f"{INDEX}{draft.pk}/start/", follow=True)
    draft.refresh_from_db()
    assert draft.state == State.DRAFT
    assert "Connect a Stripe account first" in response.content.decode()


def test_start_is_refused_after_the_stripe_account_was_disconnected(
    draft: SplitTest, connection: Connection, owner_client: Client
) -> None:
    disconnect(connection)
    owner_client.post(f"{INDEX}{draft.pk}/start/")
    draft.refresh_from_db()
    assert draft.state == State.DRAFT


def test_start_is_refused_with_a_single_variant(draft: SplitTest, connection: Connection, owner_client: Client) -> None:
    draft.variants.get(name="Loud").delete()
    response = owner_client.post(f"{INDEX}{draft.pk}/start/", follow=True)
    draft.refresh_from_db()
    assert draft.state == State.DRAFT
    assert "Add a second variant first" in response.content.decode()


def test_test_runs_from_start_to_stop_and_never_again(
    draft: SplitTest, connection: Connection, owner_client: Client
) -> None:
    owner_client.post(f"{INDEX}{draft.pk}/stop/")
    draft.refresh_from_db()
    assert (draft.state, draft.stopped_at) == (State.DRAFT, None)

    send_hit(draft.site)
    owner_client.post(f"{INDEX}{draft.pk}/start/")
    draft.refresh_from_db()
    started_at = draft.started_at
    assert draft.state == State.RUNNING
    assert started_at is not None

    owner_client.post(f"{INDEX}{draft.pk}/stop/")
    owner_client.post(f"{INDEX}{draft.pk}/start/")
    draft.refresh_from_db()
    assert (draft.state, draft.started_at) == (State.STOPPED, started_at)
    assert draft.stopped_at is not None


@pytest.mark.parametrize("action", ["start", "stop"])
def test_links_neither_start_nor_stop_a_test(draft: SplitTest, owner_client: Client, action: str) -> None:
    assert owner_client.get(f"{INDEX}{draft.pk}/{action}/").status_code == 405


def test_results_show_each_variant_and_refresh_themselves(running: SplitTest, owner_client: Client) -> None:
    loud = running.variants.get(name="Loud").pk
    send_hit(running.site, variants=[loud])
    send_hit(running.site, ip="203.0.113.8", variants=[loud])
    send_hit(running.site, ip="203.0.113.8", variants=[running.variants.get(name="Control").pk])
    content = owner_client.get(f"{INDEX}{running.pk}/").content.decode()
    for text in (
        'hx-trigger="every 15s"',
        "“Buy now!”",
        "Any Revenue",
        "Too early to tell",
        "1 visitor saw more than one variant and is left out.",
        "hx-confirm",
    ):
        assert text in content


@pytest.fixture
def sold(running: SplitTest) -> SplitTest:
    """A test of two days with 200 visitors an arm, of whom every fourth buys of the control and every third else."""
    account = StripeAccount.objects.get()
    control, loud = running.variants.order_by("pk").values_list("pk", flat=True)
    for number in range(400):
        variant, every = ((control, 4), (loud, 3))[number % 2]
        at = NOW + dt.timedelta(hours=1 + 24 * (number // 300))
        view = send_hit(running.site, ip=f"91.64.{number // 200}.{number % 200}", at=at, variants=[variant])
        if number // 2 % every == 0:
            paid(account, view, 2000, at=at, currency="eur")
    return running


def test_results_tell_both_readings_and_a_verdict(sold: SplitTest, owner_client: Client) -> None:
    content = owner_client.get(f"{INDEX}{sold.pk}/").content.decode()
    for text in (
        "No difference found",
        "the difference may be chance",
        "Uplift, at any time",
        "Chance to win",
        "€1,340.00",
    ):
        assert text in content
    assert "is the winner" not in content
    SplitTest.objects.update(planned_visitors=401)
    content = owner_client.get(f"{INDEX}{sold.pk}/").content.decode()
    assert "400 of 401 planned visitors have come" in content


def test_the_currency_is_named_and_orders_in_others_are_told(sold: SplitTest, owner_client: Client) -> None:
    at = NOW + dt.timedelta(hours=1)
    view = send_hit(sold.site, ip="91.64.0.1", at=at)
    paid(StripeAccount.objects.get(), view, 2000, at=at, currency="usd")
    content = owner_client.get(f"{INDEX}{sold.pk}/").content.decode()
    assert "<dd>EUR <span" in content
    assert "Orders in other currencies than EUR do not count here: 1 in USD." in content
    assert "test money" not in content
    StripeAccount.objects.update(livemode=False)
    assert "This is test money" in owner_client.get(f"{INDEX}{sold.pk}/").content.decode()


def test_who_may_yet_buy_and_what_is_capped_is_told(sold: SplitTest, owner_client: Client) -> None:
    SplitTest.objects.update(window_days=3000, cap_percentile=99)
    content = owner_client.get(f"{INDEX}{sold.pk}/").content.decode()
    assert "100% of the exposed visitors are still inside the conversion window of 3000 days" in content
    assert "A buyer counts with €20.00 at most, percentile 99 " in content
    assert "uncapped" in content
    for panel in ("breakdown/device/", "over-time/"):
        assert "capped" in owner_client.get(f"{INDEX}{sold.pk}/{panel}").content.decode()


def test_what_went_back_after_the_stop_is_told_with_its_day(sold: SplitTest, owner_client: Client) -> None:
    sold.stop(NOW + dt.timedelta(days=3))
    charge = LedgerLine.objects.filter(kind="charge").first()
    assert charge is not None
    booked(charge.account, charge.charge, "refund", -1500, NOW + dt.timedelta(days=5))
    content = owner_client.get(f"{INDEX}{sold.pk}/").content.decode()
    assert "refunds and disputes have taken back €15.00, the last on 25 Nov 2026" in content
    assert 'hx-trigger="every 15s"' not in content
    booked(charge.account, charge.charge, "refund_failure", 2500, NOW + dt.timedelta(days=6))
    content = owner_client.get(f"{INDEX}{sold.pk}/").content.decode()
    assert "refunds that failed have given back €10.00, the last on 26 Nov 2026" in content
    told = owner_client.get(f"{INDEX}{sold.pk}/results.json").json()
    assert (told["returned_after_stop"], told["last_returned_at"][:10]) == (-1000, "2026-11-26")


def test_the_interval_is_drawn_over_the_days(sold: SplitTest, owner_client: Client) -> None:
    owner_client.get(f"{INDEX}{sold.pk}/")
    content = owner_client.get(f"{INDEX}{sold.pk}/over-time/").content.decode()
    assert "Loud against Control" in content
    assert content.count('class="point"') == 2
    assert "21 Nov 2026" in content


def test_before_there_is_enough_nothing_is_drawn(running: SplitTest, owner_client: Client) -> None:
    assert "nothing to draw" in owner_client.get(f"{INDEX}{running.pk}/over-time/").content.decode()
    assert "Nobody has been shown" in owner_client.get(f"{INDEX}{running.pk}/breakdown/device/").content.decode()


@pytest.mark.parametrize(("by", "value"), [("device", "Desktop"), ("country", "Germany"), ("channel", "Direct")])
def test_parts_of_the_audience_come_with_a_warning(sold: SplitTest, owner_client: Client, by: str, value: str) -> None:
    owner_client.get(f"{INDEX}{sold.pk}/")
    content = owner_client.get(f"{INDEX}{sold.pk}/breakdown/{by}/").content.decode()
    assert value in content
    assert "many looks at once" in content


def test_there_are_no_other_parts_of_the_audience(sold: SplitTest, owner_client: Client) -> None:
    assert owner_client.get(f"{INDEX}{sold.pk}/breakdown/visitor/").status_code == 404


def test_results_are_exported_as_csv(sold: SplitTest, owner_client: Client) -> None:
    Variant.objects.filter(name="Loud").update(name="=Loud")
    response = owner_client.get(f"{INDEX}{sold.pk}/results.csv")
    assert response["Content-Disposition"] == 'attachment; filename="shop.example_headline.csv"'
    headings, control, loud = csv.reader(response.content.decode().splitlines())
    assert dict(zip(headings, control, strict=True)) | {"uplift": ""} == {
        "metric": "Any Revenue", "variant": "Control", "weight": "1", "currency": "EUR", "visitors": "200",
        "conversions": "50", "orders": "50", "gross": "100000", "went_back": "0", "net": "100000",
        "capped_net": "100000", "uplift": "", "uplift_low": "",
        "uplift_high": "", "p_value": "", "chance_to_win": "", "risk": "", "control_risk": "",
        "led": "", "lost": "", "sample_ratio_p": "1.0", "verdict": "No difference found",
    }  # fmt: skip
    assert loud[1] == "'=Loud"
    assert float(loud[headings.index("uplift")]) == pytest.approx(0.34)


def test_results_are_exported_as_json(sold: SplitTest, owner_client: Client) -> None:
    SplitTest.objects.update(cap_percentile=99)
    sold.pauses.create(began_at=NOW)
    told = owner_client.get(f"{INDEX}{sold.pk}/results.json").json()
    assert told["verdict"]["winner"] == ""
    assert [variant["conversions"] for variant in told["variants"]] == [50, 67]
    assert told["cap"] == 2000
    assert told["variants"][0]["rate"]["estimate"] == 0.25
    assert [each["changes"] for each in told["shown"]] == [[], [change("Buy now!")]]
    assert told["pauses"] == [{"began_at": NOW.isoformat(), "ended_at": None}]
    assert told["losses_are_uneven"] is None
    comparison = told["comparisons"][0]
    assert comparison["at_any_time"]["difference"]["estimate"] == pytest.approx(170)
    assert comparison["one_look"]["p_value"] < comparison["corrected_p_value"]
    assert comparison["believed"]["chance_to_win"] > 0.9


def test_a_draft_is_exported_without_figures(draft: SplitTest, owner_client: Client) -> None:
    assert owner_client.get(f"{INDEX}{draft.pk}/results.json").json()["verdict"]["title"] == "No visitors yet"
    assert owner_client.get(f"{INDEX}{draft.pk}/results.csv").status_code == 200


def test_results_of_a_stopped_test_without_visitors_stand(running: SplitTest, owner_client: Client) -> None:
    running.stop(NOW)
    response = owner_client.get(f"{INDEX}{running.pk}/")
    assert response.status_code == 200
    assert "/stop/" not in response.content.decode()


def test_viewer_sees_results_and_changes_nothing(running: SplitTest, connection: Connection) -> None:
    viewer = User.objects.create_user("viewer@example.com")
    Membership.objects.create(site=running.site, user=viewer, role=Role.VIEWER)
    client = Client()
    client.force_login(viewer)
    page = client.get(f"{INDEX}{running.pk}/")
    assert page.status_code == 200
    assert "/stop/" not in page.content.decode()
    assert f'href="{NEW}"' not in client.get(INDEX).content.decode()
    assert client.get(NEW).status_code == 404
    assert client.post(NEW, filled()).status_code == 404
    assert client.post(f"{INDEX}{running.pk}/stop/").status_code == 404
    running.refresh_from_db()
    assert running.state == State.RUNNING


@pytest.mark.parametrize("path", ["", "new/", "{test}/", "{test}/start/", "{test}/stop/"])
def test_strangers_find_nothing(running: SplitTest, stranger_client: Client, path: str) -> None:
    address = INDEX + path.format(test=running.pk)
    respond: Any = stranger_client.post if address.endswith(("start/", "stop/")) else stranger_client.get
    assert respond(address).status_code == 404


def test_test_of_another_site_is_not_found(running: SplitTest, stranger: User, stranger_client: Client) -> None:
    domain = Site.objects.for_user(stranger).get().domain
    assert stranger_client.get(f"/{domain}/split-tests/{running.pk}/").status_code == 404
    assert stranger_client.post(f"/{domain}/split-tests/{running.pk}/stop/").status_code == 404
    assert stranger_client.get(f"/{domain}/split-tests/{10**30}/").status_code == 404
