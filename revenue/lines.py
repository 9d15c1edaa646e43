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
from revenue.models import Attribution, FormerDecision, FormerLine, LedgerLine
from revenue.models.accounts import COUNTED_ACCOUNTS
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
    asked: Asked, model: Model, basis: Basis = AS_PAID, value: str = "NULL", joined: str = "", name: str = "lines"
) -> tuple[str, dict[str, Any]]:
    """Name `lines`, or another name: the ledger of the accounts in the period; and give the parameters.

    `credit` is "site", "elsewhere" or "nobody". A charge that no decision was made about yet is awaited. With
    filters, only what is credited to a visit that they let through. `is_open` lines are those that Stripe has not
    settled, in their own currency; there are none unless settled amounts are asked for. `decided` and `decided_for`
    are what `credit` and `reason` follow from, and quicker to group by. `value` is any column of `line`, `decision` or
    what is `joined` to them.
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
                   decision.reason AS decided, decision.site_id AS decided_for,
                   CASE WHEN decision.reason IS NULL OR decision.reason <> '' THEN 'nobody'
                        WHEN decision.site_id = %(site)s THEN 'site'
                        ELSE 'elsewhere' END AS credit,
                   CASE WHEN line.charge = '' THEN '' ELSE coalesce(decision.reason, %(waiting)s) END AS reason,
                   coalesce(decision.is_renewal, false) AS is_renewal,
                   {value} AS value
            FROM {ledger(basis)} line
            LEFT JOIN {_decisions(basis)} decision
              ON decision.account_id = line.account_id AND decision.charge = line.charge
             AND decision.model = %(model)s
            {settled} {joined} {filtered}
            WHERE line.account_id IN ({COUNTED_ACCOUNTS})
              AND line.occurred_at >= %(start)s AND line.occurred_at < %(end)s {condition}
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


def ledger(basis: Basis) -> str:
    """Give the ledger's lines, those of then if that is the basis, for what has the parameters of `named_lines`."""
    if basis.known_at is None:
        return "revenue_ledgerline"
    return _then(LedgerLine, FormerLine, "(booked_at IS NULL OR booked_at <= %(known_at)s)")


def _decisions(basis: Basis) -> str:
    if basis.known_at is None:
        return "revenue_attribution"
    return _then(Attribution, FormerDecision, "decided_at <= %(known_at)s")


def _then(current: type[models.Model], former: type[models.Model], is_known: str) -> str:
    """Give the rows that stood then: what stands still, and what was replaced later."""
    columns = ", ".join(field.column for field in stored_fields(current))
    return f"""(
        SELECT {columns} FROM {current._meta.db_table} WHERE account_id IN ({COUNTED_ACCOUNTS}) AND {is_known}
        UNION ALL
        SELECT {columns} FROM {former._meta.db_table}
        WHERE account_id IN ({COUNTED_ACCOUNTS}) AND {is_known} AND replaced_at > %(known_at)s
    )"""


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
