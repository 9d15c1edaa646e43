"""What there is in the sandbox and what time it is there: accounts, keys, objects, and what is due later.

Objects are handed out as they are kept: read them, never change them.
"""

import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any, Self

from revenue.sandbox import agenda, objects
from revenue.sandbox.accounts import READ_PERMISSIONS, Account, ApiKey, Owner, new_account
from revenue.sandbox.act import Act
from revenue.sandbox.agenda import Task
from revenue.sandbox.currencies import supported
from revenue.sandbox.errors import missing
from revenue.sandbox.holdings import Holdings, Page
from revenue.sandbox.journal import Journal, replay
from revenue.sandbox.objects import API_VERSION, StripeObject, identifier
from revenue.sandbox.parameters import FOREVER
from revenue.sandbox.versions import known

_EVENT_RETENTION = 30 * 86_400


class State:
    """`booked_after` is how many seconds a balance transaction comes after its charge; `lag` tells for each new
    object how many seconds after its creation lists and gets begin to show it.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.lock = RLock()
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}
        self.booked_after = 0
        self.lag: Callable[[StripeObject], float] | None = None
        # Where buyers reach the checkout page; the server sets it when it knows its own address.
        self.origin = "http://127.0.0.1"
        self._clock = now
        self._offset: float = 0
        self._set_time: int | None = None
        self._holdings: dict[Owner, Holdings] = defaultdict(Holdings)
        self._owners: dict[str, Owner] = {}
        self._hidden: dict[str, float] = {}
        self._agenda: list[Task] = []
        self._numbers = count()
        self._journal: Journal | None = None

    @classmethod
    def open(cls, path: Path, now: Callable[[], float] = time.time) -> Self:
        """Return the world as the journal at `path` left it; everything from now on is added there."""
        world = cls(now)
        for entry in replay(path):
            world._apply(entry)
        world._journal = Journal(path)
        return world

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def now(self) -> int:
        with self.lock:
            return int(self._clock() + self._offset) if self._set_time is None else self._set_time

    def advance(self, seconds: float) -> None:
        """Move the clock, and let happen what falls due meanwhile, each at its own time."""
        with self.lock:
            self._record({"offset": self._offset + seconds})
            self.run_due()

    @contextmanager
    def at(self, timestamp: int) -> Iterator[None]:
        """Let what is done inside happen at `timestamp`. Others wait: nobody else lives in the past."""
        with self.lock:
            outer, self._set_time = self._set_time, timestamp
            try:
                yield
            finally:
                self._set_time = outer

    def run_due(self) -> None:
        with self.lock:
            now = self.now()
            while self._agenda and self._agenda[0].at <= now:
                task = heappop(self._agenda)
                with self.at(task.at), self._act(self._owners[task.subject]) as act:
                    agenda.perform(act, task)

    def add_account(
        self,
        name: str,
        country: str = "DE",
        default_currency: str = "eur",
        secret_key: str | None = None,
        api_version: str = API_VERSION,
    ) -> Account:
        """Open an account, or return the one that already has this secret key."""
        with self.lock:
            if secret_key in self.keys:
                return self.accounts[self.keys[secret_key].owner.account_id]
            currency = supported(default_currency, "default_currency")
            account = new_account(name, country, currency, secret_key, self.now(), known(api_version))
            self._record({"account": dataclasses.asdict(account)})
            return account

    def add_restricted_key(self, account: Account, permissions: frozenset[str], livemode: bool = False) -> str:
        return self._add_key("rk", ApiKey(Owner(account.id, livemode), permissions))

    def roll_key(self, key: str, expires_in: int = 0) -> str:
        """Replace a key by a new one that may do the same; the old one is good for a while yet."""
        with self.lock:
            old = self.keys[key]
            self._record_key(key, dataclasses.replace(old, expires_at=self.now() + expires_in))
            return self._add_key(key[:2], dataclasses.replace(old, expires_at=None))

    def revoke_key(self, key: str) -> None:
        with self.lock:
            self._record({"revoked": key})

    def permit(self, key: str, permissions: frozenset[str]) -> None:
        """Change what a restricted key may do."""
        with self.lock:
            self._record_key(key, dataclasses.replace(self.keys[key], permissions=permissions))

    def _add_key(self, prefix: str, key: ApiKey) -> str:
        secret = identifier(f"{prefix}_{'live' if key.owner.livemode else 'test'}_51", 97)
        with self.lock:
            self._record_key(secret, key)
        return secret

    def _record_key(self, secret: str, key: ApiKey) -> None:
        permissions = None if key.permissions is None else sorted(key.permissions)
        self._record({"key": secret, "owner": key.owner, "permissions": permissions, "expires_at": key.expires_at})

    def hide(self, object_id: str, until: int) -> None:
        """Keep an object out of lists and gets until then: Stripe shows some later than it dates them."""
        with self.lock:
            self._hidden[object_id] = until

    def find(self, owner: Owner, kind: str, object_id: str) -> StripeObject | None:
        """The object as the API shows it now, or None when its owner cannot see it."""
        with self.lock:
            self.run_due()
            item = self._holdings[owner].objects.get(object_id)
            if item is None or item["object"] != kind or self._is_hidden(item):
                return None
            return self._as_shown(item)

    def page(
        self,
        owner: Owner,
        kind: str,
        matches: Callable[[StripeObject], bool],
        limit: int,
        created: tuple[int, int] = (0, FOREVER),
        starting_after: str | None = None,
        ending_before: str | None = None,
        among: tuple[str, str] | None = None,
    ) -> Page:
        """One page of a list. The cursors are ids of objects that `find` can find; `among` as in Holdings.page."""
        with self.lock:
            self.run_due()
            page = self._holdings[owner].page(
                kind,
                lambda item: matches(item) and not self._is_hidden(item),
                limit,
                *created,
                starting_after,
                ending_before,
                among,
            )
            return Page([self._as_shown(item) for item in page.data], page.has_more)

    def kept(self, object_id: str) -> StripeObject:
        """The object with all that is remembered about it, whosever it is and whether it is visible or not."""
        return self._holdings[self._owners[object_id]].objects[object_id]

    def _is_hidden(self, item: StripeObject) -> bool:
        if item["object"] == "event" and item["created"] < self.now() - _EVENT_RETENTION:
            return True
        return self.now() < self._hidden.get(item["id"], 0)

    def _as_shown(self, item: StripeObject) -> StripeObject:
        match item["object"]:
            case "balance_transaction" if self.now() >= item["available_on"]:
                return {**objects.as_shown(item), "status": "available"}
            case "dispute":
                moves = [self._as_shown(move) for move in item["balance_transactions"]]
                return {**item, "balance_transactions": moves}
        return objects.as_shown(item)

    def _required(self, object_id: str, kind: str) -> StripeObject:
        """The object as it is now, for somebody who is about to do something with it."""
        self.run_due()
        owner = self._owners.get(object_id)
        item = owner and self._holdings[owner].objects[object_id]
        if not item or item["object"] != kind:
            raise missing(kind, object_id, "id", 404)
        return item

    @contextmanager
    def _act(self, owner: Owner) -> Iterator[Act]:
        """Collect what an act changes, and let it happen when the act is over; an error leaves all as it was."""
        account = self.accounts[owner.account_id]
        act = Act(self.now(), owner.livemode, account, self.kept, self.origin, self.booked_after)
        yield act
        if act.changes:
            self._record({"owner": owner, "objects": act.changes})

    def _record(self, entry: dict[str, Any]) -> None:
        """Write down first, then do: what cannot be written has not happened."""
        if self._journal is not None:
            self._journal.append(entry)
        self._apply(entry)

    def _apply(self, entry: dict[str, Any]) -> None:
        match entry:
            case {"offset": offset}:
                self._offset = offset
            case {"account": fields}:
                account = Account(**fields)
                self.accounts[account.id] = account
                test, live = Owner(account.id, False), Owner(account.id, True)
                self.keys[account.secret_key] = ApiKey(test, None)
                self.keys[account.live_secret_key] = ApiKey(live, None)
                self.keys[account.restricted_key] = ApiKey(test, READ_PERMISSIONS)
            case {"key": key, "owner": owner, "permissions": permissions, "expires_at": expires_at}:
                may = None if permissions is None else frozenset(permissions)
                self.keys[key] = ApiKey(Owner(*owner), may, expires_at)
            case {"revoked": key}:
                self.keys.pop(key, None)
            case {"owner": owner, "objects": changed}:
                self._put(Owner(*owner), changed)

    def _put(self, owner: Owner, changed: list[StripeObject]) -> None:
        for item in changed:
            if item["object"] == "task":
                number = next(self._numbers)
                heappush(self._agenda, Task(item["at"], number, item["task"], item["subject"], item["argument"]))
                continue
            if self.lag and item["id"] not in self._owners:
                self._hidden[item["id"]] = item["created"] + self.lag(item)
            self._owners[item["id"]] = owner
            self._holdings[owner].put(item)
