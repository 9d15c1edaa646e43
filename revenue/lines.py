"""The lines of the ledger that a question is about, each with whom it is credited to: what all sums are sums of.

A site's ledger is every line of the Stripe accounts connected to it (of the live ones, if one is live), except the
payments credited to another site. Payments credited to nobody stand on each site of their account. Every movement
counts on the day it happens, as in Stripe's own reports: a refund lowers the day of the refund, not the day of its
payment.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, models

from revenue.attribution import Model, Reason
from revenue.crediting import SNAPSHOT
from revenue.models import Attribution, LedgerLine
from revenue.models.accounts import IS_COUNTED
from revenue.upsert import stored_fields
from tracking.counting import Asked, Relation
from tracking.filters import conditions

SUMS = """
    coalesce(sum(amount) FILTER (WHERE kind IN ('charge', 'capture')), 0)::bigint AS gross,
    coalesce(-sum(amount) FILTER (WHERE kind IN ('refund', 'refund_failure')), 0)::bigint AS refunded,
    coalesce(-sum(amount) FILTER (WHERE kind = 'dispute'), 0)::bigint AS disputed,
    coalesce(sum(amount) FILTER (WHERE kind NOT IN ('fee', 'pending')), 0)::bigint AS net,
    count(*) FILTER (WHERE kind = 'charge') AS orders
"""

# Of what filters ask, what the decision keeps no copy of: only the visit itself can tell.
_OF_VISIT = {"hostname", "exit_page", "click_id"}
# Renewals are credited to visits of years ago.
_ANY_TIME = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Basis:
    """Which amounts are counted: those of the payments' own currencies, or `is_settled`, what Stripe made of them in
    the currency that the account settles in. With `known_at`, the ledger and the decisions as they were then.
    """

    is_settled: bool = False
    known_at: dt.datetime | None = None


AS_PAID = Basis()


def named_lines(
    asked: Asked,
    model: Model,
    basis: Basis = AS_PAID,
    value: str = "NULL",
    joined: str = "",
    name: str = "lines",
    among: str = "",
) -> tuple[str, dict[str, Any]]:
    """Name `lines`, or another name: the ledger of the accounts in the period; and give the parameters.

    `credit` is "site", "elsewhere" or "nobody". A charge that no decision was made about yet is awaited. With
    filters, only what is credited to a visit that they let through. `is_open` lines are those that Stripe has not
    settled, in their own currency; there are none unless settled amounts are asked for. `decided` and `decided_for`
    are what `credit` and `reason` follow from, and quicker to group by. `value` is any column of `line`, `decision` or
    what is `joined` to them. With `among`, a relation of `account_id` and `charge`, only the lines of those payments.
    """
    filtered, condition, parameters = _filtered(asked)
    amount, currency, is_open, settled = "line.amount", "line.currency", "false", ""
    if basis.is_settled:
        # A fee is a part of its movement, and in the movement's currency already.
        amount = "CASE line.kind WHEN 'fee' THEN line.amount ELSE coalesce(movement.amount, line.amount) END"
        currency, is_open = "coalesce(movement.currency, line.currency)", "movement.currency IS NULL"
        settled = """
            LEFT JOIN revenue_balancetransaction movement
              ON movement.account_id = line.account_id AND movement.stripe_id = line.balance_transaction
        """
    sql = f"""
        {name} AS (
            SELECT line.kind, {amount} AS amount, {currency} AS currency, {is_open} AS is_open, line.occurred_at,
                   line.account_id, line.key, line.charge, line.booked_at, decision.decided_at,
                   line.balance_transaction = '' AS is_unbooked,
                   decision.reason AS decided, decision.site_id AS decided_for,
                   CASE WHEN decision.reason IS NULL OR decision.reason <> '' THEN 'nobody'
                        WHEN decision.site_id = %(site)s THEN 'site'
                        ELSE 'elsewhere' END AS credit,
                   CASE WHEN line.charge = '' THEN '' ELSE coalesce(decision.reason, %(waiting)s) END AS reason,
                   coalesce(decision.is_renewal, false) AS is_renewal,
                   {value} AS value
            FROM {ledger(basis, among)} line
            {_decided(basis)}
            {settled} {joined} {filtered}
            WHERE line.occurred_at >= %(start)s AND line.occurred_at < %(end)s {condition}
        )
    """
    named = {
        "site": asked.site.pk,
        "start": asked.period.start_at,
        "end": asked.end_at,
        "model": model,
        "waiting": Reason.WAITING,
        "known_at": basis.known_at,
    }
    return sql, named | parameters


def ledger(basis: Basis, among: str = "") -> str:
    """Give the accounts' lines, those of then if that is the basis, for what has the parameters of `named_lines`."""
    columns = ", ".join(_columns(LedgerLine))
    # Asked of each table by itself, because the database knows nothing of how many charges a union holds.
    which = f"account_id {IS_COUNTED}"
    which += f" AND (account_id, charge) IN (SELECT account_id, charge FROM {among})" if among else ""
    if basis.known_at is None:
        return f"(SELECT {columns} FROM revenue_ledgerline WHERE {which})"
    # What stands still, and what was replaced later.
    which += " AND (booked_at IS NULL OR booked_at <= %(known_at)s)"
    return f"""(
        SELECT {columns} FROM revenue_ledgerline WHERE {which}
        UNION ALL
        SELECT {columns} FROM revenue_formerline WHERE {which} AND replaced_at > %(known_at)s
    )"""


def _decided(basis: Basis) -> str:
    """Join the `decision` about each line's payment, the one of then if that is the basis.

    Of then there is one in either table at most. They are not put together first, for the same reason as above.
    """
    of_line = "{0}.account_id = line.account_id AND {0}.charge = line.charge AND {0}.model = %(model)s".format
    if basis.known_at is None:
        return f"LEFT JOIN revenue_attribution decision ON {of_line('decision')}"
    columns = ", ".join(
        f"CASE WHEN standing.charge IS NULL THEN former.{name} ELSE standing.{name} END AS {name}"
        for name in _columns(Attribution)
    )
    return f"""
        LEFT JOIN revenue_attribution standing ON {of_line("standing")} AND standing.decided_at <= %(known_at)s
        LEFT JOIN revenue_formerdecision former ON {of_line("former")} AND former.decided_at <= %(known_at)s
              AND former.replaced_at > %(known_at)s
        CROSS JOIN LATERAL (SELECT {columns}) decision
    """


def _columns(model: type[models.Model]) -> list[str]:
    return [field.column for field in stored_fields(model)]


def _filtered(asked: Asked) -> tuple[str, str, dict[str, Any]]:
    """Give what lets only the filters' visits through: a join, a condition, and their parameters."""
    if not asked.filters:
        return "", "", {}
    found = conditions(asked.filters, asked.site.pk, _ANY_TIME, asked.end_at, asked.goals)
    sql, parameters = Relation(
        "".join(f" AND ({each.sql})" for each in found), [value for each in found for value in each.parameters]
    ).named("filter")
    columns = ["visit_id AS id", "landing_page AS entry_path", *SNAPSHOT]
    visit = ", ".join(f"decision.{column}" for column in columns)
    seen = ""
    if any(each.dimension in _OF_VISIT for each in asked.filters):
        visit += ", seen.hostname, seen.exit_path, seen.click_id"
        seen = "LEFT JOIN tracking_visit seen ON seen.site_id = decision.site_id AND seen.id = decision.visit_id"
    return (
        f"{seen} CROSS JOIN LATERAL (SELECT {visit}) v",
        f"AND decision.reason = '' AND decision.site_id = %(site)s {sql}",
        parameters,
    )


def fetch(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
