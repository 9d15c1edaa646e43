import datetime as dt

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from revenue import models
from revenue.secrecy import Secret
from sites.models import Site
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
    connection = models.Connection(site=site, account=account, connected_at=NOON)
    connection.seal_key(KEY)
    connection.save()
    of = {"account": account, "created_at": NOON, "observed_at": NOON}
    money = {"amount": 123_450, "currency": "eur"}
    made = [
        account,
        connection,
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
