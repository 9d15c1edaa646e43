"""The readings against published numbers, closed forms and another implementation.

`golden_gbstats.json` holds what gbstats 0.8.0 answered, see `make_golden_gbstats.py`. `golden_inference.json` holds
what scipy 1.17.1 answered, each row the arguments followed by the answer:

- student_tails: 2 * stats.t.sf(t, degrees)
- student_quantile: stats.t.isf((1 - confidence) / 2, degrees)
- chi_square_tail: stats.chi2.sf(statistic, degrees)
- proportion: stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
- mean: stats.t.interval(confidence, n - 1, loc=the mean, scale=stats.sem) of made-up visitors
- difference: stats.ttest_ind(variant, control, equal_var=False) of made-up visitors, its confidence_interval
  and pvalue; the uplift's margin is the t quantile for its df times the delta method's standard error
- sample_ratio: stats.chisquare(observed, expected).pvalue
"""

import json
import math
import statistics
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from splittests.distributions import normal_quantile
from splittests.inference import (
    Comparison,
    Interval,
    Sums,
    belief,
    difference,
    holm,
    holm_confidences,
    proportion,
    sample_ratio_p,
    sequential,
    visitors_for_mean,
    visitors_for_share,
)
from splittests.readings import compare

GBSTATS = json.loads((Path(__file__).parent / "golden_gbstats.json").read_text())
GOLDEN = json.loads((Path(__file__).parent / "golden_inference.json").read_text())
same_every_run = settings(derandomize=True, max_examples=60)
amounts = st.lists(st.integers(-(10**6), 10**8), min_size=2, max_size=30)
confidences = st.floats(0.01, 0.999)


def sums(values: list[int]) -> Sums:
    return Sums(len(values), sum(values), sum(value * value for value in values))


def from_summary(n: int, average: float, deviation: float) -> Sums:
    return Sums(n, n * average, (n - 1) * deviation**2 + n * average**2)


varying_arms = amounts.filter(lambda values: len(set(values)) > 1).map(sums)


def near(expected: Any) -> Any:
    return pytest.approx(expected, rel=1e-9, abs=0)


def close(expected: Any) -> Any:
    """Within 1e-9, where gbstats itself has the digits: it takes small p-values as what is missing to 1."""
    return pytest.approx(expected, rel=1e-9, abs=1e-12)


def bounds(interval: Interval | None) -> list[float]:
    assert interval is not None
    return [interval.estimate, interval.low, interval.high]


@pytest.mark.parametrize(("successes", "n", "confidence", "low", "high"), GOLDEN["proportion"])
def test_proportions_are_scipys(successes: int, n: int, confidence: float, low: float, high: float) -> None:
    result = bounds(proportion(successes, n, confidence))
    assert result == [successes / n, pytest.approx(low, rel=1e-9, abs=1e-15), near(high)]


@pytest.mark.parametrize("case", GOLDEN["difference"])
def test_differences_are_scipys(case: dict[str, Any]) -> None:
    result = difference(Sums(*case["control"]), Sums(*case["variant"]), case["confidence"])
    assert result is not None
    assert bounds(result.difference) == near(case["difference"])
    assert result.p_value == near(case["p_value"])
    if case["uplift"] is None:
        assert result.uplift is None
    else:
        assert bounds(result.uplift) == near(case["uplift"])


