"""How many visitors a test needs before it can find a change, and how long they take to come. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from splittests.inference import EVEN, Sums, visitors_for_mean, visitors_for_share

UPLIFTS = (0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class PageHistory:
    """What the day-visitors of some pages did in so many days, without any test: `sums` are of all they brought.

    Where nothing is brought, but a goal is reached, `buyers` reached it and each of them brought 1.
    """

    days: int
    buyers: int
    sums: Sums


@dataclass(frozen=True, slots=True)
class Plan:
    """The visitors of all arms together after which this uplift is found four times in five, and the days they take.

    `for_rate` is the same for the share of visitors who buy; None where that cannot grow so far.
    """

    uplift: float
    visitors: int
    days: int
    for_rate: int | None

    @property
    def uplift_text(self) -> str:
        return f"{self.uplift:.0%}"


def plans(history: PageHistory, share: float = 1, weights: Sequence[int] = EVEN) -> Iterator[Plan]:
    """Plan for each of the usual uplifts of what visitors bring, when this share of them takes part.

    `weights` are the arms' parts of them, the control's first, and the uplift is the smallest variant's. There is no
    plan if they brought nothing.
    """
    for uplift in UPLIFTS:
        visitors = visitors_for_mean(history.sums, uplift, weights=weights)
        if visitors is None:
            return
        yield Plan(uplift, visitors, _days(visitors, history, share), _for_rate(history, uplift, weights))


def rate_plans(history: PageHistory, share: float = 1, weights: Sequence[int] = EVEN) -> Iterator[Plan]:
    """Plan likewise for the share of visitors who reach a goal; for no uplift beyond all of them."""
    for uplift in UPLIFTS:
        visitors = _for_rate(history, uplift, weights)
        if visitors is not None:
            yield Plan(uplift, visitors, _days(visitors, history, share), visitors)


def _for_rate(history: PageHistory, uplift: float, weights: Sequence[int]) -> int | None:
    rate = history.buyers / history.sums.n if history.sums.n else 0
    return visitors_for_share(rate, uplift, weights=weights) if 0 < rate * (1 + uplift) < 1 else None


def _days(visitors: int, history: PageHistory, share: float) -> int:
    return math.ceil(visitors * history.days / (history.sums.n * share))
