import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection as database

from revenue import allowlist
from revenue.models import Charge, CheckoutSession, StripeAccount
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.messages import Request, Response, json_response
from revenue.sandbox.world import World
from revenue.sync import Report
from tests.revenue.shopping import buy, subscribe

AT = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
MARK = "Zoë Personal"
VIEW = "018f4c1e-9d2b-7cc3-98c4-dc0c0c07398f"

# Every field that is kept of an object. A new one is thought about here: can it name or reach a person?
KEPT = {
    "checkoutsession": {
        *("mode", "status", "payment_status", "currency", "amount_total", "payment_intent", "subscription"),
        *("recovered_from", "expires_at", "view_id", "client_reference_id"),
    },
    "charge": {
        *("status", "captured", "amount", "amount_captured", "amount_refunded", "currency", "payment_intent"),
        *("balance_transaction", "failure_balance_transaction", "view_id", "customer_view_id"),
    },
    "refund": {
        *("charge", "status", "amount", "currency", "balance_transaction", "failure_balance_transaction"),
    },
    "dispute": {"charge", "status", "amount", "currency"},
    "invoicepayment": {
        *("status", "amount_paid", "currency", "invoice", "type", "payment_intent", "subscription"),
        *("invoice_view_id", "subscription_view_id"),
    },
    "balancetransaction": {
        *("type", "reporting_category", "source", "charge", "amount", "fee", "net", "currency"),
        "balance_type",
    },
}
ABOUT_ALL = {"id", "account", "stripe_id", "created_at", "observed_at"}


def test_the_mirror_has_room_for_the_listed_fields_only() -> None:
    found = {
        model._meta.model_name: {field.name for field in model._meta.fields} - ABOUT_ALL
        for model in allowlist.MODELS.values()
    }

    assert found == KEPT


def strewn(value: Any, depth: int = 0) -> Any:
    """Put the mark into whatever an object leaves empty, and beside everything it has."""
    if isinstance(value, dict):
        marked = {name: strewn(item, depth + 1) for name, item in value.items()}
        extra = {"name": MARK, "email": MARK, "phone": MARK, "address": {"line1": MARK}, "card": {"last4": MARK}}
        if value.get("object") != "list":
            marked |= {f"{name}_of_buyer": item for name, item in extra.items()}
        for name in ("billing_details", "customer_details", "shipping", "payment_method_details", "evidence"):
            if name in value:
                marked[name] = extra
        for name in ("description", "receipt_email", "customer_email", "statement_descriptor", "receipt_number"):
            if name in value:
                marked[name] = MARK
        if isinstance(value.get("metadata"), dict):
            marked["metadata"] = {**value["metadata"], "customer": MARK}
        if value.get("object") == "customer":
            marked |= {**extra, "shipping": extra}
        if value.get("object") == "checkout.session":
            marked["client_reference_id"] = MARK
        return marked
    return [strewn(item, depth + 1) for item in value] if isinstance(value, list) else value


@pytest.fixture
def laden(sandbox: SandboxServer) -> Iterator[None]:
    """Every answer of the sandbox is full of what names a buyer."""
    answer = sandbox._server.api.answer

    def full(request: Request) -> Response:
        response = answer(request)
        return json_response(response.status, strewn(json.loads(response.body)), response.headers)

    sandbox._server.api.answer = full
    yield
    sandbox._server.api.answer = answer


@pytest.mark.django_db
def test_nothing_that_names_a_buyer_reaches_the_database(
    run: Callable[..., Report], world: World, account: Account, laden: None
) -> None:
    owner = world.keys[account.secret_key].owner
    paid = world.pay(world.create_session(account, **buy(), customer_email="zoe@example.com")["id"], name=MARK)
    charge = world.page(owner, "charge", lambda item: True, 1).data[0]["id"]
    person = {"name": MARK, "email": "zoe@example.com", "phone": MARK, "description": MARK, "address": {"line1": MARK}}
    customer = world.create_customer(owner, {**person, "metadata": {"humblytics_view_id": VIEW, "crm": MARK}})
    world.pay(world.create_session(account, **buy(customer=customer["id"]))["id"], name=MARK)
    world.pay(world.create_session(account, **subscribe())["id"], name=MARK)
    world.refund(charge, 100)
    world.dispute(charge)
    assert paid["status"] == "complete"
    assert run().error == ""

    # The customer was in the answer, and this is all that is left of him.
    assert Charge.objects.filter(customer_view_id=VIEW).count() == 1
    assert all(model.objects.exists() for model in allowlist.MODELS.values())
    with database.cursor() as cursor:
        for model in apps.get_app_config("revenue").get_models():
            cursor.execute(f'SELECT CAST(row AS text) FROM "{model._meta.db_table}" row')
            text = "\n".join(row for (row,) in cursor.fetchall())
            assert "Personal" not in text
            assert "zoe@example.com" not in text
            assert customer["id"] not in text


@pytest.mark.parametrize(
    ("reference", "kept"),
    [
        pytest.param(VIEW, VIEW, id="view id"),
        pytest.param("zoe@example.com", "", id="the merchant's own"),
        pytest.param(None, "", id="none"),
    ],
)
def test_a_clients_reference_is_only_kept_when_it_is_a_view_id(reference: str | None, kept: str) -> None:
    session = {
        "id": "cs_1",
        "object": "checkout.session",
        "created": 1_700_000_000,
        "livemode": False,
        "mode": "payment",
        "client_reference_id": reference,
    }
    (row,) = allowlist.rows(StripeAccount(), [session], AT)

    assert isinstance(row, CheckoutSession)
    assert row.client_reference_id == kept
