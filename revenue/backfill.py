"""The history of an account, read in slices of time: several at once, and on from where the last run stopped.

A slice is a span of one list. It is read from its newest object backwards and shrinks with every page that is
stored, so a run that dies loses at most the pages it was at. Threads only ask Stripe; everything is stored by the
run's own thread, a page of each reader at a time, which keeps the memory flat however long the history is.
"""

import datetime as dt
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Lock, local

from django.db import transaction

from revenue import allowlist
from revenue.mirror import Growth
from revenue.models import Slice, StripeAccount
from revenue.models.mirror import Mirrored
from revenue.pager import MOST_TRIES, Page, WindowLostError, bounds, broken_off, one_page, pages, repeated
from revenue.ration import Ration, RationSpentError
from revenue.streams import LISTS
from revenue.stripe_client import (
    CursorGoneError,
    MalformedAnswerError,
    PermissionMissingError,
    ReadError,
    StripeReader,
)

READERS = 8
# Stripe allows 100 requests a second, 25 of a test key, and 25 of one list. Some are left to the merchant's checkout.
READS_PER_SECOND = {True: 80.0, False: 20.0}
READS_OF_A_LIST = 20.0
# A span is divided among readers only while this many more pages seem to be in it.
WORTH_DIVIDING = 4
# No account is older than Stripe.
FIRST_DAY = dt.datetime(2011, 1, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


class Limiter:
    """Lets through so many a second, and a second's worth of them at once after a pause."""

    def __init__(self, per_second: float) -> None:
        self._pause = 1 / per_second
        self._lock = Lock()
        self._next = time.monotonic() - 1

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next + self._pause, now - 1)
            turn = self._next
        if turn > now:
            time.sleep(turn - now)


@dataclass(frozen=True, slots=True)
class _Read:
    page: Page
    rows: list[Mirrored]


@dataclass
class _Span:
    """A slice while it is read, from `top` downwards. `seen` are the ids in the second where the last page ended."""

    slice: Slice
    top: dt.datetime
    after: str = ""
    tries: int = 0
    oldest: int | None = None
    seen: set[str] = field(default_factory=set)
    page_takes: dt.timedelta | None = None

    @property
    def path(self) -> str:
        return LISTS[self.slice.name][0]

    @property
    def since(self) -> dt.datetime:
        return self.slice.since_at or self.slice.account.opened_at or FIRST_DAY

    @property
    def pages_left(self) -> float:
        """How many more pages there seem to be; 0 while that is unknown."""
        return (self.slice.until_at - self.since) / self.page_takes if self.page_takes else 0

    def take(self, page: Page) -> bool:
        """Move on by a page; tell whether the list is in order, the newest object first.

        Raise MalformedAnswerError for a page that brings nothing new.
        """
        if page.objects and all(item["id"] in self.seen for item in page.objects):
            raise repeated(self.path)
        times = [item["created"] for item in page.objects]
        if times != sorted(times, reverse=True) or (times and self.oldest is not None and times[0] > self.oldest):
            return False
        self.after, self.tries = page.last_id, 0
        if times:
            seen = {item["id"] for item in page.objects if item["created"] == times[-1]}
            self.seen = seen | self.seen if times[-1] == self.oldest else seen
            self.oldest, self.page_takes = times[-1], max(times[0] - times[-1], 1) * SECOND
            self.slice.until_at = dt.datetime.fromtimestamp(times[-1], dt.UTC) + SECOND
        return True

    def start_again(self) -> None:
        """Forget the cursor; what lies beyond it is found by its time. Raise MalformedAnswerError."""
        self.tries += 1
        if self.tries == MOST_TRIES:
            raise broken_off(self.path)
        self.top, self.after, self.oldest, self.seen = self.slice.until_at, "", None, set()


