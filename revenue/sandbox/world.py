"""The state of the sandbox, its time, and what can be done to it from Python.

    world = World()
    account = world.add_account("Shop")
    with world.at(last_tuesday):
        session = world.create_session(account, mode="payment", success_url=..., line_items=[...])
        world.pay(session["id"])

Objects are handed out as they are kept: read them, never change them.
"""

import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from pathlib import Path
from threading import RLock
from typing import Any

from revenue.sandbox import objects, payments, sessions
from revenue.sandbox.accounts import READ_PERMISSIONS, Account, ApiKey, Owner, new_account
from revenue.sandbox.currencies import supported
from revenue.sandbox.errors import StripeError, missing
from revenue.sandbox.holdings import Holdings, Page
from revenue.sandbox.journal import Journal, replay
from revenue.sandbox.objects import StripeObject, identifier
from revenue.sandbox.parameters import FOREVER
from revenue.sandbox.payments import Moment
from revenue.sandbox.truth import CurrencyTruth, truth

_EVENT_RETENTION = 30 * 86_400


class World:
    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.lock = RLock()
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}
        # Where buyers reach the checkout page; the server sets it when it knows its own address.
        self.origin = "http://127.0.0.1"
        self._clock = now
        self._offset: float = 0
        self._set_time: int | None = None
        self._holdings: dict[Owner, Holdings] = defaultdict(Holdings)
        self._owners: dict[str, Owner] = {}
        self._hidden: dict[str, int] = {}
        self._expiries: list[tuple[int, str]] = []
        self._journal: Journal | None = None

    @classmethod
    def open(cls, path: Path, now: Callable[[], float] = time.time) -> "World":
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
        with self.lock:
            self._record({"offset": self._offset + seconds})

    @contextmanager
    def at(self, timestamp: int) -> Iterator[None]:
        """Let what is done inside happen at `timestamp`. Others wait: nobody else lives in the past."""
        with self.lock:
            outer, self._set_time = self._set_time, timestamp
            try:
                yield
            finally:
                self._set_time = outer

    def add_account(
        self, name: str, country: str = "DE", default_currency: str = "eur", secret_key: str | None = None
    ) -> Account:
        """Open an account, or return the one that already has this secret key."""
        with self.lock:
            if secret_key in self.keys:
                return self.accounts[self.keys[secret_key].owner.account_id]
            currency = supported(default_currency, "default_currency")
            account = new_account(name, country, currency, secret_key, self.now())
            self._record({"account": dataclasses.asdict(account)})
            return account

    def add_restricted_key(self, account: Account, permissions: frozenset[str], livemode: bool = False) -> str:
        key = identifier("rk_live_51" if livemode else "rk_test_51", 97)
        with self.lock:
            self._record({"key": key, "owner": [account.id, livemode], "permissions": sorted(permissions)})
        return key

    def create_session(self, account: Account, livemode: bool = False, **params: Any) -> StripeObject:
        """Open a checkout session; the parameters are those of Stripe's API."""
        return self.open_session(Owner(account.id, livemode), params)

    def open_session(self, owner: Owner, params: dict[str, Any]) -> StripeObject:
        """Open a checkout session with parameters from outside, whatever their names."""
        with self.lock:
            session = sessions.open_session(params, self.origin, self.now(), owner.livemode)
            self._save(owner, [session])
            return objects.as_shown(session)

    def session(self, session_id: str) -> StripeObject:
        """The session with its line items, whoever asks: this is what the checkout page shows."""
        with self.lock:
            self._expire_due()
            return self._required(session_id, "checkout.session")

    def pay(
        self,
        session_id: str,
        outcome: str = "pay",
        email: str | None = None,
        name: str = "Robin Example",
    ) -> StripeObject:
        """Let the buyer pay, or be declined with outcome "decline"; return the session afterwards."""
        with self.lock:
            session = self.session(session_id)
            if session["status"] != "open":
                raise StripeError(400, f"This Checkout Session is {session['status']}.", param="session")
            owner = self._owners[session_id]
            intent = session["payment_intent"] and self._required(session["payment_intent"], "payment_intent")
            buyer = objects.customer_details(
                email or session["customer_email"] or "buyer@example.com",
                name,
                self.accounts[owner.account_id].country,
            )
            act = {"pay": payments.pay, "decline": payments.decline}[outcome]
            self._save(owner, act(session, intent, buyer, self._moment(owner)))
            return objects.as_shown(self.session(session_id))

    def expire(self, session_id: str) -> StripeObject:
        with self.lock:
            session = self.session(session_id)
            if session["status"] != "open":
                raise StripeError(
                    400,
                    'Only Checkout Sessions with a status in ["open"] can be expired. '
                    f"This Checkout Session has a status of `{session['status']}`.",
                    param="session",
                )
            owner = self._owners[session_id]
            self._save(owner, payments.expire(session, self._moment(owner)))
            return objects.as_shown(self.session(session_id))

    def refund(
        self,
        charge_id: str,
        amount: int | None = None,
        status: str = "succeeded",
        reason: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> StripeObject:
        """Refund `amount`, or what is left of the charge; status is succeeded, pending or failed."""
        with self.lock:
            charge = self._required(charge_id, "charge")
            owner = self._owners[charge_id]
            first = "succeeded" if status == "succeeded" else "pending"
            made = payments.refund(charge, amount, first, reason, metadata or {}, self._moment(owner))
            self._save(owner, made)
            return self.settle_refund(made[0]["id"], "failed") if status == "failed" else made[0]

    def settle_refund(self, refund_id: str, status: str) -> StripeObject:
        """Let a refund reach succeeded or failed. Also one that succeeded may fail later."""
        with self.lock:
            refund = self._required(refund_id, "refund")
            owner = self._owners[refund_id]
            if refund["status"] == status or refund["status"] == "failed":
                raise StripeError(400, f"This refund has already {refund['status']}.", param="refund")
            if status == "succeeded":
                changes = payments.succeed_refund(refund, self._moment(owner))
            else:
                charge = self._required(refund["charge"], "charge")
                changes = payments.fail_refund(refund, charge, self._moment(owner))
            self._save(owner, changes)
            return changes[0]

    def dispute(self, charge_id: str, amount: int | None = None) -> StripeObject:
        """Dispute `amount`, or what is left of the charge."""
        with self.lock:
            charge = self._required(charge_id, "charge")
            owner = self._owners[charge_id]
            changes = payments.dispute(charge, amount, self._moment(owner))
            self._save(owner, changes)
            return changes[0]

    def close_dispute(self, dispute_id: str, won: bool = True) -> StripeObject:
        with self.lock:
            dispute = self._required(dispute_id, "dispute")
            owner = self._owners[dispute_id]
            changes = payments.close_dispute(dispute, won, self._moment(owner))
            self._save(owner, changes)
            return changes[0]

    def hide(self, object_id: str, until: int) -> None:
        """Keep an object out of lists and gets until then: Stripe shows some later than it dates them."""
        with self.lock:
            self._hidden[object_id] = until

    def truth(self, account: Account, livemode: bool = False) -> dict[str, CurrencyTruth]:
        """Per currency what really moved, hidden objects included."""
        with self.lock:
            return truth(self._holdings[Owner(account.id, livemode)])

    def find(self, owner: Owner, kind: str, object_id: str) -> StripeObject | None:
        """The object as the API shows it now, or None when its owner cannot see it."""
        with self.lock:
            self._expire_due()
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
    ) -> Page:
        """One page of a list. The cursors are ids of objects that `find` can find."""
        with self.lock:
            self._expire_due()
            page = self._holdings[owner].page(
                kind,
                lambda item: matches(item) and not self._is_hidden(item),
                limit,
                *created,
                starting_after,
                ending_before,
            )
            return Page([self._as_shown(item) for item in page.data], page.has_more)

    def _is_hidden(self, item: StripeObject) -> bool:
        if item["object"] == "event" and item["created"] < self.now() - _EVENT_RETENTION:
            return True
        return self.now() < self._hidden.get(item["id"], 0)

    def _as_shown(self, item: StripeObject) -> StripeObject:
        match item["object"]:
            case "checkout.session":
                return objects.as_shown(item)
            case "balance_transaction" if self.now() >= item["available_on"]:
                return {**item, "status": "available"}
            case "dispute":
                moves = [self._as_shown(move) for move in item["balance_transactions"]]
                return {**item, "balance_transactions": moves}
        return item

    def _required(self, object_id: str, kind: str) -> StripeObject:
        owner = self._owners.get(object_id)
        item = owner and self._holdings[owner].objects[object_id]
        if not item or item["object"] != kind:
            raise missing(kind, object_id, "id", 404)
        return item

    def _moment(self, owner: Owner) -> Moment:
        return Moment(self.now(), owner.livemode, self.accounts[owner.account_id].default_currency)

    def _expire_due(self) -> None:
        now = self.now()
        while self._expiries and self._expiries[0][0] <= now:
            expires_at, session_id = heappop(self._expiries)
            session = self._required(session_id, "checkout.session")
            if session["status"] == "open":
                owner = self._owners[session_id]
                moment = dataclasses.replace(self._moment(owner), now=expires_at)
                self._save(owner, payments.expire(session, moment))

    def _save(self, owner: Owner, changed: list[StripeObject]) -> None:
        self._record({"owner": owner, "objects": changed})

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
            case {"key": key, "owner": owner, "permissions": permissions}:
                self.keys[key] = ApiKey(Owner(*owner), frozenset(permissions))
            case {"owner": owner, "objects": changed}:
                for item in changed:
                    self._owners[item["id"]] = Owner(*owner)
                    self._holdings[Owner(*owner)].put(item)
                    if item["object"] == "checkout.session" and item["status"] == "open":
                        heappush(self._expiries, (item["expires_at"], item["id"]))
