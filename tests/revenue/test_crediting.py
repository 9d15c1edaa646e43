"""How a site's rules, refused views and later knowledge change what a payment is credited to."""

import datetime as dt
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import uuid_utils.compat as uuid_utils
from django.core.management import call_command
from django.test import Client

from revenue import tasks
from revenue.connecting import connect, disconnect
from revenue.crediting import decide_anew
from revenue.models import Attribution, AttributionRules, Charge, Connection
from revenue.sandbox.accounts import Account
from revenue.sandbox.world import World
from revenue.sync import Report
from sites.models import Site
from tests.factories import CHROME, PLAIN, SiteFactory, collect
from tests.revenue.conftest import moment, seen
from tests.revenue.shopping import subscribe
from tracking.models import BotView, View, Visit
from tracking.tasks import forget_visitors

pytestmark = pytest.mark.django_db
Run = Callable[..., Report]
Buy = Callable[..., str]
DAY = dt.timedelta(days=1)
MONTH = 31 * 86_400


def reasons() -> list[str]:
    """Why each payment is credited to nobody, or where it came from, the oldest first."""
    decided = {row.charge: row for row in Attribution.objects.filter(model="last_non_direct")}
    paid = Charge.objects.filter(status="succeeded").order_by("created_at", "stripe_id")
    return [decided[charge.stripe_id].reason or decided[charge.stripe_id].source for charge in paid]


def attribute(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, dict[str, Any]]:
    status = 0
    try:
        call_command("attribute_revenue", "--json", *args)
    except SystemExit as stop:
        status = int(str(stop.code))
    return status, json.loads(capsys.readouterr().out)


def made_by_script(at: dt.datetime) -> uuid.UUID:
    """An id as a page's script makes it: the time, and the digits 7 and 8 where it has them."""
    return uuid.UUID(f"{int(at.timestamp() * 1000):012x}7abc8defabcdefabcdef")


@pytest.mark.parametrize(("days", "credited"), [(20, "too_old"), (40, "Letter")])
def test_a_site_chooses_how_old_a_view_may_be(
    run: Run, buy: Buy, site: Site, world: World, days: int, credited: str
) -> None:
    AttributionRules.objects.create(site=site, window_days=days)
    view = seen(site, moment(world) - 30 * DAY, source="Letter")
    buy(metadata={"humblytics_view_id": str(view.id)})
    run()

    assert reasons() == [credited]


