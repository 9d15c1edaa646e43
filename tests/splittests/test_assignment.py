from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from splittests.assignment import SecretError, WeightsError, identity, takes_part, variant_for
from splittests.inference import sample_ratio_p

SECRET = bytes(range(16))
VISITORS = [identity(f"192.0.2.{number % 250}", f"Browser/{number}") for number in range(3000)]
# One fair draw in a million looks worse than this; and the examples are the same in every run.
UNBELIEVABLE = 1e-6
same_every_run = settings(derandomize=True, max_examples=25)
secrets = st.binary(min_size=1, max_size=64)
weight_lists = st.lists(st.integers(0, 1000), min_size=1, max_size=6).filter(any)


def counts(secret: bytes, weights: Sequence[int]) -> list[int]:
    chosen = Counter(variant_for(secret, visitor, weights) for visitor in VISITORS)
    return [chosen[index] for index in range(len(weights))]


@same_every_run
@given(secrets, weight_lists)
def test_shares_follow_the_weights(secret: bytes, weights: list[int]) -> None:
    observed = counts(secret, weights)
    assert sum(observed) == len(VISITORS)
    probability = sample_ratio_p(observed, weights)
    assert probability is None or probability > UNBELIEVABLE


@pytest.mark.parametrize("weights", [(1, 1), (1, 2, 4), (10, 90), (0, 3, 0, 7), (1,) * 6])
def test_uneven_and_odd_weights_give_everyone_their_share(weights: tuple[int, ...]) -> None:
    probability = sample_ratio_p(counts(SECRET, weights), weights)
    assert probability is not None
    assert probability > 0.001


@same_every_run
@given(secrets, secrets, st.integers(1, 5), st.integers(1, 5))
def test_two_tests_divide_visitors_independently(first: bytes, second: bytes, a: int, b: int) -> None:
    # HMAC pads a short key with zero bytes, so these two would be one key.
    assume(first.rstrip(b"\0") != second.rstrip(b"\0"))
    cells = Counter((variant_for(first, visitor, (a, b)), variant_for(second, visitor, (b, a))) for visitor in VISITORS)
    observed = [cells[0, 0], cells[0, 1], cells[1, 0], cells[1, 1]]
    probability = sample_ratio_p(observed, [a * b, a * a, b * b, b * a])
    assert probability is not None
    assert probability > UNBELIEVABLE


@same_every_run
@given(secrets, st.binary(), weight_lists)
def test_nobody_gets_a_variant_of_weight_0(secret: bytes, visitor: bytes, weights: list[int]) -> None:
    assert weights[variant_for(secret, visitor, weights)] > 0


@pytest.mark.parametrize(("weights", "only"), [((0, 1), 1), ((1, 0), 0), ((0, 0, 1, 0), 2), ((5,), 0)])
def test_a_single_weighted_variant_gets_everyone(weights: tuple[int, ...], only: int) -> None:
    assert {variant_for(SECRET, visitor, weights) for visitor in VISITORS} == {only}


@same_every_run
@given(secrets, st.binary(), weight_lists, st.integers(1, 10**6))
def test_a_common_factor_of_the_weights_moves_nobody(
    secret: bytes, visitor: bytes, weights: list[int], factor: int
) -> None:
    multiplied = [weight * factor for weight in weights]
    assert variant_for(secret, visitor, multiplied) == variant_for(secret, visitor, weights)


@pytest.mark.parametrize(
    ("ip", "user_agent", "variant"),
    [
        ("192.0.2.1", "Mozilla/5.0", 2),
        ("192.0.2.2", "Mozilla/5.0", 1),
        ("2001:db8::1", "Mozilla/5.0", 2),
        ("2001:db8::1", "", 2),
    ],
)
def test_an_upgrade_moves_nobody_in_a_running_test(ip: str, user_agent: str, variant: int) -> None:
    assert variant_for(SECRET, identity(ip, user_agent), (20, 30, 50)) == variant


def test_text_and_its_utf_8_bytes_are_the_same_visitor() -> None:
    weights = (1,) * 1000
    assert variant_for(SECRET, "Grüße", weights) == variant_for(SECRET, "Grüße".encode(), weights)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("192.0.2.1", "Browser"), ("192.0.2.2", "Browser")),
        (("192.0.2.1", "Browser"), ("192.0.2.1", "browser")),
        pytest.param(("192.0.2.1", "2 Browser"), ("192.0.2.12", " Browser"), id="a digit moved over"),
        pytest.param(("192.0.2.1", ""), ("", "192.0.2.1"), id="one is empty"),
    ],
)
def test_different_addresses_or_browsers_are_different_visitors(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert identity(*one) != identity(*other)


def test_a_user_agent_that_is_not_text_still_identifies() -> None:
    broken = b"Browser \xff".decode("utf-8", "surrogateescape")
    assert identity("192.0.2.1", broken) != identity("192.0.2.1", "Browser ")
    weights = (1,) * 1000
    assert variant_for(SECRET, broken, weights) != variant_for(SECRET, "Browser ", weights)


@pytest.mark.parametrize("weights", [(), (0,), (0, 0), (2, -1), (-1, -1)])
def test_weights_that_share_nothing_out_are_refused(weights: tuple[int, ...]) -> None:
    with pytest.raises(WeightsError):
        variant_for(SECRET, "visitor", weights)


def test_a_test_without_a_secret_is_refused() -> None:
    with pytest.raises(SecretError):
        variant_for(b"", "visitor", (1, 1))


@pytest.mark.parametrize("percent", [1, 20, 50, 99])
def test_who_takes_part_is_drawn_apart_from_the_variant(percent: int) -> None:
    cells = Counter(
        (takes_part(SECRET, visitor, percent), variant_for(SECRET, visitor, (1, 1))) for visitor in VISITORS
    )
    observed = [cells[True, 0], cells[True, 1], cells[False, 0], cells[False, 1]]
    probability = sample_ratio_p(observed, [percent, percent, 100 - percent, 100 - percent])
    assert probability is not None
    assert probability > 0.001


def test_a_larger_share_takes_more_in_and_puts_nobody_out() -> None:
    for visitor in VISITORS[:300]:
        shares = [takes_part(SECRET, visitor, percent) for percent in (0, 1, 30, 70, 100)]
        assert shares == sorted(shares)
        assert (shares[0], shares[-1]) == (False, True)


def test_nobody_takes_part_by_a_secret_that_is_empty() -> None:
    with pytest.raises(SecretError):
        takes_part(b"", b"somebody", 100)
