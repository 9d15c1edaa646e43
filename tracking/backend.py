"""POST /api/v1/events: what a site's own server reports, with a token; answered 202 when it is committed."""

import datetime as dt
import json
import math
import uuid
from collections.abc import Iterable

import uuid_utils.compat as uuid_utils

from sites.models import ApiToken
from sites.tokens import digest
from tracking import visitors
from tracking.hits import Refusal, RefusedError, Report, parse_report
from tracking.intake import Rules
from tracking.known import Known
from tracking.limits import Limits
from tracking.reception import Reception
from tracking.recorder import Database, Happened
from tracking.wire import Header, Message, Receive, Send, answer, body_of, headers_of, require_type

PATH = "/api/v1/events"
TOKENS = """
SELECT token.digest, token.scope, site.key
FROM sites_apitoken AS token JOIN sites_site AS site ON site.id = token.site_id
"""
# So soon a token that was revoked is good for nothing.
TOKENS_SECONDS = 5.0
# A server reports for all of its users, so it may send more than a network of visitors.
PER_SECOND, BURST = 1_000.0, 10_000

STATUSES = {
    Refusal.MALFORMED: 400,
    Refusal.TOO_LARGE: 413,
    Refusal.WRONG_TYPE: 415,
    Refusal.TOO_SLOW: 408,
    Refusal.OTHER_HOST: 403,
    Refusal.TOO_MANY: 429,
    Refusal.UNAVAILABLE: 503,
}
MESSAGES = {
    Refusal.TOO_LARGE: "The body is larger than 16 KiB.",
    Refusal.WRONG_TYPE: "Send JSON, with Content-Type: application/json.",
    Refusal.TOO_SLOW: "The body did not come in time.",
    Refusal.OTHER_HOST: "The url is on none of the site's hosts.",
    Refusal.TOO_MANY: "Too many events at once. Send this one again later.",
    Refusal.UNAVAILABLE: "The database is not available. Send the event again later, with the same id.",
}


class DeniedError(Exception):
    """The request comes without a token that is good for this; `status` and the message are the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Backend:
    def __init__(self, reception: Reception, lookups: Database) -> None:
        self._reception = reception
        self._tokens = Known(lookups, TOKENS, tuple, TOKENS_SECONDS)
        self._limits = Limits(PER_SECOND, BURST)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await _tell(send, 405, {"error": "method", "message": "Send events by POST."}, [(b"allow", b"POST")])
            return
        try:
            event_id = await self._take(headers_of(scope), receive)
        except DeniedError as error:
            challenge = [(b"www-authenticate", b"Bearer")] if error.status == 401 else []
            await _tell(send, error.status, {"error": "token", "message": str(error)}, challenge)
        except RefusedError as error:
            message = error.detail or MESSAGES.get(error.refusal, "The body could not be read.")
            headers: list[Header] = [(b"x-humblytics", b"dropped=" + error.refusal.encode())]
            if error.retry_after:
                headers.append((b"retry-after", b"%d" % math.ceil(error.retry_after)))
            await _tell(send, STATUSES[error.refusal], {"error": error.refusal, "message": message}, headers)
        else:
            await _tell(send, 202, {"id": str(event_id)})

    async def _take(self, headers: dict[bytes, bytes], receive: Receive) -> uuid.UUID:
        now = self._reception.clock()
        rules = await self._reception.rules(await self._site_key(headers))
        with self._reception.counting(rules, now.date()):
            if seconds := self._limits.seconds_to_wait(b"%d" % rules.site_id):
                raise RefusedError(Refusal.TOO_MANY, seconds)
            require_type(headers, b"application/json")
            report = parse_report(await body_of(headers, receive))
            if report.hostname and not rules.owns(report.hostname):
                raise RefusedError(Refusal.OTHER_HOST)
            event_id = report.id or uuid_utils.uuid7()
            visitor = await self._visitor(report, rules, now.date()) if report.visitor else event_id
            await self._reception.recorder.record(
                Happened(
                    rules.site_id,
                    # There is no view with the id of an event, so nothing is found under it.
                    report.view_id or event_id,
                    visitor,
                    visitor,
                    now,
                    id=event_id,
                    name=report.name,
                    path=rules.page(report.path),
                    props=report.props,
                )
            )
        return event_id

    async def _site_key(self, headers: dict[bytes, bytes]) -> str:
        """Give the key of the site that the token is of. Raise DeniedError, or RefusedError."""
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise DeniedError(401, "Send the header “Authorization: Bearer” with an API token of the site.")
        with self._reception.database():
            found = await self._tokens.get(digest(token.strip()))
        if found is None:
            raise DeniedError(401, "There is no such token; it may have been revoked.")
        scope, site_key = found
        if scope != ApiToken.Scope.EVENTS:
            raise DeniedError(403, "This token is not for reporting events.")
        return str(site_key)

    async def _visitor(self, report: Report, rules: Rules, day: dt.date) -> uuid.UUID:
        """Make a name for the day of what the server calls its user. No site has this key, so no browser gets it."""
        salt, _ = await self._reception.salts.around(day)
        return visitors.visitor(salt, "backend", str(rules.site_id), report.visitor)


async def _tell(send: Send, status: int, told: dict[str, str], headers: Iterable[Header] = ()) -> None:
    body = json.dumps(told, ensure_ascii=False).encode()
    await answer(send, status, [(b"content-type", b"application/json"), *headers], body)
