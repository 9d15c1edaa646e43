"""Hits that were not taken, in words that say what to do about it."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Sum

from sites.models import Site
from tracking.hits import Refusal
from tracking.models import Intake, RefusedHits
from tracking.panels import whole

DAYS = 30

# What happened, and what to do.
WORDS: dict[str, tuple[str, str]] = {
    Refusal.MALFORMED: (
        "Could not be read",
        "The script did not send it like this. If a program of yours sends hits, compare them with the documentation.",
    ),
    Refusal.TOO_LARGE: ("Too large", "Give events shorter and fewer properties."),
    Refusal.WRONG_TYPE: ("Wrong content type", "If a program of yours sends hits, let it send them as text/plain."),
    Refusal.TOO_SLOW: ("Came in too slowly", "Nothing: the visitor’s connection broke, or somebody tried the server."),
    Refusal.UNKNOWN_SITE: ("Unknown site key", "Compare the script tag of your pages with the one under General."),
    Refusal.OTHER_HOST: (
        "Another host’s page",
        "If the host is yours, add it to the hosts that count. If not, somebody copied your pages or your script tag: "
        "nothing to do.",
    ),
    Refusal.BOT: ("Crawlers", "Nothing: they name themselves, and are no visitors."),
    Refusal.WEBDRIVER: ("Automated browsers", "Nothing: they are tests or programs, such as your own monitoring."),
    Refusal.PREFETCH: ("Loaded ahead", "Nothing: the page counts once it is really opened."),
    Refusal.EXCLUDED: ("Excluded addresses", "Nothing, as long as the addresses above are still the right ones."),
    Refusal.GPC: ("Global Privacy Control", "Nothing: you chose to respect it."),
    Refusal.DNT: ("Do Not Track", "Nothing: you chose to respect it."),
    Refusal.TOO_MANY: (
        "Too many from one network",
        "Mostly a program. If it is your own server, let it report events with an API token instead.",
    ),
    Refusal.UNAVAILABLE: (
        "Database not available",
        "Look into the server’s log. The script tries once more, so some of these were counted after all.",
    ),
}


@dataclass(frozen=True, slots=True)
class Refused:
    what: str
    advice: str
    hits: int

    @property
    def count(self) -> str:
        return whole(self.hits)


def hosts_that_count(site: Site) -> str:
    """Say which hosts' pages the site takes hits from."""
    named = Intake.objects.filter(site=site).values_list("hostnames", flat=True).first()
    return ", ".join(named) if named else f"{site.domain} and its subdomains"


def refused_lately(site: Site, now: dt.datetime, besides: Collection[Refusal] = ()) -> list[Refused]:
    """Give what was refused in the last 30 days (of UTC), the most frequent first, but for the reasons `besides`."""
    first_on = now.astimezone(dt.UTC).date() - dt.timedelta(days=DAYS - 1)
    counted = RefusedHits.objects.filter(site=site, day__gte=first_on).exclude(reason__in=besides)
    rows = counted.values_list("reason").annotate(Sum("hits"))
    found = []
    for reason, hits in sorted(rows, key=lambda row: (-row[1], row[0])):
        what, advice = WORDS.get(reason, (reason, ""))
        found.append(Refused(what, advice, hits))
    return found
