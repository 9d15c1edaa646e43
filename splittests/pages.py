"""Which pages a test is on: rules that people can write, checked, matched, compared and told to the tracker. Pure.

A rule is a path in which `*` stands for anything, such as /products/*; after a `?`, parameters that have to be in
the address, such as ?plan=pro or ?utm_campaign=*; and before all that a `!` where such pages are left out. A page
belongs to a test if any rule takes it in and none leaves it out. A parameter that stands in the address twice has
its first value. What stands behind a # says nothing about the page.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TypedDict
from urllib.parse import parse_qsl, quote, urlencode

LONGEST = 500
MOST_RULES = 20
# Each one makes a page that does not fit slower to tell.
MOST_STARS = 5
# What browsers leave as it is in a path; all else they write as %…, and so do rules.
PLAIN = "/%:@!$&'()*+,;=-._~[]|^"


class RuleError(ValueError):
    """A rule cannot be understood; the message says why and what to write."""


class ToldRule(TypedDict, total=False):
    """Sources of JavaScript regular expressions, for the path as it stands in the address and for decoded values."""

    path: str
    query: dict[str, str]


class Told(TypedDict):
    """What the tracker is told: a page is in the test if any of `include` fits and none of `exclude`."""

    include: list[ToldRule]
    exclude: list[ToldRule]


@dataclass(frozen=True, slots=True)
class Rule:
    """`path` is written as browsers write it, with %…; `query` has names and values as they are read. `*` is a star."""

    path: str
    query: tuple[tuple[str, str], ...] = ()
    excludes: bool = False

    def fits(self, path: str, query: str = "") -> bool:
        """Tell whether an address fits, regardless of `excludes`; `query` is what stands behind its ?."""
        found = dict(reversed(parse_qsl(query, keep_blank_values=True)))
        return _fits(self.path, path) and all(name in found and _fits(value, found[name]) for name, value in self.query)

    @property
    def told(self) -> ToldRule:
        said = ToldRule(path=_javascript(self.path))
        if self.query:
            said["query"] = {name: _javascript(value) for name, value in self.query}
        return said


def parse(text: str) -> Rule:
    """Read a rule, or the address of a page that somebody pasted. Raise RuleError."""
    text = text.strip()
    excludes = text.startswith("!")
    address = re.sub(r"^https?://[^/?#]*", "", text.removeprefix("!").strip(), flags=re.IGNORECASE) or "/"
    path, _, query = address.partition("#")[0].partition("?")
    if len(text) > LONGEST:
        raise RuleError(f"A page’s rule has at most {LONGEST} letters.")
    if not path.startswith(("/", "*")):
        raise RuleError(f"“{text}” is no page. Write its path, such as /pricing, or /products/* for all below it.")
    if re.search(r"[\s\x00-\x1f\x7f]", path):
        raise RuleError(f"There is a space in “{text}”. Write each page on a line of its own.")
    # Several stars in a row are one.
    path = re.sub(r"\*+", "*", path)
    pairs = [(name, re.sub(r"\*+", "*", value)) for name, value in parse_qsl(query, keep_blank_values=True)]
    if any("\0" in name + value for name, value in pairs):
        raise RuleError(f"There is a letter in “{text}” that no address has.")
    if len(dict(pairs)) < len(pairs):
        raise RuleError(f"A parameter is named twice in “{text}”.")
    stars = path.count("*") + sum(value.count("*") for _, value in pairs)
    if stars > MOST_STARS:
        raise RuleError(f"There are more than {MOST_STARS} stars in “{text}”.")
    return Rule(quote(path, safe=PLAIN), tuple(pairs), excludes)


@lru_cache(maxsize=1024)
def _parsed(texts: tuple[str, ...]) -> tuple[Rule, ...]:
    return tuple(parse(text) for text in texts)


def parse_all(texts: Iterable[str]) -> tuple[Rule, ...]:
    """Read a test's rules. Raise RuleError, also if none of them takes any page in."""
    rules = _parsed(tuple(texts))
    if len(rules) > MOST_RULES:
        raise RuleError(f"These are {len(rules)} rules; {MOST_RULES} is the most.")
    if all(rule.excludes for rule in rules):
        raise RuleError("Name at least one page that the test is on, not only pages that it is not on.")
    return rules


def are_on(rules: Sequence[Rule], path: str, query: str = "") -> bool:
    """Tell whether a page belongs to the test of these rules."""
    fitting = [rule for rule in rules if rule.fits(path, query)]
    return bool(fitting) and not any(rule.excludes for rule in fitting)


def told(rules: Sequence[Rule]) -> Told:
    """Say the rules in the tracker's words."""
    return {
        "include": [rule.told for rule in rules if not rule.excludes],
        "exclude": [rule.told for rule in rules if rule.excludes],
    }


def example(rules: Sequence[Rule]) -> str | None:
    """Give path and query of a page that the rules name outright; None if each stands for many."""
    for rule in rules:
        if rule.excludes or "*" in rule.path or any("*" in value for _, value in rule.query):
            continue
        query = urlencode(rule.query)
        if are_on(rules, rule.path, query):
            return f"{rule.path}?{query}" if query else rule.path
    return None


def may_meet(first: Sequence[Rule], second: Sequence[Rule]) -> bool:
    """Tell whether a page may belong to both; False only if none can."""
    exclusions = [rule for rule in (*first, *second) if rule.excludes]
    return any(
        _can_both_fit(one, other) and not any(_leaves_out(rule, one, other) for rule in exclusions)
        for one, other in product(first, second)
        if not one.excludes and not other.excludes
    )


def _can_both_fit(one: Rule, other: Rule) -> bool:
    values = dict(other.query)
    return _can_meet(one.path, other.path) and all(
        _can_meet(value, values[name]) for name, value in one.query if name in values
    )


def _leaves_out(exclusion: Rule, one: Rule, other: Rule) -> bool:
    """Tell whether whatever fits both is left out for sure."""
    return any(_covers(exclusion.path, rule.path) for rule in (one, other)) and all(
        any(_covers(value, dict(rule.query).get(name)) for rule in (one, other)) for name, value in exclusion.query
    )


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def _fits(pattern: str, text: str) -> bool:
    return _expression(pattern).fullmatch(text) is not None


def _covers(pattern: str, other: str | None) -> bool:
    """Tell that a pattern fits all that another one fits: a star of the other is no letter, so only a star takes it."""
    return other is not None and _fits(pattern, other.replace("*", "\0"))


def _can_meet(one: str, other: str) -> bool:
    """Tell whether any text fits both patterns, by what of `other` can be left behind each part of `one`."""
    rest = {0}
    for letter in one:
        reached = _past_stars(rest, other)
        if letter == "*":
            # It takes any of what is left.
            rest = set(range(min(reached), len(other) + 1))
        else:
            # A star of the other takes the letter and stays, or the letters are the same.
            stay = {at for at in reached if at < len(other) and other[at] == "*"}
            rest = stay | {at + 1 for at in reached if at < len(other) and other[at] == letter}
        if not rest:
            return False
    return len(other) in _past_stars(rest, other)


def _past_stars(places: set[int], pattern: str) -> set[int]:
    """Add the places behind stars that take nothing."""
    reached = set(places)
    for at in sorted(places):
        while at < len(pattern) and pattern[at] == "*":
            at += 1
            reached.add(at)
    return reached


def _javascript(pattern: str) -> str:
    parts = (re.sub(r"[\\^$.*+?()[\]{}|/]", r"\\\g<0>", part) for part in pattern.split("*"))
    return f"^{'[^]*'.join(parts)}$"
