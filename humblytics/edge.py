"""What stands between the network and Django: whole bodies in time, and headers that can be believed.

Django runs in a few threads, and each reads a request's body as slowly as the sender likes; so the body is taken
in here, where waiting costs nothing, and a thread is only used once all of it is there.
"""

import asyncio
from collections.abc import Collection
from typing import Any

from django.conf import settings

from tracking.visitors import Network, is_trusted
from tracking.wire import Header, Message, Receive, Send, answer

BODY_SECONDS = 20.0
FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port")


class RefusedError(Exception):
    """The request does not get to Django; `status` and the message are the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Edge:
    """Pass whole, plain requests on to `application`; answer all others here."""

    def __init__(self, application: Any, trusted_proxies: Collection[Network]) -> None:
        self._application = application
        self._trusted = trusted_proxies

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            if scope["path"] == "/healthz":
                raise RefusedError(200, "ok")
            if b"%00" in scope["raw_path"] or b"%00" in scope["query_string"]:
                raise RefusedError(400, "No address here contains a NUL.")
            body = await _whole_body(scope, receive)
        except RefusedError as error:
            await answer(send, error.status, [(b"content-type", b"text/plain; charset=utf-8")], f"{error}\n".encode())
            return
        scope = {**scope, "headers": _believed(scope, self._trusted)}
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._application(scope, replay, send)


def _believed(scope: Message, trusted: Collection[Network]) -> list[Header]:
    """The headers that Django may see.

    Without a trusted proxy's, those that only one may send. Without names that have an underscore: WSGI could not
    tell `X_Forwarded_Proto` from the real one. Without the parts of two headers that no browser sends and Django
    stumbles over: another character set than UTF-8, and a backslash in a cookie, which can hide a NUL.
    """
    peer = (scope.get("client") or ("", 0))[0]
    is_proxy = is_trusted(peer, trusted)
    believed: list[Header] = []
    for name, value in scope["headers"]:
        if b"_" in name or (name in FORWARDED and not is_proxy) or (name == b"cookie" and b"\\" in value):
            continue
        if name == b"content-type" and b"charset" in value.lower():
            kind, _, _ = value.partition(b";")
            believed.append((name, kind))
        else:
            believed.append((name, value))
    return believed


async def _whole_body(scope: Message, receive: Receive) -> bytes:
    """Give the body. Raise RefusedError when it is too large for any form here, or does not come in time."""
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return b""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RefusedError(400, "The request ended before its body did.")
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                    raise RefusedError(413, "The request is too large.")
                if not message.get("more_body"):
                    return b"".join(chunks)
    except TimeoutError:
        raise RefusedError(408, "The request took too long.") from None
