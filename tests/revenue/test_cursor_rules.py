"""The rule by which a list is read again, and those of others, on a model of Stripe's lists.

Objects are dated in whole seconds, show up later than they are dated, and come in bursts. Whoever remembers only
the newest date has seen loses some of them.
"""

import datetime as dt
import random
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from revenue import streams
from revenue.pager import pages
from revenue.stripe_client import Answer, StripeReader

START = 1_790_000_000
MINUTE, HOUR, DAY = 60, 3600, 86_400


@dataclass(frozen=True, order=True)
class Item:
    created: int
    id: str
    visible_at: float = field(compare=False)


def _age(item: Item) -> int:
    return -item.created


class KilledError(BaseException):
    """The reader's process is gone."""


class Shelf:
    """A list as Stripe shows it at a time, in place of a reader of it; each page takes a while to come."""

    def __init__(self, items: Iterable[Item], page_length: int) -> None:
        self.now: float = START
        self.killed_after: int | None = None
        # The newest first.
        self._items, self._page_length = sorted(items, reverse=True), page_length

    def get(self, path: str, params: Mapping[str, Any]) -> Answer:
        if self.killed_after is not None:
            if self.killed_after == 0:
                raise KilledError
            self.killed_after -= 1
        self.now += 0.2
        created = {"gte": 0, "lt": 2**40, **params.get("created", {})}
        newest, oldest = (bisect_left(self._items, -bound + 1, key=_age) for bound in (created["lt"], created["gte"]))
        shown = [item for item in self._items[newest:oldest] if item.visible_at <= self.now]
        if "starting_after" in params:
            place = [item.id for item in shown].index(params["starting_after"]) + 1
            shown = shown[place:]
        data = [{"id": item.id, "created": item.created} for item in shown[: self._page_length]]
        date = dt.datetime.fromtimestamp(int(self.now), dt.UTC)
        return Answer({"object": "list", "data": data, "has_more": len(shown) > self._page_length}, date, "")


def at(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC)


class Rule:
    """Something that reads a list time and again; `kept` is what it has, and from when."""

    # How far the reader's own clock is off.
    skew: float = 0

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}

    def poll(self, shelf: Shelf) -> None:
        raise NotImplementedError

    def read(self, shelf: Shelf, since: dt.datetime | None, until: dt.datetime | None = None) -> dt.datetime:
        """Keep every page as it comes; tell when the first one came, by Stripe's clock."""
        began_at = None
        for page in pages(cast(StripeReader, shelf), "/v1/charges", livemode=False, since=since, until=until):
            began_at = began_at or page.observed_at
            self.kept |= {item["id"]: item["created"] for item in page.objects}
        assert began_at
        return began_at

    @property
    def newest(self) -> int:
        return max(self.kept.values(), default=START - DAY)


class Ours(Rule):
    covered_to: dt.datetime | None = None
    # A sweep would only hide what the rule itself loses.
    reach = streams.OVERLAP

    def poll(self, shelf: Shelf) -> None:
        # The history before the first reading is read as a whole.
        since = streams.since(self.covered_to, at(shelf.now), self.reach) if self.covered_to else None
        began_at = self.read(shelf, since)
        covered_to = streams.covered(began_at)
        self.covered_to = max(self.covered_to, covered_to) if self.covered_to else covered_to


class WithSweeps(Ours):
    """Now and then a longer while is read again."""

    polls = 0

    def poll(self, shelf: Shelf) -> None:
        self.polls += 1
        self.reach = streams.LOOK_BACK if self.polls % 12 == 0 else streams.OVERLAP
        super().poll(shelf)


class AfterTheNewest(Rule):
    """created[gt] = the newest that is kept."""

    def poll(self, shelf: Shelf) -> None:
        self.read(shelf, at(self.newest + 1))


class FromTheNewest(Rule):
    """created[gte] = the newest that is kept, which the identity keeps from counting twice."""

    def poll(self, shelf: Shelf) -> None:
        self.read(shelf, at(self.newest))


class TenMinutesBack(Rule):
    """From ten minutes before the last reading up to the next one, both by the reader's own clock."""

    last: float = START - DAY

    def poll(self, shelf: Shelf) -> None:
        now = shelf.now + self.skew
        self.read(shelf, at(self.last - 600), at(now))
        self.last = now


class AMinuteBehind(Rule):
    """What is older than a minute by the reader's own clock, after the newest that is kept."""

    last: float = START - DAY

    def poll(self, shelf: Shelf) -> None:
        until = shelf.now + self.skew - MINUTE
        known = len(self.kept)
        self.read(shelf, at(self.last + 1), at(until + 1))
        self.last = self.newest if len(self.kept) > known else until


