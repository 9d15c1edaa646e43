"""What has changed about a period since a day on which it was reported."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from revenue.attribution import Model, Reason
from revenue.lines import AS_PAID, Basis, fetch, named_lines
from revenue.models.ledger import Kind
from revenue.money import plain
from sites.models import Site
from tracking.counting import Asked
from tracking.export import harmless

# Which visit a payment is credited to, in the fewest words.
_CREDITED = "concat_ws(' · ', nullif(decision.channel, ''), nullif(decision.source, ''))"
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


def changes(asked: Asked, model: Model, known_at: dt.datetime, limit: int | None = None) -> list[Change]:
    """List what has changed about the period since then, the latest first: movements, and whom payments credit.

    After these, what has become of the period's payments after its end. Filters are not asked about.
    """
    was, parameters = named_lines(asked, model, Basis(known_at=known_at), _CREDITED, name="was")
    now, _ = named_lines(asked, model, AS_PAID, _CREDITED, name="now")
    found = fetch(
        f"""
        WITH {was}, {now},
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
        )
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
        SELECT line.booked_at, line.kind, line.charge, line.currency, NULL, line.amount, '', '', '', '', '', '', true
        FROM sales_now sold
        JOIN revenue_ledgerline line ON line.account_id = sold.account_id AND line.charge = sold.charge
        WHERE sold.kind = 'charge' AND sold.credit <> 'elsewhere' AND line.occurred_at >= %(end)s
          AND line.booked_at > %(known_at)s AND line.kind NOT IN ('charge', 'fee', 'pending')
        ORDER BY is_later, at DESC, charge, kind LIMIT %(limit)s
        """,
        {**parameters, "limit": limit},
    )
    return [
        Change(at, Kind(kind), charge, currency, was, amount, _words(*then), _words(*credited), is_later)
        for at, kind, charge, currency, was, amount, *told, is_later in found
        for then, credited in [(told[:3], told[3:])]
    ]


def _words(credit: str, reason: str, value: str) -> str:
    """Say whom a payment credits, or why nobody."""
    if credit == "nobody" and reason:
        return f"nobody: {Reason(reason).sentence}"
    return {"elsewhere": ELSEWHERE, "site": value}.get(credit, "")


def export(found: list[Change], site: Site) -> Iterator[list[object]]:
    """Headings, then a row for each change, with amounts in the currency's major unit."""
    yield ["Known since", "What", "Payment", "Currency", "Then", "Now", "Credited then", "Credited now", "Counts later"]
    for each in found:
        amounts = ["" if amount is None else plain(amount, each.currency) for amount in (each.was, each.amount)]
        credited = [harmless(each.was_credited), harmless(each.credited)]
        at = each.at.astimezone(site.zone).isoformat()
        yield [at, each.kind.label, each.charge, each.currency.upper(), *amounts, *credited, each.is_later]
