"""Every question about a site is asked of the machine that has it: of all that the product asks its database.

PostgreSQL's own planner says how each statement finds its rows. The whole product is made to ask: every page, panel
and export of a site, the script, hits, the sync, what the worker does, and the commands.
"""

import datetime as dt
import io
import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from psycopg import ClientCursor

import revenue.tasks
import sites.tasks
import splittests.tasks
import tracking.tasks
from humblytics.sharding import KEY, replicated, sharded
from revenue import connecting, forgetting
from revenue import sync as syncing
from revenue.connecting import connect
from revenue.customers import PaymentReader
from revenue.history import keep_decisions
from revenue.metrics import RevenueMetrics
from revenue.models import Attribution, Connection, LedgerLine, StripeAccount
from revenue.sandbox.http import serve
from revenue.sandbox.world import World
from revenue.stripe_client import StripeReader
from revenue.tables import PANELS
from sites.audit import COMMAND_LINE
from sites.deletion import SETTLED, erase, remove
from sites.models import ApiToken, Site
from sites.tokens import issue
from splittests.models import Goal as GoalKind
from splittests.models import SplitTest
from tests.factories import InTest, MembershipFactory, SiteFactory, confirm, send_engagement, send_event, send_hit
from tests.plans import Told, Watch
from tests.revenue.shopping import buy
from tests.splittests.selling import made
from tests.test_conventions import OF_A_SITE, TO_PROGRAMS, Route
from tracking.models import EmailReport, Goal
from tracking.recorder import STATEMENT_OF_SHARD, parameters
from tracking.tables import TITLES

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
# The money's tables are on every machine; by account they are found by an index.
OF_AN_ACCOUNT = {
    f"revenue_{name}"
    for name in (
        *("attribution", "formerdecision", "ledgerline", "formerline"),
        *("charge", "checkoutsession", "refund", "dispute", "invoicepayment", "balancetransaction"),
    )
}
KEYS: dict[str, tuple[str, ...]] = dict.fromkeys(sharded(), (KEY,)) | dict.fromkeys(OF_AN_ACCOUNT, ("account_id",))
KEYS["revenue_attribution"] = KEYS["revenue_formerdecision"] = ("account_id", KEY)
ON_ONE_MACHINE = "WHERE known.site_id = told.site_id\n"
# Plain statements that Citus sends to every machine, each hour; and the hits of all sites, when there is one machine.
OF_ALL_SITES = ("DELETE FROM tracking_presence", 'DELETE FROM "tracking_botview"', ON_ONE_MACHINE)
FILTERED = "is.channel=Direct&not.page=/nowhere&has.hostname=shop&is.goal=Bought&not.event=nothing"
PANEL_NAMES = {"PanelConverter": TITLES, "RevenuePanelConverter": PANELS}


def addresses(route: Route, test: SplitTest, charge: str, now: dt.datetime) -> Iterator[str]:
    """Give the addresses of what there is: every panel, the one test and the one payment; some with other questions."""
    known: dict[str, Any] = {"domain": test.site.domain, "test_id": test.pk, "charge": charge, "by": "device"}
    kinds = {argument: type(converter).__name__ for argument, converter in route.converters.items()}
    given = {argument: known[argument] for argument in kinds if argument in known}
    panels: list[str] = next((list(PANEL_NAMES[kind]) for kind in kinds.values() if kind in PANEL_NAMES), ["channels"])
    for n, panel in enumerate(panels):
        named = given | ({"name": panel} if "name" in kinds else {})
        # The ways of paying are joined with more than the others.
        asked = queries(route.name, now)[: None if n < 3 or panel == "modes" else 1]
        if named.keys() == kinds.keys():
            yield from (reverse(route.name, kwargs=named) + query for query in asked)
        if "name" not in kinds or not route.name.endswith(":panel"):
            return


def queries(name: str, now: dt.datetime) -> list[str]:
    app = name.split(":")[0]
    if app == "tracking":
        return ["", *(f"?period={span}&{FILTERED}" for span in ("12mo", "today"))]
    if app == "revenue" and "settings" not in name:
        as_of = f"amounts=settled&as_of={(now - DAY).date()}"
        return ["", f"?period=12mo&{FILTERED}", f"?{as_of}", f"?{as_of}&model=last&currency=eur"]
    if name in ("splittests:plan", "splittests:revenue"):
        return ["", "?pages=/&goal=page&goal_pattern=/thanks", "?pages=/&goal=revenue&currency=eur"]
    return [""]


