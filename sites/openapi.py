"""The pieces of an OpenAPI 3.1 document, written from what the code itself goes by. Pure.

A parameter's schema is what reads it, and an answer's is made from the type of what its function gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

from sites.parameters import Parameter

PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}
Json = dict[str, Any]


class Problem(TypedDict):
    """Why nothing is told."""

    error: Annotated[str, "For programs: the same word for the same kind of mistake."]
    message: Annotated[str, "For people."]
    parameter: NotRequired[Annotated[str, "What is wrong."]]
    allowed: NotRequired[Annotated[list[str], "What it may be."]]


FAILURES = {
    "400": "A parameter is not what it may be.",
    "401": "There is no token, or it was revoked.",
    "403": "The token is good for something else.",
    "404": "The token is of another site, or nothing has that name.",
    "429": "The token was used too often. The header Retry-After says for how many seconds to wait.",
    "503": "The database is not available. Try again later.",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What can be read by GET: `scope` is what a token must be good for, `answer` the type of what is told."""

    summary: str
    description: str
    scope: str
    parameters: Sequence[Parameter]
    answer: Any

    def path_item(self, name: str, schemas: dict[str, Json]) -> Json:
        """Describe the endpoint; what its schemas refer to is put into `schemas`."""
        return {
            "get": {
                "operationId": name,
                "summary": self.summary,
                **({"description": self.description} if self.description else {}),
                "security": [{"token": [self.scope]}],
                "parameters": [_reference(each) if each.is_family else written(each) for each in self.parameters],
                "responses": {
                    "200": response("What was asked for.", self.answer, schemas),
                    **{status: response(why, Problem, schemas) for status, why in FAILURES.items()},
                },
            }
        }


def _reference(parameter: Parameter) -> Json:
    return {"$ref": f"#/components/parameters/{parameter.name}"}


def written(parameter: Parameter) -> Json:
    told: Json = {"name": parameter.name, "in": parameter.place, "description": parameter.description}
    if parameter.place == "path":
        told["required"] = True
    if parameter.is_family:
        told |= {"style": "form", "explode": True}
    return {**told, "schema": parameter.schema}


def response(description: str, answer: Any, schemas: dict[str, Json]) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema_of(answer, schemas)}}}


def schema_of(kind: Any, schemas: dict[str, Json]) -> Json:
    """Give the JSON Schema of a type; each TypedDict in it is put into `schemas`, and referred to.

    In Annotated, a text describes what is annotated, and a mapping adds to its schema.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        schema = schema_of(inner[0], schemas)
        for told in inner[1:]:
            schema |= {"description": told} if isinstance(told, str) else told
        return schema
    if origin in (Union, UnionType):
        return {"anyOf": [schema_of(each, schemas) for each in inner]}
    if origin is list:
        return {"type": "array", "items": schema_of(inner[0], schemas)}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(inner[1], schemas)}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    assert is_typeddict(kind), kind
    if kind.__name__ not in schemas:
        schemas[kind.__name__] = _object(kind, schemas)
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _object(kind: Any, schemas: dict[str, Json]) -> Json:
    hints = get_type_hints(kind, include_extras=True)
    schema: Json = {
        "type": "object",
        "properties": {name: schema_of(_present(hint), schemas) for name, hint in hints.items()},
        "required": sorted(kind.__required_keys__),
        "additionalProperties": False,
    }
    return schema | ({"description": kind.__doc__} if kind.__doc__ else {})


def _present(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def document(info: Json, address: str, paths: Mapping[str, Json], families: Sequence[Parameter], schemas: Json) -> Json:
    return {
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": address}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "parameters": {each.name: written(each) for each in families},
            "schemas": schemas,
        },
    }
