"""POST /collect as a bare ASGI application: a hit is parsed, enriched, committed, and only then answered 202.

Django's request handling would cost several times what the hit itself does. The visitor's address is used
here, for the visitor's hash and the country, and goes no further: no log line, queue or exception holds it.
"""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

import psycopg
import uuid_utils.compat as uuid_utils

from tracking import sources, visitors
from tracking.devices import LONGEST_USER_AGENT, is_bot, read_device
from tracking.hits import LONGEST_BODY, Hit, Refusal, RefusedError, hostname_of, parse
from tracking.places import country
from tracking.recorder import PAYMENT_PAUSE, VISIT_PAUSE, Database, FullError, LostError, Recorder, Sighting
from tracking.salts import Salts

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger(__name__)

SITE = "SELECT id, domain FROM sites_site WHERE key = %s"
SITE_SECONDS = 10.0
MOST_SITES = 10_000
BODY_SECONDS = 10.0

STATUSES = {
    Refusal.MALFORMED: 400,
    Refusal.TOO_LARGE: 413,
    Refusal.WRONG_TYPE: 415,
    Refusal.TOO_SLOW: 408,
    # Keys stand in the pages of their sites: which ones exist is no secret.
    Refusal.UNKNOWN_SITE: 400,
    Refusal.OTHER_HOST: 403,
    # The sender did nothing wrong and must not try again; the header says that nothing was kept.
    Refusal.BOT: 202,
    Refusal.UNAVAILABLE: 503,
}
ALWAYS = [
    (b"access-control-allow-origin", b"*"),
    (b"cache-control", b"no-store"),
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
]
PREFLIGHT = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-max-age", b"86400"),
]


@dataclass(frozen=True, slots=True)
class KnownSite:
    id: int
    domain: str

    def owns(self, hostname: str) -> bool:
        return hostname == self.domain or hostname.endswith("." + self.domain)


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Ingest:
    def __init__(
        self,
        lookups: Database,
        writes: Database,
        trusted_proxies: Iterable[visitors.Network] = (),
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._lookups = lookups
        self._salts = Salts(lookups)
        self._trusted = tuple(trusted_proxies)
        self._clock = clock
        self._sites: dict[str, tuple[float, KnownSite | None]] = {}
        self.recorder = Recorder(writes)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        now = self._clock()
        if scope["method"] == "OPTIONS":
            await _answer(send, 204, PREFLIGHT)
            return
        if scope["method"] != "POST":
            await _answer(send, 405, [(b"allow", b"POST, OPTIONS")])
            return
        try:
            await self._take(scope, receive, now)
        except RefusedError as error:
            await _answer(send, STATUSES[error.refusal], [(b"x-humblytics", b"dropped=" + error.refusal.encode())])
        else:
            await _answer(send, 202, [])

    async def _take(self, scope: Message, receive: Receive, now: dt.datetime) -> None:
        headers = _headers(scope)
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() not in (
            b"text/plain",
            b"application/json",
        ):
            raise RefusedError(Refusal.WRONG_TYPE)
        hit = parse(await _body(headers, receive))
        user_agent = headers.get(b"user-agent", b"").decode("latin-1")[:LONGEST_USER_AGENT]
        if is_bot(user_agent) or b"prefetch" in headers.get(b"sec-purpose", b""):
            raise RefusedError(Refusal.BOT)
        try:
            site = await self._site(hit.site_key)
            if site is None:
                raise RefusedError(Refusal.UNKNOWN_SITE)
            origin = headers.get(b"origin")
            if not site.owns(hit.hostname) or (origin and not site.owns(hostname_of(origin.decode("latin-1")))):
                raise RefusedError(Refusal.OTHER_HOST)
            await self.recorder.record(await self._sighting(hit, site, scope, headers, user_agent, now))
        except (psycopg.Error, OSError, FullError, LostError) as error:
            log.warning("a hit was refused, the database did not take it: %s", type(error).__name__)
            raise RefusedError(Refusal.UNAVAILABLE) from None

    async def _site(self, key: str) -> KnownSite | None:
        read_at, site = self._sites.get(key, (0.0, None))
        if time.monotonic() - read_at > SITE_SECONDS or not read_at:
            found = await self._lookups.execute(SITE, [key])
            site = KnownSite(*found[0]) if found else None
            if len(self._sites) >= MOST_SITES:
                self._sites.clear()
            self._sites[key] = (time.monotonic(), site)
        return site

    async def _sighting(
        self, hit: Hit, site: KnownSite, scope: Message, headers: dict[bytes, bytes], user_agent: str, now: dt.datetime
    ) -> Sighting:
        peer = (scope.get("client") or ("", 0))[0]
        ip = visitors.client_ip(peer, headers.get(b"x-forwarded-for", b"").decode("latin-1"), self._trusted)
        salt, eve_salt = await self._salts.around(now.date())
        source = sources.classify(hit.url, hit.referrer)
        device = read_device(user_agent)
        return Sighting(
            site_id=site.id,
            id=hit.id,
            view_id=hit.view_id,
            event=hit.event,
            visitor=visitors.visitor(salt, hit.site_key, ip, user_agent),
            previous_visitor=visitors.visitor(eve_salt, hit.site_key, ip, user_agent),
            visit_id=uuid_utils.uuid7(),
            at=now,
            patience=PAYMENT_PAUSE if source.continues else VISIT_PAUSE,
            hostname=hit.hostname,
            path=hit.path,
            channel=source.channel,
            source=source.source,
            referrer=source.referrer,
            utm_source=source.utm_source,
            utm_medium=source.utm_medium,
            utm_campaign=source.utm_campaign,
            utm_term=source.utm_term,
            utm_content=source.utm_content,
            click_id=source.click_id,
            country=country(ip, headers if visitors.is_trusted(peer, self._trusted) else {}),
            browser=device.browser,
            os=device.os,
            device=device.kind,
            variants=hit.variants,
        )


def _headers(scope: Message) -> dict[bytes, bytes]:
    """The headers by name; one that was sent in several lines is the list of them all."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = headers[name] + b"," + value if name in headers else value
    return headers


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    told = headers.get(b"content-length", b"")
    if told.isdigit() and int(told) > LONGEST_BODY:
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
                if len(body) > LONGEST_BODY:
                    raise RefusedError(Refusal.TOO_LARGE)
                if not message.get("more_body"):
                    return body
    except TimeoutError:
        raise RefusedError(Refusal.TOO_SLOW) from None


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": ALWAYS + headers})
    await send({"type": "http.response.body", "body": b""})
