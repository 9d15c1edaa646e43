"""Whether the readings keep their promises on a site's own visitors: A/A replays, in which nothing differs.

Each replay gives every visitor one of two arms at random, with what they really brought, and reads the arms at
the end of each day, so whatever is found is a false alarm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import getitem
from random import Random

from splittests.inference import (
    SUSPICIOUS_RATIO_P,
    Interval,
    Sums,
    difference,
    is_telling,
    proportion,
    sample_ratio_p,
    sequential,
)

# Buyers are drawn by the digits of a hexadecimal number, four at a time, and added up from tables of all 16 sums.
GROUP = 4
CERTAINTY = 0.999


@dataclass(frozen=True, slots=True)
class Day:
    """One day's visitors, and what each of those who bought brought in all, in minor units."""

    visitors: int
    totals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """In how many of the replays something happened, and the share of them that was promised."""

    times: int
    replays: int
    promised: float

    @property
    def share(self) -> Interval:
        """Give the share of these replays, with what it would be of endlessly many."""
        found = proportion(self.times, self.replays, CERTAINTY)
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often the readings were right and wrong about two arms that do not differ.

    `false_alarms`: on some day the interval of all looks left 0 out. `rash_alarms`: the interval for one look did,
    looked at every day, which is what it is not made for. `covered`: on the last day the interval for one look held
    0. `ratio_alarms`: the visitors seemed not to be split as the weights say.
    """

    false_alarms: Rate
    rash_alarms: Rate
    covered: Rate
    ratio_alarms: Rate

    @property
    def is_kept(self) -> bool:
        """Tell whether the replays are compatible with what the readings promise."""
        return self.false_alarms.share.low <= self.false_alarms.promised and all(
            rate.share.low <= rate.promised <= rate.share.high for rate in (self.covered, self.ratio_alarms)
        )


def calibrate(days: Sequence[Day], replays: int, splits: int, sample: int, chance: Random) -> Calibration:
    """Replay the days, with `sample` as the planned visitors; split all visitors alone another `splits` times."""
    decks = [_Deck(day) for day in days]
    alarms = rash = covered = 0
    for _ in range(replays):
        is_alarmed = is_rash = False
        one_look = None
        for control, variant, conversions in _looks(decks, chance):
            one_look = difference(control, variant)
            if one_look and is_telling(min(control.n, variant.n), conversions):
                always = sequential(control, variant, sample=sample)
                is_alarmed = is_alarmed or (always is not None and not always.difference.holds(0))
                is_rash = is_rash or not one_look.difference.holds(0)
        alarms += is_alarmed
        rash += is_rash
        covered += one_look is None or one_look.difference.holds(0)
    return Calibration(
        false_alarms=Rate(alarms, replays, 0.05),
        rash_alarms=Rate(rash, replays, 0.05),
        covered=Rate(covered, replays, 0.95),
        ratio_alarms=Rate(_ratio_alarms(sum(day.visitors for day in days), splits, chance), splits, SUSPICIOUS_RATIO_P),
    )


def _ratio_alarms(visitors: int, splits: int, chance: Random) -> int:
    alarms = 0
    for _ in range(splits):
        some = _half(visitors, chance)
        p = sample_ratio_p([some, visitors - some], [1, 1])
        alarms += p is not None and p < SUSPICIOUS_RATIO_P
    return alarms


class _Deck:
    """A day's visitors, ready to be dealt to two arms again and again."""

    def __init__(self, day: Day) -> None:
        self.visitors = day.visitors
        self.buyers = len(day.totals)
        self.whole = Sums(day.visitors, sum(day.totals), sum(total * total for total in day.totals))
        # The number's first digit has the bits that are left over.
        ends = range(self.buyers, 0, -GROUP)
        groups = [day.totals[max(end - GROUP, 0) : end] for end in reversed(ends)]
        self._sums = [_sums_of_all_subsets(group) for group in groups]
        self._squares = [_sums_of_all_subsets([total * total for total in group]) for group in groups]

    def deal(self, chance: Random) -> tuple[Sums, int]:
        """Give one arm's sums, and how many buyers are in it."""
        drawn = chance.getrandbits(self.buyers) if self.buyers else 0
        digits = f"{drawn:0{len(self._sums)}x}" if self.buyers else ""
        conversions = drawn.bit_count()
        return (
            Sums(
                conversions + _half(self.visitors - self.buyers, chance),
                sum(map(getitem, self._sums, digits)),
                sum(map(getitem, self._squares, digits)),
            ),
            conversions,
        )


def _sums_of_all_subsets(values: Sequence[int]) -> dict[str, int]:
    """Give the sum of each choice of the values, by the hexadecimal digit whose bits say which are chosen."""
    return {
        f"{bits:x}": sum(value for place, value in enumerate(values) if bits >> place & 1)
        for bits in range(2 ** len(values))
    }


def _half(n: int, chance: Random) -> int:
    """Give how many of n coins show heads."""
    return chance.getrandbits(n).bit_count() if n else 0


def _looks(decks: Sequence[_Deck], chance: Random) -> Iterator[tuple[Sums, Sums, int]]:
    """Deal day after day; after each, give both arms so far and the conversions of the one that has fewer."""
    control, variant = Sums(0, 0, 0), Sums(0, 0, 0)
    conversions = buyers = 0
    for deck in decks:
        dealt, converted = deck.deal(chance)
        control, variant = control + dealt, variant + (deck.whole - dealt)
        conversions, buyers = conversions + converted, buyers + deck.buyers
        yield control, variant, min(conversions, buyers - conversions)
