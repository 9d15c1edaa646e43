"""Tests that run, visitors who saw them, and orders that the ledger knows."""

import datetime as dt
import uuid
from typing import Any

from revenue.models import Attribution, Connection, LedgerLine, StripeAccount
from sites.models import Site
from splittests.models import SplitTest, State
from tests.factories import send_hit
from tracking.models import View

NOON = dt.datetime(2026, 11, 20, 12, 0, 0, 700_000, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def connected(site: Site, acct_id: str, livemode: bool) -> StripeAccount:
    account = StripeAccount.objects.create(acct_id=acct_id, livemode=livemode, default_currency="eur")
    Connection.objects.create(site=site, account=account, connected_at=NOON)
    return account


def running(site: Site, *names: str, **fields: Any) -> SplitTest:
    """A test that began an hour before noon."""
    began = {"state": State.RUNNING, "started_at": NOON - HOUR}
    told = {"site": site, "key": "headline", "pages": ["/"], "currency": "eur"} | began | fields
    return made(*({"name": name} for name in names), **told)


def made(*variants: dict[str, Any], state: State = State.RUNNING, **fields: Any) -> SplitTest:
    """A test with these variants, which come first, since a test that was started takes no more."""
    test = SplitTest.objects.create(**fields)
    for variant in variants:
        test.variants.create(**variant)
    SplitTest.objects.filter(pk=test.pk).update(state=state, started_at=fields.get("started_at", NOON - HOUR))
    test.refresh_from_db()
    return test


def seen(test: SplitTest, *names: str, ip: str, at: dt.datetime = NOON) -> uuid.UUID:
    """A page view that showed these variants."""
    ids = [test.variants.get(name=name).pk for name in names]
    return send_hit(test.site, ip=ip, at=at, variants=ids)


def paid(
    account: StripeAccount,
    view_id: uuid.UUID,
    amount: int,
    at: dt.datetime = NOON,
    currency: str = "eur",
    **fields: Any,
) -> str:
    """An order that the ledger knows and that is attributed to the page view; give its charge."""
    view = View.objects.get(id=view_id)
    charge = f"ch_{uuid.uuid4().hex}"
    attributed = {"model": "last", "site_id": view.site_id, "visitor": view.visitor, "view_id": view.id}
    Attribution.objects.create(account=account, charge=charge, rules_version=1, decided_at=at, **attributed | fields)
    booked(account, charge, "charge", amount, at.replace(microsecond=0), currency)
    return charge


def booked(
    account: StripeAccount, charge: str, kind: str, amount: int, at: dt.datetime = NOON, currency: str = "eur"
) -> None:
    LedgerLine.objects.create(
        account=account,
        key=f"{kind}:{uuid.uuid4()}",
        kind=kind,
        amount=amount,
        currency=currency,
        occurred_at=at,
        charge=charge,
    )
