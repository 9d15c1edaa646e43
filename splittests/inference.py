"""What a split test's numbers allow to be said: sums in, frozen results out.

A reading takes the `Sums` of its arms, one SQL aggregate each, and returns None where the numbers do not
carry an answer. `proportion`, `mean` and `difference` are for one look at a sample whose size was fixed
beforehand: looking every day and stopping at the first small p-value finds differences that are not there.
`sequential` may be looked at as often as one likes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from splittests.distributions import (
    chi_square_tail,
    normal_below,
    normal_density,
    normal_quantile,
    student_quantile,
    student_tails,
)

# NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.5.15: with fewer visitors expected in an arm,
# the statistic does not follow the chi-square distribution closely enough.
LEAST_EXPECTED = 5
# Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019, warn below
# 0.0005 or 0.001, so that a sound test is hardly ever accused.
SUSPICIOUS_RATIO_P = 0.001
# Below either, an arm's intervals are too rough to be put into words.
LEAST_VISITORS = 100
LEAST_CONVERSIONS = 25
# Visitors of both arms at which `sequential` is narrowest unless a test has planned for a number: gbstats' default.
USUAL_SAMPLE = 5000
# The weights of two arms of one size.
EVEN = (1, 1)
# Before any data, two uplifts out of three are thought to lie within 30 %: the prior that GrowthBook proposes.
USUAL_UPLIFT = 0.3


@dataclass(frozen=True, slots=True)
class Sums:
    """One arm's visitors, those who paid nothing included, and their money in minor units.

    Give the sums as integers when you have them: floats are rounded beyond 2**53.
    """

    n: int
    total: float
    total_of_squares: float

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.n + other.n, self.total + other.total, self.total_of_squares + other.total_of_squares)

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(self.n - other.n, self.total - other.total, self.total_of_squares - other.total_of_squares)

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

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much more money per visitor the variant brought, and that as a fraction of the control's.

    `p_value` is two-sided, for `difference`; `uplift` is None unless the control's mean is positive.
    """

    difference: Interval
    uplift: Interval | None
    p_value: float


@dataclass(frozen=True, slots=True)
class Belief:
    """What to believe of the variant's uplift: how likely it is above 0, and what a wrong choice costs on average.

    `risk` is what choosing the variant is expected to lose, `control_risk` what keeping the control is, both as
    fractions of the control's mean: the loss where the choice is wrong, and nothing where it is right.
    """

    uplift: Interval
    chance_to_win: float
    risk: float
    control_risk: float


def is_telling(visitors: int, conversions: int) -> bool:
    """Tell whether an arm has enough of both for its intervals to mean something."""
    return visitors >= LEAST_VISITORS and conversions >= LEAST_CONVERSIONS


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


def sequential(
    control: Sums,
    variant: Sums,
    confidence: float = 0.95,
    sample: float = USUAL_SAMPLE,
    tuned_for: float | None = None,
) -> Comparison | None:
    """Compare money per visitor so that all looks together are wrong at most as often as one look may be.

    None as in `difference`. At the confidence that it is `tuned_for`, its own unless told, the interval is narrowest
    when both arms together have about `sample` visitors; both have to be chosen before the first look.

    Asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit
    theory and asymptotic confidence sequences", Annals of Statistics 52 (2024), arXiv:2103.06476v7: the margin is
    equation 9 with rho from equation 161, and the p-value inverts equation 155. It rests on Robbins' normal mixture;
    Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of
    Statistics 49 (2021). Asymptotic means: with few buyers it promises nothing.
    """
    if min(control.n, variant.n) < 2:
        return None
    squared_error = control.squared_error + variant.squared_error
    if squared_error == 0:
        return None
    estimate = variant.mean - control.mean
    spread = _spread_when_narrowest(tuned_for or confidence) * (control.n + variant.n) / sample
    quantile = _sequential_quantile(spread, confidence)
    return Comparison(
        difference=_around(estimate, quantile * math.sqrt(squared_error)),
        uplift=_uplift(control, variant, quantile),
        p_value=_sequential_p(spread, estimate**2 / squared_error),
    )


