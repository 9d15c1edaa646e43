"""Stripe's lists, read to their end or not at all: each page is validated before anything on it is believed."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from revenue.stripe_client import CursorGoneError, MalformedAnswerError, StripeReader, WrongModeError

PAGE_LENGTH = 100
MOST_TRIES = 3
LONGEST_ID = 255
# The year 6325: later moments do not fit everywhere, and no object is so young.
LATEST = 2**37


@dataclass(frozen=True, slots=True)
class Page:
    """Objects of a list, none of them twice, and when Stripe showed them by its own clock.

    `last_id` is what the next page starts after; empty on the last page.
    """

    objects: list[dict[str, Any]]
    observed_at: dt.datetime
    last_id: str


class WindowLostError(Exception):
    """The cursor leads nowhere: what lies beyond it is only found from the start of the list."""


def pages(
    reader: StripeReader,
    path: str,
    *,
    livemode: bool,
    since: dt.datetime | None,
    until: dt.datetime | None = None,
    params: Mapping[str, Any] | None = None,
) -> Iterator[Page]:
    """Give every page of the objects created at or after `since` and before `until`; None is no bound.

    What is new is read without an upper bound, so that an object whose second is not over yet is not left out for
    good. When Stripe loses the cursor, the list is read again from its newest object: an object may then come
    twice, never not at all. Raise ReadError; a generator that ends without one has given the whole list.
    """
    for _ in range(MOST_TRIES):
        try:
            yield from _window(reader, path, bounds(since, until, params), livemode)
            return
        except (WindowLostError, CursorGoneError):
            continue
    raise broken_off(path)


def broken_off(path: str) -> MalformedAnswerError:
    return MalformedAnswerError(f"Stripe's list {path} broke off {MOST_TRIES} times before its end.")


def bounds(since: dt.datetime | None, until: dt.datetime | None, params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of a list's pages between two moments of whole seconds."""
    created = {"gte": since, "lt": until}
    given = {name: int(moment.timestamp()) for name, moment in created.items() if moment}
    return {**(params or {}), "limit": PAGE_LENGTH, **({"created": given} if given else {})}


def _window(reader: StripeReader, path: str, bounds: Mapping[str, Any], livemode: bool) -> Iterator[Page]:
    seen: set[str] = set()
    after: dict[str, str] = {}
    while True:
        page = one_page(reader, path, {**bounds, **after}, livemode)
        fresh = [item for item in page.objects if item["id"] not in seen]
        if page.objects and not fresh:
            raise repeated(path)
        seen.update(item["id"] for item in fresh)
        yield Page(fresh, page.observed_at, page.last_id)
        if not page.last_id:
            return
        after = {"starting_after": page.last_id}


def repeated(path: str) -> MalformedAnswerError:
    return MalformedAnswerError(f"Stripe's list {path} repeats a page.")


def one_page(reader: StripeReader, path: str, params: Mapping[str, Any], livemode: bool) -> Page:
    """Read one page, validated. Raise ReadError, and WindowLostError for one that is empty and yet not the last."""
    answer = reader.get(path, params)
    listed, has_more = _validated(answer.data, path, livemode)
    if has_more and not listed:
        raise WindowLostError
    objects = list({item["id"]: item for item in listed}.values())
    return Page(objects, answer.date, listed[-1]["id"] if has_more else "")


def _validated(data: dict[str, Any], path: str, livemode: bool) -> tuple[list[dict[str, Any]], bool]:
    listed, has_more = data.get("data"), data.get("has_more")
    if data.get("object") != "list" or not isinstance(listed, list) or not isinstance(has_more, bool):
        raise MalformedAnswerError(f"What answers for {path} is not a list of Stripe's.")
    for item in listed:
        check_object(item, path, livemode)
    return listed, has_more


def check_object(item: object, path: str, livemode: bool) -> None:
    """Raise unless `item` has an id and a time of creation, and is of the account's mode where it says its mode."""
    if not isinstance(item, dict):
        raise MalformedAnswerError(f"{path} holds something that is no object.")
    identity, created = item.get("id"), item.get("created")
    if not isinstance(identity, str) or not 0 < len(identity) <= LONGEST_ID or not identity.isprintable():
        raise MalformedAnswerError(f"{path} holds an object without an id.")
    if type(created) is not int or not 0 <= created < LATEST:
        raise MalformedAnswerError(f"{path} holds an object without a time of creation.")
    # Refunds and balance transactions do not tell their mode.
    if item.get("livemode", livemode) is not livemode:
        raise WrongModeError
