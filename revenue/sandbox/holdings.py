"""All objects of one account in one mode, and Stripe's way of paging through them."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from revenue.sandbox.objects import StripeObject

_Place = tuple[int, int, str]

# Fields by which objects are looked up: a list of what belongs to one payment is read from its own timeline.
INDEXED = ("charge", "customer", "invoice", "payment_intent", "payment_link", "source", "subscription")


@dataclass(frozen=True)
class Page:
    data: list[StripeObject]
    has_more: bool


def _reference(item: StripeObject, name: str) -> str | None:
    """The id that an object holds in a field. An invoice names its subscription, a payment of it the intent, inside."""
    match item["object"], name:
        case "invoice_payment", "payment_intent":
            held = item["payment"].get(name)
        case "invoice", "subscription":
            held = item["parent"]["subscription_details"][name]
        case _:
            held = item.get(name)
    return held if isinstance(held, str) else None


class Holdings:
    def __init__(self) -> None:
        self.objects: dict[str, StripeObject] = {}
        # Per type, oldest first: (created, order of arrival, id). What arrives later may be created earlier.
        self._timelines: dict[str | tuple[str, str, str], list[_Place]] = defaultdict(list)
        self._places: dict[str, _Place] = {}

    def put(self, item: StripeObject) -> None:
        """Add an object, or replace an older version of it."""
        kind, before = item["object"], self.objects.get(item["id"])
        if before is None:
            created = item["created"] if "created" in item else item["_"]["created"]
            self._places[item["id"]] = (created, len(self._places), item["id"])
            insort(self._timelines[kind], self._places[item["id"]])
        place = self._places[item["id"]]
        for name in INDEXED:
            old, new = before and _reference(before, name), _reference(item, name)
            if old != new:
                if old:
                    self._timelines[kind, name, old].remove(place)
                if new:
                    insort(self._timelines[kind, name, new], place)
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
        among: tuple[str, str] | None = None,
    ) -> Page:
        """The newest `limit` matches, or those next to a cursor; both ends of the time window are included.

        `starting_after` goes on to older ones, `ending_before` goes back to the newer ones right before it. `among`
        is an indexed field and its value, which spares looking at all the others.
        """
        timeline = self._timelines.get((kind, *among) if among else kind, [])
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
