"""Raw ASGI, as the doors for hits use it: whole bodies in time, headers by name, and answers."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tracking.hits import LONGEST_BODY_WITH_PROPS, Refusal, RefusedError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

BODY_SECONDS = 10.0
ALWAYS: list[Header] = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]


def headers_of(scope: Message) -> dict[bytes, bytes]:
    """The headers by name; one that was sent in several lines is the list of them all."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = headers[name] + b"," + value if name in headers else value
    return headers


def require_type(headers: dict[bytes, bytes], *allowed: bytes) -> None:
    """Raise RefusedError when the body is of another content type."""
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() not in allowed:
        raise RefusedError(Refusal.WRONG_TYPE)


async def body_of(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """Give the body; raise RefusedError as soon as it is too large, or when it does not come in time."""
    told = headers.get(b"content-length", b"")
    if told.isdigit() and int(told) > LONGEST_BODY_WITH_PROPS:
        raise RefusedError(Refusal.TOO_LARGE)
    body = b""
    chunk: bytes
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RefusedError(Refusal.MALFORMED)
                chunk = message.get("body", b"")
                body += chunk
                if len(body) > LONGEST_BODY_WITH_PROPS:
                    raise RefusedError(Refusal.TOO_LARGE)
                if not message.get("more_body"):
                    return body
    except TimeoutError:
        raise RefusedError(Refusal.TOO_SLOW) from None


async def answer(send: Send, status: int, headers: list[Header], body: bytes = b"") -> None:
    # Without a length the server would send the answer in chunks; that to a preflight has no body to measure.
    length = [(b"content-length", b"%d" % len(body))] if status != 204 else []
    await send({"type": "http.response.start", "status": status, "headers": [*ALWAYS, *length, *headers]})
    await send({"type": "http.response.body", "body": body})