def lost(rule: Rule, shelf: Shelf, items: list[Item], period: float, killed: Mapping[int, int] | None = None) -> int:
    """Let a rule read until everything has been visible for a while; count what it never got.

    `killed` says in which readings the reader dies, and after how many pages.
    """
    end = max((item.visible_at for item in items), default=START) + HOUR
    due, turn, is_read = float(START), 0, False
    while due < end or not is_read:
        due = max(due + period, shelf.now)
        shelf.now, shelf.killed_after = due, (killed or {}).get(turn)
        turn += 1
        try:
            rule.poll(shelf)
            is_read = True
        except KilledError:
            is_read = False
    return len({item.id for item in items} - rule.kept.keys())


def flash_sales(seed: int, count: int = 3000, span: int = DAY) -> list[Item]:
    """A day of single sales and bursts; 970 of 1,000 objects show up within two seconds, one within ten minutes."""
    chooser = random.Random(seed)
    items: list[Item] = []
    while len(items) < count:
        moment = START + chooser.uniform(0, span)
        for _ in range(1 if chooser.random() < 0.6 else chooser.randint(2, 12)):
            created = moment + chooser.random() * 1.5
            part = chooser.random()
            longest = 2 if part < 0.97 else 60 if part < 0.995 else 600
            items.append(Item(int(created), f"ch_{len(items)}", created + chooser.uniform(0, longest)))
    return items


SALES = flash_sales(7)


def lost_of_sales(rule: type[Rule], period: float, skew: float = 0, is_killed: bool = False) -> int:
    reader = rule()
    reader.skew = skew
    chooser = random.Random(1)
    killed = {turn: chooser.randint(1, 2) for turn in range(10_000) if chooser.random() < 0.2} if is_killed else None
    return lost(reader, Shelf(SALES, 10 if is_killed else 100), SALES, period, killed)


@pytest.mark.parametrize("rule", [Ours, WithSweeps])
@pytest.mark.parametrize(
    ("period", "skew", "is_killed"),
    [
        pytest.param(60, 0, False, id="every minute"),
        pytest.param(300, 0, False, id="every five minutes"),
        pytest.param(4 * HOUR, 0, False, id="every four hours"),
        pytest.param(300, 20 * MINUTE, False, id="our clock is fast"),
        pytest.param(300, -20 * MINUTE, False, id="our clock is slow"),
        pytest.param(300, 0, True, id="often killed"),
    ],
)
def test_our_rule_loses_nothing(rule: type[Rule], period: float, skew: float, is_killed: bool) -> None:
    assert lost_of_sales(rule, period, skew, is_killed) == 0


@pytest.mark.parametrize(
    ("rule", "period", "skew", "is_killed"),
    [
        pytest.param(AfterTheNewest, 60, 0, False, id="after the newest"),
        pytest.param(AfterTheNewest, 300, 0, True, id="after the newest, often killed"),
        pytest.param(FromTheNewest, 60, 0, False, id="from the newest on"),
        pytest.param(TenMinutesBack, 300, 20 * MINUTE, False, id="ten minutes back, by a fast clock"),
        pytest.param(AMinuteBehind, 300, 0, False, id="a minute behind"),
        pytest.param(AMinuteBehind, 300, 20 * MINUTE, False, id="a minute behind, by a fast clock"),
    ],
)
def test_the_model_sees_what_other_rules_lose(rule: type[Rule], period: float, skew: float, is_killed: bool) -> None:
    assert lost_of_sales(rule, period, skew, is_killed) > 0


# What shows up within a quarter of an hour is found without a sweep; Stripe is known to take ten minutes.
LATEST = 15 * MINUTE
LAGS = st.one_of(st.floats(0, 2), st.floats(0, MINUTE), st.floats(0, LATEST))
BURSTS = st.lists(st.tuples(st.integers(0, HOUR // 2), st.lists(LAGS, min_size=1, max_size=12)), max_size=8)


@settings(max_examples=50)
@given(
    bursts=BURSTS,
    period=st.sampled_from([20, 60, 240, 900, 3 * HOUR]),
    page_length=st.integers(1, 5),
    killed=st.dictionaries(st.integers(0, 40), st.integers(0, 4), max_size=20),
)
@example(bursts=[(100, [0.0, 900.0])], period=60, page_length=1, killed={})
@example(bursts=[(100, [0.0] * 12)], period=60, page_length=1, killed={1: 1, 2: 2, 3: 3})
def test_whenever_it_shows_up_and_whoever_dies_our_rule_finds_it(
    bursts: list[tuple[int, list[float]]], period: float, page_length: int, killed: dict[int, int]
) -> None:
    items: list[Item] = []
    for second, lags in bursts:
        for lag in lags:
            created = START + second
            items.append(Item(created, f"ch_{len(items)}", created + lag))

    assert lost(Ours(), Shelf(items, page_length), items, period, killed) == 0


def test_what_shows_up_later_than_that_is_only_found_by_a_sweep() -> None:
    late = [Item(START + HOUR, "ch_late", START + HOUR + LATEST + 5 * MINUTE)]

    assert lost(Ours(), Shelf(late, 100), late, 60) == 1
    assert lost(WithSweeps(), Shelf(late, 100), late, 60) == 0
