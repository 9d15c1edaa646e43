import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.wording import encoded, readable, seen


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param("/%D7%A9%D7%9C%D7%95%D7%9D", "/שלום", id="Hebrew"),
        pytest.param("/caf%c3%a9", "/café", id="lower case"),
        pytest.param("/a%20b%2Fc%3Fd%25", "/a%20b%2Fc%3Fd%25", id="ASCII stays, so that two paths do not look alike"),
        pytest.param("/%FF%FE", "/%FF%FE", id="no letters"),
        pytest.param("/%E4%B8", "/%E4%B8", id="half a letter"),
        pytest.param("/%C3%A9%", "/é%", id="a lone percent sign"),
        pytest.param("/50%", "/50%", id="none"),
    ],
)
def test_a_path_is_read_with_its_letters(path: str, text: str) -> None:
    assert readable(path) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_what_is_typed_is_found_as_it_was_sent(text: str) -> None:
    assert readable(encoded(text)) == readable(text)
    assert encoded(text).isascii()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/\u202eevil", "/<U+202E>evil"),
        ("pay\u200bpal", "pay<U+200B>pal"),
        ("\ufeffx\u2066", "<U+FEFF>x<U+2066>"),
        ("مرحبا", "مرحبا"),
        ("👩‍👩‍👧 🍂", "👩‍👩‍👧 🍂"),
    ],
)
def test_nothing_unseen_is_left_in_a_text(text: str, shown: str) -> None:
    assert seen(text) == shown
