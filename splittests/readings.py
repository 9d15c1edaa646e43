"""What may be said of a test's variants, in numbers and in words. Pure.

Money is in minor units of the test's currency. What decides is the revenue per visitor, each visitor's capped if the
test has a cap. Of any other goal it is the visitors who reach it: there is no currency then, and each counts as
CONVERSION, so that the mean is in hundredths of a conversion per 100 visitors as that of money is in cents.
"""

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from revenue.money import format_money
from splittests import inference
from splittests.inference import (
    LEAST_CONVERSIONS,
    LEAST_VISITORS,
    SUSPICIOUS_RATIO_P,
    USUAL_SAMPLE,
    Belief,
    Comparison,
    Interval,
    Sums,
)

CONFIDENCE = 0.95
CONVERSION = 10_000


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant's visitors and what they paid; `net` is `gross` less what went back.

    `capped` is what the net of its visitors would be if none had brought more than the cap, `capped_squares` the
    sum of their squares. Without a currency these are of conversions, and nothing is known of orders.
    """

    name: str
    weight: int
    currency: str
    visitors: int
    conversions: int
    orders: int
    gross: int
    net: int
    capped: int
    capped_squares: int

    @property
    def sums(self) -> Sums:
        return Sums(self.visitors, self.capped, self.capped_squares)

    @property
    def is_money(self) -> bool:
        return bool(self.currency)

    @property
    def conversion_rate(self) -> Interval | None:
        return inference.proportion(self.conversions, self.visitors)

    @property
    def is_telling(self) -> bool:
        return inference.is_telling(self.visitors, self.conversions)

    @property
    def gross_text(self) -> str:
        return format_money(self.gross, self.currency)

    @property
    def returned_text(self) -> str:
        return format_money(self.gross - self.net, self.currency) if self.gross != self.net else "–"

    @property
    def net_text(self) -> str:
        return format_money(self.net, self.currency)

    @property
    def average_order_text(self) -> str:
        return told(self.gross / self.orders, self.currency) if self.orders else "–"

    @property
    def rate_text(self) -> str:
        return f"{self.conversions / self.visitors:.1%}" if self.visitors else "–"

    @property
    def rate_range(self) -> str:
        rate = self.conversion_rate
        return f"{rate.low:.1%} to {rate.high:.1%}" if rate else ""

    @property
    def per_visitor_text(self) -> str:
        return told(self.net / self.visitors, self.currency) if self.visitors else "–"

    @property
    def capped_per_visitor_text(self) -> str:
        return told(self.capped / self.visitors, self.currency) if self.visitors else "–"


@dataclass(frozen=True, slots=True)
class Drawing:
    """An interval as percentages of a width that all intervals of the picture share."""

    low: float
    estimate: float
    high: float
    zero: float


class Lead(StrEnum):
    """What the interval of all looks says of a variant against the control."""

    AHEAD = "ahead"
    BEHIND = "behind"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Reading:
    """One variant's revenue per visitor against the control's, as it may be read at any time.

    `always` is the interval of all looks, wider where there are several variants so that all are right together;
    `p_value` is its p-value, corrected for the same. `once` is for a single look at the planned end.
    """

    control: Arm
    variant: Arm
    always: Comparison | None
    p_value: float | None
    belief: Belief | None
    once: Comparison | None
    drawing: Drawing | None

    @property
    def is_telling(self) -> bool:
        return self.control.is_telling and self.variant.is_telling

    @property
    def lead(self) -> Lead:
        if self.always is None or not self.is_telling or self.always.difference.holds(0):
            return Lead.OPEN
        return Lead.AHEAD if self.always.difference.low > 0 else Lead.BEHIND

    @property
    def tone(self) -> str:
        return {Lead.AHEAD: "good", Lead.BEHIND: "bad", Lead.OPEN: ""}[self.lead]

    @property
    def sentence(self) -> str:
        """Say what the interval says, and no more."""
        if not self.is_telling:
            return f"Too early to tell: both need {LEAST_VISITORS} visitors and {LEAST_CONVERSIONS} conversions."
        if self.always is None:
            return "All visitors brought the same, so there is no range to be given."
        return f"{_capitalized(self.range_in_words)} than {self.control.name}."

    @property
    def range_in_words(self) -> str:
        assert self.always is not None
        low, high = self.always.difference.low, self.always.difference.high
        less, more = (told(abs(end), self.variant.currency) for end in (low, high))
        is_money = self.variant.is_money
        fewer, unit = ("less", "per visitor") if is_money else ("fewer", "conversions per 100 visitors")
        if low > 0:
            return f"between {less} and {more} more {unit}"
        if high < 0:
            return f"between {more} and {less} {fewer} {unit}"
        return f"anything between {less} {fewer} and {more} more {unit}"

    @property
    def difference_text(self) -> str:
        if self.always is None:
            return "–"
        estimate = self.always.difference.estimate
        return f"{'+' if estimate > 0 else ''}{told(estimate, self.variant.currency)}"

    @property
    def uplift_text(self) -> str:
        return _percents(self.always.uplift) if self.always and self.always.uplift else "–"

    @property
    def believed_uplift_text(self) -> str:
        return _percents(self.belief.uplift) if self.belief else "–"

    @property
    def chance_text(self) -> str:
        """Never all or nothing: the chance is rounded, and rests on a model."""
        if self.belief is None:
            return "–"
        chance = self.belief.chance_to_win
        return "over 99.9%" if chance > 0.999 else "under 0.1%" if chance < 0.001 else f"{chance:.1%}"

    @property
    def risk_text(self) -> str:
        return self._loss_text(self.belief.risk) if self.belief else "–"

    @property
    def control_risk_text(self) -> str:
        return self._loss_text(self.belief.control_risk) if self.belief else "–"

    def _loss_text(self, share: float) -> str:
        return f"{told(share * self.control.sums.mean, self.control.currency)} ({share:.2%})"

    @property
    def p_text(self) -> str:
        if self.p_value is None:
            return "–"
        return f"p = {self.p_value:.3f}" if self.p_value >= 0.001 else "p < 0.001"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the test as a whole allows to be said; only with `winner` is there one."""

    title: str
    text: str
    tone: str = ""
    winner: str = ""


