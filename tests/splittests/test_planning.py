import pytest

from splittests.inference import Sums, visitors_for_mean, visitors_for_share
from splittests.planning import PageHistory, Plan, plans

# 60 of 2,000 visitors paid 50 each.
SUMS = Sums(2000, 60 * 50, 60 * 50**2)


def test_a_plan_tells_the_visitors_of_all_arms_and_their_days() -> None:
    small, *_, large = plans(PageHistory(30, 60, SUMS))
    needed = visitors_for_mean(SUMS, 0.5)
    assert needed is not None
    assert large == Plan(0.5, needed, -(-needed * 30 // 2000), visitors_for_share(0.03, 0.5))
    assert small.uplift_text == "5%"
    # A tenth of the change takes a hundred times the visitors.
    assert small.visitors == pytest.approx(100 * large.visitors, rel=0.001)


def test_a_rate_cannot_grow_beyond_everybody() -> None:
    found = list(plans(PageHistory(30, 80, Sums(100, 8000, 8000 * 120))))
    assert [plan.for_rate is None for plan in found] == [False, False, False, True]


@pytest.mark.parametrize("sums", [Sums(0, 0, 0), Sums(1, 50, 2500), Sums(100, 0, 0)])
def test_without_revenue_there_is_no_plan(sums: Sums) -> None:
    assert list(plans(PageHistory(30, 0, sums))) == []
