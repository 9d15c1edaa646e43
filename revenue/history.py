"""What the ledger and the decisions about it said before, so that it can be told what was known on a day.

A line or decision is set in place. What it replaces is kept, with the span of time in which it stood: together with
what stands now that is every version there ever was. Nothing is kept twice, and nothing kept is changed.
"""

import datetime as dt
from collections.abc import Collection

from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Coalesce

from revenue.models import Attribution, FormerDecision, FormerLine, LedgerLine, StripeAccount
from revenue.models.decisions import Decision
from revenue.models.ledger import Line
from revenue.upsert import stored_fields


def keep_lines(account: StripeAccount, rows: Collection[int], at: dt.datetime) -> None:
    """Keep lines, given by their primary keys, that are about to be replaced or taken back."""
    _keep(LedgerLine, FormerLine, account, rows, at)


def keep_decisions(account: StripeAccount, rows: Collection[int], at: dt.datetime) -> None:
    """Keep decisions, given by their primary keys, that are about to be replaced."""
    _keep(Attribution, FormerDecision, account, rows, at)


def note_change(account: StripeAccount, at: dt.datetime) -> None:
    """Say that the account's ledger, or a decision about it, is another one from now on."""
    kept_since = Coalesce(F("kept_since_at"), Value(at))
    StripeAccount.objects.filter(pk=account.pk).update(edition=F("edition") + 1, kept_since_at=kept_since)


def _keep(
    current: type[Line] | type[Decision],
    former: type[Line] | type[Decision],
    account: StripeAccount,
    rows: Collection[int],
    at: dt.datetime,
) -> None:
    if not rows:
        return
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in stored_fields(current))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quote(former._meta.db_table)} ({columns}, replaced_at) "
            f"SELECT {columns}, %s FROM {quote(current._meta.db_table)} WHERE account_id = %s AND id = ANY(%s)",
            [at, account.pk, list(rows)],
        )
