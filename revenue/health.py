"""Why revenue does not show up, and why it is not credited: causes and what to do, judged from gathered facts. Pure."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from revenue.attribution import Reason

# An account is read every four hours at least; so long without a success is no pause any more.
STOPPED_AFTER = dt.timedelta(hours=6)
# How long after it was due a worker may take to begin.
GRACE = dt.timedelta(minutes=15)
# A site that is visited at all is visited within so many days.
QUIET = dt.timedelta(days=3)
# Of the payments of a month, the part that one reason may keep from a visit before it is a fault in the checkout.
TOLERATED = 0.1


class Level(IntEnum):
    NOTE = 0
    WARNING = 1
    PROBLEM = 2

    @property
    def word(self) -> str:
        return ("Note", "Warning", "Problem")[self]

    @property
    def tone(self) -> str:
        return ("", "warning", "bad")[self]


class Code(StrEnum):
    NOT_CONNECTED = "not_connected"
    KEY_REMOVED = "key_removed"
    KEY_REFUSED = "key_refused"
    KEY_UNREADABLE = "key_unreadable"
    ACCOUNT_CHANGED = "account_changed"
    PERMISSION_MISSING = "permission_missing"
    THROTTLED = "throttled"
    RATIONED = "rationed"
    UNREACHABLE = "unreachable"
    NO_WORKER = "no_worker"
    STOPPED = "stopped"
    BACKFILLING = "backfilling"
    TEST_MODE = "test_mode"
    NO_PAYMENTS = "no_payments"
    ELSEWHERE = "elsewhere"
    UNSETTLED = "unsettled"
    NO_VIEWS = "no_views"
    HITS_REFUSED = "hits_refused"
    COVERAGE_DROPPED = "coverage_dropped"
    NOT_CREDITED = "not_credited"


@dataclass(frozen=True, slots=True)
class Cause:
    """`account` and `reason` say which of several is meant; they are empty when it is about the site."""

    code: Code
    level: Level
    sentence: str
    fix: str
    account: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How one connection is read. `lacking` says what each missing permission means, `spared` the same of those that
    can be left out; `is_whole`, that no history is left to read. `status` is the connection's.
    """

    account: str
    is_live: bool
    status: str
    problem: str
    connected_at: dt.datetime
    synced_at: dt.datetime | None
    tried_at: dt.datetime | None
    due_at: dt.datetime | None
    is_running: bool
    is_whole: bool
    lacking: Mapping[str, str]
    spared: Mapping[str, str]
    unsettled: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a site. Payments are those of the last 30 days, but for `payments_ever`: `reasons` counts those
    that are credited to no visit, `elsewhere` those credited to other sites. `refused` is what was refused most in
    that time but for crawlers, and what to do about it; `refused_hits` are all such hits, `hits` those taken.
    """

    now: dt.datetime
    readings: tuple[Reading, ...]
    is_sandbox: bool
    payments_ever: bool
    credited: int
    reasons: Mapping[Reason, int]
    elsewhere: int
    has_dropped: bool
    last_view_at: dt.datetime | None
    hits: int
    refused_hits: int
    refused: tuple[str, str]

    @property
    def payments(self) -> int:
        return self.credited + sum(self.reasons.values())


# What stops all reading with a key, and what to do; the sentence is what the last sync said.
KEY_TROUBLE = {
    "auth_failed": (
        Code.KEY_REFUSED,
        "Stripe refuses the key.",
        "Make a new restricted key in Stripe, and enter it under “Replace the key”. Nothing is lost: reading goes on "
        "where it ended, however long ago.",
    ),
    "key_unreadable": (
        Code.KEY_UNREADABLE,
        "The stored key cannot be decrypted.",
        "Give the server the HUMBLYTICS_ENCRYPTION_KEYS back that the key was stored with, or enter the key again.",
    ),
    "account_changed": (
        Code.ACCOUNT_CHANGED,
        "The key opens another Stripe account than the one that was connected with it.",
        "Enter a key of this account under “Replace the key”, or connect the other account beside it.",
    ),
    "disconnected": (
        Code.KEY_REMOVED,
        "The key was removed, so nothing new is read.",
        "Enter a key again if payments of this account are to be read on.",
    ),
}
WAITING = {
    "throttled": (
        Code.THROTTLED,
        "Stripe asks to wait, because too many programs read the account at once.",
        "Nothing: it is tried again when Stripe allows it. If it lasts, see which other tools read the account.",
    ),
    "rationed": (
        Code.RATIONED,
        "Reading waits until tomorrow, so that half of Stripe’s ration of reads is left to your other tools.",
        "Nothing: the ration grows with the number of payments. “Sync now” may go beyond the day’s part.",
    ),
    "degraded": (
        Code.UNREACHABLE,
        "Stripe could not be read.",
        "It is tried again by itself. If it lasts, see whether this server may reach https://api.stripe.com, and "
        "https://status.stripe.com.",
    ),
}
HARMLESS = (Reason.WAITING, Reason.RENEWAL, Reason.BOT, Reason.DELETED_SITE)


def judge(facts: Facts) -> list[Cause]:
    """Name what keeps revenue from showing up or from being credited, the worst first."""
    found = [*_of_reading(facts), *_of_payments(facts), *_of_views(facts), *_of_credit(facts)]
    return sorted(found, key=lambda cause: -cause.level)


def is_stopped(reading: Reading, now: dt.datetime) -> bool:
    """Tell whether nothing can be read without somebody who does something about it."""
    if reading.status == "disconnected":
        return False
    return reading.status in KEY_TROUBLE or _is_overdue(reading, now)


def _is_overdue(reading: Reading, now: dt.datetime) -> bool:
    return now - (reading.synced_at or reading.connected_at) > STOPPED_AFTER and not reading.is_running


def _is_left_alone(reading: Reading, now: dt.datetime) -> bool:
    """Nobody has begun to read it although it was due."""
    moments = [each for each in (reading.connected_at, reading.due_at, reading.tried_at) if each]
    return not reading.is_running and now - max(moments) > GRACE


def _of_reading(facts: Facts) -> Iterator[Cause]:
    if not facts.readings:
        yield Cause(
            Code.NOT_CONNECTED,
            Level.PROBLEM,
            "No Stripe account is connected.",
            "Enter a key under “Connect Stripe”, in the site’s revenue settings.",
        )
    is_any_left = any(each.status != "disconnected" for each in facts.readings)
    for reading in facts.readings:
        if reading.status != "disconnected" or not is_any_left:
            yield from _of_one(reading, facts)
    if is_any_left and not any(each.is_live for each in facts.readings) and not facts.is_sandbox:
        yield Cause(
            Code.TEST_MODE,
            Level.WARNING,
            "Only Stripe’s test mode is connected: real payments are in another account.",
            "Connect the account with a live key, too. Test payments are then no longer counted.",
        )


def _of_one(reading: Reading, facts: Facts) -> Iterator[Cause]:
    account, now = reading.account, facts.now
    if reading.status in KEY_TROUBLE:
        code, sentence, fix = KEY_TROUBLE[reading.status]
        yield Cause(code, Level.PROBLEM, sentence, fix, account)
        return
    is_overdue = _is_overdue(reading, now)
    for level, missing in (
        (Level.PROBLEM if is_overdue else Level.WARNING, reading.lacking),
        (Level.NOTE, reading.spared),
    ):
        for name, without in missing.items():
            fix = f"In Stripe, under Developers → API keys, edit the key, set “{name}” to Read, and check the key here."
            yield Cause(Code.PERMISSION_MISSING, level, f"The key may not read {name}. {without}", fix, account)
    if reading.status in WAITING and not (reading.status == "degraded" and reading.lacking):
        code, sentence, fix = WAITING[reading.status]
        level = Level.PROBLEM if is_overdue else Level.WARNING
        said = f"{sentence} {reading.problem}".strip() if code == Code.UNREACHABLE else sentence
        yield Cause(code, level, said, fix, account)
    if _is_left_alone(reading, now):
        yield Cause(
            Code.NO_WORKER,
            Level.PROBLEM if is_overdue or not reading.synced_at else Level.WARNING,
            "The account is due to be read, and nobody reads it.",
            "See whether the worker runs: celery --app humblytics worker --beat. Without one, have manage.py "
            "sync_revenue run now and then.",
            account,
        )
    elif is_overdue and reading.status not in WAITING:
        yield Cause(
            Code.STOPPED,
            Level.PROBLEM,
            "The account was not read to the end for hours.",
            "See the worker’s log, or run manage.py sync_revenue, which says what keeps it.",
            account,
        )
    if not reading.is_whole:
        yield Cause(
            Code.BACKFILLING,
            Level.NOTE,
            "The account’s history is still being read, the newest payments first.",
            "Nothing: older payments show up while it goes on.",
            account,
        )
    if reading.unsettled:
        things = "1 thing does" if reading.unsettled == 1 else f"{reading.unsettled} things do"
        yield Cause(
            Code.UNSETTLED,
            Level.WARNING,
            f"{things} not add up between the ledger and Stripe’s balance.",
            "Run manage.py sync_revenue --verify, which reads what is wrong once more. What stays is listed under "
            "Findings.",
            account,
        )


def _of_payments(facts: Facts) -> Iterator[Cause]:
    read = [each for each in facts.readings if each.synced_at and each.is_whole]
    if not read or facts.payments:
        return
    if facts.elsewhere:
        yield Cause(
            Code.ELSEWHERE,
            Level.WARNING,
            f"All {facts.elsewhere} payments of the last 30 days are credited to other sites of the same account.",
            "If some of them are this site’s, see that its own pages carry its own script tag.",
        )
    elif facts.payments_ever:
        yield Cause(
            Code.NO_PAYMENTS,
            Level.NOTE,
            "Nobody has paid in the last 30 days.",
            "If somebody has, it was through another Stripe account: connect that.",
        )
    else:
        yield Cause(
            Code.NO_PAYMENTS,
            Level.WARNING,
            "The connected Stripe account has no payment at all.",
            "See in Stripe that this is the account, and the mode, that your checkout uses.",
        )


def _of_views(facts: Facts) -> Iterator[Cause]:
    if facts.refused_hits and facts.refused_hits > facts.hits:
        what, advice = facts.refused
        yield Cause(
            Code.HITS_REFUSED,
            Level.WARNING,
            f"More hits were refused than counted in the last 30 days, mostly: {what}.",
            advice,
        )
    if facts.last_view_at is None or facts.now - facts.last_view_at > QUIET:
        yield Cause(
            Code.NO_VIEWS,
            Level.PROBLEM,
            "No page view was ever counted."
            if facts.last_view_at is None
            else f"No page view was counted since {facts.last_view_at:%-d %B %Y}.",
            "Payments are credited to views: put the script tag into every page, and the checkout’s most of all.",
        )


def _of_credit(facts: Facts) -> Iterator[Cause]:
    if facts.has_dropped:
        yield Cause(
            Code.COVERAGE_DROPPED,
            Level.WARNING,
            "A smaller share of the last week’s payments is credited to a visit than in the weeks before.",
            "See what has changed in the checkout; the reasons of the payments say where the view id is lost.",
        )
    for reason, count in _by_count(facts.reasons.items()):
        is_fault = reason not in HARMLESS and count > TOLERATED * facts.payments
        payments = "1 payment" if facts.payments == 1 else f"{facts.payments} payments"
        yield Cause(
            Code.NOT_CREDITED,
            Level.WARNING if is_fault else Level.NOTE,
            f"{count} of the {payments} of the last 30 days: {reason.sentence}",
            reason.fix,
            reason=reason,
        )


def _by_count(reasons: Iterable[tuple[Reason, int]]) -> list[tuple[Reason, int]]:
    return sorted(reasons, key=lambda each: (-each[1], each[0]))
