"""The parameters of an API's endpoint, read by the very schema that its OpenAPI document shows. Pure.

Unlike a page, which shows what is usual when its address says something odd, a program is told what is wrong.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
LONGEST_QUOTE = 100
Schema = Mapping[str, Any]


class ParameterError(ValueError):
    """A parameter is not what it may be; `allowed` is, where that can be listed."""

    def __init__(self, parameter: str, message: str, allowed: Collection[str] = ()) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Parameter:
    """`schema` is JSON Schema. One of an object is a family: each of its properties may be given, more than once."""

    name: str
    description: str
    schema: Schema
    place: str = "query"

    @property
    def names(self) -> Collection[str]:
        return self.schema["properties"] if self.is_family else (self.name,)

    @property
    def is_family(self) -> bool:
        return bool(self.schema.get("type") == "object")

    @property
    def usual(self) -> Any:
        return [] if self.is_family else self.schema.get("default")


def choice(
    name: str, description: str, values: Iterable[str], usual: str | None = None, place: str = "query"
) -> Parameter:
    """One of some texts; `usual` stands for what is not given, if something does."""
    default = {} if usual is None else {"default": str(usual)}
    schema = {"type": "string", "enum": [str(each) for each in values], **default}
    return Parameter(name, description, schema, place)


def number(name: str, description: str, most: int, usual: int) -> Parameter:
    """A whole number from 1 on."""
    return Parameter(name, description, {"type": "integer", "minimum": 1, "maximum": most, "default": usual})


def read(parameters: Sequence[Parameter], told: Iterable[tuple[str, Sequence[str]]]) -> dict[str, Any]:
    """Give each parameter's value by its name, of a family all that was told as (name, text). Raise ParameterError."""
    known = {name: each for each in parameters for name in each.names}
    values = {each.name: each.usual for each in parameters}
    for name, texts in told:
        if name not in known:
            raise ParameterError(name, "There is no such parameter here.", list(known))
        parameter = known[name]
        if parameter.is_family:
            schema = parameter.schema["properties"][name]
            values[parameter.name] = [*values[parameter.name], *((name, value(name, text, schema)) for text in texts)]
        elif len(texts) > 1:
            raise ParameterError(name, f"“{name}” may be given once.")
        else:
            values[name] = value(name, texts[0], parameter.schema)
    return values


def value(name: str, text: str, schema: Schema) -> Any:
    """Read a text as the schema says: a whole number, a day, or a text. Raise ParameterError."""
    if schema.get("type") == "integer":
        return _whole(name, text, schema)
    if schema.get("format") == "date":
        return _day(name, text)
    if "enum" in schema and text not in schema["enum"]:
        raise ParameterError(name, f"“{text[:LONGEST_QUOTE]}” is none of what “{name}” may be.", schema["enum"])
    if len(text) > schema.get("maxLength", len(text)):
        raise ParameterError(name, f"“{name}” may have {schema['maxLength']} letters.")
    if "\0" in text or ("pattern" in schema and not re.fullmatch(schema["pattern"], text)):
        raise ParameterError(name, f"“{text[:LONGEST_QUOTE]}” is not what “{name}” may be.")
    return text


def _whole(name: str, text: str, schema: Schema) -> int:
    most = schema["maximum"]
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not is_number or not schema["minimum"] <= int(text) <= most:
        raise ParameterError(name, f"“{name}” is a whole number from {schema['minimum']} to {most}.")
    return int(text)


def _day(name: str, text: str) -> dt.date:
    try:
        if DAY.fullmatch(text):
            return dt.date.fromisoformat(text)
    except ValueError:
        pass
    raise ParameterError(name, f"“{name}” is a day such as 2026-01-31.")