@pytest.mark.parametrize(("observed", "weights", "expected"), GOLDEN["sample_ratio"])
def test_sample_ratios_are_scipys(observed: list[int], weights: list[float], expected: float) -> None:
    assert sample_ratio_p(observed, weights) == near(expected)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, "0.2553", "0.3662"),
        (15, 148, "0.0624", "0.1605"),
        (0, 20, "0.0000", "0.1611"),
        (1, 29, "0.0061", "0.1718"),
    ],
)
def test_wilson_intervals_are_newcombes(successes: int, n: int, low: str, high: str) -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3."""
    _, actual_low, actual_high = bounds(proportion(successes, n))
    assert (f"{actual_low:.4f}", f"{actual_high:.4f}") == (low, high)


def test_the_difference_of_sleep_is_the_published_one() -> None:
    """The data of Student's paper of 1908, in tenths of an hour, and what R's `t.test` prints for `sleep`.

    For the first group less the second: t = -1.8608, df = 17.776, p-value = 0.07939, and the interval
    -3.3654832 to 0.2054832.
    """
    first = sums([7, -16, -2, -12, -1, 34, 37, 8, 0, 20])
    second = sums([19, 8, 11, 1, -1, 44, 55, 16, 46, 34])
    result = difference(second, first)
    assert result is not None
    assert bounds(result.difference) == pytest.approx([-15.8, -33.654832, 2.054832], abs=1e-6)
    assert result.p_value == pytest.approx(0.07939, abs=5e-6)


def test_a_published_sample_ratio_mismatch_is_found() -> None:
    """Kohavi, Tang and Xu, "Trustworthy Online Controlled Experiments", 2020, chapter 21: 1.8E-6."""
    assert sample_ratio_p([821_588, 815_482], [1, 1]) == pytest.approx(1.8e-6, rel=0.02)


@pytest.mark.parametrize("case", GBSTATS["comparisons"])
def test_all_readings_are_gbstats(case: dict[str, Any]) -> None:
    arms = Sums(*case["control"]), Sums(*case["variant"])
    confidence, sample = case["confidence"], case["sample"]
    readings = {"fixed": difference(*arms, confidence), "sequential": sequential(*arms, confidence, sample)}
    for name, reading in readings.items():
        assert reading is not None
        assert [*bounds(reading.difference), reading.p_value] == close(case["difference"][name])
        assert bounds(reading.uplift) == close(case["uplift"][name][:3])
    believed = belief(*arms, confidence, case["usual_uplift"])
    assert believed is not None
    assert [
        *bounds(believed.uplift),
        believed.chance_to_win,
        believed.control_risk,
        believed.risk,
    ] == close(case["belief"])


@pytest.mark.parametrize(("observed", "weights", "expected"), GBSTATS["sample_ratio"])
def test_sample_ratios_are_gbstats(observed: list[int], weights: list[float], expected: float) -> None:
    assert sample_ratio_p(observed, weights) == near(expected)


@pytest.mark.parametrize(
    ("observed", "weights"),
    [
        pytest.param([], [], id="no arms"),
        pytest.param([0, 0], [1, 1], id="no visitors"),
        pytest.param([100], [1], id="one arm"),
        pytest.param([100, 0], [1, 0], id="one arm with a weight"),
        pytest.param([0, 0], [0, 0], id="no weights"),
        pytest.param([5, 4], [1, 1], id="4.5 expected"),
        pytest.param([90, 2], [96, 4], id="3.68 expected in one arm"),
    ],
)
def test_too_few_visitors_have_no_sample_ratio(observed: list[int], weights: list[float]) -> None:
    assert sample_ratio_p(observed, weights) is None


def test_five_expected_visitors_an_arm_are_enough_for_a_sample_ratio() -> None:
    assert sample_ratio_p([5, 5], [1, 1]) == 1


def test_visitors_in_an_arm_without_weight_cannot_be_chance() -> None:
    assert sample_ratio_p([50, 50, 1], [1, 1, 0]) == 0


def test_an_arm_without_weight_and_visitors_is_no_arm() -> None:
    assert sample_ratio_p([60, 0, 40], [1, 0, 1]) == sample_ratio_p([60, 40], [1, 1])


def test_a_proportion_of_nobody_is_unknown() -> None:
    assert proportion(0, 0) is None


@pytest.mark.parametrize(
    "arm",
    [
        pytest.param(Sums(0, 0, 0), id="nobody"),
        pytest.param(Sums(1, 500, 250_000), id="one visitor"),
        pytest.param(Sums(1000, 0, 0), id="no purchases"),
        pytest.param(Sums(3, 300, 30_000), id="all paid the same"),
    ],
)
def test_arms_without_spread_have_no_interval(arm: Sums) -> None:
    assert difference(arm, arm) is None


@pytest.mark.parametrize("lonely", [Sums(0, 0, 0), Sums(1, 500, 250_000)])
def test_one_arm_of_less_than_two_visitors_leaves_nothing_to_compare(lonely: Sums) -> None:
    other = sums([0, 100, 500])
    assert difference(lonely, other) is None
    assert difference(other, lonely) is None


@pytest.mark.parametrize("control", [sums([0, 0, 0]), sums([-500, 0, 100]), sums([-500, 500])])
def test_no_uplift_over_a_control_that_earned_nothing(control: Sums) -> None:
    result = difference(control, sums([0, 100, 500]))
    assert result is not None
    assert result.uplift is None


def test_the_uplifts_margin_is_that_of_the_ratios_tangent() -> None:
    control, variant = sums([0, 900, 0, 1400, 300]), sums([0, 2500, 700, 0])
    result = difference(control, variant)
    assert result is not None
    assert result.uplift is not None
    assert result.uplift.estimate == near(variant.mean / control.mean - 1)
    step = 1e-3
    by_control = (variant.mean / (control.mean + step) - variant.mean / (control.mean - step)) / (2 * step)
    by_variant = 1 / control.mean
    deviation = math.hypot(
        by_control * math.sqrt(control.variance / control.n),
        by_variant * math.sqrt(variant.variance / variant.n),
    )
    plain = math.sqrt(control.variance / control.n + variant.variance / variant.n)
    quantile = (result.difference.high - result.difference.estimate) / plain
    assert result.uplift.high - result.uplift.estimate == near(quantile * deviation)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([10**12, 10**12 + 1, 10**12 + 2], id="far from zero"),
        pytest.param([0] * 999 + [10**12], id="one huge order"),
        pytest.param([123_456_789] * 500 + [123_456_790], id="all but one alike"),
    ],
)
def test_integer_sums_keep_every_digit_of_the_variance(values: list[int]) -> None:
    assert sums(values).variance == near(statistics.variance(values))


@same_every_run
@given(st.integers(2, 10**7), st.integers(-(10**12), 10**12), st.floats(1 - 1e-12, 1 + 1e-12))
def test_rounded_sums_give_no_negative_variance(n: int, total: int, rounding: float) -> None:
    alike = Sums(n, float(total), total * total / n * rounding)
    assert alike.variance >= 0


def test_ten_million_visitors_keep_their_spread() -> None:
    n = 10**7
    arm = Sums(n, 10**12, 10**12 * 10**5 + n * 40_000)
    assert arm.variance == near(40_000 * n / (n - 1))
    result = difference(arm, arm)
    assert result is not None
    margin = 1.959964 * 200 * math.sqrt(2 / n)
    assert bounds(result.difference) == pytest.approx([0, -margin, margin], rel=0, abs=1e-6)


@same_every_run
@given(varying_arms, varying_arms, confidences)
def test_intervals_contain_their_estimate(control: Sums, variant: Sums, confidence: float) -> None:
    result = difference(control, variant, confidence)
    assert result is not None
    assert 0 <= result.p_value <= 1
    for interval in (result.difference, result.uplift):
        assert interval is None or interval.low <= interval.estimate <= interval.high


@same_every_run
@given(st.integers(1, 10**7), st.floats(0, 1), confidences)
def test_a_proportions_interval_lies_between_0_and_1(n: int, share: float, confidence: float) -> None:
    successes = round(n * share)
    estimate, low, high = bounds(proportion(successes, n, confidence))
    assert 0 <= low <= estimate <= high <= 1
    assert (low == 0) == (successes == 0)
    assert (high == 1) == (successes == n)


@same_every_run
@given(varying_arms, varying_arms, confidences, confidences)
def test_more_confidence_is_a_wider_interval(control: Sums, variant: Sums, one: float, other: float) -> None:
    assume(abs(one - other) > 1e-6)
    lesser, greater = sorted((one, other))
    narrow, wide = difference(control, variant, lesser), difference(control, variant, greater)
    assert narrow is not None
    assert wide is not None
    assert wide.difference.low < narrow.difference.low
    assert narrow.difference.high < wide.difference.high
    assert narrow.p_value == wide.p_value
    _, narrow_low, narrow_high = bounds(proportion(1, control.n, lesser))
    _, wide_low, wide_high = bounds(proportion(1, control.n, greater))
    assert wide_low < narrow_low
    assert narrow_high < wide_high


@same_every_run
@given(varying_arms, varying_arms)
def test_the_interval_excludes_zero_when_the_p_value_is_small(control: Sums, variant: Sums) -> None:
    result = difference(control, variant)
    assert result is not None
    assume(abs(result.p_value - 0.05) > 1e-9)
    assert (result.p_value < 0.05) == (result.difference.low > 0 or result.difference.high < 0)


@same_every_run
@given(varying_arms, varying_arms, confidences)
def test_swapping_the_arms_swaps_the_signs(control: Sums, variant: Sums, confidence: float) -> None:
    forth, back = difference(control, variant, confidence), difference(variant, control, confidence)
    assert forth is not None
    assert back is not None
    assert astuple(back.difference) == (
        -forth.difference.estimate,
        -forth.difference.high,
        -forth.difference.low,
    )
    assert back.p_value == forth.p_value


@same_every_run
@given(varying_arms, varying_arms, st.integers(2, 10**6))
def test_another_unit_of_money_scales_the_difference_and_nothing_else(control: Sums, variant: Sums, unit: int) -> None:
    def scaled(arm: Sums) -> Sums:
        return Sums(arm.n, arm.total * unit, arm.total_of_squares * unit**2)

    plain, other = difference(control, variant), difference(scaled(control), scaled(variant))
    assert isinstance(plain, Comparison)
    assert isinstance(other, Comparison)
    tolerance = 1e-9 * unit * max(map(abs, astuple(plain.difference)))
    assert bounds(other.difference) == pytest.approx(
        [unit * bound for bound in bounds(plain.difference)], rel=0, abs=tolerance
    )
    assert other.p_value == pytest.approx(plain.p_value, rel=1e-9)
    assert (other.uplift is None) == (plain.uplift is None)
    if plain.uplift is not None:
        assert bounds(other.uplift) == pytest.approx(bounds(plain.uplift), rel=1e-9, abs=1e-9)


@same_every_run
@given(varying_arms, varying_arms, confidences, st.floats(10, 1e7))
def test_all_looks_together_take_a_wider_interval_than_one(
    control: Sums, variant: Sums, confidence: float, sample: float
) -> None:
    always = sequential(control, variant, confidence, sample)
    assert always is not None
    # Against a normal margin, since with a handful of visitors Student's outgrows everything.
    margin = normal_quantile(confidence) * math.sqrt(control.squared_error + variant.squared_error)
    assert always.difference.high - always.difference.estimate > margin
    assert always.difference.low < always.difference.estimate < always.difference.high


@same_every_run
@given(st.integers(200, 10**6), st.integers(200, 10**6), st.floats(0.5, 0.999), st.floats(1000, 1e7))
def test_the_interval_of_all_looks_contains_that_of_one(n: int, m: int, confidence: float, sample: float) -> None:
    control, variant = Sums(n, n // 10, n // 10), Sums(m, m // 9, m // 9)
    once, always = difference(control, variant, confidence), sequential(control, variant, confidence, sample)
    assert once is not None
    assert always is not None
    assert always.difference.low < once.difference.low
    assert once.difference.high < always.difference.high
    assert always.p_value >= once.p_value


@same_every_run
@given(varying_arms, varying_arms, st.floats(100, 1e6))
def test_the_interval_of_all_looks_excludes_zero_when_its_p_value_is_small(
    control: Sums, variant: Sums, sample: float
) -> None:
    always = sequential(control, variant, sample=sample)
    assert always is not None
    assume(abs(always.p_value - 0.05) > 1e-9)
    assert (always.p_value < 0.05) == (always.difference.low > 0 or always.difference.high < 0)


@same_every_run
@given(varying_arms, varying_arms, st.integers(2, 10**6))
def test_other_readings_do_not_depend_on_the_unit_or_the_order(control: Sums, variant: Sums, unit: int) -> None:
    def scaled(arm: Sums) -> Sums:
        return Sums(arm.n, arm.total * unit, arm.total_of_squares * unit**2)

    plain, other = sequential(control, variant), sequential(scaled(control), scaled(variant))
    swapped = sequential(variant, control)
    assert isinstance(plain, Comparison)
    assert isinstance(other, Comparison)
    assert isinstance(swapped, Comparison)
    tolerance = 1e-9 * unit * max(map(abs, astuple(plain.difference)))
    expected = [unit * bound for bound in bounds(plain.difference)]
    assert bounds(other.difference) == pytest.approx(expected, rel=0, abs=tolerance)
    assert other.p_value == pytest.approx(plain.p_value, rel=1e-9)
    assert astuple(swapped.difference) == (
        -plain.difference.estimate,
        -plain.difference.high,
        -plain.difference.low,
    )
    assert swapped.p_value == plain.p_value
    believed, again = belief(control, variant), belief(scaled(control), scaled(variant))
    assert (believed is None) == (again is None) == (control.mean <= 0)
    if believed and again:
        assert astuple(again.uplift) == pytest.approx(astuple(believed.uplift), rel=1e-9, abs=1e-9)
        assert again.chance_to_win == pytest.approx(believed.chance_to_win, rel=1e-6)


@same_every_run
@given(varying_arms, varying_arms, st.floats(0.01, 10))
def test_what_is_believed_holds_together(control: Sums, variant: Sums, usual_uplift: float) -> None:
    believed = belief(control, variant, usual_uplift=usual_uplift)
    assume(believed is not None)
    assert believed is not None
    assert 0 <= believed.chance_to_win <= 1
    assert (believed.chance_to_win > 0.5) == (believed.uplift.estimate > 0)
    assert min(believed.risk, believed.control_risk) >= 0
    # What one choice loses, the other one wins.
    assert believed.control_risk - believed.risk == pytest.approx(believed.uplift.estimate, rel=1e-9, abs=1e-12)
    # The prior only ever pulls towards 0.
    assert abs(believed.uplift.estimate) <= abs(variant.mean / control.mean - 1) * (1 + 1e-12)


@same_every_run
@given(st.integers(2, 1000), st.integers(2, 100))
def test_more_visitors_of_the_same_kind_narrow_every_reading(n: int, times: int) -> None:
    def arms(factor: int) -> tuple[Sums, Sums]:
        return Sums(10 * n * factor, n * factor, n * factor), Sums(9 * n * factor, n * factor, n * factor)

    def width(interval: Interval) -> float:
        return interval.high - interval.low

    for reading in (difference, sequential):
        few, many = reading(*arms(1)), reading(*arms(times))
        assert few is not None
        assert many is not None
        assert width(many.difference) < width(few.difference)
        assert many.p_value <= few.p_value
    few_believed, many_believed = belief(*arms(1)), belief(*arms(times))
    assert few_believed is not None
    assert many_believed is not None
    assert width(many_believed.uplift) < width(few_believed.uplift)
    assert many_believed.risk < few_believed.risk


@same_every_run
@given(st.floats(1000, 1e6), st.floats(0.1, 10))
def test_the_interval_of_all_looks_is_narrowest_for_its_spread_at_the_planned_sample(n: float, off: float) -> None:
    visitors = round(n)
    arms = Sums(visitors, visitors // 10, visitors // 10), Sums(visitors, visitors // 9, visitors // 9)
    planned, other = sequential(*arms, sample=2 * visitors), sequential(*arms, sample=2 * visitors * off)
    assert planned is not None
    assert other is not None
    # Equation 161 leaves out a term beyond the logarithm of a logarithm.
    assert planned.difference.high <= other.difference.high + 0.002 * abs(other.difference.high)


def test_an_arm_without_spread_has_no_other_reading_either() -> None:
    for arm in (Sums(1, 500, 250_000), Sums(1000, 0, 0), Sums(3, 300, 30_000)):
        assert sequential(arm, arm) is None
        assert belief(arm, arm) is None
    assert belief(sums([-500, 500]), sums([0, 100])) is None


def test_holms_own_example() -> None:
    """Holm 1979 in the numbers of R's manual: `p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm")`."""
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.04, 0.01]) == pytest.approx([0.04, 0.02])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []


