"""How PostgreSQL means to find the rows that a statement needs, and what it reckons: told by the database itself.

A pattern over SQL text knows nothing of what follows from what. The planner does: of `a.site_id = 1 AND b.site_id =
a.site_id` it says that each of both is looked up by the number.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import connection

_CHANGES = re.compile(r"^\s*UPDATE\b|\bDO\s+UPDATE\b")
# What differs from one run of a statement to the next.
_VALUE = re.compile(r"'(?:[^']|'')*'(?:::[\w ]+(?:\[\])?)?|\b\d+\b")


@dataclass(frozen=True, slots=True)
class Look:
    """A statement looks through a table: at one value of its key, or some ("one"), at that of another row ("joined") or
    at all rows ("").
    """

    table: str
    by_key: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the database says about a statement; `where` is what was done when it came."""

    statement: str
    where: str
    looks: tuple[Look, ...]
    mutable: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(self.statement.split())[:300]}"


@dataclass
class Watch:
    """Everything that the database is asked while it watches, once for each text without its values.

    `keys` names the columns by which the rows of each table are to be found, either of which will do.
    """

    keys: Mapping[str, Sequence[str]]
    where: str = ""
    told: dict[str, Told] = field(default_factory=dict)

    def __post_init__(self) -> None:
        connection.ensure_connection()
        # Within an event loop Django would hand out another connection.
        self._raw = connection.connection

    @contextmanager
    def watching(self) -> Iterator[None]:
        def execute(run: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
            # What is run for many rows is the same for each.
            self.see(connection.ops.compose_sql(sql, params[0] if many else params))
            return run(sql, params, many, context)

        with connection.execute_wrapper(execute):
            yield

    def see(self, statement: str) -> None:
        """Ask the database about a statement with its values in it, unless it was asked about the like before."""
        shape = _VALUE.sub("?", statement)
        if shape in self.told or not re.match(r"\s*\(?(SELECT|WITH|INSERT|UPDATE|DELETE)\b", statement):
            return
        with self._raw.cursor() as cursor:
            ((plan,),) = cursor.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}").fetchall()
            mutable = _mutable(cursor, statement) if _CHANGES.search(statement) else ()
        self.told[shape] = Told(statement, self.where, tuple(_looks(plan[0]["Plan"], self.keys)), mutable)


def _looks(plan: dict[str, Any], keys: Mapping[str, Sequence[str]]) -> Iterator[Look]:
    nodes = list(_nodes(plan))
    conditions = [
        text
        for node in nodes
        for name, said in node.items()
        if name.endswith(("Cond", "Filter"))
        for text in ([said] if isinstance(said, str) else said)
    ]
    for node in nodes:
        table = node.get("Relation Name", "")
        if "Scan" in node["Node Type"] and table:
            # "one" comes after "joined", and that after "".
            yield Look(table, max(_by_key(f"{node['Alias']}.{key}", conditions) for key in keys.get(table, ["?"])))


def _by_key(column: str, conditions: list[str]) -> str:
    name = re.escape(column)
    # Numbers as they stand, as parameters, and as a list of them, which may be looked up first.
    value = r"(?:'?\{?\d|\$\d|ANY \('?\{?[\d$]|ANY \(\(?InitPlan|ANY \(\(?hashed)"
    if any(re.search(rf"(?<![\w.]){name}(?:\)::\w+)? = {value}", text) for text in conditions):
        return "one"
    other = r'(?:"[^"]*"|\w+)\.\w+'
    joined = rf"(?<![\w.]){name} = {other}|{other} = {name}(?!\w)"
    return "joined" if any(re.search(joined, text) for text in conditions) else ""


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


def _mutable(cursor: psycopg.Cursor[Any], statement: str) -> tuple[str, ...]:
    """Name what gives changed columns their values, in an upsert or an UPDATE, and is not immutable.

    Of a function's body PostgreSQL keeps the parsed text, in which each function and operator is a number.
    """
    with cursor.connection.transaction():
        cursor.execute(f"CREATE FUNCTION pg_temp.probe() RETURNS void LANGUAGE sql BEGIN ATOMIC {statement}; END")
        ((tree,),) = cursor.execute("SELECT prosqlbody::text FROM pg_proc WHERE proname = 'probe'").fetchall()
        cursor.execute("DROP FUNCTION pg_temp.probe()")
    parts = re.findall(r":onConflictSet .*?:exclRelIndex", tree, re.DOTALL)
    if not parts:
        parts = re.findall(r":targetList .*?:override", tree, re.DOTALL)
    assert parts
    numbers = [int(number) for part in parts for number in re.findall(r":(?:funcid|opfuncid) (\d+)", part)]
    found = cursor.execute(
        "SELECT proname FROM pg_proc WHERE oid = ANY(%s) AND provolatile <> 'i' ORDER BY 1", [numbers]
    ).fetchall()
    # CURRENT_TIMESTAMP and its like, and conversions by way of text.
    others = {name for part in parts for name in re.findall(r"\{(SQLVALUEFUNCTION|COERCEVIAIO)\b", part)}
    return (*(str(name) for (name,) in found), *sorted(others))
