"""What the readings promise, measured: the wrong ones are counted where the truth is known.

Revenue is as shops know it: few visitors buy, and what they pay is log-normal, its largest orders far out.
"""

import math
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from splittests import calibration
from splittests.calibration import Calibration, Day, Rate, calibrate
from splittests.inference import Sums, difference, proportion

SOME_OR_MANY = [pytest.param(150, id="some"), pytest.param(4000, id="many", marks=pytest.mark.nightly)]
BUY = 0.03


def spent(chance: Random, visitors: int, share: float = BUY) -> list[int]:
    buyers = sum(chance.random() < share for _ in range(visitors))
    return [round(chance.lognormvariate(8.3, 1.2)) for _ in range(buyers)]


def shop(chance: Random, days: int = 30, visitors: int = 700) -> list[Day]:
    return [Day(visitors, tuple(spent(chance, visitors))) for _ in range(days)]


def allows(times: int, of: int, low: float, high: float) -> bool:
    """Tell whether this many replays speak against the share being between these."""
    found = proportion(times, of, 0.999)
    assert found is not None
    return found.low <= high and low <= found.high


@pytest.mark.parametrize("replays", SOME_OR_MANY)
def test_daily_peeking_finds_what_is_not_there_in_at_most_5_percent(replays: int) -> None:
    days = shop(Random(1))
    found = calibrate(days, replays, splits=1, sample=sum(day.visitors for day in days), chance=Random(2))
    assert allows(found.false_alarms.times, replays, 0, 0.05)
    # Without a reading made for it, peeking would.
    assert found.rash_alarms.share.low > 0.05


@pytest.mark.parametrize("replays", SOME_OR_MANY)
def test_one_look_at_the_end_holds_the_truth_95_times_in_100(replays: int) -> None:
    found = calibrate(shop(Random(3)), replays, splits=1, sample=5000, chance=Random(4))
    assert allows(found.covered.times, replays, 0.94, 0.96)


@pytest.mark.parametrize("replays", SOME_OR_MANY)
def test_intervals_of_arms_that_differ_hold_the_truth_95_times_in_100(replays: int) -> None:
    """New visitors each time, of whom the variant's buy a fifth more often."""
    chance = Random(5)
    visitors, more = 20_000, 1.2
    order = math.exp(8.3 + 1.2**2 / 2)
    held = {"difference": 0, "uplift": 0}
    for _ in range(replays):
        control, variant = (_sums(visitors, _buyers(chance, visitors, share)) for share in (BUY, BUY * more))
        compared = difference(control, variant)
        assert compared is not None
        assert compared.uplift is not None
        held["difference"] += compared.difference.holds(BUY * (more - 1) * order)
        held["uplift"] += compared.uplift.holds(more - 1)
    assert allows(held["difference"], replays, 0.94, 0.96)
    assert allows(held["uplift"], replays, 0.94, 0.96)


def _buyers(chance: Random, visitors: int, share: float) -> list[int]:
    """As `spent`, but the number of buyers is drawn at once, near enough to a binomial."""
    number = round(chance.gauss(visitors * share, math.sqrt(visitors * share * (1 - share))))
    return [round(chance.lognormvariate(8.3, 1.2)) for _ in range(number)]


def _sums(visitors: int, totals: list[int]) -> Sums:
    return Sums(visitors, sum(totals), sum(total * total for total in totals))


@pytest.mark.parametrize("splits", [20_000, pytest.param(300_000, id="many", marks=pytest.mark.nightly)])
def test_a_sound_split_is_suspected_once_in_a_thousand_times(splits: int) -> None:
    found = calibrate([Day(10_000, ())], replays=1, splits=splits, sample=5000, chance=Random(6))
    assert allows(found.ratio_alarms.times, splits, 0.0009, 0.0011)


def test_an_unsound_split_is_suspected(monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(n: int, chance: Random) -> int:
        return chance.getrandbits(n).bit_count() * 9 // 10

    monkeypatch.setattr(calibration, "_half", lossy)
    found = calibrate([Day(10_000, ())], replays=1, splits=100, sample=5000, chance=Random(7))
    assert found.ratio_alarms.times == 100


@pytest.mark.parametrize("buyers", [0, 1, 3, 4, 5, 8, 21])
def test_each_visitor_is_dealt_to_one_arm_with_all_they_brought(buyers: int) -> None:
    totals = tuple(7**n for n in range(buyers))
    deck, chance = calibration._Deck(Day(40 + buyers, totals)), Random(8)
    seen = set()
    for _ in range(300):
        dealt, conversions = deck.deal(chance)
        chosen = [total for total in totals if dealt.total // total % 7 == 1]
        assert (dealt.total, len(chosen)) == (sum(chosen), conversions)
        assert dealt.total_of_squares == sum(total * total for total in chosen)
        assert conversions <= dealt.n <= 40 + conversions
        seen.update(chosen)
    assert seen == set(totals)


def test_the_arms_grow_from_day_to_day_and_are_all_visitors_together() -> None:
    days = [Day(50, (100, 300)), Day(10, ()), Day(70, (500,))]
    looks = list(calibration._looks([calibration._Deck(day) for day in days], Random(9)))
    assert [control.n + variant.n for control, variant, _ in looks] == [50, 60, 130]
    assert all(one[0].n <= other[0].n for one, other in pairwise(looks))
    control, variant, _ = looks[-1]
    assert control + variant == Sums(130, 900, 100**2 + 300**2 + 500**2)


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [
        pytest.param({}, True, id="as promised"),
        pytest.param({"false_alarms": Rate(0, 1000, 0.05)}, True, id="fewer false alarms"),
        pytest.param({"false_alarms": Rate(90, 1000, 0.05)}, False, id="false alarms"),
        pytest.param({"rash_alarms": Rate(900, 1000, 0.05)}, True, id="rash alarms promise nothing"),
        pytest.param({"covered": Rate(900, 1000, 0.95)}, False, id="too narrow"),
        pytest.param({"covered": Rate(1000, 1000, 0.95)}, False, id="too wide"),
        pytest.param({"ratio_alarms": Rate(100, 20_000, 0.001)}, False, id="splits suspected"),
    ],
)
def test_promises_are_held_against_what_replays_can_show(change: dict[str, Any], is_kept: bool) -> None:
    rates = {
        "false_alarms": Rate(50, 1000, 0.05),
        "rash_alarms": Rate(300, 1000, 0.05),
        "covered": Rate(950, 1000, 0.95),
        "ratio_alarms": Rate(20, 20_000, 0.001),
    }
    assert Calibration(**rates | change).is_kept is is_kept