@dataclass(frozen=True, slots=True)
class Returns:
    """What went back after the test had stopped, and when anything last did; below zero if more was given back."""

    amount: int
    last_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Loss:
    """Of `led` day-visitors of a variant, `lost` were not seen where they were to see it."""

    name: str
    led: int
    lost: int

    @property
    def share_text(self) -> str:
        return f"{self.lost / self.led:.1%}" if self.led else "none"


@dataclass(frozen=True, slots=True)
class Losses:
    arms: tuple[Loss, ...]

    @property
    def is_uneven(self) -> bool:
        """Tell whether chance would lose so differently in fewer than one sound test in a thousand."""
        p = inference.sample_ratio_p([arm.lost for arm in self.arms], [arm.led for arm in self.arms])
        return p is not None and p < SUSPICIOUS_RATIO_P


@dataclass(frozen=True, slots=True)
class Measured:
    """What else was counted of the same visitors. With `is_guardrail`, no winner may make less of it."""

    name: str
    goal: str
    is_guardrail: bool
    results: "Results"

    @property
    def rows(self) -> list[tuple[Reading, str]]:
        """Give each reading with what to say of it."""
        return [
            (each, f"Worse: {each.range_in_words}." if self._is_harmed(each) else each.sentence)
            for each in self.results.readings
        ]

    def harm(self, variant: str) -> str:
        """Say by how much the variant is clearly worse; "" if it is not."""
        worse = (each for each in self.results.readings if each.variant.name == variant and self._is_harmed(each))
        return next((f"{self.name}: {each.range_in_words}" for each in worse), "")

    def _is_harmed(self, reading: Reading) -> bool:
        # It may well be that nobody converts any more, so few conversions of the variant are enough.
        is_telling = reading.control.is_telling and reading.variant.visitors >= LEAST_VISITORS
        return self.is_guardrail and is_telling and reading.always is not None and reading.always.difference.high < 0


