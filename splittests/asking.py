"""Who asks for the script: what the ingest would make of the same request, looked up only if a test wants to know it.

The address is used here and goes no further.
"""

import datetime as dt
import functools

from django.conf import settings
from django.http import HttpRequest

from splittests.assignment import identity
from tracking.devices import LONGEST_BRANDS, LONGEST_USER_AGENT, read_device
from tracking.hits import hostname_of
from tracking.intake import Rules
from tracking.places import Atlas
from tracking.presence import channel_of_visit
from tracking.recorder import PAYMENT_PAUSE, VISIT_PAUSE
from tracking.sources import classify
from tracking.visitors import client_address


class Asker:
    def __init__(self, request: HttpRequest, site_key: str, rules: Rules, now: dt.datetime) -> None:
        self._site_key, self._rules, self._now = site_key, rules, now
        self._headers = {
            name[5:].replace("_", "-").lower().encode(): value.encode("latin-1", "replace")
            for name, value in request.META.items()
            if name.startswith("HTTP_")
        }
        forwarded_for = request.META.get("HTTP_X_FORWARDED_FOR", "")
        self._address, self._is_by_proxy = client_address(
            request.META.get("REMOTE_ADDR", ""), forwarded_for, settings.TRUSTED_PROXIES
        )
        self._ip = str(self._address or "")
        self._user_agent = request.META.get("HTTP_USER_AGENT", "")

    @property
    def identity(self) -> bytes:
        return identity(self._ip, self._user_agent)

    @property
    def is_counted(self) -> bool:
        """Whether the site takes hits from who sends such headers from such an address."""
        return self._rules.refusal_anywhere(self._headers, self._address) is None

    def is_counted_on(self, url: str) -> bool:
        return self._rules.refusal(hostname_of(url), self._headers, self._address) is None

    @functools.cached_property
    def device(self) -> str:
        brands = self._headers.get(b"sec-ch-ua", b"")[:LONGEST_BRANDS].decode("latin-1")
        return read_device(self._user_agent[:LONGEST_USER_AGENT], brands).kind

    @functools.cached_property
    def country(self) -> str:
        return _atlas().locate(self._ip, self._headers if self._is_by_proxy else {}).country

    @functools.cached_property
    def known_channel(self) -> str | None:
        """The channel of the visit that is under way, None if none is."""
        return self._channel_within(VISIT_PAUSE)

    def channel_from(self, url: str, referrer: str) -> str:
        """Give the channel of the visit that a view of the page belongs to, be it its first."""
        source = classify(url, referrer, self._rules.sources)
        known = self._channel_within(PAYMENT_PAUSE if source.continues else VISIT_PAUSE)
        return source.channel if known is None else known

    def _channel_within(self, patience: dt.timedelta) -> str | None:
        user_agent = self._user_agent[:LONGEST_USER_AGENT]
        return channel_of_visit(self._rules.site_id, self._site_key, self._ip, user_agent, self._now, patience)


@functools.cache
def _atlas() -> Atlas:
    return Atlas(settings.GEOIP_PATH)
