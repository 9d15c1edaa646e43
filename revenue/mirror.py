"""Stripe's objects as rows, and the ledger lines that follow from them, a page at a time.

Only the fields named here are taken from an object: whatever else Stripe sends, such as a customer's name or
address, is never looked at. A row is replaced only by one observed at the same moment or later, and a page's rows
and lines are committed together, so a page that is stored again, late, or by two workers at once does no harm.
"""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar

from django.db import connection, models, transaction
from django.db.models import Q

from revenue import ledger
from revenue.models import (
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Dispute,
    LedgerLine,
    Refund,
    StripeAccount,
)
from revenue.models.mirror import Mirrored
from revenue.pager import LATEST, check_object
from revenue.stripe_client import MalformedAnswerError

VIEW_ID_KEY = "humblytics_view_id"

StripeObject = Mapping[str, Any]
F = TypeVar("F", ledger.ChargeFact, ledger.RefundFact, ledger.DisputeFact, ledger.Movement)


@dataclass(slots=True)
class Tally:
    """How many objects of a type were seen; of these, new here; of the known, changed.

    `healed` counts those new or changed that an earlier sync ought to have seen so.
    """

    seen: int = 0
    new: int = 0
    changed: int = 0
    healed: int = 0


def lock(account: StripeAccount) -> None:
    """Let one transaction at a time write what follows from the account's rows, until it ends."""
    StripeAccount.objects.select_for_update(no_key=True).get(pk=account.pk)


def store(
    account: StripeAccount,
    objects: Iterable[StripeObject],
    observed_at: dt.datetime,
    tallies: Mapping[str, Tally],
    expected_since: dt.datetime | None = None,
    hinted: Collection[str] = (),
) -> set[str]:
    """Store objects of one answer, with those that Stripe put into them, and the ledger lines they lead to.

    Give the ids of all that was stored.

    An object created before `expected_since` ought to be known, unless it is among the `hinted` ids: it counts
    as healed when it is new or changed. Raise MalformedAnswerError, with nothing stored.
    """
    rows: dict[str, dict[str, Mirrored]] = defaultdict(dict)
    expected: set[str] = set()
    for item in objects:
        row = _row(account, item, observed_at)
        found = [row]
        source = item.get("source")
        if isinstance(row, BalanceTransaction) and isinstance(source, dict) and source.get("object") in READERS:
            check_object(source, "/v1/balance_transactions", account.livemode)
            found.append(_row(account, source, observed_at))
        for each in found:
            rows[object_type(each)][each.stripe_id] = each
            if expected_since and row.created_at < expected_since and each.stripe_id not in hinted:
                expected.add(each.stripe_id)
    with transaction.atomic():
        lock(account)
        for name, of_type in rows.items():
            _upsert(list(of_type.values()), tallies[name], expected)
        _book(account, [row for of_type in rows.values() for row in of_type.values()])
    return {identity for of_type in rows.values() for identity in of_type}


def object_type(row: Mirrored) -> str:
    """Stripe's name for what the row mirrors, with an underscore for the dot: `checkout_session`."""
    return next(name for name, model in MODELS.items() if isinstance(row, model))


def _row(account: StripeAccount, item: StripeObject, observed_at: dt.datetime) -> Mirrored:
    read = READERS.get(str(item.get("object")))
    if read is None:
        raise MalformedAnswerError("Stripe listed an object of another type than asked for.")
    row = read(item)
    row.account, row.stripe_id = account, item["id"]
    row.created_at, row.observed_at = _moment(item, "created"), observed_at
    return row


def _session(item: StripeObject) -> Mirrored:
    return CheckoutSession(
        mode=_word(item, "mode", 32),
        status=_word(item, "status", 32),
        payment_status=_word(item, "payment_status", 32),
        currency=_word(item, "currency", 3),
        amount_total=None if item.get("amount_total") is None else _whole(item, "amount_total"),
        payment_intent=_reference(item, "payment_intent"),
        subscription=_reference(item, "subscription"),
        expires_at=None if item.get("expires_at") is None else _moment(item, "expires_at"),
        view_id=_carried(item.get("metadata"), VIEW_ID_KEY),
        client_reference_id=_carried(item, "client_reference_id"),
    )


