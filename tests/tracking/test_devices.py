from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import CHROME, FIREFOX, IPHONE
from tracking.devices import Device, is_bot, read_device

LINES = Path(__file__).with_name("user_agents.txt").read_text().splitlines()
ROWS = [line.split(" | ") for line in LINES if line and not line.startswith("#")]
BOTS = [row[1] for row in ROWS if row[0] == "bot"]
BROWSERS = [
    *((row[3], Device(*row[:3])) for row in ROWS if row[0] != "bot"),
    (CHROME, Device("Chrome", "Windows", "Desktop")),
    (FIREFOX, Device("Firefox", "Linux", "Desktop")),
    (IPHONE, Device("Safari", "iOS", "Mobile")),
]


@pytest.mark.parametrize(("user_agent", "expected"), [pytest.param(*row, id=row[0][-60:]) for row in BROWSERS])
def test_a_user_agent_is_read_as_families(user_agent: str, expected: Device) -> None:
    assert read_device(user_agent) == expected
    assert not is_bot(user_agent)


@pytest.mark.parametrize("user_agent", [*BOTS, "", "curl", "Mozilla/5.0 (compatible; Googlebot/2.1)"])
def test_bots_are_told_from_browsers(user_agent: str) -> None:
    assert is_bot(user_agent)


def test_what_is_unknown_stays_empty() -> None:
    assert read_device("something else entirely") == Device("", "", "")


def test_brave_is_told_by_its_brands() -> None:
    brands = '"Brave";v="142", "Not?A_Brand";v="8", "Chromium";v="142"'
    assert read_device(CHROME, brands).browser == "Brave"
    assert read_device(CHROME, brands.replace("Brave", "Google Chrome")).browser == "Chrome"


@given(st.text(max_size=3000), st.text(max_size=100))
def test_any_user_agent_is_read(user_agent: str, brands: str) -> None:
    read_device(user_agent, brands)
    is_bot(user_agent)


def test_what_has_been_read_is_remembered_within_bounds() -> None:
    for each in (read_device, is_bot):
        most = each.cache_info().maxsize
        assert most is not None
        for number in range(most + 10):
            each(f"Mozilla/5.0 ({number})")
        assert each.cache_info().currsize == most
