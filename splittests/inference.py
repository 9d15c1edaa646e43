"""What a split test's numbers allow to be said: sums in, frozen results out.

A reading takes the `Sums` of its arms, one SQL aggregate each, and returns None where the numbers do not
carry an answer. Intervals and p-values here are for one look at a sample whose size was fixed beforehand:
looking every day and stopping at the first small p-value finds differences that are not there.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from statistics import NormalDist

CONVERGED = 1e-15
# NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.5.15: with fewer visitors expected in an arm,
# the statistic does not follow the chi-square distribution closely enough.
LEAST_EXPECTED = 5


@dataclass(frozen=True, slots=True)
class Sums:
    """One arm's visitors, those who paid nothing included, and their money in minor units.

    Give the sums as integers when you have them: floats are rounded beyond 2**53.
    """

    n: int
    total: float
    total_of_squares: float

    @property
    def mean(self) -> float:
        return self.total / self.n

    @property
    def variance(self) -> float:
        """Sample variance, with divisor n - 1."""
        # Fractions, since in floats the difference of two nearly equal sums loses its digits.
        squared_deviations = Fraction(self.total_of_squares) - Fraction(self.total) ** 2 / self.n
        # Below zero only where the sums came in rounded, and then by that rounding alone: no spread is in it.
        return max(float(squared_deviations), 0.0) / (self.n - 1)

    @property
    def squared_error(self) -> float:
        """Square of the standard error of the mean."""
        return self.variance / self.n


@dataclass(frozen=True, slots=True)
class Interval:
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much more money per visitor the variant brought, and that as a fraction of the control's.

    `p_value` is two-sided, for `difference`; `uplift` is None unless the control's mean is positive.
    """

    difference: Interval
    uplift: Interval | None
    p_value: float


def proportion(successes: int, n: int, confidence: float = 0.95) -> Interval | None:
    """Return the share of successes with Wilson's score interval; None without visitors.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927) 209-212.
    """
    if n < 1:
        return None
    assert 0 <= successes <= n
    z = normal_quantile(confidence)
    return Interval(
        successes / n,
        low=_wilson_low(successes / n, n, z),
        high=1 - _wilson_low((n - successes) / n, n, z),
    )


def mean(sums: Sums, confidence: float = 0.95) -> Interval | None:
    """Return money per visitor with Student's interval; None below two visitors or if all brought the same.

    "Student", "The probable error of a mean", Biometrika 6 (1908) 1-25; as a formula in the NIST/SEMATECH
    e-Handbook of Statistical Methods, section 1.3.5.2.
    """
    if sums.n < 2 or sums.variance == 0:
        return None
    margin = student_quantile(confidence, sums.n - 1) * math.sqrt(sums.squared_error)
    return _around(sums.mean, margin)


def difference(control: Sums, variant: Sums, confidence: float = 0.95) -> Comparison | None:
    """Compare money per visitor by Welch's t-test; None below two visitors an arm or if neither arm varies.

    B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947) 28-35; NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.5.3.
    """
    if min(control.n, variant.n) < 2:
        return None
    squared_error = control.squared_error + variant.squared_error
    if squared_error == 0:
        return None
    estimate = variant.mean - control.mean
    degrees = 1 / sum((arm.squared_error / squared_error) ** 2 / (arm.n - 1) for arm in (control, variant))
    quantile = student_quantile(confidence, degrees)
    return Comparison(
        difference=_around(estimate, quantile * math.sqrt(squared_error)),
        uplift=_uplift(control, variant, quantile),
        p_value=student_tails(estimate / math.sqrt(squared_error), degrees),
    )


def sample_ratio_p(observed: Sequence[int], weights: Sequence[float]) -> float | None:
    """Return how likely visitors split at least this far from the weights; a tiny value means a broken test.

    None below two arms that have a weight, or where one of them expects fewer than five visitors. Pearson's
    chi-square test of goodness of fit: NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.5.15. On
    its use: Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019.
    """
    arms = list(zip(observed, weights, strict=True))
    if any(visitors and not weight for visitors, weight in arms):
        return 0.0
    scale = sum(observed) / (sum(weights) or 1)
    pairs = [(visitors, weight * scale) for visitors, weight in arms if weight]
    if len(pairs) < 2 or min(expected for _, expected in pairs) < LEAST_EXPECTED:
        return None
    statistic = math.fsum((visitors - expected) ** 2 / expected for visitors, expected in pairs)
    return chi_square_tail(statistic, len(pairs) - 1)


def normal_quantile(confidence: float) -> float:
    """Return the z that a standard normal value stays within, on both sides, with this confidence."""
    assert 0 < confidence < 1
    return -NormalDist().inv_cdf((1 - confidence) / 2)


def student_quantile(confidence: float, degrees: float) -> float:
    """Return the t that Student's distribution stays within, on both sides, with this confidence."""
    # Student's tails are heavier than the normal ones, so z lies below the answer. There the tails are convex
    # in t, and Newton's steps climb towards the answer without ever passing it.
    t = normal_quantile(confidence)
    step = math.inf
    while step > 1e-9 * t:  # convergence is quadratic: the step after this one would be lost in rounding
        step = (student_tails(t, degrees) - (1 - confidence)) / (2 * _student_density(t, degrees))
        t += step
    return t


