"""Where a visit comes from, looked up at once, so that the address need not be kept.

A trusted proxy's word goes first, then the site owner's own file, an MMDB, and then the registries' lists, which
know countries only.
"""

import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import iptocc
import maxminddb
from babel import Locale

log = logging.getLogger(__name__)

# What lists hold beside countries: unknown, Tor, and the regions that registries once gave addresses to.
NO_COUNTRY = frozenset({"XX", "T1", "EU", "AP", "ZZ"})
TERRITORIES: Mapping[str, str] = Locale("en").territories
COUNTRY_CODE = re.compile(r"[A-Z]{2}")
LONGEST_NAME = 100
# Control characters mean nothing in a name, and PostgreSQL takes neither NUL nor half a surrogate pair.
UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Credit(NamedTuple):
    """What the maker of a file wants to be shown, and where it leads."""

    text: str
    url: str


# By how the types of their files begin; as the makers' licences say.
CREDITS = {
    "GeoLite2": Credit("This product includes GeoLite2 Data created by MaxMind", "https://www.maxmind.com"),
    "DBIP": Credit("IP Geolocation by DB-IP", "https://db-ip.com"),
    "ipinfo": Credit("IP address data powered by IPinfo", "https://ipinfo.io"),
}

# How often the file is looked at for changes.
LOOK_SECONDS = 5.0
# One address of each IPv4 network that ends in two zeros: a file of something else knows the country of none.
PROBED = [f"{first}.{second}.0.1" for first in range(1, 224) for second in range(256)]


class Place(NamedTuple):
    """`country` is an ISO 3166-1 code; `region` and `city` are English names. "" for what is not known."""

    country: str
    region: str = ""
    city: str = ""


class Teller(NamedTuple):
    """The headers in which a proxy says where its client is."""

    country: bytes
    region: bytes = b""
    region_code: bytes = b""
    city: bytes = b""


TELLERS = (
    Teller(b"cf-ipcountry", b"cf-region", b"cf-region-code", b"cf-ipcity"),
    Teller(
        b"cloudfront-viewer-country",
        b"cloudfront-viewer-country-region-name",
        b"cloudfront-viewer-country-region",
        b"cloudfront-viewer-city",
    ),
    Teller(b"x-vercel-ip-country", b"", b"x-vercel-ip-country-region", b"x-vercel-ip-city"),
    Teller(b"x-appengine-country", b"", b"x-appengine-region", b"x-appengine-city"),
    Teller(b"cdn-requestcountrycode"),
    # Fastly and web servers with a database of their own have no fixed names: these are for their owners to set.
    Teller(b"x-country-code", b"x-region", b"", b"x-city"),
)


class UnreadableError(Exception):
    """A file is no MMDB of places; the message goes on after the file's name: "cannot be read: …"."""


class Atlas:
    """Places of addresses, from the MMDB at `path` if there is one.

    Raise UnreadableError for a file that is not there or no good. One that is replaced later by a better one is
    taken up by itself; one that is replaced by a worse one is not, and a warning is logged.
    """

    def __init__(self, path: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked_at = clock()
        self._version = _version(path)
        self._reader = open_mmdb(path) if path else None

    def locate(self, ip: str, headers: Mapping[bytes, bytes]) -> Place:
        """Tell where `ip` is. `headers` are a trusted proxy's; pass none of a stranger's."""
        told = _told(headers)
        if told and (told.region or told.city):
            return told
        found = self._look_up(ip)
        if told:
            return found if found.country == told.country else told
        if found.country:
            return found
        registered: str | None = iptocc.country_code(ip) if ip else None
        return Place(_country(registered))

    def _look_up(self, ip: str) -> Place:
        self._take_up()
        if self._reader is None or not ip:
            return NOWHERE
        try:
            return _place(self._reader.get(ip))
        except (ValueError, maxminddb.InvalidDatabaseError):
            # No address, an IPv6 address in a file for IPv4, or a damaged part of the file.
            return NOWHERE

    def _take_up(self) -> None:
        """Open the file anew if it has changed."""
        if self._reader is None or self._clock() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = self._clock()
        version = _version(self._path)
        if version == self._version:
            return
        self._version = version
        try:
            self._reader = open_mmdb(self._path)
        except UnreadableError as error:
            log.warning("%s %s Places stay those of the file before.", self._path, error)


NOWHERE = Place("")


def open_mmdb(path: str) -> maxminddb.Reader:
    """Open a private copy of the file, so that writing into it cannot end the process. Raise UnreadableError.

    The reader maps the file into memory, and the kernel kills whoever reads what has been cut off meanwhile.
    """
    try:
        with tempfile.NamedTemporaryFile() as copy:
            with open(path, "rb") as original:
                shutil.copyfileobj(original, copy, 1024 * 1024)
            copy.flush()
            reader = maxminddb.open_database(copy.name)
        # All of them are looked up, and not the reader gone through, which crashes on some damaged files.
        with_country = sum(_place(reader.get(ip)) is not NOWHERE for ip in PROBED)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}.") from error
    except (ValueError, maxminddb.InvalidDatabaseError) as error:
        raise UnreadableError("is no MMDB file, or a damaged one.") from error
    if not with_country:
        kind = reader.metadata().database_type
        raise UnreadableError(f"is an MMDB of the type {kind}, which knows no countries.")
    return reader


