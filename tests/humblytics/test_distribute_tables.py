"""Spreading the tables over machines: against functions of Citus' names that only note what was asked of them.

Neither PyPI nor Debian has Citus, so what it makes of these calls is tried by hand.
"""

import io
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from humblytics import sharding
from tracking.models.visits import OfSite

CITUS = """
CREATE TABLE citus_tables (
    table_name regclass PRIMARY KEY, citus_table_type text, distribution_column text, colocation_id int);
CREATE FUNCTION create_reference_table(asked regclass) RETURNS void LANGUAGE sql AS $$
    INSERT INTO citus_tables VALUES (asked, 'reference', '<none>', 1) $$;
CREATE FUNCTION create_distributed_table(asked regclass, key text, colocate_with text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO citus_tables SELECT asked, 'distributed', key, CASE colocate_with
        WHEN 'none' THEN (SELECT coalesce(max(colocation_id), 1) + 1 FROM citus_tables)
        ELSE (SELECT colocation_id FROM citus_tables WHERE table_name = colocate_with::regclass) END $$;
"""


@pytest.fixture
def citus(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "_is_installed", lambda: True)
    with connection.cursor() as cursor:
        cursor.execute(CITUS)


def run(*options: str) -> tuple[int, list[str]]:
    """Run the command; give its exit status and the lines that it wrote."""
    out = io.StringIO()
    try:
        call_command("distribute_tables", *options, stdout=out, stderr=io.StringIO())
    except SystemExit as exit:
        return int(exit.code or 0), out.getvalue().splitlines()
    return 0, out.getvalue().splitlines()


def spread() -> dict[str, tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name::text, citus_table_type, distribution_column, colocation_id FROM citus_tables"
        )
        return {table: tuple(how) for table, *how in cursor.fetchall()}


def test_without_citus_it_says_what_to_do(db: None) -> None:
    with pytest.raises(CommandError, match="This PostgreSQL has no Citus"):
        run("--check")
    with pytest.raises(CommandError, match="This PostgreSQL has no Citus"):
        run()


def test_what_visitors_did_lies_together_by_site_and_the_rest_is_everywhere(citus: None) -> None:
    assert run()[0] == 0
    found = spread()
    tables = {model._meta.db_table for model in apps.get_models() if issubclass(model, OfSite)}
    assert {"tracking_visit", "tracking_view", "splittests_exposed"} < tables
    assert {table for table, (kind, *_) in found.items() if kind == "distributed"} == tables
    assert {(column, group) for kind, column, group in found.values() if kind == "distributed"} == {("site_id", 2)}
    assert {table for table, (kind, *_) in found.items() if kind == "reference"} == set(sharding.replicated())


def test_the_plan_is_told_and_a_second_run_changes_nothing(citus: None) -> None:
    status, lines = run("--check")
    assert status == 1
    assert lines[0] == "yes  Citus is installed"
    assert all(line.startswith("no ") for line in lines[1:])
    assert "no   tracking_visit is spread by site_id: SELECT create_distributed_table(" in "\n".join(lines)
    run()
    before = spread()
    status, lines = run("--check")
    assert status == 0
    assert all(line.startswith("yes ") for line in lines)
    assert run() == (0, ["Everything was so already."])
    assert spread() == before


def test_it_goes_on_where_it_was_stopped(citus: None) -> None:
    steps = sharding.distribute()
    for _ in range(len(sharding.replicated()) + 3):
        next(steps)
    assert run("--check")[0] == 1
    run()
    assert run("--check")[0] == 0


def test_a_table_that_lies_apart_from_the_others_is_not_as_it_should_be(citus: None) -> None:
    run()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE citus_tables SET colocation_id = 9 WHERE table_name = 'tracking_view'::regclass")
    status, lines = run("--check")
    assert status == 1
    (apart,) = (line for line in lines if line.startswith("no "))
    assert apart.startswith("no   tracking_view is spread by site_id")