@same_every_run
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_lies_between_no_correction_and_bonferronis(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, corrected in zip(p_values, adjusted, strict=True):
        assert p <= corrected <= min(1, p * len(p_values))
    by_p = sorted(zip(p_values, adjusted, strict=True))
    assert [corrected for _, corrected in by_p] == sorted(adjusted)


@same_every_run
@given(st.lists(st.floats(0, 0.1), max_size=8), st.floats(0.8, 0.99))
def test_intervals_at_holms_confidences_exclude_zero_where_holm_rejects(
    p_values: list[float], confidence: float
) -> None:
    levels = [1 - level for level in holm_confidences(p_values, confidence)]
    for p, level, corrected in zip(p_values, levels, holm(p_values), strict=True):
        assume(abs(p - level) > 1e-12)
        assert (p < level) == (corrected < 1 - confidence)


@pytest.mark.parametrize(("share", "uplift", "power", "per_arm"), [(0.5, 0.5, 0.9, 77), (0.05, 1, 0.8, 435)])
def test_a_plan_for_one_look_is_the_published_one(
    share: float, uplift: float, power: float, per_arm: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R's `power.prop.test(p1 = .50, p2 = .75, power = .90)` says 76.7, with .05, .10 and .8 it says 434.4."""
    monkeypatch.setattr(
        "splittests.inference._planned_quantile", lambda confidence, weights: normal_quantile(confidence)
    )
    assert visitors_for_share(share, uplift, power) == 2 * per_arm


def test_a_plan_for_a_mean_is_lehrs_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen variances over the squared difference: van Belle, "Statistical Rules of Thumb", equation 2.3."""
    monkeypatch.setattr(
        "splittests.inference._planned_quantile", lambda confidence, weights: normal_quantile(confidence)
    )
    arm = from_summary(1000, 100, 50)
    assert visitors_for_mean(arm, 0.1) == pytest.approx(2 * 16 * 50**2 / 10**2, rel=0.02)


@pytest.mark.parametrize(
    ("uplift", "weights"), [(0.1, (1, 1)), (-0.1, (1, 1)), (0.5, (1, 1)), (0.1, (1, 1, 1, 1)), (0.2, (5, 3, 1))]
)
def test_at_the_planned_sample_the_uplift_is_found_as_often_as_planned(uplift: float, weights: tuple[int, ...]) -> None:
    planned = visitors_for_mean(from_summary(1000, 100, 400), uplift, weights=weights)
    assert planned is not None
    sizes = [planned * weight // sum(weights) for weight in weights]
    *others, smallest = sizes
    # Of all that may come, a fifth lies below this.
    error = 400 * math.sqrt(1 / sizes[0] + 1 / smallest)
    unlucky = from_summary(smallest, 100 * (1 + uplift) - math.copysign(0.8416212, uplift) * error, 400)
    *_, found = compare([*(from_summary(size, 100, 400) for size in others), unlucky], planned)
    assert found.always is not None
    interval = found.always.difference
    assert min(interval.low, -interval.high, key=abs) == pytest.approx(0, abs=0.01)


def test_a_share_is_planned_as_the_mean_of_as_many_ones() -> None:
    """Small changes of a share of visitors leave its spread as it is, so both plans ask for as many."""
    for weights in ((1, 1), (1, 1, 1, 1), (5, 3, 1)):
        of_mean = visitors_for_mean(Sums(100_000, 30_000, 30_000), 0.01, weights=weights)
        assert visitors_for_share(0.3, 0.01, weights=weights) == pytest.approx(of_mean, rel=0.01)


def test_nothing_can_be_planned_on_no_revenue() -> None:
    assert visitors_for_mean(Sums(1000, 0, 0), 0.1) is None
    assert visitors_for_mean(Sums(1, 500, 250_000), 0.1) is None