@pytest.fixture(scope="module")
def told(django_db_setup: None, django_db_blocker: Any) -> list[Told]:
    """All that the database was asked; nothing is left in it."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch, transaction.atomic():
        watch = Watch(KEYS)
        with watch.watching():
            _ask_everything(watch, patch)
        transaction.set_rollback(True)
    return list(watch.told.values())


def _ask_everything(watch: Watch, patch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    ingest = InTest.execute

    async def execute(self: InTest, statement: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        watch.see(ClientCursor(self._raw).mogrify(statement, parameters))
        return await ingest(self, statement, parameters)

    patch.setattr(InTest, "execute", execute)
    watch.where = "hits of a site on its machine"
    told = parameters([]) | {"sites": [1]}
    watch.see(ClientCursor(connection.connection).mogrify(STATEMENT_OF_SHARD, told))
    watch.where = "a new site"
    owner = MembershipFactory(site=SiteFactory(domain="shop.example"))
    test = _defined(owner.site, now)
    watch.where = "hits"
    views = [_visit(test, now - days * DAY) for days in (40, 3, 0)]
    send_hit(SiteFactory(domain="neighbour.example"))
    watch.where = "the script"
    client, script = Client(), reverse("tracker", args=[owner.site.key])
    client.get(script)
    client.post(script, json.dumps({"url": "https://shop.example/", "referrer": ""}), content_type="text/plain")
    charge = _sell(watch, patch, owner.site, [str(views[-1]), str(uuid.uuid4()), ""], now)
    # As if it had been kept for long what the ledger said before.
    StripeAccount.objects.update(kept_since_at=now - 60 * DAY)
    client.force_login(owner.user)
    confirm(client)
    token = issue(owner.site, "Sheet", ApiToken.Scope.REVENUE)
    for route in [*OF_A_SITE, *TO_PROGRAMS]:
        headers = {"Authorization": f"Bearer {token}"} if route in TO_PROGRAMS else {}
        for address in addresses(route, test, charge, now):
            watch.where = f"GET {address}"
            client.get(address, headers=headers)
    watch.where = "deletion"
    _delete(owner.site, now)


def _delete(site: Site, now: dt.datetime) -> None:
    """Delete the site while another uses its account, and then that one."""
    account = site.stripe_connections.get().account
    other = SiteFactory(domain="other.example")
    Connection.objects.create(site=other, account=account, connected_at=now)
    # As if a payment had been credited otherwise before.
    keep_decisions(account, Attribution.objects.filter(site=site).values_list("pk", flat=True), now)
    for each in (site, other):
        erase(remove(each, COMMAND_LINE, now - 2 * SETTLED), now)
        forgetting.forget(now)


def _defined(site: Site, now: dt.datetime) -> SplitTest:
    """Define goals, a report, and tests for revenue and for a page; give the former."""
    Goal.objects.create(site=site, name="Bought", kind=Goal.Kind.EVENT, pattern="bought")
    Goal.objects.create(site=site, name="Thanks", kind=Goal.Kind.PAGE, pattern="/thanks*")
    EmailReport.objects.create(site=site, email="boss@example.com", sent_through_on=now.date() - 40 * DAY)
    about = {"site": site, "pages": ["/"], "currency": "eur", "started_at": now - 50 * DAY}
    arms: list[dict[str, str]] = [{"name": "Control"}, {"name": "B"}]
    made(*arms, key="page", goal=GoalKind.PAGE, goal_pattern="/thanks", channels=["Direct"], **about)
    return made(*arms, key="headline", **about)


def _sell(watch: Watch, patch: pytest.MonkeyPatch, site: Site, views: list[str], now: dt.datetime) -> str:
    """Sell something on each of the views, "" for none, and do all that is done about it; give a charge's id."""
    world = World()
    account = world.add_account("Shop")
    with serve(world) as server:
        patch.setattr("django.conf.settings.STRIPE_API_BASE", server.url)
        patch.setattr(syncing, "PaymentReader", partial(PaymentReader, sleep=lambda seconds: None))
        patch.setattr(connecting, "StripeReader", partial(StripeReader, sleep=lambda seconds: None))
        watch.where = "connecting"
        connected = connect(site, account.secret_key, now)
        for view in views:
            world.pay(world.create_session(account, **buy(metadata={"humblytics_view_id": view} if view else {}))["id"])
        watch.where = "the worker"
        revenue.tasks.sync_connection(connected.pk)
        revenue.tasks.verify_connection(connected.pk)
        for days in range(2):
            _work(now + days * DAY)
        watch.where = "commands"
        for command in _commands(site):
            # There is too little to calibrate with, and something to do, says the doctor.
            with suppress(SystemExit, CommandError):
                call_command(*command, stdout=io.StringIO(), stderr=io.StringIO())
    lines = LedgerLine.objects.filter(account=connected.account, kind="charge")
    return str(lines.values_list("charge", flat=True)[0])


def _visit(test: SplitTest, at: dt.datetime) -> uuid.UUID:
    site, variant = test.site, test.variants.all()[0].pk
    view = send_hit(site, at=at, variants=[variant])
    send_event(site, "bought", {"plan": "pro"}, view, at=at)
    send_engagement(site, view, 3_000, 50, at=at)
    send_hit(site, "/thanks", at=at)
    return view


def _work(now: dt.datetime) -> None:
    """Do what the worker does day by day, but for reading Stripe."""
    tracking.tasks.forget_visitors(now)
    tracking.tasks.count_days_task()
    tracking.tasks.prune_task()
    tracking.tasks.send_reports_task()
    splittests.tasks.gather_exposures()
    splittests.tasks.keep_schedule()
    revenue.tasks.send_alerts_task()
    sites.tasks.forget()
    list(RevenueMetrics(now).collect())


