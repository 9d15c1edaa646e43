"""Many rows in one statement: new ones are inserted, those of the same key replaced.

Each column travels as one array, so the statement is the same for one row and for thousands. Django's own
`bulk_create` has a parameter for each value where a column is an array or the rows are replaced under a condition,
and spends longer on those than the database on the rows.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models


def upsert(rows: Sequence[models.Model], key: tuple[str, ...], *, newer: str = "") -> None:
    """Store rows of one model, no two of them with the same `key` (names of columns); their arrays hold numbers.

    With `newer`, a stored row is only replaced by one whose column of that name is the same or later.
    """
    if not rows:
        return
    model = type(rows[0])
    columns = [_column(field, [getattr(row, field.attname) for row in rows]) for field in stored_fields(model)]
    with connection.cursor() as cursor:
        cursor.execute(_statement(model, key, newer), columns)


@cache
def stored_fields(model: type[models.Model]) -> "list[models.Field[Any, Any]]":
    """Those whose value a row brings with it: all but the database's own key."""
    return [field for field in model._meta.concrete_fields if not field.primary_key]


def _column(field: "models.Field[Any, Any]", values: list[Any]) -> list[Any]:
    # PostgreSQL wants the arrays in an array to be of one length. Written as texts they need not be.
    return [f"{{{','.join(map(str, value))}}}" for value in values] if isinstance(field, ArrayField) else values


@cache
def _statement(model: type[models.Model], key: tuple[str, ...], newer: str) -> str:
    quote = connection.ops.quote_name
    table, fields = quote(model._meta.db_table), stored_fields(model)
    names = [quote(field.column) for field in fields]
    # Without their lengths: what is too long is to be refused, not cut off.
    types = [str(field.db_type(connection)).split("(")[0] for field in fields]
    arrays = [f"%s::{'text' if type.endswith('[]') else type}[]" for type in types]
    values = [f"given.{name}::{type}" for name, type in zip(names, types, strict=True)]
    replaced = [name for name in names if name not in map(quote, key)]
    changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in replaced)
    guard = f" WHERE EXCLUDED.{quote(newer)} >= {table}.{quote(newer)}" if newer else ""
    return (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} "
        f"FROM unnest({', '.join(arrays)}) AS given ({', '.join(names)}) "
        f"ON CONFLICT ({', '.join(map(quote, key))}) DO UPDATE SET {changes}{guard}"
    )
