"""A request that came in and the response that goes out, free of sockets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any


@dataclass(frozen=True)
class Request:
    """`id` is what the response will carry as its Request-Id."""

    id: str
    method: str
    path: str
    query: str
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Delivery:
    """How a response travels: whole and at once, unless something else is said.

    `cut` ends it after so many bytes of the body, with `is_length_told` although more was announced; `is_reset`
    breaks the connection then instead of closing it. `pace` sends so many bytes at a time with so many seconds
    between. `skew` is how many seconds the Date is off, `wait` how many pass before the first byte.
    """

    cut: int | None = None
    is_length_told: bool = True
    is_reset: bool = False
    pace: tuple[int, float] | None = None
    skew: int = 0
    wait: float = 0


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery()


def json_response(status: int, content: Any, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(content, separators=(",", ":")).encode()
    return Response(status, body, {"Content-Type": "application/json", **(headers or {})})
