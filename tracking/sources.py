"""Where a visit came from: its channel, a readable source, and the tags of its landing page.

The rules are data, in sources.toml, which has a version: who is a search engine, a social network and so on, and
by what a channel is told. A site's owners can have rules of their own, which go first.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from publicsuffixlist import PublicSuffixList

MAX_REFERRER = 500
MAX_TAG = 200
# A longer address is cut before it is looked at, so that no sender decides how long that takes.
MAX_ADDRESS = 8_192
MAX_HOST = 253

APP_SCHEME = "android-app"
# Not urlsplit, which raises on some of what arrives here and reads past a backslash where browsers stop.
ADDRESS = re.compile(
    r"(https?|android-app)://(?:[^/?#\\]*@)?([^/?#\\@:]+)(?::\d*)?(?=[/?#\\]|\Z)(/[^?#]*)?(?:\?([^#]*))?",
    re.IGNORECASE,
)
HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
COUNTRY = re.compile(r"\.(?:com|(?:(?:com|co|net|org)\.)?[a-z]{2})\Z")
SEPARATORS = re.compile(r"[\s_-]+")
# Control characters mean nothing in an address, and PostgreSQL takes neither NUL nor half a surrogate pair.
UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Channel(StrEnum):
    DIRECT = "Direct"
    CROSS_NETWORK = "Cross-network"
    PAID_SHOPPING = "Paid Shopping"
    PAID_SEARCH = "Paid Search"
    PAID_SOCIAL = "Paid Social"
    PAID_VIDEO = "Paid Video"
    DISPLAY = "Display"
    PAID_OTHER = "Paid Other"
    AI_ASSISTANT = "AI Assistant"
    ORGANIC_SHOPPING = "Organic Shopping"
    ORGANIC_SOCIAL = "Organic Social"
    ORGANIC_VIDEO = "Organic Video"
    ORGANIC_SEARCH = "Organic Search"
    EMAIL = "Email"
    AFFILIATES = "Affiliates"
    REFERRAL = "Referral"
    AUDIO = "Audio"
    SMS = "SMS"
    MOBILE_PUSH = "Mobile Push"
    UNASSIGNED = "Unassigned"


@dataclass(frozen=True, slots=True)
class Source:
    """`referrer` is host and path only; `click_id` is the parameter's name, never its value.

    `continues` marks the way back from a payment gateway: such a hit belongs to the visit that went there and
    never starts one of its own.
    """

    channel: Channel
    source: str = ""
    referrer: str = ""
    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_term: str = ""
    utm_content: str = ""
    click_id: str = ""
    continues: bool = False


class Kind(StrEnum):
    SEARCH = "search"
    AI = "ai"
    SOCIAL = "social"
    VIDEO = "video"
    SHOPPING = "shopping"
    EMAIL = "email"
    AFFILIATE = "affiliate"
    PAYMENT = "payment"
    OTHER = "other"


class Platform(NamedTuple):
    name: str
    kind: Kind


class Address(NamedTuple):
    scheme: str
    host: str
    path: str
    query: str


class ClickId(NamedTuple):
    """A parameter that a platform adds to links: whose it is, whether only its ads have it, and their medium."""

    platform: str
    is_ad: bool
    medium: str


class Evidence(NamedTuple):
    """What the channel rules look at, in lower case."""

    kind: Kind
    source: str
    medium: str
    campaign: str
    paid: bool


class ChannelRule(NamedTuple):
    """Applies if the click is paid, when it has to be, and any of the others fits; without others, that is enough."""

    channel: Channel
    paid: bool
    kind: Kind | None
    patterns: tuple[tuple[str, re.Pattern[str]], ...]

    def applies(self, evidence: Evidence) -> bool:
        if self.paid and not evidence.paid:
            return False
        if self.kind is None and not self.patterns:
            return True
        return evidence.kind is self.kind or any(
            pattern.fullmatch(getattr(evidence, name)) for name, pattern in self.patterns
        )


class Named(NamedTuple):
    """What a site's owners say of a source: how it is called, and its channel if not the usual one."""

    source: str
    channel: Channel | None


@dataclass(frozen=True, slots=True)
class OwnRules:
    """A site's own rules: by the host a visit comes from, for those below it too, and by utm_source."""

    hosts: Mapping[str, Named]
    tags: Mapping[str, Named]

    def named(self, utm_source: str, origin: Address | None) -> Named | None:
        """Give the word that decides; a tag goes before the referrer, and the nearer host before one above it."""
        if utm_source:
            return self.tags.get(utm_source.lower())
        if origin is None or not self.hosts:
            return None
        hosts = (origin.host, *(parent[1:] for parent in dotted_parents(origin.host)))
        return next((self.hosts[host] for host in hosts if host in self.hosts), None)


