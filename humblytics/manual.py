"""The help pages: sections of the README, and SECURITY.md, as the product shows them. There is no second text.

A topic names the headings of its sections; `tests/humblytics/test_manual.py` fails if the README loses one of them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token


@dataclass(frozen=True, slots=True)
class Topic:
    slug: str
    title: str
    summary: str
    headings: tuple[str, ...] = ()
    file: str = "README.md"


USING = (
    Topic("start", "Get started", "A site, its script tag, and Stripe.", ("Use it on your site",)),
    Topic("dashboard", "The dashboard", "Periods, filters, files, reports and keys.", ("The dashboard",)),
    Topic("split-tests", "Split tests", "What a test is made of, and what happens while it runs.", ("Split tests",)),
    Topic("members", "Accounts and members", "Roles, second factors and passwords.", ("Accounts and members",)),
    Topic("script", "The script", "Events, single-page apps, and your own domain.", ("The script",)),
    Topic("api", "Events and API", "Report to it from a server, and read it with a program.",
          ("Events from your server", "Read it with a program")),
    Topic("privacy", "Privacy", "What is kept of whom, where, how long and what for; and the law.",
          ("What is kept of whom", "What it promises")),
)  # fmt: skip
RUNNING = (
    Topic("install", "Install", "Settings, containers, systemd and the proxy before it.", ("Install it",)),
    Topic("operate", "Operate", "Health, metrics, the log, backups, commands and keys.", ("Operate it",)),
    Topic("scale", "Scale", "Several servers and workers, and what they share.", ("Grow",)),
    Topic("troubleshoot", "Troubleshoot", "What happens when a part is away, and why revenue does not show up.",
          ("When something is wrong",)),
    Topic("security", "Security", "What is protected and how, what is not, and how to report a weakness.",
          file="SECURITY.md"),
)  # fmt: skip
GROUPS = (("Using it", USING), ("Running it", RUNNING))
TOPICS = {topic.slug: topic for _, topics in GROUPS for topic in topics}

HTML = MarkdownIt("commonmark", {"html": False}).enable("table")
Section = tuple[str, list[Token]]


@cache
def page(slug: str) -> SafeString:
    """Give a topic's text as HTML. Raise KeyError."""
    topic = TOPICS[slug]
    sections = _sections(topic.file)
    tokens = [token for heading in topic.headings or sections for token in sections[heading]]
    if len(topic.headings) == 1:
        # The page's title says the same.
        tokens = _raised(tokens[3:])
    # The text is ours, and HTML within it is not let through.
    text: SafeString = mark_safe(HTML.renderer.render(list(_shown(tokens)), HTML.options, {}))
    return text


@cache
def _sections(file: str) -> dict[str, list[Token]]:
    """The file's sections by their headings of the second level; what comes before the first is left out."""
    heading, sections = "", dict[str, list[Token]]()
    tokens = HTML.parse((settings.BASE_DIR / file).read_text())
    for n, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            heading = tokens[n + 1].content
            sections[heading] = []
        if heading:
            sections[heading].append(token)
    return sections


def _raised(tokens: Sequence[Token]) -> list[Token]:
    return [token.copy(tag="h2") if token.tag == "h3" else token for token in tokens]


def _shown(tokens: Sequence[Token]) -> Iterator[Token]:
    """Make of the text of a repository one of the product: with names for headings, its own links, no pictures."""
    pictures = {n + beside for n, token in enumerate(tokens) if _is_picture(token) for beside in (-1, 0, 1)}
    for n, token in enumerate(tokens):
        if n in pictures:
            continue
        match token.type:
            case "heading_open":
                yield token.copy(attrs={"id": anchor(tokens[n + 1].content)})
            case "table_open":
                yield Token("html_block", "", 0, content='<div class="table-scroll">')
                yield token
            case "table_close":
                yield token
                yield Token("html_block", "", 0, content="</div>")
            case "inline":
                yield token.copy(children=list(_linked(token.children or [])))
            case _:
                yield token


def _is_picture(token: Token) -> bool:
    return bool(token.children) and all(child.type == "image" for child in token.children or ())


def _linked(tokens: Sequence[Token]) -> Iterator[Token]:
    """Lead links to other sections to their topics; of links to the repository's files, leave the text."""
    is_linked = True
    for token in tokens:
        if token.type == "link_open":
            address = _address(str(token.attrs["href"]))
            is_linked = bool(address)
            if is_linked:
                yield token.copy(attrs={"href": address})
        elif token.type == "link_close":
            if is_linked:
                yield token
        else:
            yield token


def _address(href: str) -> str:
    if href.startswith("https://"):
        return href
    file, _, fragment = href.partition("#")
    for topic in TOPICS.values():
        if file:
            if file == topic.file:
                return reverse("help", args=[topic.slug])
        elif fragment in map(anchor, topic.headings):
            return reverse("help", args=[topic.slug])
    return ""


def anchor(heading: str) -> str:
    """Give the name that a heading has in a link, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
