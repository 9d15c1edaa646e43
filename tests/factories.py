"""Test data. Hits go in through the ingest itself, by `send_hit`."""

import asyncio
import datetime as dt
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import factory
import uuid_utils.compat as uuid_utils
from django.db import connection
from django.test import Client

from sites.models import Membership, Role, Site, User
from splittests.redirects import variant_of
from tracking.ingest import Ingest, utc_now
from tracking.places import Atlas

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)
PASSWORD = "correct horse battery"


class UserFactory(factory.django.DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"user{n}@example.com")

    @factory.post_generation
    def password(user: User, create: bool, extracted: str | None, **kwargs: Any) -> None:
        user.set_password(extracted or PASSWORD)
        user.save()


def confirm(client: Client) -> None:
    """Keep in the session of somebody who is logged in what a log-in by password keeps there."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = session["_auth_user_id"]
    session.save()


class SiteFactory(factory.django.DjangoModelFactory[Site]):
    class Meta:
        model = Site

    domain = factory.Sequence(lambda n: f"site{n}.example")


class MembershipFactory(factory.django.DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    site = factory.SubFactory(SiteFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.OWNER


class InTest:
    """The test's own connection, so that hits are rolled back with everything else."""

    def __init__(self) -> None:
        connection.ensure_connection()
        # Within an event loop Django would hand out another connection.
        self._raw = connection.connection

    async def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        cursor = self._raw.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


PLAIN = (b"content-type", b"text/plain;charset=UTF-8")


async def exchange(application: Any, scope: dict[str, Any], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Hand a request to an ASGI application as the server would; give status, headers and body of its answer."""
    sent: list[Any] = []
    incoming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await application({"type": "http", **scope}, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


async def ask(
    ingest: Ingest,
    body: bytes,
    headers: Sequence[tuple[bytes, bytes]] = (PLAIN,),
    ip: str = "203.0.113.7",
    method: str = "POST",
) -> tuple[int, dict[str, str]]:
    """Send one request to the ingest; give status and headers."""
    scope = {"method": method, "path": "/collect", "headers": list(headers), "client": (ip, 50000)}
    status, answered, _ = await exchange(ingest, scope, body)
    return status, answered


def collect(
    body: bytes,
    headers: Sequence[tuple[bytes, bytes]] = (PLAIN,),
    ip: str = "203.0.113.7",
    at: dt.datetime | None = None,
    method: str = "POST",
    trusted_proxies: Sequence[Any] = (),
    atlas: Atlas | None = None,
) -> tuple[int, dict[str, str]]:
    """Send one request to /collect; give status and headers."""
    clock = (lambda: at) if at else utc_now
    ingest = Ingest(InTest(), InTest(), trusted_proxies, clock, atlas=atlas, variant_of=variant_of)

    async def run() -> tuple[int, dict[str, str]]:
        answered = await ask(ingest, body, headers, ip, method)
        await ingest.reception.close()
        return answered

    return asyncio.run(run())


def send_hit(
    site: Site,
    path: str = "/",
    referrer: str = "",
    query: str = "",
    ip: str = "203.0.113.7",
    user_agent: str = CHROME,
    at: dt.datetime | None = None,
    view_id: uuid.UUID | None = None,
    variants: Sequence[int] = (),
    split: str = "",
) -> uuid.UUID:
    """Put a page view through /collect; give its id."""
    view = view_id or uuid_utils.uuid7()
    url = f"https://{site.domain}{path}{'?' + query if query else ''}"
    said = {"view": str(view), "url": url, "referrer": referrer, "variants": list(variants), "split": split}
    _send(site, said, ip, user_agent, at)
    return view


def send_event(
    site: Site,
    name: str,
    props: Mapping[str, object] | None = None,
    view_id: uuid.UUID | None = None,
    path: str = "/",
    ip: str = "203.0.113.7",
    user_agent: str = CHROME,
    at: dt.datetime | None = None,
    event_id: uuid.UUID | None = None,
) -> uuid.UUID:
    """Put an event through /collect, of a view that may be unknown; give the event's id."""
    event = event_id or uuid_utils.uuid7()
    view = view_id or uuid_utils.uuid7()
    url = f"https://{site.domain}{path}"
    said = {"view": str(view), "url": url, "event": name, "id": str(event), "props": dict(props or {})}
    _send(site, said, ip, user_agent, at)
    return event


def send_engagement(
    site: Site,
    view_id: uuid.UUID,
    engaged_ms: int,
    scrolled: int = 0,
    path: str = "/",
    ip: str = "203.0.113.7",
    user_agent: str = CHROME,
    at: dt.datetime | None = None,
) -> None:
    """Tell through /collect how long a view has been read until now, and how far in percent."""
    url = f"https://{site.domain}{path}"
    said = {"view": str(view_id), "url": url, "engaged": engaged_ms, "scrolled": scrolled}
    _send(site, said, ip, user_agent, at)


def _send(site: Site, said: Mapping[str, object], ip: str, user_agent: str, at: dt.datetime | None) -> None:
    headers = [PLAIN, (b"user-agent", user_agent.encode())]
    status, answered = collect(json.dumps({"site": site.key, **said}).encode(), headers, ip, at)
    assert status == 202, answered
    assert "x-humblytics" not in answered, answered
