import datetime as dt

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from revenue import models, tasks
from revenue.secrecy import Secret
from sites.large_lists import BoundedPaginator
from sites.models import AuditEntry, Site
from tests.factories import UserFactory

NOON = dt.datetime(2026, 5, 10, 12, tzinfo=dt.UTC)
KEY = Secret("sk_test_51Hxcafecafecafecafecafe")
MODELS = [
    models.StripeAccount,
    models.Connection,
    models.Stream,
    models.ReadCount,
    models.Slice,
    models.Finding,
    models.InvoicePayment,
    models.CheckoutSession,
    models.Charge,
    models.Refund,
    models.Dispute,
    models.BalanceTransaction,
    models.LedgerLine,
    models.Attribution,
    models.FormerLine,
    models.FormerDecision,
    models.Incident,
    models.Setup,
]


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def rows(site: Site) -> dict[str, object]:
    """One row of each model, by the model's name."""
    account = models.StripeAccount.objects.create(acct_id="acct_1", livemode=False)
    connected = models.Connection(site=site, account=account, connected_at=NOON)
    connected.seal_key(KEY)
    connected.save()
    of = {"account": account, "created_at": NOON, "observed_at": NOON}
    money = {"amount": 123_450, "currency": "eur"}
    made = [
        account,
        connected,
        models.Stream.objects.create(account=account, name="charges"),
        models.Slice.objects.create(account=account, name="charge", until_at=NOON, is_known=False),
        models.Finding.objects.create(account=account, kind="healed", subject="ch_1", found_at=NOON),
        models.InvoicePayment.objects.create(
            stripe_id="inpay_1", status="paid", amount_paid=123_450, currency="eur", type="payment_intent", **of
        ),
        models.ReadCount.objects.create(account=account, read_on=NOON.date(), reads=7),
        models.CheckoutSession.objects.create(
            stripe_id="cs_1", currency="eur", amount_total=123_450, payment_intent="pi_1", **of
        ),
        models.Charge.objects.create(
            stripe_id="ch_1", captured=True, amount_captured=123_450, amount_refunded=0, **of, **money
        ),
        models.Refund.objects.create(stripe_id="re_1", charge="ch_1", **of, **money),
        models.Dispute.objects.create(stripe_id="dp_1", charge="ch_1", **of, **money),
        models.BalanceTransaction.objects.create(stripe_id="txn_1", charge="ch_1", fee=25, net=123_425, **of, **money),
        models.LedgerLine.objects.create(
            account=account, key="charge:ch_1:gross", kind="charge", occurred_at=NOON, charge="ch_1", **money
        ),
        models.LedgerLine.objects.create(
            account=account, key="charge:ch_2:gross", kind="charge", occurred_at=NOON, charge="ch_2", **money
        ),
        models.Attribution.objects.create(
            account=account, charge="ch_1", model="last", rules_version=1, decided_at=NOON, site=site
        ),
        models.FormerLine.objects.create(
            account=account, key="charge:ch_1:gross", kind="charge", occurred_at=NOON, charge="ch_1",
            replaced_at=NOON, **money,
        ),
        models.FormerDecision.objects.create(
            account=account, charge="ch_1", model="last", rules_version=1, decided_at=NOON, replaced_at=NOON
        ),
        models.Incident.objects.create(site=site, kind="stopped", opened_at=NOON),
        models.Setup.objects.create(site=site),
    ]  # fmt: skip
    return {row._meta.model_name: row for row in made}


def address(model: type[object], page: str, *args: object) -> str:
    return reverse(f"admin:revenue_{model.__name__.lower()}_{page}", args=args)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_can_be_looked_at_but_not_changed(
    model: type[object], staff: Client, rows: dict[str, object]
) -> None:
    row = rows[model.__name__.lower()]
    assert staff.get(address(model, "changelist")).status_code == 200
    found = staff.get(address(model, "changelist"), {"q": "ch_1"})
    assert found.status_code == 200
    change = address(model, "change", row.pk)
    assert staff.get(change).status_code == 200
    assert staff.post(change, {}).status_code == 403
    assert staff.get(address(model, "add")).status_code == 403
    assert staff.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403


def test_every_model_of_the_app_is_registered() -> None:
    assert {model for model in admin.site._registry if model._meta.app_label == "revenue"} == set(MODELS)


def test_the_key_is_shown_neither_open_nor_sealed(staff: Client, rows: dict[str, object]) -> None:
    connection = rows["connection"]
    assert isinstance(connection, models.Connection)
    page = staff.get(address(models.Connection, "change", connection.pk)).content.decode()
    assert connection.key_hint in page
    assert connection.sealed_key not in page
    assert KEY.reveal() not in page


