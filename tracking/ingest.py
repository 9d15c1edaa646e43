"""POST /collect as a bare ASGI application: a hit is parsed, enriched, committed, and only then answered 202.

Django's request handling would cost several times what the hit itself does. The visitor's address is used
here, for the visitor's hash and the place, and goes no further: no log line, queue or exception holds it.
"""

import datetime as dt
import math
from collections.abc import Callable, Iterable

import uuid_utils.compat as uuid_utils

from tracking import sources, visitors
from tracking.devices import LONGEST_BRANDS, LONGEST_USER_AGENT, is_bot, read_device
from tracking.hits import Hit, Kind, Refusal, RefusedError, parse
from tracking.intake import Rules
from tracking.limits import BURST, PER_SECOND, Limits, network
from tracking.metrics import HITS, TAKEN
from tracking.places import Atlas
from tracking.reception import Reception
from tracking.recorder import PAYMENT_PAUSE, VISIT_PAUSE, Database, Happened, Read, Seen, Sighting
from tracking.wire import Header, Message, Receive, Send, answer, body_of, headers_of, require_type

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
    Refusal.WEBDRIVER: 202,
    Refusal.PREFETCH: 202,
    Refusal.EXCLUDED: 202,
    Refusal.GPC: 202,
    Refusal.DNT: 202,
    Refusal.TOO_MANY: 429,
    Refusal.UNAVAILABLE: 503,
}
OUTCOMES = {outcome: HITS.labels("collect", outcome) for outcome in (TAKEN, *Refusal)}
# Any page may send hits and read the answer; none may send cookies.
ALWAYS: list[Header] = [(b"access-control-allow-origin", b"*"), (b"content-type", b"text/plain; charset=utf-8")]
PREFLIGHT = [
    *ALWAYS,
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-max-age", b"86400"),
]

# Of pages that a browser fetches ahead: the standard's name, what came before it, Safari's and Firefox's.
PURPOSES = (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz")
AHEAD = (b"prefetch", b"prerender", b"preview")


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def no_variant(word: str, now: dt.datetime) -> int | None:
    """Know no word of a redirect."""
    return None


class Ingest:
    def __init__(
        self,
        lookups: Database,
        writes: Database,
        trusted_proxies: Iterable[visitors.Network] = (),
        clock: Callable[[], dt.datetime] = utc_now,
        atlas: Atlas | None = None,
        variant_of: Callable[[str, dt.datetime], int | None] = no_variant,
    ) -> None:
        """`variant_of` tells the variant that led to a view by its word, None for a word that does not hold."""
        self.reception = Reception(lookups, writes, clock)
        self._limits = Limits(PER_SECOND, BURST)
        self._trusted = tuple(trusted_proxies)
        self._atlas = atlas or Atlas()
        self._variant_of = variant_of

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        now = self.reception.clock()
        if scope["method"] == "OPTIONS":
            await answer(send, 204, PREFLIGHT)
            return
        if scope["method"] != "POST":
            await answer(send, 405, [*ALWAYS, (b"allow", b"POST, OPTIONS")])
            return
        try:
            await self._take(scope, receive, now)
        except RefusedError as error:
            OUTCOMES[error.refusal].inc()
            headers = [*ALWAYS, (b"x-humblytics", b"dropped=" + error.refusal.encode())]
            if error.retry_after:
                headers.append((b"retry-after", b"%d" % math.ceil(error.retry_after)))
            await answer(send, STATUSES[error.refusal], headers)
        else:
            OUTCOMES[TAKEN].inc()
            await answer(send, 202, ALWAYS)

    async def _take(self, scope: Message, receive: Receive, now: dt.datetime) -> None:
        headers = headers_of(scope)
        require_type(headers, b"text/plain", b"application/json")
        hit = parse(await body_of(headers, receive))
        rules = await self.reception.rules(hit.site_key)
        with self.reception.counting(rules, now.date()):
            await self._record(hit, rules, scope, headers, now)

    async def _record(
        self, hit: Hit, rules: Rules, scope: Message, headers: dict[bytes, bytes], now: dt.datetime
    ) -> None:
        peer = (scope.get("client") or ("", 0))[0]
        forwarded_for = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        address, is_by_proxy = visitors.client_address(peer, forwarded_for, self._trusted)
        # Who cannot be told apart is not held up.
        if address and (seconds := self._limits.seconds_to_wait(network(rules.site_id, address))):
            raise RefusedError(Refusal.TOO_MANY, seconds)
        refusal = _not_a_visitor(hit, headers)
        if refusal in (Refusal.BOT, Refusal.WEBDRIVER) and hit.kind is Kind.VIEW:
            self.reception.remember_bot(rules, hit.view_id, now)
        refusal = refusal or rules.refusal(hit.hostname, headers, address)
        if refusal:
            raise RefusedError(refusal)
        sighting = await self._sighting(hit, rules, str(address or ""), headers, is_by_proxy, now)
        await self.reception.recorder.record(sighting)

    async def _sighting(
        self, hit: Hit, rules: Rules, ip: str, headers: dict[bytes, bytes], is_by_proxy: bool, now: dt.datetime
    ) -> Sighting:
        salt, eve_salt = await self.reception.salts.around(now.date())
        user_agent = _user_agent(headers)
        visitor = visitors.visitor(salt, hit.site_key, ip, user_agent)
        eve_visitor = visitors.visitor(eve_salt, hit.site_key, ip, user_agent)
        who = rules.site_id, hit.view_id, visitor, eve_visitor, now
        if hit.kind is Kind.ENGAGEMENT:
            return Read(*who, engaged_ms=hit.engaged_ms, scrolled=hit.scrolled)
        if hit.kind is Kind.EVENT:
            return Happened(*who, id=hit.id, name=hit.event, path=rules.page(hit.path), props=hit.props)
        source = sources.classify(hit.url, hit.referrer, rules.sources)
        redirected = self._variant_of(hit.split, now) if hit.split else None
        brands = headers.get(b"sec-ch-ua", b"")[:LONGEST_BRANDS].decode("latin-1")
        return Seen(
            *who,
            visit_id=uuid_utils.uuid7(),
            patience=PAYMENT_PAUSE if source.continues else VISIT_PAUSE,
            hostname=hit.hostname,
            path=rules.page(hit.path),
            variants=hit.variants if redirected is None else (*hit.variants, redirected),
            source=source,
            place=self._atlas.locate(ip, headers if is_by_proxy else {}),
            device=read_device(user_agent, brands),
        )


def _user_agent(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"user-agent", b"").decode("latin-1")[:LONGEST_USER_AGENT]


def _not_a_visitor(hit: Hit, headers: dict[bytes, bytes]) -> Refusal | None:
    """Tell if it was no person who saw the page."""
    if is_bot(_user_agent(headers)):
        return Refusal.BOT
    if hit.is_automated:
        return Refusal.WEBDRIVER
    if any(word in headers[name].lower() for name in PURPOSES if name in headers for word in AHEAD):
        return Refusal.PREFETCH
    return None
