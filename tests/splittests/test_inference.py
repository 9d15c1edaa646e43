"""The readings against published numbers, closed forms and another implementation.

`golden_inference.json` holds what scipy 1.17.1 answered, each row the arguments followed by the answer:

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

from splittests.inference import (
    Comparison,
    Interval,
    Sums,
    chi_square_tail,
    difference,
    mean,
    proportion,
    sample_ratio_p,
    student_quantile,
    student_tails,
)

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


def bounds(interval: Interval | None) -> list[float]:
    assert interval is not None
    return [interval.estimate, interval.low, interval.high]


@pytest.mark.parametrize(("t", "degrees", "expected"), GOLDEN["student_tails"])
def test_student_tails_are_scipys(t: float, degrees: float, expected: float) -> None:
    assert student_tails(t, degrees) == near(expected)
    assert student_tails(-t, degrees) == student_tails(t, degrees)


@pytest.mark.parametrize(("confidence", "degrees", "expected"), GOLDEN["student_quantile"])
def test_student_quantiles_are_scipys(confidence: float, degrees: float, expected: float) -> None:
    assert student_quantile(confidence, degrees) == near(expected)


@pytest.mark.parametrize(("statistic", "degrees", "expected"), GOLDEN["chi_square_tail"])
def test_chi_square_tails_are_scipys(statistic: float, degrees: int, expected: float) -> None:
    assert chi_square_tail(statistic, degrees) == near(expected)


@pytest.mark.parametrize(("successes", "n", "confidence", "low", "high"), GOLDEN["proportion"])
def test_proportions_are_scipys(successes: int, n: int, confidence: float, low: float, high: float) -> None:
    result = bounds(proportion(successes, n, confidence))
    assert result == [successes / n, pytest.approx(low, rel=1e-9, abs=1e-15), near(high)]


@pytest.mark.parametrize("row", GOLDEN["mean"])
def test_means_are_scipys(row: list[float]) -> None:
    n, total, total_of_squares, confidence, *expected = row
    assert bounds(mean(Sums(int(n), total, total_of_squares), confidence)) == near(expected)


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


@pytest.mark.parametrize("t", [0, 1e-6, 0.2, 0.999, 1, 1.001, 3, 60, 1e5])
def test_one_and_two_degrees_have_closed_forms(t: float) -> None:
    """Abramowitz and Stegun 26.7.3 and 26.7.4, the latter without its subtraction."""
    assert student_tails(t, 1) == near(1 - 2 / math.pi * math.atan(t) if t < 1 else 2 / math.pi * math.atan(1 / t))
    assert student_tails(t, 2) == near(2 / (math.sqrt(2 + t * t) * (math.sqrt(2 + t * t) + t)))


@pytest.mark.parametrize("statistic", [0, 1e-6, 0.5, 1, 2.999, 3, 3.001, 20, 900])
def test_few_degrees_of_chi_square_have_closed_forms(statistic: float) -> None:
    """Abramowitz and Stegun 26.4.4 and 26.4.5."""
    half = statistic / 2
    assert chi_square_tail(statistic, 1) == near(math.erfc(math.sqrt(half)))
    assert chi_square_tail(statistic, 2) == near(math.exp(-half))
    assert chi_square_tail(statistic, 4) == near(math.exp(-half) * (1 + half))


@pytest.mark.parametrize(
    ("degrees", "confidence", "published"),
    [
        (1, 0.95, "12.706"),
        (2, 0.99, "9.925"),
        (4, 0.9, "2.132"),
        (10, 0.95, "2.228"),
        (30, 0.998, "3.385"),
        (100, 0.95, "1.984"),
        pytest.param(1e12, 0.95, "1.960", id="infinity"),
    ],
)
def test_students_critical_values_are_the_published_ones(degrees: float, confidence: float, published: str) -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2."""
    assert f"{student_quantile(confidence, degrees):.3f}" == published


@pytest.mark.parametrize(
    ("degrees", "critical", "probability"),
    [(1, 3.841, 0.05), (2, 9.210, 0.01), (5, 11.070, 0.05), (10, 18.307, 0.05), (10, 29.588, 0.001)],
)
def test_chi_square_critical_values_are_the_published_ones(degrees: int, critical: float, probability: float) -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.4, which gives three decimals."""
    assert chi_square_tail(critical + 0.0005, degrees) < probability < chi_square_tail(critical - 0.0005, degrees)


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


def test_the_mean_of_heat_flow_is_the_handbooks() -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.5.2, data set ZARR13."""
    assert bounds(mean(from_summary(195, 9.261460, 0.2278881e-1))) == pytest.approx(
        [9.261460, 9.258242, 9.264679], abs=1e-6
    )


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
def test_an_arm_without_spread_has_no_interval(arm: Sums) -> None:
    assert mean(arm) is None
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
    interval = mean(alike)
    assert interval is None or interval.low <= interval.estimate <= interval.high


def test_ten_million_visitors_keep_their_spread() -> None:
    n = 10**7
    arm = Sums(n, 10**12, 10**12 * 10**5 + n * 40_000)
    assert arm.variance == near(40_000 * n / (n - 1))
    margin = 1.959964 * 200 / math.sqrt(n)
    assert bounds(mean(arm)) == pytest.approx([1e5, 1e5 - margin, 1e5 + margin], rel=0, abs=1e-6)


@same_every_run
@given(varying_arms, varying_arms, confidences)
def test_intervals_contain_their_estimate(control: Sums, variant: Sums, confidence: float) -> None:
    result = difference(control, variant, confidence)
    assert result is not None
    assert 0 <= result.p_value <= 1
    for interval in (mean(control, confidence), result.difference, result.uplift):
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
