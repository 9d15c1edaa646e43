import json
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splittests.pages import Rule, RuleError, are_on, example, may_meet, parse, parse_all, told

# Few letters, so that patterns and addresses often fit, and those that mean something elsewhere.
LETTERS = st.text("ab.$", max_size=5)
# Three stars in a path and one in each of two values are as many as a rule may have.
GLOBS = st.text("ab.$*", max_size=5)
VALUES = GLOBS.filter(lambda text: len(re.findall(r"\*+", text)) <= 1)
PAIRS = st.dictionaries(st.sampled_from("pq"), VALUES, max_size=2)


def query_of(pairs: dict[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in pairs.items())


@st.composite
def texts(draw: st.DrawFn) -> str:
    pairs = query_of(draw(PAIRS))
    return f"{draw(st.sampled_from(['', '!']))}/{draw(GLOBS)}{'?' if pairs else ''}{pairs}"


rules = st.lists(texts(), min_size=1, max_size=4).filter(lambda told: not all(text.startswith("!") for text in told))
addresses = st.tuples(LETTERS.map("/{}".format), st.dictionaries(st.sampled_from("pq"), LETTERS).map(query_of))


@pytest.mark.parametrize(
    ("texts", "path", "query", "is_on"),
    [
        pytest.param(["/pricing"], "/pricing", "", True, id="the page"),
        pytest.param(["/pricing"], "/pricing/", "", False, id="another one"),
        pytest.param(["/products/*"], "/products/a/b", "", True, id="all below"),
        pytest.param(["/*/buy"], "/de/buy", "", True, id="star in the middle"),
        pytest.param(["/a.c"], "/abc", "", False, id="a dot is a dot"),
        pytest.param(["https://shop.example/pricing#plans"], "/pricing", "", True, id="pasted"),
        pytest.param(["https://shop.example"], "/", "", True, id="pasted home"),
        pytest.param(["/café"], "/caf%C3%A9", "", True, id="as browsers write it"),
        pytest.param(["/pricing"], "/pricing", "utm_source=x", True, id="other parameters"),
        pytest.param(["/pricing?plan=pro"], "/pricing", "a=1&plan=pro", True, id="parameter"),
        pytest.param(["/pricing?plan=pro"], "/pricing", "plan=free&plan=pro", False, id="the first value counts"),
        pytest.param(["/pricing?plan=*"], "/pricing", "plan=", True, id="any value"),
        pytest.param(["/pricing?plan=******"], "/pricing", "plan=", True, id="stars in a row are one"),
        pytest.param(["/pricing?plan=*"], "/pricing", "", False, id="parameter missing"),
        pytest.param(["/?q=a+b%26c"], "/", "q=a%20b%26c", True, id="decoded value"),
        pytest.param(["/*", "!/admin/*"], "/admin/x", "", False, id="left out"),
        pytest.param(["/*", "!/admin/*"], "/about", "", True, id="not left out"),
        pytest.param(["/*", "!/*?preview=*"], "/about", "preview=1", False, id="left out by a parameter"),
    ],
)
def test_pages_belong_to_the_rules_that_take_them_in(texts: list[str], path: str, query: str, is_on: bool) -> None:
    assert are_on(parse_all(texts), path, query) is is_on


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("pricing", "is no page"),
        ("mailto:x@y.example", "is no page"),
        ("/a b", "There is a space"),
        ("/x?a=1&a=2", "named twice"),
        ("/*a*b*c*d*e*f", "more than 5 stars"),
        ("/x?a=%00", "no address has"),
        (f"/{'x' * 500}", "at most 500"),
    ],
)
def test_what_is_no_rule_is_refused_with_a_reason(text: str, error: str) -> None:
    with pytest.raises(RuleError, match=error):
        parse(text)


def test_rules_that_only_leave_out_are_refused() -> None:
    with pytest.raises(RuleError, match="at least one page"):
        parse_all(["!/admin/*"])


@pytest.mark.parametrize(
    ("first", "second", "may"),
    [
        (["/a"], ["/b"], False),
        (["/a*"], ["/*b"], True),
        (["/a*c"], ["/ab*d"], False),
        (["/products/*"], ["/products/lamp"], True),
        (["/x?plan=pro"], ["/x?plan=free"], False),
        (["/x?plan=pro"], ["/x?page=2"], True),
        (["/*", "!/products/*"], ["/products/lamp"], False),
        (["/*", "!/products/l*"], ["/products/*"], True),
        (["/*", "!/*?plan=*"], ["/x?plan=pro"], False),
        (["/*", "!/*?plan=*"], ["/x"], True),
    ],
)
def test_rules_meet_where_a_page_can_belong_to_both(first: list[str], second: list[str], may: bool) -> None:
    one, other = parse_all(first), parse_all(second)
    assert may_meet(one, other) is may_meet(other, one) is may


@given(rules, rules, addresses)
def test_what_belongs_to_both_is_never_said_to_be_apart(
    first: list[str], second: list[str], address: tuple[str, str]
) -> None:
    one, other = parse_all(first), parse_all(second)
    if are_on(one, *address) and are_on(other, *address):
        assert may_meet(one, other)


@given(rules)
def test_an_example_belongs_to_its_rules(texts: list[str]) -> None:
    page = example(parse_all(texts))
    if page is not None:
        assert are_on(parse_all(texts), *page.split("?"))


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_the_trackers_expressions_say_the_same() -> None:
    """By an engine of JavaScript, over what is made from the rules' own letters."""
    written = ["/a.b/*", "/*$?p=a*", "/x{1}", "/(a|b)", "/a+[b]", "/caf%C3%A9", "/\\d", "/*a*b*"]
    paths = ["/a.b/", "/axb/", "/q$", "/x{1}", "/x%7B1%7D", "/a", "/(a|b)", "/a+[b]", "/aa[b]", "/caf%C3%A9", "/xaxb"]
    queries = ["", "p=ab", "p=b"]
    found = [parse(text) for text in written]
    asked = [[told([rule])["include"], path, query] for rule in found for path in paths for query in queries]
    program = """
        const fits = ([[rule], path, search]) => new RegExp(rule.path).test(path) && Object.entries(rule.query ?? {})
            .every(([name, source]) => {
                const value = new URLSearchParams(search).get(name);
                return value !== null && new RegExp(source).test(value);
            });
        console.log(JSON.stringify(JSON.parse(require("fs").readFileSync(0)).map(fits)));
    """
    answered = subprocess.run(["node", "-e", program], input=json.dumps(asked), capture_output=True, text=True)
    expected = [rule.fits(path, query) for rule in found for path in paths for query in queries]
    assert any(expected)
    assert json.loads(answered.stdout) == expected


def test_the_tracker_is_told_paths_and_parameters() -> None:
    assert told([Rule("/a*", (("plan", "pro"),)), Rule("/b", excludes=True)]) == {
        "include": [{"path": "^\\/a[^]*$", "query": {"plan": "^pro$"}}],
        "exclude": [{"path": "^\\/b$"}],
    }