class Backfill:
    """`open_reader` opens Stripe for a thread; `keep` stores the rows that pages of slices brought."""

    def __init__(
        self,
        account: StripeAccount,
        ration: Ration,
        growth: Growth,
        open_reader: Callable[[Callable[[], None]], StripeReader],
        keep: Callable[[Sequence[tuple[Slice, list[Mirrored]]]], None],
    ) -> None:
        # A list that could not be read, and why.
        self.problems: dict[str, ReadError] = {}
        self._account, self._ration, self._growth = account, ration, growth
        self._open_reader, self._keep = open_reader, keep
        self._limiter = Limiter(READS_PER_SECOND[account.livemode])
        self._limiters = {name: Limiter(READS_OF_A_LIST) for name in LISTS}
        self._is_stopped = Event()
        self._thread = local()
        self._opened: list[StripeReader] = []
        self._ready: deque[_Span] = deque()
        self._asked: dict[Future[_Read], _Span] = {}
        self._ends_at: float | None = None

    def run(self, reader: StripeReader, without: Collection[str], seconds: float | None) -> None:
        """Read what is left of the history, but for the lists `without`, for so many seconds.

        A list that cannot be read is left, with its reason in `problems`. Raise ReadError when none can.
        """
        self._ends_at = None if seconds is None else time.monotonic() + seconds
        slices = Slice.objects.filter(account=self._account).exclude(name__in=without).order_by("-until_at", "pk")
        # Most accounts' history is a page long, and needs no threads.
        self._thread.reader = reader
        for span in [_Span(each, each.until_at) for each in slices.select_related("account")]:
            self._keep_all([(span, partial(self._read, span))])
        if not self._ready:
            return
        with ThreadPoolExecutor(READERS, "backfill") as pool:
            try:
                self._ask(pool)
                while self._asked:
                    done = wait(self._asked, return_when=FIRST_COMPLETED).done
                    self._keep_all([(self._asked.pop(future), future.result) for future in done], pool)
                    self._ask(pool)
            finally:
                self._is_stopped.set()
                pool.shutdown(cancel_futures=True)
                for opened in self._opened:
                    opened.close()

    def _read(self, span: _Span) -> _Read:
        if not hasattr(self._thread, "reader"):
            self._thread.reader = self._open_reader(self._before_read)
            self._opened.append(self._thread.reader)
        self._limiters[span.slice.name].wait()
        _, params = LISTS[span.slice.name]
        after = {"starting_after": span.after} if span.after else {}
        window = bounds(span.slice.since_at, span.top, params)
        page = one_page(self._thread.reader, span.path, {**window, **after}, self._account.livemode)
        return _Read(page, self._rows(page))

    def _rows(self, page: Page) -> list[Mirrored]:
        return allowlist.rows(self._account, page.objects, page.observed_at)

    def _before_read(self) -> None:
        self._limiter.wait()
        if self._is_stopped.is_set():
            raise ReadError
        self._ration.count()

    def _ask(self, pool: ThreadPoolExecutor) -> None:
        """Keep every reader busy."""
        if self._ends_at is not None and time.monotonic() > self._ends_at:
            return
        while len(self._asked) < READERS and (self._ready or self._divide()):
            span = self._ready.popleft()
            self._asked[pool.submit(self._read, span)] = span

    def _divide(self) -> bool:
        """Make two of the slice with the most left, for a reader that has nothing to do."""
        longest = max(self._asked.values(), key=lambda span: span.pages_left, default=None)
        if longest is None or longest.pages_left < WORTH_DIVIDING:
            return False
        old, middle = longest.slice, longest.since + (longest.slice.until_at - longest.since) / 2
        middle = middle.replace(microsecond=0)
        with transaction.atomic():
            new = Slice.objects.create(
                account=self._account, name=old.name, since_at=old.since_at, until_at=middle, is_known=old.is_known
            )
            old.since_at = middle
            Slice.objects.filter(pk=old.pk).update(since_at=middle)
        self._ready.append(_Span(new, middle))
        return True

    def _keep_all(
        self, asked: Iterable[tuple[_Span, Callable[[], _Read]]], pool: ThreadPoolExecutor | None = None
    ) -> None:
        """Store what was read of several slices, and go on with those that are not at their end."""
        read: list[tuple[_Span, list[Mirrored]]] = []
        try:
            for span, answer in asked:
                with self._tolerance(span):
                    found = answer()
                    if span.take(found.page):
                        read.append((span, found.rows))
                    else:
                        self._read_whole(span)
            self._ready += [span for span, _ in read if span.after and span.slice.name not in self.problems]
            if pool:
                # The next pages are on their way while these are stored.
                self._ask(pool)
        finally:
            self._store(read)

    def _store(self, read: Sequence[tuple[_Span, list[Mirrored]]]) -> None:
        with transaction.atomic():
            self._keep([(span.slice, rows) for span, rows in read])
            for span, _ in read:
                row = Slice.objects.filter(pk=span.slice.pk)
                if span.after:
                    row.filter(until_at__gt=span.slice.until_at).update(until_at=span.slice.until_at)
                else:
                    row.delete()
        self._growth.measure()
        self._ration.keep()

    def _read_whole(self, span: _Span) -> None:
        """Read a slice of a list that is not in order, from its beginning and with no stop."""
        _, params = LISTS[span.slice.name]
        row = Slice.objects.filter(pk=span.slice.pk)
        row.update(until_at=span.top)
        since, livemode = span.slice.since_at, self._account.livemode
        reader = self._thread.reader
        for page in pages(reader, span.path, livemode=livemode, since=since, until=span.top, params=params):
            self._keep([(span.slice, self._rows(page))])
            self._ration.keep()
        row.delete()

    @contextmanager
    def _tolerance(self, span: _Span) -> Iterator[None]:
        """Go on where another list, or another try, can be read."""
        try:
            try:
                yield
            except (WindowLostError, CursorGoneError):
                span.start_again()
                self._ready.append(span)
            except RationSpentError:
                self._ration.measure()
                if self._ration.is_spent:
                    raise
                self._ready.append(span)
        except (PermissionMissingError, MalformedAnswerError) as error:
            self.problems[span.slice.name] = error
            self._ready = deque(each for each in self._ready if each.slice.name != span.slice.name)