def belief(control: Sums, variant: Sums, confidence: float = 0.95, usual_uplift: float = USUAL_UPLIFT) -> Belief | None:
    """Weigh the uplift against a normal prior around 0 with this standard deviation; None where none is defined.

    Posterior of a normal mean with known variance: Gelman et al., "Bayesian Data Analysis", third edition,
    equation 2.10, on the delta method's normal likelihood. The risks are the unit normal loss integral, Raiffa
    and Schlaifer, "Applied Statistical Decision Theory" (1961), section 5.4; their use here is Stucchio,
    "Bayesian A/B testing at VWO" (2015). Same as gbstats' EffectBayesianABTest with a proper relative prior.
    """
    if min(control.n, variant.n) < 2 or control.mean <= 0:
        return None
    squared_error = _squared_error_of_uplift(control, variant)
    if squared_error == 0:
        return None
    precision = 1 / squared_error + 1 / usual_uplift**2
    estimate = (variant.mean / control.mean - 1) / squared_error / precision
    deviation = 1 / math.sqrt(precision)
    return Belief(
        uplift=_around(estimate, normal_quantile(confidence) * deviation),
        chance_to_win=normal_below(estimate / deviation),
        risk=deviation * _unit_loss(estimate / deviation),
        control_risk=deviation * _unit_loss(-estimate / deviation),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for there being several: below 0.05 each, all are right 19 times in 20.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979)
    65-70.
    """
    adjusted = [0.0] * len(p_values)
    so_far = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        so_far = max(so_far, min((len(p_values) - rank) * p_values[index], 1.0))
        adjusted[index] = so_far
    return adjusted


def holm_confidences(p_values: Sequence[float], confidence: float = 0.95) -> list[float]:
    """Return the confidence with which Holm's procedure tests each: its interval leaves 0 out if it is rejected.

    The smallest p-value has to be below (1 - confidence) / m for m of them, the next below (1 - confidence) /
    (m - 1), and so on to the first that is not; the rest are held against that one's level.
    """
    confidences = [confidence] * len(p_values)
    is_rejecting, left = True, len(p_values)
    for index in sorted(range(len(p_values)), key=p_values.__getitem__):
        level = (1 - confidence) / left
        confidences[index] = 1 - level
        is_rejecting = is_rejecting and p_values[index] <= level
        if is_rejecting:
            left -= 1
    return confidences


def visitors_for_share(
    share: float, uplift: float, power: float = 0.8, confidence: float = 0.95, weights: Sequence[int] = EVEN
) -> int:
    """Return the visitors all arms together need so that `sequential` finds this uplift of a share of visitors.

    `weights` are the arms' parts of the visitors, the control's first: the uplift is that of the smallest of the
    others, and found at the confidence that Holm's first step asks of several.

    J. L. Fleiss, "Statistical Methods for Rates and Proportions", second edition (1981), equation 3.14 and its
    counterpart for samples of unequal size, with the margin that `sequential` has at the planned sample in the place
    of the normal quantile.
    """
    assert 0 < share < 1
    other = share * (1 + uplift)
    assert 0 < other < 1
    assert other != share
    ratio = min(weights[1:]) / weights[0]
    middle = (share + ratio * other) / (ratio + 1)
    reach = _planned_quantile(confidence, weights) * math.sqrt((ratio + 1) * middle * (1 - middle)) + _power_quantile(
        power
    ) * math.sqrt(ratio * share * (1 - share) + other * (1 - other))
    return _of_all(weights, (reach / (other - share)) ** 2 / ratio / weights[0])


def visitors_for_mean(
    arm: Sums, uplift: float, power: float = 0.8, confidence: float = 0.95, weights: Sequence[int] = EVEN
) -> int | None:
    """Return the visitors all arms together need so that `sequential` finds this uplift of money per visitor.

    `arm` is what visitors bring as things are; None if they bring nothing. `weights` as in `visitors_for_share`.
    G. van Belle, "Statistical Rules of Thumb", second edition (2008), equation 2.2, with the same margin, and for
    arms of unequal size the sum of their squared errors.
    """
    assert uplift
    if arm.n < 2 or arm.mean <= 0 or arm.variance == 0:
        return None
    reach = _planned_quantile(confidence, weights) + _power_quantile(power)
    parts = 1 / weights[0] + 1 / min(weights[1:])
    return _of_all(weights, parts * arm.variance * (reach / (uplift * arm.mean)) ** 2)


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
    margin = quantile * math.sqrt(_squared_error_of_uplift(control, variant))
    return _around(variant.mean / control.mean - 1, margin)


def _squared_error_of_uplift(control: Sums, variant: Sums) -> float:
    ratio = variant.mean / control.mean
    return (variant.squared_error + ratio**2 * control.squared_error) / control.mean**2


def _sequential_quantile(spread: float, confidence: float) -> float:
    """Return how many standard errors the confidence sequence reaches when rho squared times n is `spread`."""
    return math.sqrt(2 * (spread + 1) / spread * (math.log1p(spread) / 2 - math.log(1 - confidence)))


def _sequential_p(spread: float, squared_z: float) -> float:
    return min(math.exp(math.log1p(spread) / 2 - squared_z * spread / (2 * (spread + 1))), 1.0)


def _spread_when_narrowest(confidence: float) -> float:
    """Return rho squared times the visitors at which the confidence sequence is narrowest."""
    doubled = -2 * math.log(1 - confidence)
    return doubled + math.log(doubled + 1)


def _of_all(weights: Sequence[int], per_weight: float) -> int:
    """Return the visitors of all arms when each has at least so many for each unit of its weight."""
    return sum(math.ceil(weight * per_weight) for weight in weights)


def _planned_quantile(confidence: float, weights: Sequence[int]) -> float:
    """Return the margin of the smallest arm against the control when all planned visitors have come.

    The sequence is tuned to all arms' visitors at the strictest confidence of Holm's, of which two arms have a part.
    """
    strictest = 1 - (1 - confidence) / (len(weights) - 1)
    part = (weights[0] + min(weights[1:])) / sum(weights)
    return _sequential_quantile(_spread_when_narrowest(strictest) * part, strictest)


def _power_quantile(power: float) -> float:
    """Return the z that a standard normal value stays below with this probability."""
    assert 0.5 < power < 1
    return normal_quantile(2 * power - 1)


def _unit_loss(z: float) -> float:
    """Return how far below -z a standard normal value lies on average, counting 0 where it lies above."""
    return normal_density(z) - z * normal_below(-z)
