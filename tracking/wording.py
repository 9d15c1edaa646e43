"""What visitors' browsers sent, as people read it, and what people type, as browsers send it. Pure."""

import re
from urllib.parse import quote

# Runs of bytes above ASCII, as addresses spell letters of other scripts.
ENCODED = re.compile(r"(?:%[89a-f][0-9a-f])+", re.IGNORECASE)
# What turns the direction of writing or takes no room lets one text look like another.
UNSEEN = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def readable(path: str) -> str:
    """Give a path with the letters that it spells in percent signs; what spells no letters stays."""
    return ENCODED.sub(lambda found: _decoded(found[0]), path)


def _decoded(encoded: str) -> str:
    try:
        return bytes.fromhex(encoded.replace("%", "")).decode()
    except UnicodeDecodeError:
        return encoded


def encoded(typed: str) -> str:
    """Give a part of a path as a browser sends it."""
    return quote(typed, safe=PRINTABLE)


def seen(text: str) -> str:
    """Give a text in which nothing is unseen: what would be is named, such as <U+202E>."""
    return UNSEEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)
