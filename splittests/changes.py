"""What a variant changes on its page: elements, and what becomes of them. Pure.

A change is kept, and told to the tracker, as `{"selector", "action", "name", "value"}`: `name` is the attribute's or
the CSS property's, "" for text and HTML. Nothing is taken that would run a script on the site's pages: whoever may
edit tests is not thereby somebody who may put code on the site.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from html.parser import HTMLParser

MOST_CHANGES = 20
LONGEST_SELECTOR = 300
LONGEST_NAME = 60
LONGEST_VALUE = 5000

# Attributes whose value is an address that a browser may follow, or a document.
ADDRESSES = {"href", "src", "action", "formaction", "xlink:href", "data", "poster", "background", "ping", "to", "from"}
ADDRESSES |= {"values", "codebase", "srcset"}
# Elements that run, load or replace something other than what is seen.
FORBIDDEN_ELEMENTS = {"script", "iframe", "frame", "object", "embed", "applet", "base", "meta", "link", "noscript"}
# Browsers pass over these before and within the scheme of an address.
IGNORED = re.compile(r"[\x00-\x20\x7f-\xa0]")


class Action(StrEnum):
    TEXT = "text"
    HTML = "html"
    CSS = "css"
    ATTRIBUTE = "attribute"


LABELS = {Action.TEXT: "Text", Action.HTML: "HTML", Action.CSS: "CSS property", Action.ATTRIBUTE: "Attribute"}


class ChangeError(ValueError):
    """A change cannot be made; `field` is the part of it that is wrong, the message says why and what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check(change: Mapping[str, str]) -> None:
    """See that a change can be made and runs no script. Raise ChangeError."""
    selector, action, name, value = (change[part] for part in ("selector", "action", "name", "value"))
    if not selector.strip() or len(selector) > LONGEST_SELECTOR:
        raise ChangeError("selector", "Name the element by a CSS selector, such as h1 or #headline.")
    if "<" in selector:
        raise ChangeError("selector", "This is HTML, not a CSS selector. Write h1, #headline or .price.")
    if len(value) > LONGEST_VALUE:
        raise ChangeError("value", f"At most {LONGEST_VALUE} letters can be put in.")
    match action:
        case Action.TEXT:
            _check_nameless(name)
        case Action.HTML:
            _check_nameless(name)
            _check_html(value)
        case Action.CSS:
            _check_css(name, value)
        case Action.ATTRIBUTE:
            _check_attribute(name, value)
        case _:
            raise ChangeError("action", "Choose what to change: text, HTML, a CSS property or an attribute.")


def _check_nameless(name: str) -> None:
    if name:
        raise ChangeError("name", "Only attributes and CSS properties have a name. Leave this empty.")


def _check_css(name: str, value: str) -> None:
    if not re.fullmatch(r"--[\w-]+|-?[a-zA-Z][a-zA-Z-]*", name) or len(name) > LONGEST_NAME:
        raise ChangeError("name", "Name the CSS property, such as color or font-size.")
    if re.search(r"[;{}<]", value):
        raise ChangeError(
            "value", f"Write only the value of {name}, without ; and braces. Add a row for each property."
        )


def _check_attribute(name: str, value: str) -> None:
    if not re.fullmatch(r"[a-zA-Z_][\w:.-]*", name) or len(name) > LONGEST_NAME:
        raise ChangeError("name", "Name the attribute, such as href, src or alt.")
    if why := _danger_of(name, value):
        raise ChangeError("name" if "attribute" in why else "value", why)


def _danger_of(name: str, value: str) -> str:
    """Say how an attribute would run a script; "" if it cannot."""
    name = name.lower()
    if name.startswith("on"):
        return f"The attribute {name} runs a script, which a test may not put on the page."
    if name == "srcdoc":
        return "The attribute srcdoc holds a page of its own, which a test may not put on the page."
    if name in ADDRESSES and re.match(r"(javascript|vbscript|data:text/html)", IGNORED.sub("", value).lower()):
        return "This address runs a script. Write one that begins with https:// or with /."
    return ""


class _Html(HTMLParser):
    """Notes the first thing in a piece of HTML that a test may not put on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.danger = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in FORBIDDEN_ELEMENTS:
            self.danger = self.danger or f"A test may not put <{tag}> on the page."
        for name, value in attrs:
            self.danger = self.danger or _danger_of(name, value or "")

    handle_startendtag = handle_starttag


def _check_html(html: str) -> None:
    parser = _Html()
    parser.feed(html)
    parser.close()
    if parser.danger:
        raise ChangeError("value", f"{parser.danger} Put such code into the page itself and test it by its own code.")


def selectors(changes: Iterable[Mapping[str, str]]) -> list[str]:
    """Give the elements that are changed, each once, in order."""
    return list(dict.fromkeys(change["selector"] for change in changes))
