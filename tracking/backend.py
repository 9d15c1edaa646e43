"""POST /api/v1/events: what a site's own server reports, with a token; answered 202 when it is committed."""

import datetime as dt
import json
import math
import uuid
from collections.abc import Iterable
from typing import Annotated, TypedDict

import uuid_utils.compat as uuid_utils

from sites.models import ApiToken
from sites.openapi import FAILURES, Json, Problem, response
from sites.tokens import digest
from tracking import visitors
from tracking.hits import (
    LONGEST_NAME,
    LONGEST_PATH,
    LONGEST_PROP_NAME,
    LONGEST_VISITOR,
    MOST_PROPS,
    Refusal,
    RefusedError,
    Report,
    parse_report,
)
from tracking.intake import Rules
from tracking.known import Known
from tracking.limits import Limits
from tracking.metrics import DENIED, HITS, TAKEN
from tracking.reception import Reception
from tracking.recorder import Database, Happened
from tracking.wire import Header, Message, Receive, Send, answer, body_of, headers_of, require_type

PATH = "/api/v1/events"
TOKENS = """
SELECT token.digest, token.scope, site.key
FROM sites_apitoken AS token JOIN sites_site AS site ON site.id = token.site_id
"""
USED = "UPDATE sites_apitoken SET used_at = %s WHERE digest = %s"
# So exactly its owner is told when a token was last used.
USED_EVERY = dt.timedelta(minutes=1)
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
        self._lookups = lookups
        self._used_at: dict[str, dt.datetime] = {}
        self._tokens = Known(lookups, TOKENS, tuple, TOKENS_SECONDS)
        self._limits = Limits(PER_SECOND, BURST)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await _tell(send, 405, {"error": "method", "message": "Send events by POST."}, [(b"allow", b"POST")])
            return
        try:
            event_id = await self._take(headers_of(scope), receive)
        except DeniedError as error:
            HITS.labels("api", DENIED).inc()
            challenge = [(b"www-authenticate", b"Bearer")] if error.status == 401 else []
            await _tell(send, error.status, {"error": "token", "message": str(error)}, challenge)
        except RefusedError as error:
            HITS.labels("api", error.refusal).inc()
            message = error.detail or MESSAGES.get(error.refusal, "The body could not be read.")
            headers: list[Header] = [(b"x-humblytics", b"dropped=" + error.refusal.encode())]
            if error.retry_after:
                headers.append((b"retry-after", b"%d" % math.ceil(error.retry_after)))
            await _tell(send, STATUSES[error.refusal], {"error": error.refusal, "message": message}, headers)
        else:
            HITS.labels("api", TAKEN).inc()
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
        name = digest(token.strip())
        with self._reception.database():
            found = await self._tokens.get(name)
        if found is None:
            raise DeniedError(401, "There is no such token; it may have been revoked.")
        scope, site_key = found
        if scope != ApiToken.Scope.EVENTS:
            raise DeniedError(403, "This token is not for reporting events.")
        with self._reception.database():
            await self._remember_use(name)
        return str(site_key)

    async def _remember_use(self, name: str) -> None:
        now = self._reception.clock()
        if name not in self._used_at or now - self._used_at[name] >= USED_EVERY:
            await self._lookups.execute(USED, [now, name])
            self._used_at[name] = now

    async def _visitor(self, report: Report, rules: Rules, day: dt.date) -> uuid.UUID:
        """Make a name for the day of what the server calls its user. No site has this key, so no browser gets it."""
        salt, _ = await self._reception.salts.around(day)
        return visitors.visitor(salt, "backend", str(rules.site_id), report.visitor)


async def _tell(send: Send, status: int, told: dict[str, str], headers: Iterable[Header] = ()) -> None:
    body = json.dumps(told, ensure_ascii=False).encode()
    await answer(send, status, [(b"content-type", b"application/json"), *headers], body)


class Taken(TypedDict):
    """The event is on disk."""

    id: Annotated[str, {"format": "uuid"}]


REPORT: Json = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "description": "What happened."},
        "props": {
            "type": "object",
            "maxProperties": MOST_PROPS,
            "propertyNames": {"maxLength": LONGEST_PROP_NAME},
            "additionalProperties": {"type": ["string", "number", "boolean"]},
        },
        "view_id": {"type": "string", "format": "uuid", "description": "The view of whose visit it is."},
        "visitor": {
            "type": "string",
            "maxLength": LONGEST_VISITOR,
            "description": "Says which events are of one person within a day; hashed, and not kept.",
        },
        "id": {"type": "string", "format": "uuid", "description": "The event’s own, so that it counts once."},
        "url": {"type": "string", "format": "uri", "description": "The page it is about."},
        "path": {"type": "string", "maxLength": LONGEST_PATH, "pattern": "^/", "description": "The same."},
    },
}


def path_item(schemas: dict[str, Json]) -> Json:
    """Describe the endpoint as OpenAPI does."""
    told = {Refusal.MALFORMED: "The message says what is wrong with the body.", **MESSAGES}
    refused = {f"{STATUSES[refusal]}": why for refusal, why in told.items()}
    return {
        "post": {
            "operationId": "report_event",
            "summary": "Report an event from your server",
            "description": "Sent again with the same id, it counts once.",
            "security": [{"token": [ApiToken.Scope.EVENTS]}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": REPORT}}},
            "responses": {
                "202": response("The event is on disk.", Taken, schemas),
                "401": response(FAILURES["401"], Problem, schemas),
                **{status: response(why, Problem, schemas) for status, why in refused.items()},
            },
        }
    }
