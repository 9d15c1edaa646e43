"""The distributions against closed forms, published tables and scipy: `golden_inference.json` has its answers."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from splittests.distributions import chi_square_tail, normal_below, student_quantile, student_tails

GOLDEN = json.loads((Path(__file__).parent / "golden_inference.json").read_text())


def near(expected: Any) -> Any:
    return pytest.approx(expected, rel=1e-9, abs=0)


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


@pytest.mark.parametrize(("z", "published"), [(0, "0.50000"), (1.96, "0.97500"), (-1, "0.15866"), (3, "0.99865")])
def test_shares_of_the_normal_distribution_are_the_published_ones(z: float, published: str) -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.1."""
    assert f"{normal_below(z):.5f}" == published


def test_far_out_the_normal_distribution_keeps_its_digits() -> None:
    """Abramowitz and Stegun, table 26.2: -log10 of the upper tail at 10 is 23.11805."""
    assert -math.log10(normal_below(-10)) == pytest.approx(23.11805, abs=5e-6)