def credit_for(database_type: str) -> Credit | None:
    """Give what the makers of such a file want to be shown; None for makers that are not known here."""
    return next((credit for start, credit in CREDITS.items() if database_type.startswith(start)), None)


def credit(path: str) -> Credit | None:
    """Give what the makers of the file at `path` want to be shown; None if there is no file, or it is no good."""
    return _credit(path, _version(path)) if path else None


@lru_cache(maxsize=4)
def _credit(path: str, version: tuple[int, ...]) -> Credit | None:
    """`version` is there to ask anew when the file is another."""
    try:
        with maxminddb.open_database(path) as reader:
            return credit_for(reader.metadata().database_type)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError):
        return None


def _version(path: str) -> tuple[int, ...]:
    """Give what is different for each version of a file; nothing when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _told(headers: Mapping[bytes, bytes]) -> Place | None:
    """Read what a proxy says; None if it does not know the country."""
    for teller in TELLERS:
        if teller.country in headers and (country := _country(_text(headers[teller.country]).upper())):
            region, code, city = (_text(headers.get(name, b"")) for name in teller[1:])
            return Place(country, region or (f"{country}-{code.upper()}" if code else ""), city)
    return None


def _text(header: bytes) -> str:
    """Read a header that may be percent-encoded, as names with other letters than English ones are."""
    return _name(unquote(header.decode("utf-8", "replace")))


def _place(record: Any) -> Place:
    """Understand a record as MaxMind and DB-IP nest it, or as IPinfo and others lay it flat."""
    if not isinstance(record, dict):
        return NOWHERE
    country = record.get("country")
    if isinstance(country, dict):
        code, regions, city = country.get("iso_code"), record.get("subdivisions"), _english(record.get("city"))
        region = _english(regions[0]) if isinstance(regions, list) and regions else ""
    else:
        code, region = record.get("country_code") or country, record.get("region") or record.get("state1")
        city = record.get("city")
    found = _country(code)
    return Place(found, _name(region), _name(city)) if found else NOWHERE


def _english(named: Any) -> Any:
    names = named.get("names") if isinstance(named, dict) else None
    return names.get("en") if isinstance(names, dict) else None


def _country(code: Any) -> str:
    """Give the code if it is a country's, or ""."""
    is_country = isinstance(code, str) and COUNTRY_CODE.fullmatch(code) and code not in NO_COUNTRY
    return code if is_country else ""


def _name(text: Any) -> str:
    return UNSTORABLE.sub("", text).strip()[:LONGEST_NAME].rstrip() if isinstance(text, str) else ""


def country_name(code: str) -> str:
    """Give the English name of a country; a code that is none stays as it is."""
    return TERRITORIES.get(code, code)


def codes_of(search: str) -> list[str]:
    """Give the codes of the countries whose English name has `search` in it; nothing is in that of none, too."""
    wanted = search.strip().lower()
    found = [code for code, name in TERRITORIES.items() if wanted in name.lower() and len(code) == 2]
    return found if wanted else ["", *found]
