import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import CHROME, FIREFOX, IPHONE
from tracking.devices import Device, is_bot, read_device

IPAD = (
    "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 "
    "Mobile/15E148 Safari/604.1"
)
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0{} Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        pytest.param(CHROME, Device("Chrome", "Windows", "Desktop"), id="chrome"),
        pytest.param(FIREFOX, Device("Firefox", "Linux", "Desktop"), id="firefox"),
        pytest.param(IPHONE, Device("Safari", "iOS", "Mobile"), id="iphone"),
        pytest.param(IPAD, Device("Safari", "iOS", "Tablet"), id="ipad"),
        pytest.param(ANDROID.format(" Mobile"), Device("Chrome", "Android", "Mobile"), id="android-phone"),
        pytest.param(ANDROID.format(""), Device("Chrome", "Android", "Tablet"), id="android-tablet"),
        pytest.param("something else entirely", Device("", "", ""), id="unknown"),
    ],
)
def test_a_user_agent_is_read_as_families(user_agent: str, expected: Device) -> None:
    assert read_device(user_agent) == expected


@pytest.mark.parametrize("user_agent", ["", "curl", "Mozilla/5.0 (compatible; Googlebot/2.1)", "python-requests/2.32"])
def test_bots_are_told_from_browsers(user_agent: str) -> None:
    assert is_bot(user_agent)
    assert not any(map(is_bot, (CHROME, FIREFOX, IPHONE, IPAD)))


@given(st.text(max_size=3000))
def test_any_user_agent_is_read(user_agent: str) -> None:
    read_device(user_agent)
    is_bot(user_agent)