def test_a_charge_leads_to_its_lines_with_readable_amounts(staff: Client, rows: dict[str, object]) -> None:
    charges = staff.get(address(models.Charge, "changelist")).content.decode()
    assert "€1,234.50" in charges
    account = rows["stripeaccount"]
    assert isinstance(account, models.StripeAccount)
    link = f"{address(models.LedgerLine, 'changelist')}?account={account.pk}&charge=ch_1"
    assert link.replace("&", "&amp;") in charges
    lines = staff.get(link).content.decode()
    assert "charge:ch_1:gross" in lines
    assert "charge:ch_2:gross" not in lines


def test_a_search_is_for_a_whole_id(staff: Client, rows: dict[str, object]) -> None:
    page = staff.get(address(models.Charge, "changelist"), {"q": "ch_1"}).content.decode()
    assert "€1,234.50" in page
    page = staff.get(address(models.Charge, "changelist"), {"q": "ch_"}).content.decode()
    assert "€1,234.50" not in page


LARGE = [
    *(models.CheckoutSession, models.Charge, models.Refund, models.Dispute, models.InvoicePayment),
    *(models.BalanceTransaction, models.LedgerLine, models.Attribution, models.FormerLine, models.FormerDecision),
]


def asked_by(client: Client, page: str, **query: str) -> list[str]:
    """The questions about revenue's large tables that a page puts to the database."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(page, query).status_code == 200
    tables = [f'FROM "{model._meta.db_table}"' for model in LARGE]
    return [each["sql"] for each in captured if any(table in each["sql"] for table in tables)]


@pytest.mark.parametrize("model", LARGE)
def test_no_list_of_a_large_table_reads_all_of_it(
    model: type[object], staff: Client, rows: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question stops after some rows, and is led to them by an index."""
    # As if there were several pages: one page alone is read without a limit.
    counted = BoundedPaginator.count.func
    monkeypatch.setattr(BoundedPaginator, "count", property(lambda paginator: counted(paginator) + 100))
    listed = address(model, "changelist")
    searched = asked_by(staff, listed, q="ch_1")
    questions = [*asked_by(staff, listed), *searched, *asked_by(staff, listed, account="1", p="1")]
    assert len(questions) >= 4
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        for question in questions:
            assert " LIMIT " in question
            assert "DISTINCT" not in question
            assert "LIKE" not in question
            cursor.execute(f"EXPLAIN {question}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert f"Seq Scan on {model._meta.db_table}" not in plan
            # What is found by its id may be put in order, the whole table may not.
            assert question in searched or "Sort" not in plan


def test_every_large_list_is_bounded() -> None:
    assert {admin.site._registry[model].paginator for model in LARGE} == {BoundedPaginator}
    assert {admin.site._registry[model].sortable_by for model in LARGE} == {()}


def test_a_filter_keeps_what_has_the_value(staff: Client, rows: dict[str, object]) -> None:
    charge = rows["charge"]
    assert isinstance(charge, models.Charge)
    models.Charge.objects.filter(pk=charge.pk).update(status="failed")
    listed = address(models.Charge, "changelist")
    assert "€1,234.50" in staff.get(listed, {"status": "failed"}).content.decode()
    assert "€1,234.50" not in staff.get(listed, {"status": "succeeded"}).content.decode()


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The tasks that were asked for; there is no queue here."""
    found: list[tuple[str, int]] = []
    for task in (tasks.sync_connection, tasks.verify_connection):
        monkeypatch.setattr(task, "delay", lambda pk, name=task.name: found.append((name, pk)))
    return found


@pytest.mark.parametrize(
    ("action", "task"),
    [
        ("sync_now", "revenue.sync_connection"),
        ("verify", "revenue.verify_connection"),
        ("credit_anew", "revenue.sync_connection"),
    ],
)
def test_an_action_is_queued_for_connections_with_a_key_and_noted(
    staff: Client, rows: dict[str, object], queued: list[tuple[str, int]], action: str, task: str
) -> None:
    connected = rows["connection"]
    assert isinstance(connected, models.Connection)
    other = models.StripeAccount.objects.create(acct_id="acct_2", livemode=False)
    gone = models.Connection.objects.create(site=connected.site, account=other, connected_at=NOON)
    chosen = {"action": action, "_selected_action": [connected.pk, gone.pk]}
    page = staff.post(address(models.Connection, "changelist"), chosen, follow=True).content.decode()
    assert "The worker is asked for a " in page
    assert str(gone) not in page.partition("The worker is asked")[2].partition("</li>")[0]
    assert queued == [(task, connected.pk)]
    version = models.Attribution.objects.get().rules_version
    assert (version == 0) == (action == "credit_anew")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.site, "acct_1" in entry.subject) == ("asked", connected.site, True)


def test_who_may_only_look_is_offered_no_action(rows: dict[str, object], queued: list[tuple[str, int]]) -> None:
    reader = UserFactory(is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_connection"))
    client = Client()
    client.force_login(reader)
    listed, connected = address(models.Connection, "changelist"), rows["connection"]
    assert isinstance(connected, models.Connection)
    assert "sync_now" not in client.get(listed).content.decode()
    client.post(listed, {"action": "sync_now", "_selected_action": connected.pk})
    assert queued == []
