"""What a user agent says, as far as it can be believed: browsers freeze versions, so only families are kept."""

import functools
import re
from dataclasses import dataclass

import crawleruseragents
import ua_parser

LONGEST_USER_AGENT = 1_000
LONGEST_BRANDS = 300

# Names that are better known than the parser's.
BROWSERS = {
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "Safari",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Chrome",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Edge Mobile": "Edge",
    "Opera Mobile": "Opera",
    "Opera Touch": "Opera",
    "DuckDuckGo Mobile": "DuckDuckGo",
    "MiuiBrowser": "MIUI Browser",
    "Google": "Google app",
    "IE": "Internet Explorer",
}
SYSTEMS = {
    "Mac OS X": "macOS",
    "Ubuntu": "Linux",
    "Fedora": "Linux",
    "Debian": "Linux",
    "Web0S": "webOS",
    "Chromecast Linux": "Chromecast",
}
# Apps whose built-in browser the parser takes for the system's.
APPS = {"MicroMessenger": "WeChat", "LinkedInApp": "LinkedIn"}
# What a device can be, as far as it is known.
KINDS = ("Desktop", "Mobile", "Tablet", "TV", "Console")
CONSOLES = {"PlayStation": "PlayStation", "Xbox": "Xbox", "Nintendo": "Nintendo"}
# Amazon's sticks are called AFT and some letters.
TELEVISION = re.compile(
    r"smarttv|hbbtv|appletv|googletv|androidtv|bravia|crkey|roku|netcast|viera|\bTV\b|(?-i:\bAFT[A-Z0-9]+\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Device:
    browser: str
    os: str
    kind: str


@functools.lru_cache(maxsize=4096)
def read_device(user_agent: str, brands: str = "") -> Device:
    """Give browser, operating system and kind (Desktop, Mobile, Tablet, TV, Console); "" for what is not known.

    `brands` is the header Sec-CH-UA, in which Brave gives its name; its user agent is Chrome's. iPads say that they
    are Macs unless their owner asks for mobile pages, and count as those.
    """
    text = user_agent[:LONGEST_USER_AGENT]
    console = next((name for mark, name in CONSOLES.items() if mark in text), "")
    parsed_system = ua_parser.parse_os(text)
    system = console or (parsed_system.family if parsed_system else "")
    if system == "Linux" and "SmartTV" in text and "webos" in text.lower():
        system = "webOS"
    return Device(_browser(text, brands), SYSTEMS.get(system, system), _kind(text, system, bool(console)))


def _browser(user_agent: str, brands: str) -> str:
    if app := next((name for mark, name in APPS.items() if mark in user_agent), ""):
        return app
    if '"Brave"' in brands:
        return "Brave"
    parsed = ua_parser.parse_user_agent(user_agent)
    return BROWSERS.get(parsed.family, parsed.family) if parsed else ""


def _kind(user_agent: str, system: str, is_console: bool) -> str:
    if is_console:
        return "Console"
    if TELEVISION.search(user_agent):
        return "TV"
    if "Opera Mini" in user_agent:
        return "Mobile"
    if "iPad" in user_agent or (system == "Android" and "Mobile" not in user_agent):
        return "Tablet"
    if "Mobile" in user_agent or "iPhone" in user_agent:
        return "Mobile"
    return "Desktop" if system else ""


@functools.lru_cache(maxsize=4096)
def is_bot(user_agent: str) -> bool:
    """Tell whether a user agent is a known crawler's or library's, or too short to be a browser's."""
    return len(user_agent) < 16 or bool(crawleruseragents.is_crawler(user_agent[:LONGEST_USER_AGENT]))
