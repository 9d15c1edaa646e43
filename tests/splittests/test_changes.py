import pytest

from splittests.changes import ChangeError, check


def change(action: str, value: str, name: str = "", selector: str = "#headline") -> dict[str, str]:
    return {"selector": selector, "action": action, "name": name, "value": value}


@pytest.mark.parametrize(
    "told",
    [
        change("text", "<script> is only text here"),
        change("text", ""),
        change("html", 'Now <b class="big">half price</b>, on sale = today <a href="/sale">here</a>'),
        change("html", "<img src=/lamp.png alt='onclick='>"),
        change("css", "url(/lamp.png) center / cover", "background"),
        change("css", "1px", "--gap"),
        change("attribute", "https://shop.example/?x=javascript:", "href"),
        change("attribute", "Buy", "aria-label"),
    ],
)
def test_what_only_looks_different_is_taken(told: dict[str, str]) -> None:
    check(told)


@pytest.mark.parametrize(
    ("told", "field"),
    [
        pytest.param(change("text", "x", selector=" "), "selector", id="no element"),
        pytest.param(change("text", "x", selector="<h1>"), "selector", id="HTML for a selector"),
        pytest.param(change("text", "x" * 5001), "value", id="too long"),
        pytest.param(change("move", "x"), "action", id="unknown"),
        pytest.param(change("text", "x", "color"), "name", id="a name for a text"),
        pytest.param(change("css", "red"), "name", id="no property"),
        pytest.param(change("css", "red; display: none", "color"), "value", id="two properties"),
        pytest.param(change("attribute", "x", "a b"), "name", id="no attribute"),
        pytest.param(change("attribute", "alert(1)", "onclick"), "name", id="handler"),
        pytest.param(change("attribute", "alert(1)", "ONLOAD"), "name", id="handler in capitals"),
        pytest.param(change("attribute", "<p>", "srcdoc"), "name", id="srcdoc"),
        pytest.param(change("attribute", "javascript:alert(1)", "href"), "value", id="script address"),
        pytest.param(change("attribute", " \x01java\tscript:alert(1)", "href"), "value", id="hidden script address"),
        pytest.param(change("attribute", "data:text/html,<script>", "src"), "value", id="document address"),
        pytest.param(change("html", "<SCRIPT>alert(1)</SCRIPT>"), "value", id="script"),
        pytest.param(change("html", "<svg><script>alert(1)</script></svg>"), "value", id="script in SVG"),
        pytest.param(change("html", "<img src=x onerror=alert(1)>"), "value", id="handler in HTML"),
        pytest.param(change("html", "<svg/onload=alert(1)>"), "value", id="handler behind a slash"),
        pytest.param(change("html", '<a href="&#106;avascript:alert(1)">x</a>'), "value", id="script by entity"),
        pytest.param(change("html", "<iframe src=/x></iframe>"), "value", id="frame"),
        pytest.param(change("html", "<base href=https://evil.example>"), "value", id="base"),
    ],
)
def test_what_runs_a_script_or_cannot_be_done_is_refused(told: dict[str, str], field: str) -> None:
    with pytest.raises(ChangeError) as refused:
        check(told)
    assert refused.value.field == field
