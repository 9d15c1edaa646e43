"""What was known on a day can be told at any time after, and what has changed since."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from revenue import stats
from revenue.attribution import Model, Reason
from revenue.changes import Change, Changes, Difference, changes
from revenue.crediting import decide_anew
from revenue.lines import Basis
from revenue.models import Attribution, FormerDecision, FormerLine, LedgerLine, StripeAccount
from revenue.models.ledger import Kind
from revenue.sandbox.accounts import Account
from revenue.sandbox.world import World
from revenue.sync import Report
from sites.models import Site
from sites.periods import Period
from tests.revenue.conftest import moment, seen
from tests.revenue.shopping import buy as bought
from tests.revenue.shopping import charges_of
from tracking.counting import Asked, ask
from tracking.models import View, Visit
from tracking.stats import Bucket

pytestmark = pytest.mark.django_db
Run, Buy = Callable[..., Report], Callable[..., str]
HOUR, DAY = 3_600, 86_400
MODEL = Model.LAST_NON_DIRECT
PAGE = "/shop.example/revenue/"


@pytest.fixture
def world() -> World:
    """In the middle of a day, so that hours later it is the same one."""
    start = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC).timestamp()
    return World(now=lambda: start)


@pytest.fixture
def asked(site: Site, world: World) -> Asked:
    first_on = moment(world).astimezone(site.zone).date()
    return ask(site, Period(first_on, first_on + dt.timedelta(days=40), site.zone))


def report(asked: Asked, basis: Basis) -> list[Any]:
    """All that the page says of the period's money."""
    found = [stats.breakdown(asked, by, MODEL, "eur", basis=basis) for by in ("channel", "mode", "renewal")]
    rows = [*(row for each in found for row in each.rows), *stats.over_time(asked, MODEL, "eur", Bucket.DAY, basis)]
    return [
        *(stats.totals(asked, model, Basis(is_settled, basis.known_at)) for model in Model for is_settled in (0, 1)),
        [(row.value, row.gross, row.net, row.orders) for row in rows if row.orders or row.net],
        [row.charge for row in stats.payments(asked, MODEL, known_at=basis.known_at).rows],
    ]


def test_every_report_can_be_had_again(
    run: Run, buy: Buy, world: World, account: Account, site: Site, asked: Asked
) -> None:
    view = seen(site, moment(world), channel="Email", source="Letter")
    View.objects.filter(id=view.id).delete()
    late = buy(1_000, metadata={"humblytics_view_id": str(view.id)})
    pounds = buy(2_000, "gbp")
    debit = world.create_session(account, **bought(3_000, payment_method_types=["sepa_debit"]))
    world.pay(debit["id"])
    hidden = buy(4_000)
    world.hide(hidden, until=world.now() + 10 * DAY)
    reports: dict[dt.datetime, list[Any]] = {}

    def note(**options: Any) -> None:
        run(**options)
        reports[moment(world)] = report(asked, Basis())
        world.advance(DAY)

    note()
    world.refund(pounds, 500)
    note()
    View.objects.bulk_create([view])
    note()
    disputed = world.dispute(late)["id"]
    note()
    world.advance(10 * DAY)
    note()
    world.close_dispute(disputed, "won")
    world.fail_payment(charges_of(world, account, world.session(debit["id"])["payment_intent"])[0]["id"])
    note()
    Visit.objects.update(channel="Referral")
    decide_anew(StripeAccount.objects.get())
    note()

    assert len({str(each) for each in reports.values()}) >= 6
    for known_at, said in reports.items():
        assert report(asked, Basis(known_at=known_at)) == said, known_at
    assert FormerDecision.objects.exists()
    assert report(asked, Basis(known_at=min(reports) - dt.timedelta(seconds=1)))[0] == []


def test_what_is_read_again_is_no_change(run: Run, buy: Buy, world: World, site: Site) -> None:
    view = seen(site, moment(world))
    buy(1_000, metadata={"humblytics_view_id": str(view.id)})
    run()
    told = list(LedgerLine.objects.order_by("pk").values()), list(Attribution.objects.order_by("pk").values())
    state = stats.fingerprint(site)
    world.advance(DAY)
    run(full=True)
    decide_anew(StripeAccount.objects.get())
    assert run().error == ""

    assert (list(LedgerLine.objects.order_by("pk").values()), list(Attribution.objects.order_by("pk").values())) == told
    assert not FormerLine.objects.exists()
    assert not FormerDecision.objects.exists()
    assert stats.fingerprint(site) == state


@pytest.fixture
def changed(
    run: Run, buy: Buy, world: World, site: Site, monkeypatch: pytest.MonkeyPatch
) -> tuple[dt.datetime, str, str, str]:
    """A day, and payments: one credited later, one known later, one given back partly on a later day."""
    monkeypatch.setattr("revenue.views.timezone.now", lambda: moment(world))
    view = seen(site, moment(world), channel="Email", source="Letter")
    View.objects.filter(id=view.id).delete()
    late = buy(1_000, metadata={"humblytics_view_id": str(view.id)})
    refunded, hidden = buy(2_000), buy(4_000)
    world.hide(hidden, until=world.now() + 2 * HOUR + DAY)
    world.advance(2 * HOUR)
    run()
    known_at = moment(world)
    world.advance(DAY)
    View.objects.bulk_create([view])
    world.refund(refunded, 500)
    run()
    return known_at, late, refunded, hidden


