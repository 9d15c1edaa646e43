"""The distributions that the readings need: how far out a value lies, and how far out a share of them does."""

import math
from collections.abc import Iterator
from itertools import count
from statistics import NormalDist

CONVERGED = 1e-15


def normal_quantile(confidence: float) -> float:
    """Return the z that a standard normal value stays within, on both sides, with this confidence."""
    assert 0 < confidence < 1
    return -NormalDist().inv_cdf((1 - confidence) / 2)


def normal_below(z: float) -> float:
    """Return the probability that a standard normal value lies below z, with all digits far out, too."""
    return math.erfc(-z / math.sqrt(2)) / 2


def normal_density(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


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
