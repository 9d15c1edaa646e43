"""What the tracker sends, read strictly: a hit, or a refusal by name."""

import json
import math
import re
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn
from urllib.parse import urlsplit

LONGEST_BODY = 8 * 1024
LONGEST_PATH = 2_000
LONGEST_NAME = 120
MOST_VARIANTS = 20

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
    UNAVAILABLE = "unavailable"


class RefusedError(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Hit:
    """A page view, or, if `event` is not empty, something that happened on it."""

    site_key: str
    id: uuid.UUID
    view_id: uuid.UUID
    event: str
    url: str
    hostname: str
    path: str
    referrer: str
    variants: tuple[int, ...]


def parse(body: bytes) -> Hit:
    """Read a body such as {"site": "k3y…", "view": "0190…", "url": "https://…"}; raise RefusedError.

    Optional: "referrer" (text), "variants" (numbers), and for an event "event" (its name) with "id" (its own).
    Members that are not known are ignored, so that an older server understands a newer script.
    """
    if len(body) > LONGEST_BODY:
        raise RefusedError(Refusal.TOO_LARGE)
    try:
        said: Any = json.loads(body, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise RefusedError(Refusal.MALFORMED) from error
    if not isinstance(said, dict):
        raise RefusedError(Refusal.MALFORMED)
    url = _text(said, "url", LONGEST_BODY)
    hostname, path = _place(url)
    view_id = _uuid(said, "view")
    event = _text(said, "event", LONGEST_NAME).strip()
    return Hit(
        site_key=_text(said, "site", 32),
        id=_uuid(said, "id") if event else view_id,
        view_id=view_id,
        event=event,
        url=url,
        hostname=hostname,
        path=path,
        referrer=_text(said, "referrer", LONGEST_BODY),
        variants=_variants(said.get("variants", [])),
    )


def hostname_of(origin: str) -> str:
    """Give the lower-case host of an Origin header or an address; "" if it has none."""
    try:
        return (urlsplit(origin).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _place(url: str) -> tuple[str, str]:
    """Give host and path; what follows ? and # may hold personal data and is not kept."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise RefusedError(Refusal.MALFORMED) from error
    hostname = hostname_of(url)
    if parts.scheme not in ("http", "https") or not hostname:
        raise RefusedError(Refusal.MALFORMED)
    return hostname[:253], (parts.path or "/")[:LONGEST_PATH]


def _text(said: dict[str, Any], name: str, longest: int) -> str:
    value = said.get(name, "")
    if not isinstance(value, str):
        raise RefusedError(Refusal.MALFORMED)
    # PostgreSQL takes neither NUL nor half a surrogate pair.
    return UNPRINTABLE.sub("", value)[:longest]


def _uuid(said: dict[str, Any], name: str) -> uuid.UUID:
    try:
        return uuid.UUID(_text(said, name, 64))
    except ValueError as error:
        raise RefusedError(Refusal.MALFORMED) from error


def _variants(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MOST_VARIANTS:
        raise RefusedError(Refusal.MALFORMED)
    if not all(type(item) is int and 0 < item < 2**31 for item in value):
        raise RefusedError(Refusal.MALFORMED)
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