@dataclass(frozen=True)
class Results:
    """The arms, the control first, and what their figures rest on.

    `excluded` visitors saw two variants and are left out. `ripening` ones are still inside the conversion window,
    and may yet buy. `cap` is the most that a visitor counts with. `strays` are the other currencies in which they paid,
    each with its orders, which count nowhere. `losses` are those on the way to other pages, None if there is none.
    `metrics` are of the same visitors.
    """

    arms: tuple[Arm, ...]
    excluded: int = 0
    ripening: int = 0
    planned: int | None = None
    is_stopped: bool = False
    cap: int | None = None
    returns: Returns | None = None
    strays: tuple[tuple[str, int], ...] = ()
    losses: Losses | None = None
    is_test_money: bool = False
    metrics: tuple[Measured, ...] = ()

    @property
    def is_money(self) -> bool:
        return self.arms[0].is_money

    @property
    def measure(self) -> str:
        return "Revenue per visitor" if self.is_money else "Conversions per 100 visitors"

    @property
    def visitors(self) -> int:
        return sum(arm.visitors for arm in self.arms)

    @property
    def ripening_text(self) -> str:
        """Give the share of visitors who may yet buy; of few it is not none, and of nearly all not all."""
        share = self.ripening / (self.visitors + self.excluded)
        return "Less than 1%" if share < 0.01 else f"{share:.0%}"

    @property
    def cap_text(self) -> str:
        return "" if self.cap is None else format_money(self.cap, self.arms[0].currency)

    @property
    def returns_text(self) -> str:
        """Give what went back, or was given back, without its sign."""
        return format_money(abs(self.returns.amount), self.arms[0].currency) if self.returns else ""

    @property
    def strays_text(self) -> str:
        """Name the orders of other currencies; "" without any."""
        return _listed([f"{orders:,} in {currency.upper()}" for currency, orders in self.strays] or [""])

    @property
    def sample_ratio_p(self) -> float | None:
        return inference.sample_ratio_p([arm.visitors for arm in self.arms], [arm.weight for arm in self.arms])

    @property
    def is_lopsided(self) -> bool:
        """Tell whether visitors split so unlike the weights that something must be broken."""
        p = self.sample_ratio_p
        return p is not None and p < SUSPICIOUS_RATIO_P

    @cached_property
    def readings(self) -> list[Reading]:
        """Compare each variant with the control."""
        control, *variants = self.arms
        compared = compare([arm.sums for arm in self.arms], self.planned)
        drawings = drawn([each.always.difference if each.always else None for each in compared])
        return [
            Reading(
                control,
                variant,
                each.always,
                each.p_value,
                inference.belief(control.sums, variant.sums),
                inference.difference(control.sums, variant.sums),
                drawing,
            )
            for variant, each, drawing in zip(variants, compared, drawings, strict=True)
        ]

    @cached_property
    def verdict(self) -> Verdict:
        if not self.visitors:
            return Verdict("No visitors yet", "Nobody has been shown a variant of this test.")
        if self.is_lopsided:
            return self._broken
        if self.losses and self.losses.is_uneven:
            return self._leaky(self.losses)
        if not all(arm.is_telling for arm in self.arms):
            return self._early
        if self.planned and self.visitors < self.planned:
            return self._before_the_plan
        return self._final

    @property
    def _broken(self) -> Verdict:
        weights = sum(arm.weight for arm in self.arms)
        split = _listed(f"{arm.visitors / self.visitors:.1%}" for arm in self.arms)
        asked = _listed(f"{arm.weight / weights:.1%}" for arm in self.arms)
        return Verdict(
            "Do not trust these figures",
            f"Visitors were split {split}, where the weights ask for {asked}: chance does that to fewer than one sound "
            "test in a thousand. Something shows or counts one variant less than the others, such as a redirect or a "
            "script that fails. Find it, and start a new test.",
            tone="bad",
        )

    def _leaky(self, losses: Losses) -> Verdict:
        shares = _listed(f"{arm.share_text} of {arm.name}" for arm in losses.arms)
        return Verdict(
            "Do not trust these figures",
            f"On the way to the variant {shares} were lost: chance does that to fewer than one sound test in a "
            "thousand, so those who arrive are not alike. See that each page answers quickly, keeps what stands behind "
            "the ? of the address, and has the script at the top of its head. Then start a new test.",
            tone="bad",
        )

    @property
    def _early(self) -> Verdict:
        least = min(self.arms, key=lambda arm: (min(arm.conversions, LEAST_CONVERSIONS), arm.visitors))
        ending = "The test has stopped, so there is no winner." if self.is_stopped else "Let the test run."
        return Verdict(
            "Too early to tell",
            f"Each variant needs {LEAST_VISITORS} visitors and {LEAST_CONVERSIONS} conversions before anything can be "
            f"said; {least.name} has {least.visitors:,} and {least.conversions:,}. {ending}",
        )

    @property
    def _before_the_plan(self) -> Verdict:
        come = f"{self.visitors:,} of {self.planned:,} planned visitors have come"
        best, words = self._best, ""
        if best and best.lead is Lead.AHEAD:
            words = f"{best.variant.name} is ahead of {best.control.name} so far. "
        elif self.readings and all(reading.lead is Lead.BEHIND for reading in self.readings):
            words = f"{self.arms[0].name} is ahead so far. "
        if self.is_stopped:
            return Verdict("Stopped too early", f"{words}{come}, so there is no winner.")
        return Verdict("Not decided yet", f"{words}{come}: let the test run until they are there.")

    @property
    def _final(self) -> Verdict:
        best = self._best
        if best is None:
            return Verdict("Nothing to compare", "A test needs a second variant, and visitors who differ.")
        if best.lead is Lead.AHEAD:
            gain = f"It brings {best.range_in_words} than {best.control.name}"
            if harm := "; ".join(filter(None, (each.harm(best.variant.name) for each in self.metrics))):
                return Verdict(
                    f"{best.variant.name} is ahead, but does harm",
                    f"{gain}, but a guardrail got worse. {harm}. So it is not the winner.",
                    tone="bad",
                )
            return Verdict(
                f"{best.variant.name} is the winner",
                f"{gain}.",
                tone="good",
                winner=best.variant.name,
            )
        behind = [reading for reading in self.readings if reading.lead is Lead.BEHIND]
        if len(behind) == len(self.readings):
            closest = "" if len(behind) == 1 else "The best of the others, "
            return Verdict(
                f"{best.control.name} is the winner",
                f"{closest}{best.variant.name}{',' if closest else ''} brings {best.range_in_words}.",
                winner=best.control.name,
            )
        worse = f" {_listed(reading.variant.name for reading in behind)} did worse." if behind else ""
        return Verdict(
            "No difference found",
            f"{best.variant.name} brings {best.range_in_words} than {best.control.name}: "
            f"the difference may be chance.{worse}",
        )

    @property
    def _best(self) -> Reading | None:
        """Give the variant that brings most, of those that are clearly ahead if there are such."""
        compared = [reading for reading in self.readings if reading.always]
        return max(
            compared,
            key=lambda reading: (
                reading.lead is Lead.AHEAD,
                reading.lead is not Lead.BEHIND,
                reading.always.difference.estimate if reading.always else -math.inf,
            ),
            default=None,
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """The interval of all looks at the confidence that several variants need, and its corrected p-value."""

    always: Comparison | None
    p_value: float | None


def compare(arms: Sequence[Sums], planned: int | None) -> list[Compared]:
    """Compare each arm with the first so that all comparisons together are wrong at most one time in twenty."""
    control, *variants = arms
    sample = planned or USUAL_SAMPLE
    # All are read at the confidence of the strictest, so that Holm's steps only ask for another margin.
    strictest = 1 - (1 - CONFIDENCE) / max(len(variants), 1)
    first = [inference.sequential(control, variant, CONFIDENCE, sample, strictest) for variant in variants]
    p_values = [each.p_value if each else 1.0 for each in first]
    return [
        Compared(inference.sequential(control, variant, confidence, sample, strictest), corrected if each else None)
        for variant, each, corrected, confidence in zip(
            variants, first, inference.holm(p_values), inference.holm_confidences(p_values, CONFIDENCE), strict=True
        )
    ]


def drawn(intervals: Iterable[Interval | None]) -> list[Drawing | None]:
    """Place the intervals on one scale on which zero, too, has its place."""
    intervals = list(intervals)
    ends = [0.0, *(end for interval in intervals if interval for end in (interval.low, interval.high))]
    # Room for the round ends of the lines.
    margin = (max(ends) - min(ends)) * 0.05
    start, width = min(ends) - margin, max(ends) - min(ends) + 2 * margin

    def place(value: float) -> float:
        return round(100 * (value - start) / width, 2)

    return [
        Drawing(place(interval.low), place(interval.estimate), place(interval.high), place(0)) if interval else None
        for interval in intervals
    ]


def told(value: float, currency: str) -> str:
    """Write money, or without a currency conversions per 100 visitors."""
    return format_money(round(value), currency) if currency else f"{round(value) / 100:,.2f}"


def _percents(interval: Interval) -> str:
    return f"{interval.estimate:+.1%} ({interval.low:+.1%} to {interval.high:+.1%})"


def _listed(texts: Iterable[str]) -> str:
    *before, last = texts
    return f"{', '.join(before)} and {last}" if before else last


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
