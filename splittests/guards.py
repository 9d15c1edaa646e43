"""What is looked at before a test is started, so that none is broken: each guard says what it found and what to do."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlsplit

from revenue.health import KEY_TROUBLE, WAITING
from revenue.models import Connection
from revenue.models.accounts import Status
from sites.models import Site
from splittests import addresses
from splittests.changes import selectors
from splittests.models import Goal, Kind, SplitTest, Variant
from splittests.models.definitions import SHOWN
from splittests.pages import may_meet
from splittests.probing import ProbeError, probe
from splittests.traffic import LATELY, is_local, last_view, page_address, paid_lately, was_reached

# Why an account is not read; that Stripe asks to wait only makes it later.
UNREAD = KEY_TROUBLE | {Status.UNREACHABLE.value: WAITING[Status.UNREACHABLE.value]}


class Level(StrEnum):
    """Fine, doubtful (whoever starts the test has to confirm it), or wrong (it cannot be started)."""

    FINE = "good"
    WARNING = "warning"
    REFUSAL = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    title: str
    text: str


class StartError(Exception):
    """A test cannot be started; the message says why and what to do."""


def findings(test: SplitTest, now: dt.datetime) -> list[Finding]:
    """Look at everything, the customer's pages too, which may take some seconds."""
    variants = list(test.variants.order_by("pk"))
    return [
        _variants(test, variants),
        _traffic(test, now),
        *_pages(test, variants, now),
        *_others(test, variants),
        *_revenue(test, now),
        *_goals(test, now),
        *_end(test, now),
    ]


def check(test: SplitTest, now: dt.datetime, is_confirmed: bool) -> None:
    """Raise StartError if anything is wrong, or doubtful and not confirmed."""
    found = findings(test, now)
    for level in (Level.REFUSAL, Level.WARNING):
        texts = [finding.text for finding in found if finding.level == level]
        if texts and (level is Level.REFUSAL or not is_confirmed):
            raise StartError(" ".join(texts))


def _variants(test: SplitTest, variants: list[Variant]) -> Finding:
    title = "Variants"
    if len(variants) < 2:
        return Finding(Level.REFUSAL, title, "Add a second variant first: one alone has nothing to be compared with.")
    for variant in variants[1:]:
        if test.kind == Kind.CHANGES and not variant.changes:
            return Finding(Level.REFUSAL, title, f"“{variant}” changes nothing. Add a change, or remove the variant.")
        if test.kind == Kind.REDIRECT and not variant.redirect_url:
            return Finding(Level.REFUSAL, title, f"“{variant}” leads nowhere. Enter the address of its page.")
        if test.kind == Kind.REDIRECT and _is_tested_page(test, variant.redirect_url):
            return Finding(
                Level.REFUSAL, title, f"“{variant}” leads to the page under test itself. Enter the address of another."
            )
    return Finding(Level.FINE, title, f"There are {len(variants)}.")


def _is_tested_page(test: SplitTest, url: str) -> bool:
    """Tell whether an address is the very page that a rule names. That it fits a rule for many pages does no harm."""
    address = urlsplit(url)
    asked = tuple(parse_qsl(address.query, keep_blank_values=True))
    return any(not rule.excludes and (rule.path, rule.query) == (address.path, asked) for rule in test.rules)


def _traffic(test: SplitTest, now: dt.datetime) -> Finding:
    seen = last_view(test.site, test.rules, now)
    if seen is None:
        return Finding(
            Level.REFUSAL,
            "Traffic",
            f"Nobody has been seen on {', '.join(test.pages)} in the last {LATELY.days} days. Correct the pages, or "
            "see that they carry the script.",
        )
    return Finding(Level.FINE, "Traffic", f"The last visitor was seen on {seen.path}.")


def _pages(test: SplitTest, variants: list[Variant], now: dt.datetime) -> Iterator[Finding]:
    """Ask the pages that visitors are to be sent to."""
    if test.kind != Kind.REDIRECT:
        return
    page = page_address(test.site, test.rules, now)
    for variant in variants[1:]:
        if variant.redirect_url:
            url = addresses.whole(test.site, variant.redirect_url, page)
            yield _answer(test, f"Page of “{variant}”", url)


def _answer(test: SplitTest, title: str, url: str) -> Finding:
    try:
        answer = probe(url, addresses.owned_by(test.site), is_local(test.site))
    except ProbeError as error:
        return Finding(
            Level.WARNING, title, f"{url} could not be looked at: {error} Open it yourself before you start."
        )
    if answer.leaves:
        return Finding(
            Level.REFUSAL,
            title,
            f"{url} redirects to {answer.url}, which is not this site’s. Choose a page of the site.",
        )
    if answer.status in (404, 410) or answer.status >= 500:
        return Finding(Level.REFUSAL, title, f"{url} answers {answer.status}. Put the page online first.")
    if urlsplit(answer.url).path.rstrip("/") != urlsplit(url).path.rstrip("/"):
        return Finding(Level.REFUSAL, title, f"{url} redirects to {answer.url}. Enter the address that it ends up at.")
    if answer.status >= 400:
        return Finding(
            Level.WARNING, title, f"{url} answers {answer.status} to this server. Open it yourself before you start."
        )
    return Finding(Level.FINE, title, f"{url} answers {answer.status}.")


