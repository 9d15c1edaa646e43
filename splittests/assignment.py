"""Which variant a visitor is shown: computed from the request each time, and stored nowhere."""

import hmac
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

DIGEST_BITS = 256
# No visitor's identity reads like this, so that who takes part says nothing about which variant they are shown.
SHARE = b"share of visitors"


class SecretError(ValueError):
    """The test has no secret, so anyone could work out who is shown what."""


class WeightsError(ValueError):
    """The weights give nobody anything, or someone less than nothing."""


def identity(ip: str, user_agent: str) -> bytes:
    """Return what tells visitors apart; it holds the address, so it must never be stored or logged."""
    # No address holds a line feed, so no two pairs give the same bytes. Header values that were decoded with
    # surrogate escapes have to pass as well.
    return f"{ip}\n{user_agent}".encode("utf-8", "surrogatepass")


def takes_part(secret: bytes, visitor: bytes, percent: int) -> bool:
    """Tell whether the visitor is among the `percent` of 100 who are in the test at all, whatever variant is theirs.

    Who is in stays in when `percent` grows.
    """
    if not secret:
        raise SecretError("A split test needs a secret that is not empty.")
    digest = hmac.digest(hmac.digest(secret, SHARE, "sha256"), visitor, "sha256")
    return int.from_bytes(digest) * 100 < percent << DIGEST_BITS


def variant_for(secret: bytes, visitor: bytes | str, weights: Sequence[int]) -> int:
    """Return the index of the visitor's variant, always the same for the same three arguments.

    Each variant's share is its weight over the sum of the weights, and a weight of 0 gets nobody. Multiplying
    all weights by one number moves nobody.
    """
    if not secret:
        raise SecretError("A split test needs a secret that is not empty.")
    if any(weight < 0 for weight in weights):
        raise WeightsError(f"No weight may be negative: {list(weights)}.")
    if not any(weights):
        raise WeightsError("At least one variant needs a weight above 0.")

    ends = list(accumulate(weights))
    message = visitor.encode("utf-8", "surrogatepass") if isinstance(visitor, str) else visitor
    digest = int.from_bytes(hmac.digest(secret, message, "sha256"))
    # Scaled instead of taken modulo the sum, so that a common factor of the weights changes nothing. No share
    # is off by as much as 2**-256, so there are no draws to reject.
    point = digest * ends[-1] >> DIGEST_BITS
    return bisect_right(ends, point)
