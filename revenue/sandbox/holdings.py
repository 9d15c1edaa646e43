"""All objects of one account in one mode, and Stripe's way of paging through them."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from revenue.sandbox.objects import StripeObject

_Place = tuple[int, int, str]


@dataclass(frozen=True)
class Page:
    data: list[StripeObject]
    has_more: bool


class Holdings:
    def __init__(self) -> None:
        self.objects: dict[str, StripeObject] = {}
        # Per type, oldest first: (created, order of arrival, id). What arrives later may be created earlier.
        self._timelines: dict[str, list[_Place]] = defaultdict(list)
        self._places: dict[str, _Place] = {}

    def put(self, item: StripeObject) -> None:
        """Add an object, or replace an older version of it."""
        if item["id"] not in self.objects:
            place = (item["created"], len(self._places), item["id"])
            self._places[item["id"]] = place
            insort(self._timelines[item["object"]], place)
        self.objects[item["id"]] = item

    def all(self, kind: str) -> list[StripeObject]:
        return [self.objects[identifier] for _, _, identifier in self._timelines[kind]]

    def page(
        self,
        kind: str,
        matches: Callable[[StripeObject], bool],
        limit: int,
        created_from: int,
        created_to: int,
        starting_after: str | None = None,
        ending_before: str | None = None,
    ) -> Page:
        """The newest `limit` matches, or those next to a cursor; both ends of the time window are included.

        `starting_after` goes on to older ones, `ending_before` goes back to the newer ones right before it.
        """
        timeline = self._timelines[kind]
        # A bare (second,) sorts before every place in that second.
        low = bisect_left(timeline, (created_from,))
        high = bisect_left(timeline, (created_to + 1,))
        if starting_after is not None:
            high = min(high, bisect_left(timeline, self._places[starting_after]))
        if ending_before is not None:
            low = max(low, bisect_left(timeline, self._places[ending_before]) + 1)
        walk = range(low, high) if ending_before is not None else range(high - 1, low - 1, -1)
        found: list[StripeObject] = []
        for index in walk:
            item = self.objects[timeline[index][2]]
            if matches(item):
                if len(found) == limit:
                    return Page(found if ending_before is None else found[::-1], has_more=True)
                found.append(item)
        return Page(found if ending_before is None else found[::-1], has_more=False)
