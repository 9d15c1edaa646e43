"""Where a visit came from: its channel, a readable source, and the tags of its landing page.

The order of the channel rules is that of Google Analytics 4's default channel group (first match wins), so
that figures can be compared; who is a search engine, a social network and so on is in sources.toml.
"""

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
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


class Evidence(NamedTuple):
    """What the channel rules look at, in lower case."""

    kind: Kind
    source: str
    medium: str
    campaign: str
    paid: bool


NOWHERE = Platform("", Kind.OTHER)
BACK_FROM_PAYMENT = Source(Channel.DIRECT, continues=True)

AD_CLICK_IDS = {
    "gclid": "Google",
    "gbraid": "Google",
    "wbraid": "Google",
    "msclkid": "Bing",
    "ttclid": "TikTok",
    "twclid": "X",
    "li_fat_id": "LinkedIn",
    "epik": "Pinterest",
    "rdt_cid": "Reddit",
    "ScCid": "Snapchat",
}
# Facebook adds its own to every outgoing link, paid or not.
CLICK_IDS = AD_CLICK_IDS | {"fbclid": "Facebook"}
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
PARAMETERS = {name.lower(): name for name in (*UTM, *CLICK_IDS)}

# As in https://support.google.com/analytics/answer/9756891; only "newsletter" and "affiliates" are added.
DISPLAY_MEDIUMS = {"display", "banner", "expandable", "interstitial", "cpm"}
SOCIAL_MEDIUMS = {"social", "social-network", "social-media", "sm", "social network", "social media"}
EMAIL_MEDIUMS = {"email", "e-mail", "e_mail", "e mail", "newsletter"}
AFFILIATE_MEDIUMS = {"affiliate", "affiliates"}
REFERRAL_MEDIUMS = {"referral", "app", "link"}
PAID_MEDIUM = re.compile(r".*cp.*|ppc|retargeting|paid.*")
SHOPPING_CAMPAIGN = re.compile(r"(?:[^a-df-z]|^)shop|shopping")


def is_paid(medium: str) -> bool:
    return PAID_MEDIUM.fullmatch(medium) is not None


def is_shopping(campaign: str) -> bool:
    return SHOPPING_CAMPAIGN.search(campaign) is not None


def is_push(evidence: Evidence) -> bool:
    medium = evidence.medium
    return medium.endswith("push") or "mobile" in medium or "notification" in medium or evidence.source == "firebase"


RULES: tuple[tuple[Channel, Callable[[Evidence], bool]], ...] = (
    (Channel.DIRECT, lambda e: not (e.source or e.medium or e.campaign)),
    (Channel.CROSS_NETWORK, lambda e: "cross-network" in e.campaign),
    (Channel.PAID_SHOPPING, lambda e: e.paid and (e.kind is Kind.SHOPPING or is_shopping(e.campaign))),
    (Channel.PAID_SEARCH, lambda e: e.paid and e.kind is Kind.SEARCH),
    (Channel.PAID_SOCIAL, lambda e: e.paid and e.kind is Kind.SOCIAL),
    (Channel.PAID_VIDEO, lambda e: e.paid and e.kind is Kind.VIDEO),
    (Channel.DISPLAY, lambda e: e.medium in DISPLAY_MEDIUMS),
    (Channel.PAID_OTHER, lambda e: e.paid),
    # Before search and referral, or gemini.google.com and copilot.microsoft.com would drown in them.
    (Channel.AI_ASSISTANT, lambda e: e.kind is Kind.AI or e.medium == "ai-assistant"),
    (Channel.ORGANIC_SHOPPING, lambda e: e.kind is Kind.SHOPPING or is_shopping(e.campaign)),
    (Channel.ORGANIC_SOCIAL, lambda e: e.kind is Kind.SOCIAL or e.medium in SOCIAL_MEDIUMS),
    (Channel.ORGANIC_VIDEO, lambda e: e.kind is Kind.VIDEO or "video" in e.medium),
    (Channel.ORGANIC_SEARCH, lambda e: e.kind is Kind.SEARCH or e.medium == "organic"),
    (Channel.EMAIL, lambda e: e.kind is Kind.EMAIL or e.medium in EMAIL_MEDIUMS),
    (Channel.AFFILIATES, lambda e: e.medium in AFFILIATE_MEDIUMS),
    (Channel.REFERRAL, lambda e: e.medium in REFERRAL_MEDIUMS),
    (Channel.AUDIO, lambda e: e.medium == "audio"),
    (Channel.SMS, lambda e: "sms" in (e.source, e.medium)),
    (Channel.MOBILE_PUSH, is_push),
    (Channel.UNASSIGNED, lambda e: True),
)


def classify(page_url: str, referrer: str) -> Source:
    """Explain one page view by its own address and the referrer that the browser reported."""
    page, origin = parse_address(page_url), parse_address(referrer)
    if origin and page and registrable_domain(origin.host) == registrable_domain(page.host):
        origin = None
    referring = platform_at(origin) if origin else NOWHERE
    if referring.kind is Kind.PAYMENT:
        # Whatever tags the shop's return address carries, the customer came from the checkout.
        return BACK_FROM_PAYMENT

    tags = read_tags(page.query) if page else {}
    click_id = next((name for name in CLICK_IDS if name in tags), "")
    utm_source, utm_medium, utm_campaign, utm_term, utm_content = (tags.get(name, "") for name in UTM)
    platform, kind = sender(utm_source, utm_medium, click_id, referring)
    medium = utm_medium.lower() or ("referral" if origin else "")
    evidence = Evidence(
        kind=kind,
        source=platform.name.lower(),
        medium=medium,
        campaign=utm_campaign.lower(),
        # Display ads carry click ids as well.
        paid=is_paid(medium) or (click_id in AD_CLICK_IDS and medium not in DISPLAY_MEDIUMS),
    )
    return Source(
        channel=next(channel for channel, applies in RULES if applies(evidence)),
        source=platform.name,
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
    is_ad = click_id in AD_CLICK_IDS
    if is_ad or (click_id and referring is NOWHERE):
        referring = platform_named(CLICK_IDS[click_id])
    if not utm_source:
        return referring, referring.kind
    tagged = platform_named(utm_source)
    is_open = tagged.kind is Kind.OTHER and (is_ad or not utm_medium)
    return tagged, referring.kind if is_open else tagged.kind


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


def read_directory() -> Directory:
    listed = tomllib.loads(Path(__file__).with_name("sources.toml").read_text(encoding="utf-8"))
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


DIRECTORY = read_directory()
PUBLIC_SUFFIXES = PublicSuffixList(accept_unknown=True)
