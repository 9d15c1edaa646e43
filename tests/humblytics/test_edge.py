"""What reaches Django, asked through the server's own entry."""

import asyncio
import ipaddress
from typing import Any

import pytest

from humblytics import edge
from humblytics.edge import Edge


class Django:
    """In Django's place: keeps what it was given."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.headers = dict(scope["headers"])
        self.body = (await receive()).get("body", b"")
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def ask(
    django: Django,
    path: str = "/",
    query: bytes = b"",
    method: str = "GET",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    chunks: tuple[bytes, ...] = (b"",),
    peer: str = "203.0.113.7",
    stall: bool = False,
) -> int:
    sent: list[Any] = []
    incoming = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if not stall:
        incoming[-1]["more_body"] = False

    async def receive() -> Any:
        if incoming:
            return incoming.pop(0)
        await asyncio.sleep(3600)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": list(headers),
        "client": (peer, 1),
    }
    asyncio.run(Edge(django, (ipaddress.ip_network("10.0.0.0/8"),))(scope, receive, send))
    return int(sent[0]["status"])


def test_a_body_in_pieces_arrives_whole() -> None:
    django = Django()
    assert ask(django, method="POST", chunks=(b"a=", b"1", b"&b=2")) == 299
    assert django.body == b"a=1&b=2"


def test_a_body_that_does_not_come_uses_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BODY_SECONDS", 0.05)
    django = Django()
    assert ask(django, method="POST", chunks=(b"a=1",), stall=True) == 408
    assert not django.body


def test_a_body_that_is_larger_than_any_form_is_refused() -> None:
    assert ask(Django(), method="POST", chunks=(b"x" * 1_000_000,) * 3) == 413


def test_health_needs_no_thread_and_no_host() -> None:
    assert ask(Django(), path="/healthz") == 200


@pytest.mark.parametrize(("path", "query"), [("/a%00b", b""), ("/", b"search=%00")])
def test_a_nul_in_an_address_is_refused(path: str, query: bytes) -> None:
    assert ask(Django(), path, query) == 400


FORWARDED = ((b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"1.1.1.1"))


def test_only_a_trusted_proxy_forwards() -> None:
    stranger, proxied = Django(), Django()
    ask(stranger, headers=FORWARDED)
    ask(proxied, headers=FORWARDED, peer="10.0.0.1")
    assert stranger.headers == {}
    assert proxied.headers == dict(FORWARDED)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param((b"x_forwarded_proto", b"https"), id="a-name-that-wsgi-takes-for-another"),
        pytest.param((b"cookie", b'humblytics_sessionid="\\000aaa"'), id="a-cookie-that-hides-a-nul"),
    ],
)
def test_what_django_stumbles_over_is_dropped(header: tuple[bytes, bytes]) -> None:
    django = Django()
    ask(django, headers=(header,), peer="10.0.0.1")
    assert django.headers == {}


def test_a_form_in_another_character_set_is_read_as_utf_8() -> None:
    django = Django()
    ask(django, headers=((b"content-type", b"application/x-www-form-urlencoded; charset=utf-16"),))
    assert django.headers == {b"content-type": b"application/x-www-form-urlencoded"}
