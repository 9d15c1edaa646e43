"""What the tracker sends, read strictly: a hit, or a refusal by name."""

import json
import math
import re
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn
from urllib.parse import urlsplit

LONGEST_BODY = 8 * 1024
# An event's properties may take as much again.
LONGEST_BODY_WITH_PROPS = 16 * 1024
LONGEST_PATH = 2_000
LONGEST_NAME = 120
MOST_VARIANTS = 20
MOST_PROPS = 20
LONGEST_PROP_NAME = 60
LONGEST_PROP = 300
LONGEST_VISITOR = 200
LONGEST_WORD = 200
# A tab that is left open in front of nobody is not read for longer than this.
LONGEST_ENGAGEMENT = 12 * 3600 * 1000

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Refusal(StrEnum):
    """Why a hit was not taken. Its value is what the answer's X-Humblytics header says."""

    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    WRONG_TYPE = "wrong-content-type"
    TOO_SLOW = "too-slow"
    UNKNOWN_SITE = "unknown-site"
    OTHER_HOST = "other-host"
    BOT = "bot"
    WEBDRIVER = "webdriver"
    PREFETCH = "prefetch"
    EXCLUDED = "excluded-address"
    GPC = "gpc"
    DNT = "dnt"
    TOO_MANY = "too-many"
    UNAVAILABLE = "unavailable"


class RefusedError(Exception):
    def __init__(self, refusal: Refusal, retry_after: float = 0.0, detail: str = "") -> None:
        """`retry_after` is in seconds, 0 if it need not be tried again or may be at any time.

        `detail` is a sentence for who wrote the program that sends this.
        """
        super().__init__(refusal.value)
        self.refusal = refusal
        self.retry_after = retry_after
        self.detail = detail


def malformed(detail: str) -> RefusedError:
    return RefusedError(Refusal.MALFORMED, detail=detail)


class Kind(StrEnum):
    VIEW = "view"
    EVENT = "event"
    ENGAGEMENT = "engagement"


Props = dict[str, str | float | bool]


@dataclass(frozen=True, slots=True)
class Hit:
    """A page view; or something that happened on it, `event`; or how long and how far it has been read until now."""

    kind: Kind
    site_key: str
    id: uuid.UUID
    view_id: uuid.UUID
    url: str
    hostname: str
    path: str
    event: str = ""
    props: Props = field(default_factory=dict)
    referrer: str = ""
    variants: tuple[int, ...] = ()
    split: str = ""
    engaged_ms: int = 0
    scrolled: int = 0
    is_automated: bool = False


def parse(body: bytes) -> Hit:
    """Read a body such as {"site": "k3y…", "view": "0190…", "url": "https://…"}; raise RefusedError.

    A view may have "referrer" (text), "variants" (numbers) and "split" (the word of a redirect). An event has "event"
    (its name), "id" (its own) and may have "props". Engagement has "engaged" (milliseconds) and "scrolled" (percent),
    both of the whole view until now. "webdriver": true says that a program sits before the browser. Members that are
    not known are ignored, so that an older server understands a newer script.
    """
    if len(body) > LONGEST_BODY_WITH_PROPS:
        raise RefusedError(Refusal.TOO_LARGE)
    said = read_object(body)
    if len(body) > LONGEST_BODY and "props" not in said:
        raise RefusedError(Refusal.TOO_LARGE)
    url = _text(said, "url", LONGEST_BODY)
    hostname, path = _place(url)
    view_id = _uuid(said, "view")
    event = _text(said, "event", LONGEST_NAME).strip()
    kind = Kind.EVENT if event else Kind.ENGAGEMENT if "engaged" in said else Kind.VIEW
    return Hit(
        kind=kind,
        site_key=_text(said, "site", 32),
        id=_uuid(said, "id") if event else view_id,
        view_id=view_id,
        url=url,
        hostname=hostname,
        path=path,
        event=event,
        props=read_props(said.get("props", {})),
        referrer=_text(said, "referrer", LONGEST_BODY),
        variants=_variants(said.get("variants", [])),
        split=_text(said, "split", LONGEST_WORD),
        engaged_ms=_number(said, "engaged", LONGEST_ENGAGEMENT),
        scrolled=_number(said, "scrolled", 100),
        is_automated=said.get("webdriver") is True,
    )


@dataclass(frozen=True, slots=True)
class Report:
    """An event that a site's own server reports. `visitor` is the server's word for who caused it, or ""."""

    name: str
    props: Props
    id: uuid.UUID | None
    view_id: uuid.UUID | None
    hostname: str
    path: str
    visitor: str