CHANNELS: Mapping[str, Channel] = {channel.value: channel for channel in Channel}
NO_RULES = OwnRules({}, {})
NOWHERE = Platform("", Kind.OTHER)
BACK_FROM_PAYMENT = Source(Channel.DIRECT, continues=True)
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


def own_rules(rows: Iterable[Sequence[str]]) -> OwnRules:
    """Read a site's rules from rows of what is looked at, pattern, source and channel, as SourceRule has them."""
    hosts: dict[str, Named] = {}
    tags: dict[str, Named] = {}
    for looks_at, pattern, source, channel in rows:
        named = Named(source, CHANNELS.get(channel))
        if looks_at == "utm_source":
            tags[pattern.lower()] = named
        else:
            hosts[clean_host(pattern)] = named
    return OwnRules(hosts, tags)


def classify(page_url: str, referrer: str, rules: OwnRules = NO_RULES) -> Source:
    """Explain one page view by its own address and the referrer that the browser reported.

    The site's own rules go first, except that a payment gateway is never a source.
    """
    page, origin = parse_address(page_url), parse_address(referrer)
    if origin and page and is_same_site(origin.host, page.host):
        origin = None
    referring = platform_at(origin) if origin else NOWHERE
    if referring.kind is Kind.PAYMENT:
        # Whatever tags the shop's return address carries, the customer came from the checkout.
        return BACK_FROM_PAYMENT

    tags = read_tags(page.query) if page else {}
    click_id = next((name for name in CLICK_IDS if name in tags), "")
    utm_source, utm_medium, utm_campaign, utm_term, utm_content = (tags.get(name, "") for name in UTM)
    platform, kind = sender(utm_source, utm_medium, click_id, referring)
    own = rules.named(utm_source, origin)
    click = CLICK_IDS.get(click_id)
    medium = utm_medium.lower() or (click.medium if click else "") or ("referral" if origin else "")
    evidence = Evidence(
        kind=kind,
        source=platform.name.lower(),
        medium=medium,
        campaign=utm_campaign.lower(),
        # Display ads carry click ids as well.
        paid=is_paid(medium) or (click is not None and click.is_ad and not is_display(medium)),
    )
    return Source(
        channel=(own and own.channel) or channel_of(evidence),
        source=own.source if own else platform.name,
        referrer=f"{origin.host}{origin.path}"[:MAX_REFERRER] if origin else "",
        utm_source=utm_source,
        utm_medium=utm_medium,
        utm_campaign=utm_campaign,
        utm_term=utm_term,
        utm_content=utm_content,
        click_id=click_id,
    )


def sender(utm_source: str, utm_medium: str, click_id: str, referring: Platform) -> tuple[Platform, Kind]:
    """Return who gets the name, and the kind that decides the channel.

    They differ for a utm_source that is on no list: then an ad's click id tells the kind, or the referrer,
    unless the link says by its medium that it is something else, say an affiliate's post on Instagram.
    """
    click = CLICK_IDS.get(click_id)
    is_ad = click is not None and click.is_ad
    if click and (is_ad or referring is NOWHERE):
        referring = platform_named(click.platform)
    if not utm_source:
        return referring, referring.kind
    tagged = platform_named(utm_source)
    is_open = tagged.kind is Kind.OTHER and (is_ad or not utm_medium)
    return tagged, referring.kind if is_open else tagged.kind


@lru_cache(maxsize=1024)
def channel_of(evidence: Evidence) -> Channel:
    if not (evidence.source or evidence.medium or evidence.campaign):
        return Channel.DIRECT
    return next((rule.channel for rule in CHANNEL_RULES if rule.applies(evidence)), Channel.UNASSIGNED)


def is_paid(medium: str) -> bool:
    return PAID_MEDIUM.fullmatch(medium) is not None


def is_display(medium: str) -> bool:
    return DISPLAY_MEDIUM.fullmatch(medium) is not None


def parse_address(url: str) -> Address | None:
    """Return None for all but the address of a web page or an Android app that has a proper name."""
    match = ADDRESS.match(UNSTORABLE.sub("", url[:MAX_ADDRESS]).strip())
    if match is None:
        return None
    scheme, raw_host, path, query = match.groups()
    host = clean_host(raw_host)
    return Address(scheme.lower(), host, path or "/", query or "") if host else None


