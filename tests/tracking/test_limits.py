import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from tracking import limits
from tracking.limits import BURST, PER_SECOND, Limits, network
from tracking.visitors import Address

HOME, ELSEWHERE = ipaddress.ip_address("203.0.113.7"), ipaddress.ip_address("203.0.113.8")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def taken(bucket: Limits, address: Address, times: int = 1, site_id: int = 1) -> int:
    return sum(bucket.seconds_to_wait(network(site_id, address)) == 0 for _ in range(times))


def test_a_thousand_at_once_pass_and_then_so_many_a_second() -> None:
    clock = Clock()
    bucket = Limits(PER_SECOND, BURST, clock)
    # Fractions of a token get lost in the arithmetic.
    assert BURST - 1 <= taken(bucket, HOME, 2 * BURST) <= BURST
    clock.now += 1
    assert PER_SECOND - 1 <= taken(bucket, HOME, BURST) <= PER_SECOND + 1
    clock.now += 3_600
    assert BURST - 1 <= taken(bucket, HOME, 2 * BURST) <= BURST


def test_who_is_refused_is_told_how_long() -> None:
    clock = Clock()
    bucket = Limits(PER_SECOND, BURST, clock)
    taken(bucket, HOME, BURST)
    wait = bucket.seconds_to_wait(network(1, HOME))
    assert 0 < wait <= 1 / PER_SECOND + 1e-9
    clock.now += wait + 1e-6
    assert bucket.seconds_to_wait(network(1, HOME)) == 0


def test_other_addresses_and_other_sites_have_buckets_of_their_own() -> None:
    bucket = Limits(PER_SECOND, BURST, Clock())
    taken(bucket, HOME, 2 * BURST)
    assert taken(bucket, ELSEWHERE) == taken(bucket, HOME, site_id=2) == 1
    assert taken(bucket, HOME) == 0


def test_of_an_ipv6_address_the_first_half_counts() -> None:
    bucket = Limits(PER_SECOND, BURST, Clock())
    for n in range(2 * BURST):
        bucket.seconds_to_wait(network(1, ipaddress.ip_address(f"2001:db8:0:1::{n:x}")))
    assert taken(bucket, ipaddress.ip_address("2001:db8:0:1:ffff::1")) == 0
    assert taken(bucket, ipaddress.ip_address("2001:db8:0:2::1")) == 1


def test_only_who_sent_something_lately_is_remembered_and_nobody_by_address() -> None:
    clock = Clock()
    bucket = Limits(PER_SECOND, BURST, clock)
    for n in range(3 * limits.MOST_SENDERS):
        bucket.seconds_to_wait(network(1, ipaddress.IPv4Address(n + 2**24)))
        clock.now += 0.001
    assert len(bucket._full_at) <= limits.MOST_SENDERS
    assert not any(HOME.packed in key for key in bucket._full_at)
    other = Limits(PER_SECOND, BURST, clock)
    for each in (bucket, other):
        each.seconds_to_wait(network(1, HOME))
    assert not bucket._full_at.keys() & other._full_at.keys()


def test_when_all_of_them_flood_it_begins_anew() -> None:
    bucket = Limits(PER_SECOND, BURST, Clock())
    for n in range(limits.MOST_SENDERS):
        bucket.seconds_to_wait(network(1, ipaddress.IPv4Address(n)))
    assert taken(bucket, HOME) == 1
    assert len(bucket._full_at) == 1


@given(st.lists(st.floats(0, 5), max_size=60))
def test_no_more_pass_than_the_burst_and_the_rate_allow(pauses: list[float]) -> None:
    clock = Clock()
    bucket = Limits(PER_SECOND, BURST, clock)
    began, passed = clock.now, 0
    for pause in pauses:
        clock.now += pause
        passed += taken(bucket, HOME, 300)
    assert passed <= BURST + PER_SECOND * (clock.now - began) + 1
