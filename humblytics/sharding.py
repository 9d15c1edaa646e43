"""How the tables are spread over machines by Citus: what a site's visitors did by site, what it is joined with on all.

Visits, views and all else of one site are on one machine, and the money, of which there is little beside them, on each:
so whatever a page asks is answered by one. What only the settings, the log-ins and the sync use stays where the
application connects to. New tables are found by their models.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models import Model

from revenue.models import (
    Attribution,
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Connection,
    FormerDecision,
    FormerLine,
    InvoicePayment,
    LedgerLine,
    StripeAccount,
)
from sites.models import Site
from splittests.models import SplitTest, Variant
from tracking.models.visits import OfSite

KEY = "site_id"
# What tables by site are joined with. Those that others refer to come first.
REPLICATED: tuple[type[Model], ...] = (
    Site,
    StripeAccount,
    Connection,
    Charge,
    CheckoutSession,
    InvoicePayment,
    BalanceTransaction,
    LedgerLine,
    FormerLine,
    Attribution,
    FormerDecision,
    SplitTest,
    Variant,
)


def sharded() -> list[str]:
    """Name the tables whose rows lie together by site."""
    return sorted(model._meta.db_table for model in apps.get_models() if issubclass(model, OfSite))


def replicated() -> list[str]:
    """Name the tables of which each machine has a copy."""
    return [model._meta.db_table for model in REPLICATED]


ONE_BY_ONE = "citus.multi_shard_modify_mode=sequential"
IS_ONE_BY_ONE = f"""
SELECT FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
WHERE datname = current_database() AND '{ONE_BY_ONE}' = ANY(setconfig)
"""


class NoCitusError(Exception):
    """The database has no Citus; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a table, or the database, is to be, the statement that makes it so, and whether it is."""

    what: str
    statement: str
    is_done: bool


def plan() -> list[Step]:
    """Give all that makes a database a sharded one, in order, with what is so already. Raise NoCitusError."""
    known = _known()
    first, *others = sharded()
    # Tables that lie together have their rows of one site on one machine; these are by themselves, beside whatever else
    # somebody keeps in the database.
    together = {first: "none"} | dict.fromkeys(others, first)
    group = known[first].group if first in known else None
    return [
        Step("Citus is installed", "CREATE EXTENSION citus", _is_installed()),
        # A site is deleted in one transaction with what is on every machine: Citus does not do that on several at once.
        Step(
            "what changes on several machines changes on one after the other",
            f"ALTER DATABASE {connection.ops.quote_name(_name())} SET {ONE_BY_ONE.replace('=', ' = ')}",
            bool(_rows(IS_ONE_BY_ONE)),
        ),
        *(
            Step(
                f"{table} is on every machine",
                f"SELECT create_reference_table('{table}')",
                _is_replicated(known.get(table)),
            )
            for table in replicated()
        ),
        *(
            Step(
                f"{table} is spread by {KEY}",
                f"SELECT create_distributed_table('{table}', '{KEY}', colocate_with => '{beside}')",
                _is_sharded(known.get(table), group),
            )
            for table, beside in together.items()
        ),
    ]


def distribute() -> Iterator[Step]:
    """Take each step that was not taken, and give it when it is. Raise NoCitusError, or what the database raises."""
    for step in plan():
        if not step.is_done:
            with connection.cursor() as cursor:
                cursor.execute(step.statement)
            yield step


@dataclass(frozen=True, slots=True)
class _Spread:
    """What Citus knows of a table: "reference" or "distributed", by which column, and with which others together."""

    kind: str
    column: str
    group: int


def _known() -> dict[str, _Spread]:
    if not _is_installed():
        if not _rows("SELECT FROM pg_available_extensions WHERE name = 'citus'"):
            raise NoCitusError(
                "This PostgreSQL has no Citus. Install the package for its version on every machine, and name citus in "
                "shared_preload_libraries."
            )
        return {}
    rows = _rows("SELECT table_name::text, citus_table_type, distribution_column, colocation_id FROM citus_tables")
    return {table: _Spread(*spread) for table, *spread in rows}


def _name() -> str:
    ((name,),) = _rows("SELECT current_database()")
    return str(name)


def _is_installed() -> bool:
    return bool(_rows("SELECT FROM pg_extension WHERE extname = 'citus'"))


def _is_replicated(spread: _Spread | None) -> bool:
    return spread is not None and spread.kind == "reference"


def _is_sharded(spread: _Spread | None, group: int | None) -> bool:
    return spread is not None and (spread.kind, spread.column, spread.group) == ("distributed", KEY, group)


def _rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())