def clean_host(host: str) -> str:
    """Return the host in lower case, without "www." and the root's dot; "" when no browser sends such a host.

    Browsers report international names in their ASCII form, and IPv6 addresses name nobody.
    """
    host = host.lower().rstrip(".")
    return host.removeprefix("www.") if len(host) <= MAX_HOST and HOST.fullmatch(host) else ""


def is_same_site(host: str, other: str) -> bool:
    return host == other or registrable_domain(host) == registrable_domain(other)


@lru_cache(maxsize=4096)
def registrable_domain(host: str) -> str:
    is_ip = host.rpartition(".")[2].isdigit()
    return host if is_ip else PUBLIC_SUFFIXES.privatesuffix(host) or host


def read_tags(query: str) -> dict[str, str]:
    """Return the parameters that have a value, in our spelling of their names; the first of each counts."""
    tags: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, raw = pair.partition("=")
        name = PARAMETERS.get(name.lower(), "")
        if name and name not in tags:
            value = UNSTORABLE.sub("", unquote_plus(raw)).strip()[:MAX_TAG].rstrip()
            if value:
                tags[name] = value
    return tags


def platform_at(origin: Address) -> Platform:
    if origin.scheme == APP_SCHEME:
        return DIRECTORY.apps.get(origin.host, Platform(origin.host, Kind.OTHER))
    return platform_of_host(origin.host)


@lru_cache(maxsize=4096)
def platform_of_host(host: str) -> Platform:
    for name in (host, COUNTRY.sub(".*", host)):
        for pattern in (name, *dotted_parents(name)):
            if platform := DIRECTORY.hosts.get(pattern):
                return platform
    return Platform(host, Kind.OTHER)


def dotted_parents(name: str) -> Iterator[str]:
    """Yield ".b.c", then ".c" for "a.b.c"."""
    while dot := name.find(".") + 1:
        name = name[dot:]
        yield "." + name


def platform_named(utm_source: str) -> Platform:
    """Understand both ways of naming a source: "google", "LinkedIn Ads" and "chatgpt.com"."""
    if platform := DIRECTORY.names.get(plain_name(utm_source)):
        return platform
    platform = platform_of_host(utm_source.lower().removeprefix("www."))
    return platform if platform.kind is not Kind.OTHER else Platform(utm_source, Kind.OTHER)


def plain_name(name: str) -> str:
    return SEPARATORS.sub("", name.lower())


class Directory(NamedTuple):
    """`hosts` holds "a.b" for the host itself and ".a.b" for everything below it."""

    hosts: dict[str, Platform]
    apps: dict[str, Platform]
    names: dict[str, Platform]


def read_directory(listed: Mapping[str, Any]) -> Directory:
    hosts: dict[str, Platform] = {}
    names: dict[str, Platform] = {}
    for kind in Kind:
        for row in listed.get(kind, []):
            platform = Platform(row["name"], kind)
            names[plain_name(platform.name)] = platform
            for host in row.get("hosts", []):
                hosts[host] = platform
            for domain in row.get("domains", []):
                hosts[domain] = hosts["." + domain] = platform
    apps = {app: names[plain_name(name)] for app, name in listed["apps"].items()}
    aliases = {alias: names[plain_name(name)] for alias, name in listed["aliases"].items()}
    return Directory(hosts, apps, names | aliases)


def read_channel_rule(row: Mapping[str, Any]) -> ChannelRule:
    return ChannelRule(
        Channel(row["channel"]),
        row.get("paid", False),
        Kind(row["kind"]) if "kind" in row else None,
        tuple((name, re.compile(row[name])) for name in ("source", "medium", "campaign") if name in row),
    )


LISTED = tomllib.loads(Path(__file__).with_name("sources.toml").read_text(encoding="utf-8"))
VERSION: int = LISTED["version"]
DIRECTORY = read_directory(LISTED)
CHANNEL_RULES = tuple(read_channel_rule(row) for row in LISTED["channels"])
PAID_MEDIUM = re.compile(LISTED["mediums"]["paid"])
DISPLAY_MEDIUM = re.compile(LISTED["mediums"]["display"])
CLICK_IDS = {
    name: ClickId(row["of"], row.get("ad", False), row.get("medium", "")) for name, row in LISTED["click_ids"].items()
}
PARAMETERS = {name.lower(): name for name in (*UTM, *CLICK_IDS)}
PUBLIC_SUFFIXES = PublicSuffixList(accept_unknown=True)