def _charge(item: StripeObject) -> Mirrored:
    return Charge(
        status=_word(item, "status", 32),
        captured=item.get("captured") is True,
        amount=_whole(item, "amount"),
        amount_captured=_whole(item, "amount_captured"),
        amount_refunded=_whole(item, "amount_refunded"),
        currency=_word(item, "currency", 3),
        payment_intent=_reference(item, "payment_intent"),
        balance_transaction=_reference(item, "balance_transaction"),
        failure_balance_transaction=_reference(item, "failure_balance_transaction"),
        view_id=_carried(item.get("metadata"), VIEW_ID_KEY),
    )


def _refund(item: StripeObject) -> Mirrored:
    return Refund(
        charge=_reference(item, "charge"),
        status=_word(item, "status", 32),
        amount=_whole(item, "amount"),
        currency=_word(item, "currency", 3),
        balance_transaction=_reference(item, "balance_transaction"),
        failure_balance_transaction=_reference(item, "failure_balance_transaction"),
    )


def _dispute(item: StripeObject) -> Mirrored:
    return Dispute(
        charge=_reference(item, "charge"),
        status=_word(item, "status", 32),
        amount=_whole(item, "amount"),
        currency=_word(item, "currency", 3),
    )


def _balance_transaction(item: StripeObject) -> Mirrored:
    source = item.get("source")
    charge = ""
    if isinstance(source, dict):
        charge = (
            _reference({"charge": source}, "charge")
            if source.get("object") == "charge"
            else _reference(source, "charge")
        )
    return BalanceTransaction(
        type=_word(item, "type", 64),
        reporting_category=_word(item, "reporting_category", 64),
        source=_reference(item, "source"),
        charge=charge,
        amount=_whole(item, "amount"),
        fee=_whole(item, "fee"),
        net=_whole(item, "net"),
        currency=_word(item, "currency", 3),
    )


MODELS: dict[str, type[Mirrored]] = {
    "checkout_session": CheckoutSession,
    "balance_transaction": BalanceTransaction,
    "charge": Charge,
    "refund": Refund,
    "dispute": Dispute,
}
READERS: dict[str, Callable[[StripeObject], Mirrored]] = {
    "checkout.session": _session,
    "balance_transaction": _balance_transaction,
    "charge": _charge,
    "refund": _refund,
    "dispute": _dispute,
}


def _damaged(item: StripeObject, name: str) -> MalformedAnswerError:
    return MalformedAnswerError(f"An object of Stripe's has no usable “{name}”.")


def _whole(item: StripeObject, name: str) -> int:
    value = item.get(name)
    if type(value) is not int or abs(value) >= 2**63:
        raise _damaged(item, name)
    return value


def _moment(item: StripeObject, name: str) -> dt.datetime:
    value = _whole(item, name)
    if not 0 <= value < LATEST:
        raise _damaged(item, name)
    return dt.datetime.fromtimestamp(value, dt.UTC)


def _word(item: StripeObject, name: str, longest: int) -> str:
    """A value of Stripe's own lists, kept as it is even when it is a new one; empty for none."""
    value = item.get(name) or ""
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise _damaged(item, name)
    return value


def _reference(item: StripeObject, name: str) -> str:
    """The id of another object, whether Stripe gave the id or put the object there."""
    value = item.get(name)
    return _word(value, "id", 255) if isinstance(value, dict) else _word(item, name, 255)


def _carried(item: object, name: str) -> str:
    """A text of the merchant's, cut to what Stripe itself allows, without what PostgreSQL cannot keep."""
    value = item.get(name) if isinstance(item, dict) else None
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text[:500].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


@cache
def _columns(model: type[Mirrored]) -> "list[models.Field[Any, Any]]":
    return [field for field in model._meta.concrete_fields if not field.primary_key]


@cache
def _statement(model: type[Mirrored], rows: int) -> str:
    """INSERT … ON CONFLICT with the guard of time, which Django cannot express."""
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    names = [quote(field.column) for field in _columns(model)]
    values = ", ".join(["(" + ", ".join(["%s"] * len(names)) + ")"] * rows)
    changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in names if name not in ('"account_id"', '"stripe_id"'))
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES {values} "
        f"ON CONFLICT (account_id, stripe_id) DO UPDATE SET {changes} "
        f"WHERE EXCLUDED.observed_at >= {table}.observed_at"
    )


