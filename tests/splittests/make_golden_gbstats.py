"""Ask gbstats what `golden_gbstats.json` holds. gbstats is no dependency: it pins pandas 1 and Python 3.11.

    uv run --no-project --python 3.11 --with gbstats==0.8.0 python tests/splittests/make_golden_gbstats.py

The visitors are made up: conversions, and orders whose amounts are log-normal, as they are and capped.
"""

import json
import random
from pathlib import Path
from typing import Any

from gbstats.bayesian.tests import EffectBayesianABTest, EffectBayesianConfig, GaussianPrior
from gbstats.frequentist.tests import FrequentistConfig, SequentialConfig, SequentialTwoSidedTTest, TwoSidedTTest
from gbstats.models.statistics import SampleMeanStatistic
from gbstats.utils import check_srm

Arm = list[int]
SPLITS = [
    ([5021, 4988], [1, 1]),
    ([5200, 4800], [1, 1]),
    ([334, 333, 400], [1, 1, 1]),
    ([9000, 1100], [9, 1]),
    ([821588, 815482], [1, 1]),
]


def spent(random: random.Random, visitors: int, conversions: int, typical: float, cap: int | None = None) -> Arm:
    """Give n, sum and sum of squares of visitors of whom some have bought."""
    totals = [round(random.lognormvariate(typical, 1.1)) for _ in range(conversions)]
    kept = [min(total, cap) if cap else total for total in totals]
    return [visitors, sum(kept), sum(total**2 for total in kept)]


def cases() -> list[tuple[Arm, Arm]]:
    chance = random.Random(8)
    converted = [
        ([n, a, a], [m, b, b]) for n, a, m, b in [(5021, 251, 4988, 309), (400, 40, 410, 39), (60, 12, 61, 20)]
    ]
    for visitors in (300, 5000, 200_000, 3_000_000):
        buyers = visitors // 30
        converted += [
            (spent(chance, visitors, buyers, 8.3), spent(chance, visitors + 7, round(buyers * 1.1), 8.3)),
            (spent(chance, visitors, buyers, 8.3, 20_000), spent(chance, visitors // 9, buyers // 9, 8.5, 20_000)),
        ]
    return converted


def answers(control: Arm, variant: Arm, confidence: float, sample: float, usual_uplift: float) -> dict[str, Any]:
    arms = SampleMeanStatistic(*control), SampleMeanStatistic(*variant)
    alpha = 1 - confidence

    def told(kind: str) -> dict[str, list[float]]:
        fixed = TwoSidedTTest(*arms, FrequentistConfig(difference_type=kind, alpha=alpha)).compute_result()
        config = SequentialConfig(difference_type=kind, alpha=alpha, sequential_tuning_parameter=sample)
        always = SequentialTwoSidedTTest(*arms, config).compute_result()
        return {
            "fixed": [fixed.expected, *fixed.ci, fixed.p_value],
            "sequential": [always.expected, *always.ci, always.p_value],
        }

    prior = GaussianPrior(0, usual_uplift**2, proper=True)
    config = EffectBayesianConfig(difference_type="relative", alpha=alpha, prior_effect=prior)
    believed = EffectBayesianABTest(*arms, config).compute_result()
    return {
        "control": control,
        "variant": variant,
        "confidence": confidence,
        "sample": sample,
        "usual_uplift": usual_uplift,
        "difference": told("absolute"),
        "uplift": told("relative"),
        "belief": [believed.expected, *believed.ci, believed.chance_to_win, *believed.risk],
    }


def main() -> None:
    settings = [(0.95, 5000, 0.3), (0.99, 100_000, 0.1), (0.9, 800, 1)]
    golden = {
        "made_by": "gbstats 0.8.0",
        "comparisons": [answers(*arms, *chosen) for arms in cases() for chosen in settings],
        "sample_ratio": [[users, weights, float(check_srm(users, weights))] for users, weights in SPLITS],
    }
    Path(__file__).with_name("golden_gbstats.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
