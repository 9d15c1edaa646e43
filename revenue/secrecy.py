"""Secrets that do not show themselves, and what strikes them out of texts."""

import re
from collections.abc import Iterable
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


# An installation's own secrets that are long enough not to be found in other words.
SHORTEST_CONCEALED = 8
_concealed: set[str] = set()


def conceal(secrets: Iterable[str | None]) -> None:
    """Have these texts struck out too, wherever they stand, from now on."""
    _concealed.update(secret for secret in secrets if secret and len(secret) >= SHORTEST_CONCEALED)


def scrub(text: str) -> str:
    """Strike out what looks like a Stripe key, an API token or an address that opens something, and what is known."""
    for secret in _concealed:
        text = text.replace(secret, "…")
    return OWN_SECRET.sub(lambda found: f"{found[1] or found[2]}…", STRIPE_SECRET.sub(r"\1_…", text))
