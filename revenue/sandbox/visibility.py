"""How much later than it is dated an object shows up in lists. A world's `lag` is one of these, or any function."""

import random
from collections.abc import Callable, Mapping

from revenue.sandbox.objects import StripeObject


def by_kind(seconds: Mapping[str, float]) -> Callable[[StripeObject], float]:
    """The same for all of a kind: {"charge": 600}."""
    return lambda item: seconds.get(item["object"], 0)


def mostly_soon(seed: int) -> Callable[[StripeObject], float]:
    """Of 1,000 objects 970 within two seconds, 29 within a minute, and one within ten minutes."""
    chooser = random.Random(seed)

    def lag(item: StripeObject) -> float:
        part = chooser.random()
        longest = 2 if part < 0.97 else 60 if part < 0.999 else 600
        return chooser.uniform(0, longest)

    return lag
