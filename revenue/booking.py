"""Sets the ledger lines of payments to what follows from the mirror's rows."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from django.db import models
from django.db.models import ExpressionWrapper, Q

from revenue import history, ledger
from revenue.models import (
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Dispute,
    InvoicePayment,
    LedgerLine,
    Refund,
    StripeAccount,
)
from revenue.models.mirror import Mirrored
from revenue.upsert import upsert

F = TypeVar("F", ledger.RefundFact, ledger.DisputeFact, ledger.Movement)


def book(account: StripeAccount, rows: Sequence[Mirrored]) -> None:
    """Set the ledger lines of every payment that one of the rows has to do with.

    A refund that belongs to no payment is booked by itself, under its own id in place of a charge's.
    """
    if not rows:
        return
    charges: set[str] = set()
    alone: set[str] = set()
    intents: set[str] = set()
    for row in rows:
        if isinstance(row, Charge | CheckoutSession | InvoicePayment):
            intents.add(row.payment_intent)
        if isinstance(row, Charge):
            charges.add(row.stripe_id)
        elif isinstance(row, Refund | Dispute | BalanceTransaction):
            if row.charge:
                charges.add(row.charge)
            else:
                alone.add(row.source if isinstance(row, BalanceTransaction) else row.stripe_id)
    # Whether a payment that failed had been paid before is told by others of its intent.
    failed = Charge.objects.filter(account=account, payment_intent__among=intents - {""})
    charges |= set(failed.exclude(failure_balance_transaction="").values_list("stripe_id", flat=True))
    of_charges = Q(charge__among=charges)
    payments = _payments(account, charges)
    refunds = _facts(ledger.RefundFact, Refund, account, of_charges | Q(charge="", stripe_id__in=alone))
    disputes = _facts(ledger.DisputeFact, Dispute, account, of_charges)
    owners = {charge: charge for charge in charges}
    owners |= {fact.stripe_id: fact.charge or fact.stripe_id for fact in refunds}
    owners |= {fact.stripe_id: fact.charge for fact in disputes}
    movements = _facts(ledger.Movement, BalanceTransaction, account, of_charges | Q(source__among=owners))

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
    of_lone_refunds |= Q(charge="", balance_transaction__among=[movement.stripe_id for movement in movements])
    booked = LedgerLine.objects.filter(of_charges | of_lone_refunds, account=account)
    _set_lines(account, lines, booked, max(row.observed_at for row in rows))


def _set_lines(
    account: StripeAccount,
    lines: Mapping[str, ledger.Line],
    booked: models.QuerySet[LedgerLine],
    told_at: dt.datetime,
) -> None:
    """Make the booked lines what `lines` says, touching only those that differ, and keep what these said."""
    before, rows = {}, {}
    for row, *values in booked.values_list("pk", *ledger.Line._fields):
        line = ledger.Line(*values)
        before[line.key], rows[line.key] = line, row
    changed = [
        {"account_id": account.pk, "booked_at": told_at, **line._asdict()}
        for key, line in sorted(lines.items())
        if before.get(key) != line
    ]
    outdated = [rows[key] for key, line in before.items() if lines.get(key) != line]
    if changed or outdated:
        history.keep_lines(account, outdated, told_at)
        LedgerLine.objects.filter(account=account, key__in=before.keys() - lines.keys()).delete()
        upsert(LedgerLine, changed, ("account_id", "key"))
        history.note_change(account, told_at)


def _payments(account: StripeAccount, charges: Collection[str]) -> dict[str, ledger.ChargeFact]:
    is_paid = ExpressionWrapper(Q(status="succeeded"), models.BooleanField())
    rows = Charge.objects.filter(account=account, stripe_id__among=charges).annotate(was_paid=is_paid)
    payments = {}
    intents = {}
    for intent, *values in rows.values_list("payment_intent", *ledger.ChargeFact._fields):
        fact = ledger.ChargeFact(*values)
        payments[fact.stripe_id] = fact
        if fact.failure_balance_transaction and intent:
            intents[fact.stripe_id] = intent
    paid = _paid_at_last(account, set(intents.values()))
    payments |= {charge: payments[charge]._replace(was_paid=True) for charge in intents.keys() & paid}
    return payments


def _paid_at_last(account: StripeAccount, intents: Collection[str]) -> set[str]:
    """The last charge on the balance of each intent that was paid; had one before it been paid, none had followed.

    What was paid for remembers that it was, also when the payment fails later.
    """
    if not intents:
        return set()
    of_account = Q(account=account, payment_intent__among=intents)
    paid = set(
        CheckoutSession.objects.filter(of_account, payment_status="paid").values_list("payment_intent", flat=True)
    )
    paid |= set(InvoicePayment.objects.filter(of_account, status="paid").values_list("payment_intent", flat=True))
    was_booked = Q(status="succeeded") | ~Q(failure_balance_transaction="")
    charges = Charge.objects.filter(of_account, was_booked).order_by("created_at", "stripe_id")
    last = dict(charges.values_list("payment_intent", "stripe_id"))
    return {charge for intent, charge in last.items() if intent in paid}


def _facts(kind: type[F], model: type[Mirrored], account: StripeAccount, wanted: Q) -> list[F]:
    found = model._base_manager.filter(wanted, account=account).values_list(*kind._fields)
    return [kind(*values) for values in found]


def _grouped(facts: Iterable[F], owner: Callable[[F], str]) -> dict[str, list[F]]:
    groups: dict[str, list[F]] = defaultdict(list)
    for fact in facts:
        groups[owner(fact)].append(fact)
    return groups
