"""What a user agent says, as far as it can be believed: browsers freeze versions, so only families are kept."""

import functools
from dataclasses import dataclass

import crawleruseragents
import ua_parser

LONGEST_USER_AGENT = 1_000

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
}
SYSTEMS = {"Mac OS X": "macOS", "Ubuntu": "Linux", "Fedora": "Linux", "Debian": "Linux"}


@dataclass(frozen=True, slots=True)
class Device:
    browser: str
    os: str
    kind: str


@functools.lru_cache(maxsize=4096)
def read_device(user_agent: str) -> Device:
    """Give browser, operating system and kind (Desktop, Mobile, Tablet); "" for what is not known."""
    text = user_agent[:LONGEST_USER_AGENT]
    browser, system = ua_parser.parse_user_agent(text), ua_parser.parse_os(text)
    browser_name = browser.family if browser else ""
    system_name = system.family if system else ""
    return Device(
        BROWSERS.get(browser_name, browser_name), SYSTEMS.get(system_name, system_name), _kind(text, system_name)
    )


def _kind(user_agent: str, system: str) -> str:
    if "iPad" in user_agent or (system == "Android" and "Mobile" not in user_agent):
        return "Tablet"
    if "Mobile" in user_agent or "iPhone" in user_agent:
        return "Mobile"
    return "Desktop" if system else ""


@functools.lru_cache(maxsize=4096)
def is_bot(user_agent: str) -> bool:
    """Tell whether a user agent is a known crawler's or library's, or too short to be a browser's."""
    return len(user_agent) < 16 or bool(crawleruseragents.is_crawler(user_agent[:LONGEST_USER_AGENT]))
