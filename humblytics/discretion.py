"""What may not stand in a log line or an error report: secrets, visitors' addresses, and what addresses end with.

Nothing here is meant to be written down in the first place; this is for what an error's own text says.
"""

import ipaddress
import re

from revenue.secrecy import scrub

IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
IPV6 = re.compile(r"(?<![\w:.])(?=[\da-fA-F.]*:[\da-fA-F.]*:)[\da-fA-F:.]{2,45}(?!\w)")
QUERY = re.compile(r"(\bhttps?://[^\s?\"'<>]*\?)[^\s\"'<>]+")
STRUCK = "…"


def discreet(text: str) -> str:
    """Give the text without secrets, without network addresses but this machine's own, and without query strings."""
    return QUERY.sub(rf"\1{STRUCK}", IPV4.sub(_address, IPV6.sub(_address, scrub(text))))


def _address(found: re.Match[str]) -> str:
    # A colon or a full stop may belong to the sentence.
    for text in (found[0], found[0].rstrip(":.")):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        is_ours = address.is_loopback or address.is_unspecified
        return found[0] if is_ours else STRUCK + found[0][len(text) :]
    return found[0]
