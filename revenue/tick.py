"""One reading of an account: what is new, what changed, and what an earlier reading may have missed.

No list of Stripe's can be asked for what changed, `created` has whole seconds, and objects show up late. So each
list is read again from a while before the moment it is covered to, everything is stored by id, and the moment
moves only when a list was read to its end. Events tell what to read again, never what it is worth. Now and then
everything of the last weeks is read again, and whatever that brings is reported: it ought to have been there.
"""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from urllib.parse import quote

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from revenue import allowlist, streams
from revenue.allowlist import MODELS, object_type
from revenue.backfill import Backfill
from revenue.mirror import Expected, Growth, Stored, Tally, store
from revenue.models import Finding, LedgerLine, Slice, Stream, StripeAccount
from revenue.models.findings import FindingKind
from revenue.models.mirror import Mirrored
from revenue.pager import Page, check_object, pages
from revenue.ration import Ration
from revenue.streams import EVENTS, HINTS, LISTS, MONEY, OVERLAP
from revenue.stripe_client import (
    READ_SECONDS,
    AccountChangedError,
    MalformedAnswerError,
    NotFoundError,
    PermissionMissingError,
    ReadError,
    StripeReader,
)
from revenue.unfinished import due

logger = logging.getLogger(__name__)

# An answer that was a while on its way may be older than its Date says.
ANSWER_AGE = dt.timedelta(seconds=READ_SECONDS)
# So many objects of a type that events name are read one by one; for more, their list is read.
FEW = 3
MOST_HINTED = 50
# A clock that is off by more is worth a warning, although Stripe's is the one that counts.
CLOCK_OFF = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a tick: to read every list, and all of it since `since` (all there is when None)."""

    drain: bool = False
    full: bool = False
    since: dt.datetime | None = None
    # How long the history may be read; None is as long as it takes.
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """An event's word that an object changed at a moment."""

    type: str
    id: str
    at: dt.datetime


