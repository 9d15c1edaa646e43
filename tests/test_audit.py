"""The audit of locked packages, against registries that tell of each release, of the newest alone, or of nothing."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings

from tests.stack import free_port

WEAK = {"id": "PYSEC-2026-1", "fixed_in": ["1.1"], "withdrawn": None}
TAKEN_BACK = {"id": "PYSEC-2026-2", "fixed_in": [], "withdrawn": "2026-11-01T00:00:00Z"}


def about(version: str, *weaknesses: Mapping[str, Any]) -> dict[str, Any]:
    return {"info": {"version": version}, "vulnerabilities": list(weaknesses)}


@pytest.fixture
def told() -> Iterator[dict[str, Any]]:
    """What the registry tells, by path."""
    told: dict[str, Any] = {}

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(told.get(self.path)).encode()
            self.send_response(200 if self.path in told else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told["address"] = f"http://127.0.0.1:{server.server_port}"
        yield told
        server.shutdown()


@pytest.fixture
def audit(told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loader = SourceFileLoader("audit", str(Path(settings.BASE_DIR, ".ci/audit")))
    spec = spec_from_loader("audit", loader)
    assert spec
    module = module_from_spec(spec)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader.exec_module(module)
    module.REGISTRY = told["address"]  # type: ignore[attr-defined]
    module.locked = lambda: [("good", "1.0"), ("weak", "1.0"), ("old", "1.0")]  # type: ignore[attr-defined]
    return module


def test_a_known_weakness_of_a_locked_release_fails(
    told: dict[str, Any], audit: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    told["/good/1.0/json"] = about("1.0", TAKEN_BACK)
    # The mirror knows only the newest releases, and of "old" that is another one.
    told["/weak/json"], told["/old/json"] = about("1.0", WEAK), about("2.0")
    assert audit.main() == 1
    said = capsys.readouterr().out
    assert "2 of 3 locked packages were looked up, 1 weaknesses." in said
    assert "The registry does not tell of old 1.0." in said
    assert "weak 1.0: PYSEC-2026-1 (mended in 1.1)" in said


def test_a_registry_that_tells_nothing_is_named_and_no_failure(
    audit: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main() == 0
    assert "0 of 3 locked packages were looked up" in capsys.readouterr().out


def test_without_a_registry_it_says_so(audit: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    audit.REGISTRY = f"http://127.0.0.1:{free_port()}"  # type: ignore[attr-defined]
    assert audit.main() == 0
    assert "The registry cannot be asked, and nothing was looked up" in capsys.readouterr().out