def _upsert(rows: list[Mirrored], tally: Tally, expected: Collection[str]) -> None:
    """Store rows of one type and count them; needs the account's lock, so that the counts are right."""
    model = type(rows[0])
    columns = _columns(model)
    ids = [row.stripe_id for row in rows]
    known = {row.stripe_id: row for row in model._base_manager.filter(account=rows[0].account, stripe_id__in=ids)}
    with connection.cursor() as cursor:
        cursor.execute(
            _statement(model, len(rows)),
            [field.get_db_prep_save(getattr(row, field.attname), connection) for row in rows for field in columns],
        )
    contents = [field.attname for field in columns if field.attname != "observed_at"]
    tally.seen += len(rows)
    for row in rows:
        before = known.get(row.stripe_id)
        is_changed = before is not None and (
            row.observed_at >= before.observed_at
            and any(getattr(row, name) != getattr(before, name) for name in contents)
        )
        tally.new += before is None
        tally.changed += is_changed
        tally.healed += (before is None or is_changed) and row.stripe_id in expected


def _book(account: StripeAccount, rows: Iterable[Mirrored]) -> None:
    """Set the ledger lines of every payment that one of the rows has to do with.

    A refund that belongs to no payment is booked by itself, under its own id in place of a charge's.
    """
    charges: set[str] = set()
    alone: set[str] = set()
    for row in rows:
        if isinstance(row, Charge):
            charges.add(row.stripe_id)
        elif isinstance(row, Refund | Dispute | BalanceTransaction):
            if row.charge:
                charges.add(row.charge)
            else:
                alone.add(row.source if isinstance(row, BalanceTransaction) else row.stripe_id)
    of_charges = Q(charge__in=charges)
    payments = {fact.stripe_id: fact for fact in _facts(ledger.ChargeFact, Charge, account, Q(stripe_id__in=charges))}
    refunds = _facts(ledger.RefundFact, Refund, account, of_charges | Q(charge="", stripe_id__in=alone))
    disputes = _facts(ledger.DisputeFact, Dispute, account, of_charges)
    owners = {charge: charge for charge in charges}
    owners |= {fact.stripe_id: fact.charge or fact.stripe_id for fact in refunds}
    owners |= {fact.stripe_id: fact.charge for fact in disputes}
    movements = _facts(ledger.Movement, BalanceTransaction, account, of_charges | Q(source__in=list(owners)))

    refunds_of = _grouped(refunds, lambda fact: owners[fact.stripe_id])
    disputes_of = _grouped(disputes, lambda fact: fact.charge)
    movements_of = _grouped(movements, lambda fact: fact.charge or owners[fact.source])
    lines = {
        line.key: line
        for owner in set(owners.values())
        for line in ledger.lines(
            owner if owner in charges else "",
            payments.get(owner),
            refunds_of[owner],
            disputes_of[owner],
            movements_of[owner],
        )
    }
    of_lone_refunds = Q(charge="", key__in=[key for id in alone for key in (f"refund:{id}", f"refund:{id}:failure")])
    of_lone_refunds |= Q(charge="", balance_transaction__in=[movement.stripe_id for movement in movements])
    _set_lines(account, lines, LedgerLine.objects.filter(of_charges | of_lone_refunds, account=account))


def _set_lines(account: StripeAccount, lines: Mapping[str, ledger.Line], booked: models.QuerySet[LedgerLine]) -> None:
    """Make the booked lines what `lines` says, touching only those that differ."""
    names = [field.name for field in fields(ledger.Line)]
    before = {values["key"]: ledger.Line(**values) for values in booked.values(*names)}
    LedgerLine.objects.filter(account=account, key__in=before.keys() - lines.keys()).delete()
    LedgerLine.objects.bulk_create(
        [
            LedgerLine(account=account, **{name: getattr(line, name) for name in names})
            for key, line in sorted(lines.items())
            if before.get(key) != line
        ],
        update_conflicts=True,
        unique_fields=["account", "key"],
        update_fields=[name for name in names if name != "key"],
    )


def _facts(kind: type[F], model: type[Mirrored], account: StripeAccount, wanted: Q) -> list[F]:
    names = [field.name for field in fields(kind)]
    return [kind(**values) for values in model._base_manager.filter(wanted, account=account).values(*names)]


def _grouped(facts: Iterable[F], owner: Callable[[F], str]) -> dict[str, list[F]]:
    groups: dict[str, list[F]] = defaultdict(list)
    for fact in facts:
        groups[owner(fact)].append(fact)
    return groups
