"""What has changed about a period since a day on which it was reported."""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from revenue.attribution import Model, Reason
from revenue.lines import AS_PAID, Basis, fetch, named_lines
from revenue.models.accounts import IS_COUNTED
from revenue.models.ledger import Kind
from revenue.money import plain
from sites.models import Site
from tracking.counting import Asked
from tracking.export import harmless

# Which visit a payment is credited to, in the fewest words.
_CREDITED = "concat_ws(' · ', nullif(decision.channel, ''), nullif(decision.source, ''))"
# What was told about since then: nothing else can be other than it was.
_TOUCHED = f"""
    touched AS MATERIALIZED (
        SELECT account_id, charge FROM revenue_ledgerline
        WHERE account_id {IS_COUNTED} AND booked_at > %(known_at)s
        UNION SELECT account_id, charge FROM revenue_formerline
        WHERE account_id {IS_COUNTED} AND replaced_at > %(known_at)s
        UNION SELECT account_id, charge FROM revenue_attribution
        WHERE account_id {IS_COUNTED} AND model = %(model)s AND decided_at > %(known_at)s
        UNION SELECT account_id, charge FROM revenue_formerdecision
        WHERE account_id {IS_COUNTED} AND model = %(model)s AND replaced_at > %(known_at)s
    )
"""
ELSEWHERE = "another site"


@dataclass(frozen=True, slots=True)
class Change:
    """A movement that is `amount` now and `was` that then, or a payment that `credited` another visit or reason now.

    Either amount is None when there was, or is, no such movement; of `later` ones the period is unchanged, because
    they count on a day after it. Without a change in whom it credits, both texts are "".
    """

    at: dt.datetime
    kind: Kind
    charge: str
    currency: str
    was: int | None
    amount: int | None
    was_credited: str = ""
    credited: str = ""
    is_later: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much the period's sums in one currency are greater now than they were known then."""

    currency: str
    attributed: int
    unattributed: int

    @property
    def net(self) -> int:
        return self.attributed + self.unattributed


@dataclass(frozen=True, slots=True)
class Changes:
    """`rows`, the latest first, and after them what became of the period's payments after its end."""

    rows: Sequence[Change]
    differences: Sequence[Difference]


def changes(asked: Asked, model: Model, known_at: dt.datetime, limit: int | None = None) -> Changes:
    """Tell what has changed about the period since then: movements, and whom payments credit.

    The differences are those of all changes, whatever the limit. Filters are not asked about.
    """
    was, parameters = named_lines(asked, model, Basis(known_at=known_at), _CREDITED, name="was", among="touched")
    now, _ = named_lines(asked, model, AS_PAID, _CREDITED, name="now", among="touched")
    found = fetch(
        f"""
        WITH {_TOUCHED}, {was}, {now},
        sales_then AS (SELECT * FROM was WHERE kind NOT IN ('fee', 'pending')),
        sales_now AS (SELECT * FROM now WHERE kind NOT IN ('fee', 'pending')),
        compared AS (
            SELECT account_id, key, coalesce(now.kind, was.kind) AS kind, coalesce(now.charge, was.charge) AS charge,
                   coalesce(now.currency, was.currency) AS currency, was.amount AS was, now.amount AS amount,
                   (was.amount, was.currency, was.kind) IS DISTINCT FROM (now.amount, now.currency, now.kind)
                       AS is_moved,
                   was.credit AS was_credit, was.reason AS was_reason, was.value AS was_value,
                   now.credit, now.reason, now.value, now.booked_at, now.decided_at
            FROM sales_then was FULL JOIN sales_now now USING (account_id, key)
            WHERE was.credit IS DISTINCT FROM 'elsewhere' OR now.credit IS DISTINCT FROM 'elsewhere'
        ),
        differences AS (
            SELECT currency, coalesce(sum(amount) FILTER (WHERE credit = 'site'), 0)::bigint AS attributed,
                   coalesce(sum(amount) FILTER (WHERE credit = 'nobody'), 0)::bigint AS unattributed
            FROM (
                SELECT currency, credit, amount FROM sales_now
                UNION ALL SELECT currency, credit, -amount FROM sales_then
            ) moved GROUP BY currency ORDER BY currency
        ),
        changes AS (
            SELECT coalesce(booked_at, (
                       SELECT max(replaced_at) FROM revenue_formerline former
                       WHERE former.account_id = compared.account_id AND former.key = compared.key
                         AND former.charge = compared.charge
                   ), %(known_at)s) AS at,
                   kind, charge, currency, was, amount, '', '', '', '', '', '', false AS is_later
            FROM compared WHERE is_moved
            UNION ALL
            SELECT decided_at, kind, charge, currency, was, amount,
                   was_credit, was_reason, was_value, credit, reason, value, false
            FROM compared
            WHERE NOT is_moved AND kind = 'charge'
              AND (was_credit, was_reason, was_value) IS DISTINCT FROM (credit, reason, value)
            UNION ALL
            SELECT line.booked_at, line.kind, line.charge, line.currency, NULL, line.amount,
                   '', '', '', '', '', '', true
            FROM sales_now sold
            JOIN revenue_ledgerline line ON line.account_id = sold.account_id AND line.charge = sold.charge
            WHERE sold.kind = 'charge' AND sold.credit <> 'elsewhere' AND line.occurred_at >= %(end)s
              AND line.booked_at > %(known_at)s AND line.kind NOT IN ('charge', 'fee', 'pending')
        )
        SELECT summed.told, changes.*
        FROM (SELECT jsonb_agg(differences)::text AS told FROM differences) summed LEFT JOIN changes ON true
        ORDER BY is_later, at DESC, charge, kind LIMIT %(limit)s
        """,
        {**parameters, "limit": limit},
    )
    return Changes(
        tuple(
            Change(at, Kind(kind), charge, currency, was, amount, _words(*then), _words(*credited), is_later)
            for _, at, kind, charge, currency, was, amount, *told, is_later in found
            for then, credited in [(told[:3], told[3:])]
            if at
        ),
        tuple(Difference(**each) for each in json.loads(found[0][0] or "[]")),
    )


def _words(credit: str, reason: str, value: str) -> str:
    """Say whom a payment credits, or why nobody."""
    if credit == "nobody" and reason:
        return f"nobody: {Reason(reason).sentence}"
    return {"elsewhere": ELSEWHERE, "site": value}.get(credit, "")


def export(found: Sequence[Change], site: Site) -> Iterator[list[object]]:
    """Headings, then a row for each change, with amounts in the currency's major unit."""
    yield ["Known since", "What", "Payment", "Currency", "Then", "Now", "Credited then", "Credited now", "Counts later"]
    for each in found:
        amounts = ["" if amount is None else plain(amount, each.currency) for amount in (each.was, each.amount)]
        credited = [harmless(each.was_credited), harmless(each.credited)]
        at = each.at.astimezone(site.zone).isoformat()
        yield [at, each.kind.label, each.charge, each.currency.upper(), *amounts, *credited, each.is_later]
