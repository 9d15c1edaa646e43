import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue import secrecy
from revenue.secrecy import scrub

KEY = "sk_live_51H8abcdefghijklmnop"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"key {KEY} refused", "key sk_live_… refused", id="secret-key"),
        pytest.param("rk_test_51H8xyz", "rk_test_…", id="restricted-key"),
        pytest.param("whsec_abcdefgh", "whsec_…", id="webhook-secret"),
        pytest.param(f"Bearer {KEY}\\n", "Bearer sk_live_…\\n", id="before-an-escape"),
        pytest.param("pk_live_51H8abcdef", "pk_live_51H8abcdef", id="publishable-keys-are-public"),
        pytest.param("risk_test_case", "risk_test_case", id="other-words"),
        pytest.param(f"Bearer hl_{'a-B_' * 10}xyz", "Bearer hl_…", id="api-token"),
        pytest.param("Not Found: /share/aB-_9/", "Not Found: /share/…/", id="share-link"),
        pytest.param("Forbidden: /unsubscribe/7:aB-_9/ x", "Forbidden: /unsubscribe/…/ x", id="unsubscribe-link"),
        pytest.param("/shop.example/settings/sharing/", "/shop.example/settings/sharing/", id="other-addresses"),
    ],
)
def test_keys_are_struck_out(text: str, expected: str) -> None:
    assert scrub(text) == expected


@given(st.text(), st.text(alphabet="abcXYZ019", min_size=8, max_size=120), st.text())
def test_no_key_is_left_whatever_stands_around_it(before: str, rest: str, after: str) -> None:
    assert f"sk_live_{rest}" not in scrub(f"{before} sk_live_{rest} {after}")


def test_what_is_concealed_is_struck_out_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrecy, "_concealed", set())
    secrecy.conceal(["correct horse", "", None, "short"])
    assert scrub("the short word is correct horse!") == "the short word is …!"