def _others(test: SplitTest, variants: list[Variant]) -> Iterator[Finding]:
    """Compare with the tests that are running on the same pages, or may go on to."""
    others = SplitTest.objects.for_site(test.site).filter(state__in=SHOWN).exclude(key=test.key)
    title, is_alone = "Other tests", True
    for other in others.prefetch_related("variants"):
        if not may_meet(test.rules, other.rules) or _are_for_different_visitors(test, other):
            continue
        is_alone = False
        shared = _selectors(variants) & _selectors(list(other.variants.all()))
        if Kind.REDIRECT in (test.kind, other.kind):
            yield Finding(
                Level.REFUSAL,
                title,
                f"“{other}” is on some of the same pages, and one of the two sends visitors away from them. Stop it "
                "first, or choose other pages.",
            )
        elif shared:
            yield Finding(
                Level.REFUSAL,
                title,
                f"“{other}” changes {', '.join(sorted(shared))} on some of the same pages. Stop it first, or change "
                "something else.",
            )
        else:
            yield Finding(
                Level.WARNING,
                title,
                f"“{other}” is on some of the same pages. Visitors are dealt to each test by itself, so both can be "
                "read if what the one changes does not bear on the other.",
            )
    if is_alone:
        yield Finding(Level.FINE, title, "No other test is on these pages.")


def _are_for_different_visitors(one: SplitTest, other: SplitTest) -> bool:
    audiences = [(one.devices, other.devices), (one.countries, other.countries), (one.channels, other.channels)]
    return any(first and second and not set(first) & set(second) for first, second in audiences)


def _selectors(variants: list[Variant]) -> set[str]:
    return {selector for variant in variants for selector in selectors(variant.changes)}


def _revenue(test: SplitTest, now: dt.datetime) -> Iterator[Finding]:
    if not test.counts_revenue:
        return
    yield from _accounts(test.site)
    paid = [currency.upper() for currency in paid_lately(test.site, now)]
    currency = test.currency.upper()
    if paid and currency not in paid:
        yield Finding(
            Level.WARNING,
            "Currency",
            f"Nobody has paid in {currency} in the last {LATELY.days} days, but in {', '.join(paid)}. Only orders in "
            f"{currency} count for this test.",
        )


def _accounts(site: Site) -> Iterator[Finding]:
    """See that the accounts whose money counts are read: of the live mode, if one is of that."""
    known = list(Connection.objects.for_site(site))
    mode = any(each.account.livemode for each in known)
    counted = [each for each in known if each.account.livemode == mode and each.status != Status.DISCONNECTED]
    title, is_any_open = "Stripe", any(each.status not in KEY_TROUBLE for each in counted)
    if not counted:
        yield Finding(
            Level.REFUSAL,
            title,
            "Connect a Stripe account first: without one there is no revenue to compare. Or choose another goal.",
        )
    for each in counted:
        if each.status in UNREAD:
            _, sentence, cure = UNREAD[each.status]
            level = Level.WARNING if is_any_open else Level.REFUSAL
            yield Finding(level, title, f"The payments of {each.account} are missing. {sentence} {cure}")
        else:
            yield Finding(Level.FINE, title, f"{each.account} is connected.")


def _goals(test: SplitTest, now: dt.datetime) -> Iterator[Finding]:
    """Ask whether anybody has ever done what is to be counted."""
    asked = [("Goal", test.goal, test.goal_pattern)]
    asked += [(f"“{metric}”", metric.goal, metric.pattern) for metric in test.metrics.all()]
    for title, goal, pattern in asked:
        if goal == Goal.REVENUE:
            continue
        if was_reached(test.site, goal, pattern, now):
            yield Finding(Level.FINE, title, f"“{pattern}” was reached in the last {LATELY.days} days.")
        else:
            yield Finding(
                Level.WARNING,
                title,
                f"Nobody has reached “{pattern}” in the last {LATELY.days} days. See that it is written as the site "
                "reports it, unless it is new.",
            )


def _end(test: SplitTest, now: dt.datetime) -> Iterator[Finding]:
    if test.ends_at and test.ends_at <= now:
        yield Finding(Level.REFUSAL, "Schedule", "Its end has passed. Choose a later one, or none.")
