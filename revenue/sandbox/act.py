"""One act, whole or not at all: what it reads, the new versions it leaves, and what it puts off until later."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from revenue.sandbox import objects, versions
from revenue.sandbox.accounts import Account
from revenue.sandbox.currencies import settle
from revenue.sandbox.objects import StripeObject


@dataclass
class Act:
    """What happens at `now` on an account, in one mode.

    `find` answers the objects as they were before; `origin` is where pages for buyers are served; `booked_after`
    is how many seconds a balance transaction comes after its charge.
    """

    now: int
    livemode: bool
    account: Account
    find: Callable[[str], StripeObject]
    origin: str
    booked_after: int = 0
    _objects: dict[str, StripeObject] = field(default_factory=dict)
    _rest: list[StripeObject] = field(default_factory=list)

    @property
    def changes(self) -> list[StripeObject]:
        """All that is new, in the order it came to be, an object's last version only."""
        return [*self._objects.values(), *self._rest]

    def get(self, object_id: str) -> StripeObject:
        return self._objects.get(object_id) or self.find(object_id)

    def put(self, item: StripeObject) -> StripeObject:
        self._objects[item["id"]] = item
        return item

    def change(self, item: StripeObject, **fields: Any) -> StripeObject:
        return self.put({**item, **fields})

    def keep(self, item: StripeObject, **kept: Any) -> StripeObject:
        """Remember something with the object that Stripe would not show."""
        return self.put({**item, "_": {**item.get("_", {}), **kept}})

    def event(self, type: str, subject: StripeObject) -> None:
        version = self.account.api_version
        shown = versions.render(objects.as_shown(subject), version, self.get)
        self._rest.append(objects.event(type, shown, version, self.now, self.livemode))

    def later(self, at: int, task: str, subject: str, argument: Any = None) -> None:
        """Let the world do `task` with an object at that time, if it still applies then."""
        self._rest.append({"object": "task", "at": at, "task": task, "subject": subject, "argument": argument})

    def settled(self, amount: int, currency: str) -> int:
        return settle(amount, currency, self.account.default_currency)[0]

    def book(
        self,
        source: StripeObject,
        type: str,
        category: str,
        amount: int,
        *,
        fee: int = 0,
        fee_description: str = "Stripe processing fees",
        description: str | None = None,
    ) -> StripeObject:
        """Record a movement of the balance that `source` caused; `amount` is in its currency."""
        settled_in = self.account.default_currency
        settled, rate = settle(amount, source["currency"], settled_in)
        fees = [objects.fee(fee, settled_in, fee_description)] if fee else []
        transaction = objects.balance_transaction(
            source, type, category, settled, settled_in, None if rate is None else float(rate), fees, self.now
        )
        if description:
            transaction["description"] = description
        return self.put(transaction)

    def post(
        self,
        key: str,
        kind: str,
        payment: str | None,
        amount: int,
        currency: str,
        *,
        moved: int,
        fee: int = 0,
        transaction: str | None = None,
        at: int | None = None,
    ) -> None:
        """Write a line into the sandbox's own books; a line with the same key is replaced.

        `amount` is what sales changed by, in `currency`; `moved` is what the balance changed by before the `fee`,
        in the account's own currency.
        """
        self.put(
            {
                "id": f"posting:{key}",
                "object": "posting",
                "created": self.now if at is None else at,
                "kind": kind,
                "payment": payment,
                "amount": amount,
                "currency": currency,
                "moved": moved,
                "fee": fee,
                "moved_in": self.account.default_currency,
                "balance_transaction": transaction,
            }
        )
