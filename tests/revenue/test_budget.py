import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue import budget
from revenue.budget import Pace, allowance, ceiling, pace, share

MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("transactions", "reads"),
    [
        pytest.param(0, 10_000, id="nothing sold"),
        pytest.param(20, 10_000, id="as many as the least is worth"),
        pytest.param(21, 10_500, id="one more"),
        pytest.param(10_000, 5_000_000, id="a busy shop"),
    ],
)
def test_stripe_grants_500_reads_a_transaction_and_10000_at_least(transactions: int, reads: int) -> None:
    # docs.stripe.com/rate-limits
    assert budget.granted(transactions) == reads
    assert share(transactions) == reads // 2


@pytest.mark.parametrize(
    ("transactions", "quickest"),
    [
        pytest.param(0, Pace(15 * MINUTE, 2 * HOUR, 2), id="quiet"),
        pytest.param(40, Pace(15 * MINUTE, 2 * HOUR, 16), id="a sale a day"),
        pytest.param(50, Pace(5 * MINUTE, HOUR, 2), id="a few sales a day"),
        pytest.param(1000, Pace(MINUTE, 15 * MINUTE, 20), id="busy"),
    ],
)
def test_an_account_with_more_payments_is_read_more_often(transactions: int, quickest: Pace) -> None:
    assert pace(allowance(transactions, 0)) == quickest


def test_who_has_read_much_reads_on_more_slowly_but_never_stops() -> None:
    assert pace(allowance(0, 4_900)) == Pace(HOUR, 4 * HOUR, 8)
    assert pace(allowance(0, 9_000)).reads_a_day <= budget.TRICKLE


@given(st.integers(0, 10**6), st.integers(0, 10**8))
def test_no_pace_costs_more_than_is_allowed(transactions: int, before: int) -> None:
    allowed = allowance(transactions, before)
    chosen = pace(allowed)

    assert chosen.reads_a_day <= allowed
    assert budget.TRICKLE <= allowed <= max(budget.TRICKLE, ceiling(transactions, before))


@given(st.integers(0, 3000), st.lists(st.integers(0, 2000), min_size=60, max_size=60))
def test_any_30_days_stay_within_our_half_whatever_each_day_asks_for(transactions: int, wanted: list[int]) -> None:
    spent: list[int] = []
    for reads in wanted:
        spent.append(min(reads, allowance(transactions, sum(spent[-29:]))))

    assert all(sum(spent[first : first + 30]) <= share(transactions) for first in range(31))