class Tick:
    """Time is Stripe's: that of the first answer. `open_reader` opens Stripe for one thread of the backfill."""

    reader: StripeReader

    def __init__(
        self,
        account: StripeAccount,
        now: dt.datetime,
        ration: Ration,
        plan: Plan,
        open_reader: Callable[[Callable[[], None]], StripeReader],
        progress: Callable[[str], None] | None,
    ) -> None:
        self.account, self.now, self.ration, self.plan = account, now, ration, plan
        self.began_at: dt.datetime | None = None
        self.tallies = {name: Tally() for name in LISTS}
        self.growth = Growth(*MODELS.values(), LedgerLine)
        self.problems: dict[str, ReadError] = {}
        self.is_complete = False
        self._open_reader, self._progress = open_reader, progress
        self.drained: set[str] = set()
        # Of what events name, what was read in this tick.
        self._read: set[str] = set()
        # What changed for a reason that is known: it was no fault not to know it before.
        self._explained: set[str] = set()
        self._is_same_account = False

    @property
    def problem(self) -> str:
        return " ".join(dict.fromkeys(f"{name}: {error.sentence}" for name, error in self.problems.items()))

    def run(self, reader: StripeReader) -> None:
        """Raise ReadError when Stripe cannot be read at all; what keeps one list from it is in `problems`."""
        self.reader = reader
        is_due = self.plan.drain or any(self._is_due(self._stream(name)) for name in MONEY)
        if is_due:
            self._look_at_account()
        events = self._stream("event")
        hints: list[Hint] = []
        with self._tolerance("event"):
            hints = self._hints(events)
        self._explained |= {hint.id for hint in hints}
        outdated = self._outdated(hints)
        for name in LISTS:
            reach = self._reach(name, is_due, bool(outdated))
            if reach:
                with self._tolerance(name):
                    self._drain(name, reach)
        are_followed = self._follow([hint for hint in outdated if hint.id not in self._read])
        if is_due:
            for row in due(self.account, self.moment, self.ration.refetched):
                with self._tolerance(object_type(row)):
                    self._fetch(object_type(row), row.stripe_id)
        self._backfill()
        # What could not be read again now is hinted at again next time.
        is_damaged = any(isinstance(error, MalformedAnswerError) for error in self.problems.values())
        if are_followed and not is_damaged and "event" not in self.problems:
            self._cover(events)
        self.is_complete = True

    @property
    def moment(self) -> dt.datetime:
        """When the tick began, by Stripe's clock as soon as that is known, in whole seconds as Stripe counts."""
        return (self.began_at or self.now).replace(microsecond=0)

    @contextmanager
    def _tolerance(self, name: str) -> Iterator[None]:
        """Let one list's trouble be no reason to leave the others unread."""
        try:
            yield
        except (PermissionMissingError, MalformedAnswerError) as error:
            self.problems.setdefault(name, error)

    def _stream(self, name: str) -> Stream:
        return Stream.objects.get_or_create(account=self.account, name=name)[0]

    def _is_due(self, stream: Stream) -> bool:
        return self._is_past(stream.drained_at, self.ration.pace.drain)

    def _is_past(self, last: dt.datetime | None, pause: dt.timedelta) -> bool:
        # A clock that was set back must not put anything off.
        return last is None or not self.now - pause < last <= self.now

    def _reach(self, name: str, is_due: bool, is_hinted: bool) -> dt.timedelta | None:
        """How far back the list is to be read now; None for not at all."""
        stream = self._stream(name)
        if stream.covered_to is None:
            return streams.LOOK_BACK
        # The sweeps wait for a tick that reads anyway.
        if is_due and self._is_past(stream.swept_deeply_at, streams.DEEP_SWEEP_EVERY):
            return streams.DEEP_SWEEP
        if is_due and self._is_past(stream.swept_at, streams.SWEEP_EVERY):
            return streams.SWEEP
        if self.plan.drain or (is_due and name in MONEY):
            return streams.LOOK_BACK
        return OVERLAP if is_hinted and name in MONEY else None

    def _pages(self, path: str, since: dt.datetime | None, params: dict[str, Any]) -> Iterator[Page]:
        for page in pages(self.reader, path, livemode=self.account.livemode, since=since, params=params):
            if self.began_at is None:
                self.began_at = page.observed_at
                if abs(self.began_at - self.now) > CLOCK_OFF:
                    logger.warning("This machine's clock and Stripe's differ by %s.", abs(self.began_at - self.now))
            self.ration.keep()
            yield page

    def _hints(self, events: Stream) -> list[Hint]:
        """Read which objects changed since the last time; nothing, before the lists were ever read."""
        newest: dict[str, Hint] = {}
        if events.covered_to:
            for page in self._pages(EVENTS, events.covered_to - OVERLAP, {"types": HINTS}):
                for hint in filter(None, map(_hint, page.objects)):
                    newest[hint.id] = max(newest.get(hint.id, hint), hint, key=attrgetter("at"))
        return sorted(newest.values(), key=attrgetter("at"))

    def _observed(self, hints: Iterable[Hint]) -> dict[str, dt.datetime]:
        ids = defaultdict(list)
        for hint in hints:
            ids[hint.type].append(hint.id)
        return {
            row.stripe_id: row.observed_at
            for name, wanted in ids.items()
            if name in MODELS
            for row in MODELS[name]._base_manager.filter(account=self.account, stripe_id__in=wanted)
        }

    def _outdated(self, hints: list[Hint]) -> list[Hint]:
        """The events' objects that were not certainly read after the event."""
        observed = self._observed(hints)
        covered_to = self._stream("invoice_payment").covered_to
        outdated = []
        for hint in hints:
            # An invoice has no row here: its payments have.
            seen_at = observed.get(hint.id) if hint.type in MODELS else covered_to
            if seen_at is None or seen_at <= hint.at + ANSWER_AGE:
                outdated.append(hint)
        return outdated

    def _follow(self, hints: list[Hint]) -> bool:
        """Read what events name and the lists did not bring; tell whether that was all of it."""
        of_type: dict[str, set[str]] = defaultdict(set)
        for hint in hints:
            of_type[hint.type if hint.type in MODELS else "invoice_payment"].add(hint.id)
        for name, ids in of_type.items():
            is_invoice = any(hint.type not in MODELS for hint in hints if hint.id in ids)
            if (len(ids) > FEW or is_invoice) and name not in self.drained:
                with self._tolerance(name):
                    self._drain(name, OVERLAP)
        rest = [hint for hint in hints if hint.type in MODELS and hint.id not in self._read]
        for hint in rest[:MOST_HINTED]:
            with self._tolerance(hint.type):
                self._fetch(hint.type, hint.id)
        return len(rest) <= MOST_HINTED

    def _drain(self, name: str, reach: dt.timedelta) -> None:
        """Read a list from `reach` ago, or from where it is covered to, up to its newest object."""
        stream = self._stream(name)
        path, params = LISTS[name]
        since = streams.since(stream.covered_to, self.moment, reach)
        if stream.covered_to is None:
            expected = Expected()
            self._leave(name, None, since, is_known=False)
        else:
            expected = self._expected(stream)
            if self.plan.full:
                self._leave(name, self.plan.since, self.moment - streams.LOOK_BACK, is_known=True)
        for page in self._pages(path, since, params):
            self._keep([name], self._rows(page), expected)
            self.growth.measure()
        swept = {"swept_at": self.now} if stream.covered_to is None or reach >= streams.SWEEP else {}
        if stream.covered_to is None or reach >= streams.DEEP_SWEEP:
            swept["swept_deeply_at"] = self.now
        self._cover(stream, **swept)
        self.drained.add(name)

    def _expected(self, stream: Stream) -> Expected:
        return Expected(stream.covered_to and stream.covered_to - OVERLAP, self._explained)

    def _leave(self, name: str, since: dt.datetime | None, until: dt.datetime, *, is_known: bool) -> None:
        """Leave what was created before `until` to the backfill."""
        Slice.objects.filter(account=self.account, name=name, is_known=is_known).delete()
        if since is None or since < until:
            Slice.objects.create(account=self.account, name=name, since_at=since, until_at=until, is_known=is_known)

    def _rows(self, page: Page) -> list[Mirrored]:
        return allowlist.rows(self.account, page.objects, page.observed_at)

    def _keep(self, names: Iterable[str], rows: list[Mirrored], expected: Expected) -> None:
        with transaction.atomic():
            stored = store(self.account, rows, self.tallies, expected)
            if stored.healed:
                self._report_healed(stored)
        self.growth.add(stored.new)
        self._read |= stored.ids & self._explained
        if expected.since:
            self._explained |= stored.moved
        for name in names:
            self.tell(f"{name}: {self.tallies[name].seen}")

    def _report_healed(self, stored: Stored) -> None:
        """What was missed without a reason is an alarm: some rule here, or something at Stripe, is not as thought."""
        logger.warning("%s: healed %d objects: %s", self.account, len(stored.healed), ", ".join(sorted(stored.healed)))
        Finding.objects.bulk_create(
            Finding(
                account=self.account, kind=FindingKind.HEALED, subject=identity, found_at=self.now, gone_at=self.now
            )
            for identity in sorted(stored.healed)
        )

    def _backfill(self) -> None:
        backfill = Backfill(self.account, self.ration, self.growth, self._open_reader, self._keep_history)
        backfill.run(self.reader, set(self.problems), self.plan.seconds)
        self.problems |= backfill.problems

    def _keep_history(self, read: Sequence[tuple[Slice, list[Mirrored]]]) -> None:
        """Keep the rows that slices brought; those of slices that are read for the first time all at once."""
        unknown = [(part.name, rows) for part, rows in read if not part.is_known]
        if unknown:
            self._keep(dict(unknown), [row for _, rows in unknown for row in rows], Expected(is_history=True))
        for part, rows in read:
            if part.is_known:
                self._keep([part.name], rows, self._expected(self._stream(part.name)))

    def _cover(self, stream: Stream, **swept: dt.datetime) -> None:
        """Move the moment before which nothing is missing; never back, whatever a clock says."""
        if self.began_at:
            covered_to = Greatest(F("covered_to"), Value(streams.covered(self.began_at)))
            Stream.objects.filter(pk=stream.pk).update(covered_to=covered_to, drained_at=self.now, **swept)

    def read_again(self, name: str, identity: str) -> None:
        """Read one object once more, with a charge its refunds too: what is news in it was missed."""
        with self._tolerance(name):
            self._fetch(name, identity, self._expected(self._stream(name)))
        if name == "charge":
            with self._tolerance("refund"):
                expected = self._expected(self._stream("refund"))
                for page in self._pages(LISTS["refund"][0], None, {"charge": identity}):
                    self._keep(["refund"], self._rows(page), expected)

    def read_all_again(self, name: str) -> None:
        """Read a whole list once more."""
        self._leave(name, None, self.moment, is_known=True)
        self._backfill()

    def read_latest(self, name: str) -> None:
        with self._tolerance(name):
            self._drain(name, OVERLAP)

    def _fetch(self, name: str, identity: str, expected: Expected | None = None) -> None:
        path, _ = LISTS[name]
        try:
            answer = self.reader.get(f"{path}/{quote(identity, safe='')}", streams.one(name))
        except NotFoundError:
            # Not visible yet, or deleted: in either case it must not keep the others from their turn.
            known = MODELS[name]._base_manager.filter(account=self.account, stripe_id=identity)
            if known.filter(observed_at__lt=self.moment).update(observed_at=self.moment) and not self._is_same_account:
                self._check_account()
            return
        check_object(answer.data, path, self.account.livemode)
        self._keep([name], allowlist.rows(self.account, [answer.data], answer.date), expected or Expected())

    def _look_at_account(self) -> None:
        """See once a day that the key still opens the account whose rows are about to be written."""
        looked = self._stream("account")
        if looked.drained_at and self._is_past(looked.drained_at, streams.SWEEP_EVERY):
            self._check_account()
        if looked.drained_at is None or self._is_same_account:
            # A new account was looked at when it was connected.
            Stream.objects.filter(pk=looked.pk).update(drained_at=self.now)

    def _check_account(self) -> None:
        try:
            found = self.reader.get("/v1/account").data.get("id")
        except PermissionMissingError:
            return
        if found != self.account.acct_id:
            raise AccountChangedError
        self._is_same_account = True

    def tell(self, text: str) -> None:
        if self._progress:
            self._progress(text)


def _hint(event: dict[str, Any]) -> Hint | None:
    """Which object an event is about. Its amounts are not looked at: they may be in the form of years ago."""
    data = event.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    if not isinstance(about, dict):
        return None
    kind, identity = about.get("object"), about.get("id")
    if not isinstance(kind, str) or not isinstance(identity, str):
        return None
    return Hint(kind.replace(".", "_"), identity, dt.datetime.fromtimestamp(event["created"], dt.UTC))
