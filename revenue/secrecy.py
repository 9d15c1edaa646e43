"""Secrets that do not show themselves, and the filter that keeps them out of logs."""

import logging
import re
from typing import NoReturn

# The secret part of Humblytics' own API tokens, and of the addresses that open or end something by themselves.
OWN_SECRET = re.compile(r"\b(hl_)[A-Za-z0-9_-]{43}|(/(?:share|unsubscribe|invitation|new-password/[^/\s]+)/)[^/\s]+")
STRIPE_SECRET = re.compile(r"\b((?:sk|rk)_(?:live|test|org)|whsec)_[A-Za-z0-9_]{4,}")


class Secret:
    """A text that is only seen by whoever calls `reveal()`: not by print, format, pickle or a traceback."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be pickled")


def scrub(text: str) -> str:
    """Replace whatever looks like a Stripe key, an API token, or an address that opens something by itself."""
    return OWN_SECRET.sub(lambda found: f"{found[1] or found[2]}…", STRIPE_SECRET.sub(r"\1_…", text))


class ScrubSecrets(logging.Filter):
    """Scrub the finished text of each record, its traceback included."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.msg, record.args = scrub(message), None
        if record.exc_text:
            record.exc_text = scrub(record.exc_text)
        return True
