"""Where a test may send visitors: to pages of the site itself."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from sites.models import Site
from splittests.traffic import is_local, origin_of
from tracking.intake import Rules
from tracking.models import Intake


class AddressError(ValueError):
    """The address is no page of the site; the message says why and what to write."""


def owned_by(site: Site) -> Callable[[str], bool]:
    """Give what tells whether a host's hits are the site's."""
    hostnames = Intake.objects.filter(site=site).values_list("hostnames", flat=True).first()
    return Rules(site.pk, site.domain, tuple(hostnames or ())).owns


def check(site: Site, text: str) -> None:
    """See that it is a path, or the whole address of a page of the site. Raise AddressError."""
    if re.search(r"[\s\\\x00-\x1f\x7f]", text):
        raise AddressError("An address has neither spaces nor backslashes.")
    if text.startswith("/") and not text.startswith("//"):
        return
    try:
        address = urlsplit(text)
        has_port = address.port is not None
    except ValueError:
        raise AddressError("This is no address. Write a path such as /pricing-b.") from None
    if address.scheme not in ("http", "https") or not address.hostname:
        raise AddressError(f"Write a path such as /pricing-b, or an address that begins with https://{site.domain}/.")
    if not owned_by(site)(address.hostname) or address.username is not None or (has_port and not is_local(site)):
        raise AddressError(f"Visitors can only be sent to pages of {site.domain} and the hosts that count for it.")


def whole(site: Site, text: str, page: str) -> str:
    """Give the address that a checked one means on `page`, the address of one of the test's pages."""
    if text.startswith("/"):
        return origin_of(site, urlsplit(page).hostname or site.domain) + text
    return text
