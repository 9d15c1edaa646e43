"""An update must not stop a large installation: what a migration may do to a table that hits or money go to."""

import re
from collections.abc import Iterable, Iterator

import pytest
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.migrations.executor import MigrationExecutor

from humblytics.management.commands import migrate
from humblytics.sharding import replicated, sharded
from tests.test_conventions import APPS

# Those before the first release built the tables, when they were empty.
BUILT_BY = {
    "sites": "0007_sessions",
    "tracking": "0003_botview",
    "revenue": "0005_as_known_then",
    "splittests": "0006_audience_and_conversions",
}
LARGE = {*sharded(), *replicated()} - {"sites_site", "revenue_stripeaccount", "revenue_connection"}
LARGE |= {"revenue_refund", "revenue_dispute", "sites_auditentry"}

# While each of these runs, nobody may write into the table, or nobody may use it; and it goes through all its rows.
LONG = {
    "builds an index without CONCURRENTLY": r"CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)",
    "writes the table anew": r"ALTER COLUMN \S+ TYPE\b|ADD COLUMN .*(DEFAULT \w+\(|GENERATED)|VACUUM FULL|\bCLUSTER\b",
    "checks every row: add it NOT VALID, and VALIDATE it in the next migration": (
        r"ADD CONSTRAINT (?!.*(NOT VALID|USING INDEX))|ADD (PRIMARY KEY|UNIQUE|CHECK|FOREIGN KEY)\b(?!.*NOT VALID)"
        r"|ALTER COLUMN \S+ SET NOT NULL"
    ),
    "changes all rows in one transaction": r"^\s*(WITH .*)?(UPDATE|DELETE FROM|INSERT INTO)\b",
    "does what no SQL shows": r"THIS OPERATION CANNOT BE WRITTEN AS SQL|Raw Python operation",
}


def stops(statements: Iterable[str], tables: Iterable[str]) -> Iterator[str]:
    """Name what in the statements of a migration takes long while others wait for one of the tables."""
    named = re.compile(rf"\b({'|'.join(map(re.escape, sorted(tables)))})\b")
    for statement in statements:
        text = " ".join(statement.split())
        for what, pattern in LONG.items():
            if re.search(pattern, text, re.IGNORECASE) and (named.search(text) or "no SQL" in what):
                yield f"{what}: {text[:200]}"


@pytest.mark.parametrize(
    ("statement", "is_long"),
    [
        ('CREATE INDEX "x" ON "tracking_view" ("path")', True),
        ('CREATE INDEX CONCURRENTLY "x" ON "tracking_view" ("path")', False),
        ('CREATE INDEX "x" ON "sites_membership" ("role")', False),
        ('ALTER TABLE "tracking_visit" ADD COLUMN "x" text NULL', False),
        ('ALTER TABLE "tracking_visit" ADD COLUMN "x" text DEFAULT \'\' NOT NULL', False),
        ('ALTER TABLE "tracking_visit" ADD COLUMN "x" uuid DEFAULT gen_random_uuid() NOT NULL', True),
        ('ALTER TABLE "tracking_visit" ALTER COLUMN "views" TYPE bigint USING "views"::bigint', True),
        ('ALTER TABLE "revenue_ledgerline" ALTER COLUMN "booked_at" SET NOT NULL', True),
        ('ALTER TABLE "revenue_ledgerline" ADD CONSTRAINT "x" CHECK (amount <> 0)', True),
        ('ALTER TABLE "revenue_ledgerline" ADD CONSTRAINT "x" CHECK (amount <> 0) NOT VALID', False),
        ('ALTER TABLE "revenue_ledgerline" VALIDATE CONSTRAINT "x"', False),
        ("UPDATE tracking_event SET name = lower(name)", True),
        ("-- THIS OPERATION CANNOT BE WRITTEN AS SQL", True),
    ],
)
def test_what_takes_long_while_others_wait_is_known(statement: str, is_long: bool) -> None:
    assert bool(list(stops([statement], LARGE))) is is_long


def test_no_new_migration_keeps_hits_or_payments_waiting(db: None) -> None:
    loader = MigrationExecutor(connection).loader
    found: dict[str, list[str]] = {}
    for app, name in sorted(loader.disk_migrations):
        if app in APPS:
            migration = loader.disk_migrations[app, name]
            with pytest.MonkeyPatch.context() as patch:
                if not migration.atomic:
                    # It would not run in a test's transaction, but here it is only asked for its statements.
                    patch.setattr(connections[DEFAULT_DB_ALIAS], "in_atomic_block", False)
                sql = loader.collect_sql([(migration, False)])
            found[f"{app}.{name}"] = list(stops(sql, LARGE))
    # It sees what those did that built the tables.
    assert found["revenue.0003_indexes"]
    new = {name: what for name, what in found.items() if name > _last_built(name)}
    assert {name: what for name, what in new.items() if what} == {}


def _last_built(name: str) -> str:
    app = name.partition(".")[0]
    return f"{app}.{BUILT_BY[app]}"


def test_a_migration_does_not_wait_long_for_a_table(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def handle(*args: object, **options: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            told.append(cursor.fetchone()[0])

    monkeypatch.setattr("django.core.management.commands.migrate.Command.handle", handle)
    call_command("migrate", verbosity=0)
    handle()
    assert told == [migrate.PATIENCE, "0"]