def parse_report(body: bytes) -> Report:
    """Read a body such as {"name": "Refund", "props": {"plan": "pro"}, "view_id": "0190…"}; raise RefusedError.

    Only "name" must be there. "id" is the event's own, so that it can be sent twice and counts once; "url", or
    "path", the page that it is about.
    """
    said = read_object(body)
    name = _text(said, "name", LONGEST_NAME).strip()
    if not name:
        raise malformed("“name” must tell what happened.")
    visitor = _text(said, "visitor", LONGEST_BODY)
    if len(visitor) > LONGEST_VISITOR:
        raise malformed(f"“visitor” must have at most {LONGEST_VISITOR} letters.")
    path = _text(said, "path", LONGEST_PATH)
    if path and not path.startswith("/"):
        raise malformed("“path” must begin with a slash.")
    hostname, path = _place(_text(said, "url", LONGEST_BODY)) if "url" in said else ("", path.partition("?")[0])
    return Report(
        name=name,
        props=read_props(said.get("props", {})),
        id=_uuid(said, "id") if "id" in said else None,
        view_id=_uuid(said, "view_id") if "view_id" in said else None,
        hostname=hostname,
        path=path,
        visitor=visitor,
    )


def read_object(body: bytes) -> dict[str, Any]:
    """Read strict JSON: an object, each name once, no NaN. Raise RefusedError."""
    try:
        said: Any = JSON.decode(body.decode().removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise malformed("The body must be JSON: an object, each name once.") from error
    if not isinstance(said, dict):
        raise malformed("The body must be a JSON object.")
    return said


def read_props(value: Any) -> Props:
    """Read an event's properties: at most 20 names, each with a text, a number or a truth. Raise RefusedError."""
    if not isinstance(value, dict) or len(value) > MOST_PROPS:
        raise malformed(f"“props” must be an object of at most {MOST_PROPS} names.")
    props: Props = {}
    for name, told in value.items():
        is_known = isinstance(told, str | int | float) and not (isinstance(told, int) and abs(told) >= 2**63)
        if not is_known or len(name) > LONGEST_PROP_NAME:
            raise malformed(
                f"Each of “props” must be a text, a number or a truth, named by {LONGEST_PROP_NAME} letters."
            )
        plain = UNPRINTABLE.sub("", told)[:LONGEST_PROP] if isinstance(told, str) else told
        props[UNPRINTABLE.sub("", name)] = plain
    return props


def hostname_of(origin: str) -> str:
    """Give the lower-case host of an Origin header or an address; "" if it has none."""
    try:
        return (urlsplit(origin).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _place(url: str) -> tuple[str, str]:
    """Give host and path. What follows ? and # may hold personal data and is dropped, but for the #/route of an app."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise malformed("“url” must be the address of a page.") from error
    hostname = hostname_of(url)
    if parts.scheme not in ("http", "https") or not hostname:
        raise malformed("“url” must begin with https:// or http:// and a host.")
    route = parts.fragment.partition("?")[0] if parts.fragment.startswith(("/", "!/")) else ""
    return hostname[:253], f"{parts.path or '/'}{'#' if route else ''}{route}"[:LONGEST_PATH]


def _text(said: dict[str, Any], name: str, longest: int) -> str:
    value = said.get(name, "")
    if not isinstance(value, str):
        raise malformed(f"“{name}” must be a text.")
    # PostgreSQL takes neither NUL nor half a surrogate pair.
    return UNPRINTABLE.sub("", value)[:longest]


def _number(said: dict[str, Any], name: str, most: int) -> int:
    value = said.get(name, 0)
    if type(value) is not int or value < 0:
        raise malformed(f"“{name}” must be a whole number.")
    return min(value, most)


def _uuid(said: dict[str, Any], name: str) -> uuid.UUID:
    try:
        return uuid.UUID(_text(said, name, 64))
    except ValueError as error:
        raise malformed(f"“{name}” must be a UUID.") from error


def _variants(value: Any) -> tuple[int, ...]:
    is_list = isinstance(value, list) and len(value) <= MOST_VARIANTS
    if not is_list or not all(type(item) is int and 0 < item < 2**31 for item in value):
        raise malformed(f"“variants” must be a list of at most {MOST_VARIANTS} numbers.")
    return tuple(sorted(set(value)))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number without end")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) < len(pairs):
        raise ValueError("a name said twice")
    return said


JSON = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_unique)
