from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Have a sentence about what a drill measured stand at the end of the run."""
    return lambda sentence: record_property("figures", sentence)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, sentence in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(f"{report.location[2]}: {sentence}")
