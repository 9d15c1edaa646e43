"""Variants that are other pages: the word by which a view of such a page is known to have come by its test.

The tracker puts the word into the address of the page that it leads to, takes it out there at once, and sends it with
the view. A word holds for a few minutes: longer than a browser keeps the script that it stands in, and too short to be
of use in a link that somebody gives away.
"""

import datetime as dt

from django.core.signing import BadSignature, Signer

VALID = dt.timedelta(minutes=10)
SIGNER = Signer(salt="splittests.redirects")


def sign(variant_id: int, now: dt.datetime) -> str:
    """Give the word for a variant, of letters that an address may have."""
    return SIGNER.sign(f"{variant_id}-{int((now + VALID).timestamp())}")


def variant_of(word: str, now: dt.datetime) -> int | None:
    """Give the variant of a word that holds, else None."""
    try:
        variant, _, until = SIGNER.unsign(word).partition("-")
    except BadSignature:
        return None
    return int(variant) if now.timestamp() < int(until) else None
