import datetime as dt
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.parameters import Parameter, ParameterError, choice, number, read

ASKED = (
    choice("by", "", ["day", "week"], "day"),
    choice("model", "", ["first", "last"]),
    number("limit", "", 50, 10),
    Parameter("from", "", {"type": "string", "format": "date"}),
    Parameter("currency", "", {"type": "string", "pattern": "^[A-Za-z]{3}$"}),
    Parameter("filters", "", {"type": "object", "properties": {"is.a": {"type": "string", "maxLength": 3}}}),
)


def test_what_is_not_given_is_what_is_usual() -> None:
    usual = {"by": "day", "model": None, "limit": 10, "from": None, "currency": None, "filters": []}
    assert read(ASKED, []) == usual


def test_each_is_read_as_its_schema_says() -> None:
    told = {"by": ["week"], "limit": ["50"], "from": ["2026-01-31"], "currency": ["EUR"], "is.a": ["x", "", "yz"]}
    assert read(ASKED, told.items()) == {
        "by": "week",
        "model": None,
        "limit": 50,
        "from": dt.date(2026, 1, 31),
        "currency": "EUR",
        "filters": [("is.a", "x"), ("is.a", ""), ("is.a", "yz")],
    }


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("by", ["month"]),
        ("by", [""]),
        ("by", ["day", "day"]),
        ("limit", ["0"]),
        ("limit", ["51"]),
        ("limit", ["1.0"]),
        ("limit", ["²"]),
        ("limit", ["0" * 5000 + "1"]),
        ("from", ["2026-1-31"]),
        ("from", ["2026-W05-6"]),
        ("from", ["٢٠٢٦-01-31"]),
        ("currency", ["EURO"]),
        ("currency", ["EUR\n"]),
        ("is.a", ["four"]),
        ("is.a", ["\0"]),
        ("is.b", ["x"]),
        ("filters", ["x"]),
        ("", [""]),
    ],
)
def test_what_is_not_as_its_schema_says_is_refused_by_its_name(name: str, texts: list[str]) -> None:
    with pytest.raises(ParameterError) as refused:
        read(ASKED, [(name, texts)])
    assert refused.value.parameter == name


def test_what_it_could_be_is_told() -> None:
    with pytest.raises(ParameterError) as refused:
        read(ASKED, [("by", ["month"])])
    assert (f"{refused.value}", refused.value.allowed) == ("“month” is none of what “by” may be.", ["day", "week"])
    with pytest.raises(ParameterError) as refused:
        read(ASKED, [("period", ["month"])])
    assert refused.value.allowed == ["by", "model", "limit", "from", "currency", "is.a"]


@given(name=st.sampled_from([name for each in ASKED for name in each.names]) | st.text(), text=st.text())
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    with suppress(ParameterError):
        value = read(ASKED, [(name, [text])])
        assert value["limit"] in range(1, 51)
        assert value["by"] in ("day", "week")
