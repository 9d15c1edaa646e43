"""How many visitors a test needs before it can find a change, and how long they take to come. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from splittests.inference import Sums, visitors_for_mean, visitors_for_share

UPLIFTS = (0.05, 0.1, 0.2, 0.5)
ARMS = 2


@dataclass(frozen=True, slots=True)
class PageHistory:
    """What a page's day-visitors did in so many days, without any test: `sums` are of all they brought."""

    days: int
    buyers: int
    sums: Sums


@dataclass(frozen=True, slots=True)
class Plan:
    """The visitors of both arms after which this uplift is found four times in five, and the days they take.

    `for_rate` is the same for the share of visitors who buy; None where that cannot grow so far.
    """

    uplift: float
    visitors: int
    days: int
    for_rate: int | None

    @property
    def uplift_text(self) -> str:
        return f"{self.uplift:.0%}"


def plans(history: PageHistory) -> Iterator[Plan]:
    """Plan for each of the usual uplifts; for none if the page's visitors brought nothing."""
    for uplift in UPLIFTS:
        per_arm = visitors_for_mean(history.sums, uplift)
        if per_arm is None:
            return
        visitors = ARMS * per_arm
        share = history.buyers / history.sums.n
        for_rate = ARMS * visitors_for_share(share, uplift) if 0 < share * (1 + uplift) < 1 else None
        yield Plan(uplift, visitors, math.ceil(visitors * history.days / history.sums.n), for_rate)
