"""Who has come lately to the pages that rules name, and what was done and paid then.

Only paths tell of pages: parameters of addresses are not kept.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from revenue.attribution import Model
from revenue.models.accounts import IS_COUNTED
from revenue.models.ledger import Kind
from sites.models import Site
from splittests.goals import Reached, reached
from splittests.pages import Rule, example
from tracking.filters import like_glob

LATELY = dt.timedelta(days=30)
# A site with routes behind the # has them in its paths.
ON_PAGES = """
    split_part(x.path, '#', 1) LIKE ANY(%(included)s) AND NOT split_part(x.path, '#', 1) LIKE ANY(%(excluded)s)
"""


class Seen(NamedTuple):
    hostname: str
    path: str
    at: dt.datetime


def on_pages(rules: Sequence[Rule]) -> dict[str, list[str]]:
    """Give the parameters of ON_PAGES. A rule that leaves out only pages with a parameter leaves none out here."""
    return {
        "included": [like_glob(rule.path) for rule in rules if not rule.excludes],
        "excluded": [like_glob(rule.path) for rule in rules if rule.excludes and not rule.query],
    }


def last_view(site: Site, rules: Sequence[Rule], now: dt.datetime) -> Seen | None:
    """Give the last view of the pages within LATELY."""
    statement = f"""
        SELECT x.hostname, split_part(x.path, '#', 1), x.at FROM tracking_view x
        WHERE x.site_id = %(site)s AND x.at >= %(since)s AND {ON_PAGES}
        ORDER BY x.at DESC LIMIT 1
    """
    found = _first(statement, {"site": site.pk, "since": now - LATELY, **on_pages(rules)})
    return Seen(*found) if found else None


def was_reached(site: Site, goal: str, pattern: str, now: dt.datetime) -> bool:
    """Tell whether anybody has reached a goal, other than revenue, within LATELY."""
    found: Reached = reached(goal, pattern)
    statement = f"""
        SELECT 1 FROM {found.table} x
        WHERE x.site_id = %(site)s AND x.at >= %(since)s AND {found.condition} LIMIT 1
    """
    return _first(statement, {"site": site.pk, "since": now - LATELY, **found.parameters}) is not None


def paid_lately(site: Site, now: dt.datetime) -> list[str]:
    """Give the currencies that were paid in within LATELY, the one with most payments first."""
    statement = f"""
        SELECT line.currency FROM revenue_ledgerline line
        LEFT JOIN revenue_attribution decision ON decision.account_id = line.account_id
         AND decision.charge = line.charge AND decision.model = %(model)s AND decision.reason = ''
        WHERE line.account_id {IS_COUNTED} AND line.kind = %(kind)s AND line.occurred_at >= %(since)s
          AND coalesce(decision.site_id, %(site)s) = %(site)s
        GROUP BY line.currency ORDER BY count(*) DESC, line.currency
    """
    parameters: dict[str, Any] = {"site": site.pk, "since": now - LATELY}
    parameters |= {"kind": str(Kind.CHARGE), "model": str(Model.LAST)}
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [currency for (currency,) in cursor.fetchall()]


def page_address(site: Site, rules: Sequence[Rule], now: dt.datetime) -> str:
    """Give the address of one of the pages: one that a rule names outright, or else the last that was seen."""
    seen = last_view(site, rules, now)
    path = example(rules) or (seen.path if seen else "/")
    return origin_of(site, seen.hostname if seen else site.domain) + path


def origin_of(site: Site, hostname: str) -> str:
    """Give the first part of the addresses of the site's pages on this host."""
    if hostname == urlsplit(settings.DEMO_SHOP_URL).hostname:
        return str(settings.DEMO_SHOP_URL)
    return f"{'http' if is_local(site) else 'https'}://{hostname}"


def is_local(site: Site) -> bool:
    """Tell whether the site can only be on this machine, as the demo's is (RFC 6761)."""
    return site.domain.endswith(".localhost")


def _first(statement: str, parameters: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: tuple[Any, ...] | None = cursor.fetchone()
    return found