def student_tails(t: float, degrees: float) -> float:
    """Return the probability that Student's distribution lies further from 0 than t, on either side.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.1 with 26.5.27.
    """
    square = t * t
    x = degrees / (degrees + square)
    y = square / (degrees + square)
    # What _beta_fraction leaves out, for both orders of its arguments.
    factor = _student_density(t, degrees) * abs(t)
    # The fraction converges fast on its own side of the mean only. So the far tails are computed as such, and
    # not as what is missing to 1, where their digits would be lost.
    if square > 1:
        return factor * _beta_fraction(degrees / 2, 0.5, x, y)
    return 1 - factor * _beta_fraction(0.5, degrees / 2, y, x)


def chi_square_tail(statistic: float, degrees: int) -> float:
    """Return the probability that the chi-square distribution lies above the statistic.

    NIST Digital Library of Mathematical Functions: below the mean the series 8.7.1, above it the even part of
    the continued fraction 8.9.2.
    """
    if statistic == 0:
        return 1.0
    a, x = degrees / 2, statistic / 2
    factor = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        n = 0
        while term > CONVERGED * total:
            n += 1
            term *= x / (a + n)
            total += term
        return 1 - factor * total
    return factor / _continued_fraction(x + 1 - a, ((n * (a - n), x + 2 * n + 1 - a) for n in count(1)))


def _around(estimate: float, margin: float) -> Interval:
    return Interval(estimate, low=estimate - margin, high=estimate + margin)


def _wilson_low(share: float, n: int, z: float) -> float:
    # The smaller root of Wilson's quadratic as the product of both over the larger: exactly 0 at 0 successes.
    half_square = z * z / (2 * n)
    larger = share + half_square + math.sqrt(z * z * share * (1 - share) / n + half_square**2)
    return share * (share / larger)


def _uplift(control: Sums, variant: Sums, quantile: float) -> Interval | None:
    """Return variant over control, less 1, with its interval by the delta method.

    Deng, Knoblich and Lu, "Applying the delta method in metric analytics", KDD 2018, on percent changes of
    independent arms.
    """
    if control.mean <= 0:
        return None
    ratio = variant.mean / control.mean
    squared_error = variant.squared_error + ratio**2 * control.squared_error
    return _around(ratio - 1, quantile * math.sqrt(squared_error) / control.mean)


def _student_density(t: float, degrees: float) -> float:
    """Return the density of Student's distribution: Abramowitz and Stegun 26.7.1's integrand."""
    exponent = _log_gamma_step(degrees / 2) - (degrees + 1) / 2 * math.log1p(t * t / degrees)
    return math.exp(exponent) / math.sqrt(math.pi * degrees)


def _log_gamma_step(a: float) -> float:
    """Return log Γ(a + 1/2) - log Γ(a)."""
    if a < 20:
        return math.lgamma(a + 0.5) - math.lgamma(a)
    # Both logarithms grow with a while their difference keeps small: at ten million visitors subtracting them
    # leaves eight digits. NIST Digital Library of Mathematical Functions 5.11.8, for h = 1/2 less h = 0.
    series = -1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5)
    return math.log(a) / 2 + series


def _beta_fraction(a: float, b: float, x: float, y: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) over x**a * y**b / B(a, b).

    `x` is at most a / (a + b), and `y` is 1 - x, asked for since x may be too near to 1 to tell. By the
    continued fraction of DiDonato and Morris, "Algorithm 708: significant digit computation of the incomplete
    beta function ratios", ACM Transactions on Mathematical Software 18 (1992) 360-373. The better known one,
    8.17.22 in the NIST Digital Library of Mathematical Functions, subtracts nearly equal numbers where a is
    large.
    """
    # Two ways to write one number; the other one would subtract two large ones.
    start = 1 + ((a + b) * y - b if a > b else a - (a + b) * x)

    def terms() -> Iterator[tuple[float, float]]:
        for n in count(1):
            middle = a + 2 * n - 1
            w = n * (b - n) * x
            numerator = (a + n - 1) * (a + b + n - 1) / middle**2 * w * x
            yield numerator, n + w / middle + (a + n) / (middle + 2) * (start + n * (1 + y))

    return 1 / _continued_fraction(a / (a + 1) * start, terms())


def _continued_fraction(start: float, terms: Iterator[tuple[float, float]]) -> float:
    """Return start + a1 / (b1 + a2 / (b2 + ...)) for the terms (a1, b1), (a2, b2), ...

    W. J. Lentz, "Generating Bessel functions in Mie scattering calculations using continued fractions",
    Applied Optics 15 (1976) 668-671.
    """
    value = above = start
    below = 0.0
    change = math.inf
    while abs(change - 1) > CONVERGED:
        numerator, denominator = next(terms)
        above = denominator + numerator / above
        below = 1 / (denominator + numerator * below)
        change = above * below
        value *= change
    return value