def test_the_window_is_changed_in_the_settings_and_decides_about_the_past(
    run: Run,
    buy: Buy,
    site: Site,
    world: World,
    connection: Connection,
    owner_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    queued: list[int] = []
    monkeypatch.setattr(tasks.sync_connection, "delay", queued.append)
    view = seen(site, moment(world) - 40 * DAY, source="Letter")
    buy(metadata={"humblytics_view_id": str(view.id)})
    run()
    assert reasons() == ["too_old"]

    with django_capture_on_commit_callbacks(execute=True):
        owner_client.post(
            "/shop.example/settings/revenue/attribution/", {"window_days": "60", "credits_renewals": "on"}
        )
    assert queued == [connection.pk]
    run(drain=False)

    assert reasons() == ["Letter"]


@pytest.mark.parametrize("days", ["0", "366", "-1", "", "soon", "1e9"])
def test_a_window_that_is_none_is_refused(owner_client: Client, connection: Connection, days: str) -> None:
    page = owner_client.post("/shop.example/settings/revenue/attribution/", {"window_days": days}, follow=True)

    assert 'class="message error' in page.content.decode()
    assert not AttributionRules.objects.exists()


def test_a_site_may_credit_first_payments_only_and_change_its_mind(
    run: Run, world: World, account: Account, site: Site
) -> None:
    rules = AttributionRules.objects.create(site=site, credits_renewals=False)
    view = seen(site, moment(world), source="Letter")
    world.pay(world.create_session(account, **subscribe(metadata={"humblytics_view_id": str(view.id)}))["id"])
    run()
    for _ in range(2):
        world.advance(MONTH)
        run()
    assert reasons() == ["Letter", "renewal", "renewal"]

    rules.credits_renewals = True
    rules.save()
    # What is known of the visit by then is the first payment's decision.
    View.objects.all().delete()
    Visit.objects.all().delete()
    call_command("attribute_revenue")

    assert reasons() == ["Letter", "Letter", "Letter"]


def test_a_payment_is_a_renewal_as_soon_as_an_earlier_one_is_known(
    run: Run, world: World, account: Account, site: Site
) -> None:
    AttributionRules.objects.create(site=site, credits_renewals=False)
    view = seen(site, moment(world), source="Letter")
    session = world.create_session(account, **subscribe(metadata={"humblytics_view_id": str(view.id)}))
    world.pay(session["id"])
    late = world.now() + MONTH + 3600
    hidden = [item["id"] for kind in ("charge", "balance_transaction") for item in _all(world, account, kind)]
    for identity in hidden:
        world.hide(identity, until=late)
    world.advance(MONTH)
    run()
    assert reasons() == ["Letter"]

    world.advance(7200)
    run(full=True)

    assert reasons() == ["Letter", "renewal"]


def _all(world: World, account: Account, kind: str) -> list[Any]:
    return world.page(world.keys[account.secret_key].owner, kind, lambda item: True, 100).data


def test_a_view_that_a_page_made_and_that_never_came_was_blocked(run: Run, buy: Buy, world: World) -> None:
    buy(metadata={"humblytics_view_id": str(made_by_script(moment(world)))})
    buy(metadata={"humblytics_view_id": str(uuid.uuid4())})
    # Of last year: an id that was copied into the shop's code.
    buy(metadata={"humblytics_view_id": str(made_by_script(moment(world) - 300 * DAY))})
    run()
    assert set(reasons()) == {"waiting"}
    world.advance(2 * 3600)
    run()

    assert sorted(reasons()) == ["tracker_blocked", "unknown", "unknown"]


def refused(site: Site, view: uuid.UUID, at: dt.datetime, sign: str) -> None:
    user_agent = b"Mozilla/5.0 (compatible; Googlebot/2.1)" if sign == "user agent" else CHROME.encode()
    said = {"site": site.key, "view": str(view), "url": "https://shop.example/", "webdriver": sign == "webdriver"}
    status, answered = collect(json.dumps(said).encode(), [PLAIN, (b"user-agent", user_agent)], at=at)
    assert (status, answered["x-humblytics"].startswith("dropped=")) == (202, True)


@pytest.mark.parametrize("sign", ["user agent", "webdriver"])
def test_a_payment_on_a_view_that_was_refused_as_a_bots_says_so(
    run: Run, buy: Buy, site: Site, world: World, sign: str
) -> None:
    view = uuid_utils.uuid7()
    refused(site, view, moment(world), sign)
    buy(metadata={"humblytics_view_id": str(view)})
    run()

    assert reasons() == ["bot"]
    assert not View.objects.exists()
    # What refused it is forgotten after a week, the payment's reason is not.
    forget_visitors(moment(world) + 8 * DAY)
    assert not BotView.objects.exists()
    call_command("attribute_revenue")

    assert reasons() == ["bot"]


def test_bots_views_are_forgotten_after_a_week(site: Site, world: World) -> None:
    now = moment(world)
    for days in (8, 6):
        refused(site, uuid_utils.uuid7(), now - days * DAY, "user agent")
    forget_visitors(now)

    assert [view.at for view in BotView.objects.all()] == [now - 6 * DAY]


def test_history_is_credited_again_and_the_difference_told(
    run: Run, buy: Buy, site: Site, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    view = seen(site, moment(world) - 40 * DAY, channel="Email", source="Letter")
    buy(5000, metadata={"humblytics_view_id": str(view.id)})
    buy(700)
    run()
    assert attribute(capsys) == (0, {"dry_run": False, "accounts": [_account([])]})
    AttributionRules.objects.create(site=site, window_days=60)
    credited = {"before": "too_old", "after": "Email / Letter (shop.example)", "currency": "eur"}
    of_one = {"model": "last", **credited, "payments": 1, "gross": 5000}

    assert attribute(capsys, "--dry-run", "--model", "last") == (
        3,
        {"dry_run": True, "accounts": [_account([of_one])]},
    )
    assert sorted(reasons()) == ["no_id", "too_old"]
    assert attribute(capsys, "--model", "last") == (0, {"dry_run": False, "accounts": [_account([of_one])]})
    assert sorted(reasons()) == ["no_id", "too_old"]
    _, told = attribute(capsys)
    assert {change["model"] for change in told["accounts"][0]["changes"]} == {"last_non_direct", "first"}
    assert sorted(reasons()) == ["Letter", "no_id"]
    assert attribute(capsys, "--dry-run") == (0, {"dry_run": True, "accounts": [_account([])]})


def test_what_was_credited_stays_when_the_site_is_disconnected(
    run: Run, buy: Buy, site: Site, account: Account, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where another site goes on reading the account."""
    other = SiteFactory(domain="other.example")
    connect(other, account.secret_key, moment(world))
    buy(metadata={"humblytics_view_id": str(seen(site, moment(world), source="Letter").id)})
    run()
    disconnect(Connection.objects.get(site=site))
    decide_anew(Connection.objects.get(site=other).account)

    assert attribute(capsys)[1]["accounts"][0]["changes"] == []
    assert reasons() == ["Letter"]


def _account(changes: list[dict[str, Any]]) -> dict[str, Any]:
    return {"account": Connection.objects.get().account.acct_id, "mode": "test", "changes": changes}
