"""The files that servers are set up by: what they must not lose when they are changed."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVERS = ("README.md", "Dockerfile", "compose.yaml", "deploy/humblytics-web.service")


@pytest.mark.parametrize("name", SERVERS)
def test_no_server_is_started_that_writes_addresses_down_or_believes_anybodys(name: str) -> None:
    text = re.sub(r'[",\[\]\n]+ *', " ", (ROOT / name).read_text())
    starts = re.findall(r"uvicorn humblytics\.asgi:application .{0,200}", text.replace("  ", " "))
    assert starts
    for start in starts:
        assert "--no-proxy-headers" in start
        assert "--no-access-log" in start


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_container_is_watched_limited_and_read_only(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["healthcheck"]
    assert service["mem_limit"]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_image_is_nobodys_and_holds_no_secret() -> None:
    *_, image = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    assert "\nUSER 10001\n" in image
    assert "SECRET_KEY" not in image
    assert "humblytics.env" in (ROOT / ".gitignore").read_text()
    for name in ("SECRET_KEY", "HUMBLYTICS_ENCRYPTION_KEYS"):
        assert re.search(rf"^{name}=$", (ROOT / "deploy/humblytics.env.example").read_text(), re.MULTILINE)