def _commands(site: Site) -> Iterator[tuple[str, ...]]:
    yield from ((name, site.domain) for name in ("sync_revenue", "doctor"))
    yield "sync_revenue", site.domain, "--full", "--verify"
    yield from (("revenue_report", site.domain, "--by", by) for by in ("channel", "payment", "day", "mode"))
    yield ("attribute_revenue",)
    yield "attribute_revenue", "--dry-run"
    yield "calibrate_split_tests", site.domain


def told_of(told: list[Told], text: str) -> bool:
    return any(text in each.statement for each in told)


def test_every_question_about_a_site_names_the_site(told: list[Told]) -> None:
    """And every one about money its account, or the site that it is credited to."""
    assert len(told) > 300
    loose = {
        str(each)
        for each in told
        for look in each.looks
        if look.by_key not in (("one",) if look.table in sharded() else ("one", "joined"))
        if look.table in KEYS and not any(text in each.statement for text in OF_ALL_SITES)
    }
    assert loose == set()
    assert [text for text in OF_ALL_SITES if not told_of(told, text)] == []


def test_what_a_site_s_rows_are_joined_with_is_on_every_machine(told: list[Told]) -> None:
    joined = [{look.table for look in each.looks} for each in told]
    by_site, everywhere = set(sharded()), set(replicated())
    assert set().union(*(tables - by_site - everywhere for tables in joined if tables & by_site)) == set()
    # And nothing is copied to each that is not needed there.
    assert everywhere - set().union(*(tables for tables in joined if tables & by_site)) == set()


def test_nothing_is_changed_to_what_another_machine_may_reckon_otherwise(told: list[Told]) -> None:
    """By an upsert or an UPDATE: `now()`, or a moment and an interval, whose sum depends on the time zone there."""
    for word, least in (("DO UPDATE", 15), ("UPDATE ", 20)):
        assert len([each for each in told if word in " ".join(each.statement.split()).upper()]) >= least
    assert {str(each): each.mutable for each in told if each.mutable} == {}


def test_every_key_of_a_table_by_site_begins_with_the_site(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT indrelid::regclass::text, attname FROM pg_index
            JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
            WHERE indisunique AND indrelid::regclass::text = ANY(%s)
            """,
            [sharded()],
        )
        keys = cursor.fetchall()
    assert {table for table, _ in keys} == set(sharded())
    assert {column for _, column in keys} == {KEY}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "by_key"),
    [
        ("SELECT FROM tracking_view WHERE site_id = 1 AND at > now()", ["one"]),
        ("SELECT FROM tracking_view WHERE site_id IN (1, 2)", ["one"]),
        ("SELECT FROM tracking_view WHERE at > now()", [""]),
        ("SELECT FROM tracking_view WHERE site_id > 1", [""]),
        ("SELECT FROM tracking_view v JOIN tracking_visit w USING (site_id) WHERE w.site_id = 1", ["one", "one"]),
        ("SELECT FROM tracking_view v JOIN tracking_visit w ON w.id = v.visit_id WHERE w.site_id = 1", ["", "one"]),
        ("SELECT FROM sites_site s JOIN tracking_view v ON v.site_id = s.id", ["", "joined"]),
        ("UPDATE tracking_visit SET views = 1 WHERE id = gen_random_uuid()", [""]),
        ("DELETE FROM tracking_visit WHERE site_id = 1", ["one"]),
    ],
)
def test_the_planner_says_how_rows_are_found(statement: str, by_key: list[str]) -> None:
    watch = Watch(KEYS)
    watch.see(statement)
    (told,) = watch.told.values()
    assert sorted(look.by_key for look in told.looks) == sorted(by_key)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "mutable"),
    [
        ("hits = known.hits + excluded.hits", ()),
        ("hits = greatest(known.hits, 1) WHERE known.day < excluded.day", ()),
        ("day = now()::date", ("date", "now")),
        ("day = CURRENT_DATE", ("SQLVALUEFUNCTION",)),
        ("hits = 1 WHERE known.day + interval '1 day' < '2026-01-01'::timestamptz", ("timestamp_lt_timestamptz",)),
        ("hits = (random() * 10)::int", ("random",)),
    ],
)
def test_what_an_upsert_calls_is_told(change: str, mutable: tuple[str, ...]) -> None:
    watch = Watch(KEYS)
    watch.see(
        "INSERT INTO tracking_refusedhits AS known (site_id, day, reason, hits) VALUES (1, '2026-01-01', '', 1) "
        f"ON CONFLICT (site_id, day, reason) DO UPDATE SET {change}"
    )
    (told,) = watch.told.values()
    assert told.mutable == mutable


@pytest.mark.django_db
def test_what_an_update_reckons_is_told() -> None:
    watch = Watch(KEYS)
    watch.see("UPDATE sites_apitoken SET full_at = greatest(full_at, '2026-01-01') + interval '1 second' WHERE id = 1")
    watch.see("UPDATE sites_apitoken SET full_at = '2026-01-01' WHERE id = 1")
    assert [told.mutable for told in watch.told.values()] == [("timestamptz_pl_interval",), ()]