def test_changes_are_told_one_by_one(
    world: World, site: Site, changed: tuple[dt.datetime, str, str, str], django_assert_num_queries: Any
) -> None:
    known_at, late, refunded, hidden = changed
    day = known_at.astimezone(site.zone).date()
    asked = ask(site, Period(day, day, site.zone))
    now = moment(world)
    with django_assert_num_queries(1):
        told = changes(asked, MODEL, known_at)
    found = told.rows
    not_seen = f"nobody: {Reason.UNKNOWN.sentence}"
    assert sorted(found, key=lambda each: str(each.charge)) == sorted(
        [
            Change(now, Kind.CHARGE, hidden, "eur", None, 4_000),
            Change(now, Kind.CHARGE, late, "eur", 1_000, 1_000, not_seen, "Email · Letter"),
            Change(now, Kind.REFUND, refunded, "eur", None, -500, is_later=True),
        ],
        key=lambda each: str(each.charge),
    )
    assert [each.is_later for each in found] == [False, False, True]
    assert told.differences == (Difference("eur", attributed=1_000, unattributed=3_000),)
    assert changes(asked, MODEL, now) == Changes((), ())
    cut = changes(asked, MODEL, known_at, limit=2)
    assert (len(cut.rows), cut.differences) == (2, told.differences)


def test_the_page_shows_a_day_as_it_was_known_and_what_has_changed_since(
    owner_client: Client, world: World, site: Site, changed: tuple[dt.datetime, str, str, str]
) -> None:
    known_at, late, _, hidden = changed
    day = known_at.astimezone(site.zone).date()
    query = f"from={day}&to={day}&as_of={day}"
    page = owner_client.get(f"{PAGE}?{query}")
    text = " ".join(page.content.decode().split())
    assert "= Stripe’s total <strong>€30.00</strong>, as of the end of" in text
    assert "Attributed <strong>€0.00</strong>" in text
    assert f"as_of={day}" in page.context["asked"].query
    assert f'hx-get="{PAGE}changes/?' in text
    assert hidden not in owner_client.get(f"{PAGE}payments/?{query}").content.decode()
    panel = " ".join(owner_client.get(f"{PAGE}changes/?{query}").content.decode().split())
    for label, amount in (("Net revenue", 40), ("Attributed", 10), ("Not attributed", 30)):
        assert f'data-label="{label}">+€{amount}.00</td>' in panel
    for text in (hidden, "Credited to <bdi>Email · Letter</bdi>", "after the period, counts on its own day"):
        assert text in panel
    rows = owner_client.get(f"{PAGE}export/changes.csv?{query}").content.decode().splitlines()
    assert len(rows) == 4
    now = owner_client.get(f"{PAGE}?from={day}&to={day}").content.decode()
    assert "Stripe’s total <strong>€70.00</strong>" in " ".join(now.split())
    assert late in owner_client.get(f"{PAGE}export/payments.csv?{query}").content.decode()


@pytest.mark.parametrize("day", ["2999-01-01", "x", "2026-13-01", "0001-01-01", "%00"])
def test_a_day_that_is_none_of_the_past_means_now(
    day: str, owner_client: Client, changed: tuple[dt.datetime, str, str, str]
) -> None:
    assert owner_client.get(f"{PAGE}?as_of={day}").context["asked"].known_on is None
    assert owner_client.get(f"{PAGE}changes/?as_of={day}").content == b""
    assert len(owner_client.get(f"{PAGE}export/changes.csv?as_of={day}").content.decode().splitlines()) == 1


def test_before_anything_was_kept_it_is_told_what_had_happened(
    owner_client: Client, world: World, site: Site, changed: tuple[dt.datetime, str, str, str]
) -> None:
    StripeAccount.objects.update(kept_since_at=moment(world))
    day = changed[0].astimezone(site.zone).date()
    text = " ".join(owner_client.get(f"{PAGE}?from={day}&to={day}&as_of={day}").content.decode().split())
    assert "Nothing of what was known on" in text
    assert "Stripe’s total <strong>€70.00</strong>" in text
    assert "What has changed since" not in text
    before = day - dt.timedelta(days=1)
    assert "total <strong>€0.00</strong>" in " ".join(
        owner_client.get(f"{PAGE}?period=7d&as_of={before}").content.decode().split()
    )


def test_the_panels_are_drawn_again_when_money_has_moved(
    owner_client: Client, site: Site, run: Run, buy: Buy, world: World
) -> None:
    buy(1_000)
    run()
    seen_state = {"seen": stats.fingerprint(site)}
    assert "HX-Trigger" not in owner_client.get(f"{PAGE}as-of/", seen_state).headers
    world.advance(HOUR)
    run()
    assert "HX-Trigger" not in owner_client.get(f"{PAGE}as-of/", seen_state).headers
    buy(1)
    run()
    assert "revenue-changed" in owner_client.get(f"{PAGE}as-of/", seen_state)["HX-Trigger"]
