import base64
import contextlib
import gzip
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from sites.models import Site
from tests.factories import send_hit
from tests.mmdb import write_mmdb
from tracking import geoip
from tracking.places import Atlas

V4 = "91.64.3.3"
KEY = "licence-key-of-nobody"


class Maker:
    """A file's maker, who answers on this machine: `answers` has a status and a body, or an address, by path."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes] | str] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.port = 0

    def url(self, path: str, user: str = "") -> str:
        return f"http://{user and user + '@'}127.0.0.1:{self.port}{path}"


@pytest.fixture
def maker() -> Iterator[Maker]:
    maker = Maker()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            maker.asked.append((self.path, self.headers["Authorization"]))
            answer = maker.answers.get(self.path, (404, b""))
            if isinstance(answer, str):
                self.send_response(302)
                self.send_header("Location", answer)
                self.end_headers()
                return
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(answer[1])

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        maker.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield maker
        server.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path: Path, settings: Any) -> Path:
    """Where the file is to be; one of before is there."""
    (tmp_path / "geoip").mkdir()
    path = write_mmdb(tmp_path / "geoip" / "places.mmdb", {"91.64.0.0/16": {"country_code": "AT"}})
    settings.GEOIP_PATH = str(path)
    return path


@pytest.fixture
def fresh(tmp_path: Path) -> bytes:
    places = {"91.64.0.0/16": {"country_code": "DE", "city": "Berlin"}}
    return write_mmdb(tmp_path / "fresh.mmdb", places, "DBIP-City-Lite").read_bytes()


def tarred(content: bytes, name: str, mode: str = "w:gz") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for each, inside in (("GeoLite2-City_20260310/LICENSE.txt", b"..."), (name, content)):
            member = tarfile.TarInfo(each)
            member.size = len(inside)
            archive.addfile(member, io.BytesIO(inside))
    return packed.getvalue()


def city_of(path: Path) -> str:
    return Atlas(str(path)).locate(V4, {}).city


@pytest.mark.parametrize("packing", ["none", "gzip", "tar.gz", "tar"])
def test_a_file_is_fetched_in_any_packing_and_takes_the_old_one_s_place(
    maker: Maker, path: Path, fresh: bytes, packing: str, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "GeoLite2-City_20260310/GeoLite2-City.mmdb"
    packed = {
        "none": fresh,
        "gzip": gzip.compress(fresh),
        "tar.gz": tarred(fresh, name),
        "tar": tarred(fresh, name, "w"),
    }
    maker.answers["/file"] = 200, packed[packing]
    settings.GEOIP_URL = maker.url("/file")
    call_command("update_geoip", "--json")
    assert json.loads(capsys.readouterr().out) == {
        "path": str(path),
        "type": "DBIP-City-Lite",
        "built_on": "2026-05-28",
        "bytes": len(fresh),
        "credit": {"text": "IP Geolocation by DB-IP", "url": "https://db-ip.com"},
    }
    assert city_of(path) == "Berlin"
    assert list(path.parent.iterdir()) == [path]


def test_the_month_is_put_into_the_address_and_the_password_is_sent_to_its_own_host_only(
    maker: Maker, path: Path, fresh: bytes, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.GEOIP_URL = maker.url("/places-{month}", f"4711:{KEY}%21")
    with pytest.raises(CommandError, match=r"^127\.0\.0\.1:\d+ answered 404\.$"):
        call_command("update_geoip")
    (asked, authorization), *_ = maker.asked
    assert authorization == f"Basic {base64.b64encode(f'4711:{KEY}!'.encode()).decode()}"
    maker.answers |= {asked: maker.url("/elsewhere"), "/elsewhere": (200, fresh)}
    call_command("update_geoip")
    assert maker.asked[-1] == ("/elsewhere", None)
    told = capsys.readouterr()
    assert KEY not in told.out + told.err
    assert "DBIP-City-Lite of 2026-05-28" in told.out
    assert asked.removeprefix("/places-").count("-") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"<html>Sign in</html>", "is no MMDB file", id="a page"),
        pytest.param(b"", "is no MMDB file", id="nothing"),
        pytest.param("half", "is no MMDB file", id="half of it"),
        pytest.param("half a gzip", "is packed, but damaged", id="half of a gzip"),
        pytest.param("half a tar", "is packed, but damaged", id="half of a tar"),
        pytest.param("flipped", "is packed, but damaged", id="gzip with another sum"),
        pytest.param("no mmdb", "an archive without an .mmdb file", id="another archive"),
        pytest.param("large", "is larger than", id="too large"),
        pytest.param("bomb", "is larger than", id="unpacks to too much"),
    ],
)
def test_what_is_no_good_leaves_the_old_file(
    maker: Maker,
    path: Path,
    fresh: bytes,
    content: bytes | str,
    message: str,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(geoip, "MOST_BYTES", 100_000)
    noise = bytes(range(256)) * 300
    packed, archive = gzip.compress(fresh + noise), tarred(fresh + noise, "a.mmdb", "w")
    made = {
        "half": fresh[: len(fresh) // 2],
        "half a gzip": packed[: len(packed) // 2],
        "half a tar": archive[: len(archive) // 2],
        "flipped": packed[:-8] + bytes(8),
        "no mmdb": tarred(fresh, "a.csv"),
        "large": bytes(100_001),
        "bomb": gzip.compress(b"x" * 10_000_000),
    }
    maker.answers["/file"] = 200, made[content] if isinstance(content, str) else content
    settings.GEOIP_URL = maker.url("/file")
    before = path.read_bytes()
    with pytest.raises(CommandError, match=message) as error:
        call_command("update_geoip")
    assert "The old file stays." in str(error.value)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "url",
    [
        "http://maker.example/file",
        f"http://u:{KEY}@maker.example/file",
        "file:///etc/passwd",
        "ftp://maker.example/file",
        "maker.example/file",
        f"https://u:{KEY}@:port/",
        f"https://maker.example:{KEY}/",
    ],
)
def test_only_encrypted_addresses_are_asked(path: Path, url: str, settings: Any) -> None:
    settings.GEOIP_URL = url
    with pytest.raises(CommandError, match=r"^The address must begin with https://") as error:
        call_command("update_geoip")
    assert KEY not in str(error.value)


def test_a_redirect_to_an_unencrypted_address_is_not_followed(maker: Maker, path: Path, settings: Any) -> None:
    maker.answers["/file"] = "http://maker.example/file"
    settings.GEOIP_URL = maker.url("/file")
    with pytest.raises(CommandError, match="points to an address"):
        call_command("update_geoip")


def test_a_maker_that_cannot_be_reached_is_an_error_in_words(path: Path, settings: Any) -> None:
    settings.GEOIP_URL = f"http://u:{KEY}@127.0.0.1:1/file"
    with pytest.raises(CommandError, match=r"^127\.0\.0\.1:1 could not be reached") as error:
        call_command("update_geoip")
    assert KEY not in str(error.value)


def test_a_file_that_was_downloaded_by_hand_is_taken(
    path: Path, fresh: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "by-hand.mmdb.gz").write_bytes(gzip.compress(fresh))
    path.unlink()
    call_command("update_geoip", "--file", str(tmp_path / "by-hand.mmdb.gz"))
    assert "https://db-ip.com" in capsys.readouterr().out
    assert city_of(path) == "Berlin"
    with pytest.raises(CommandError, match=r"nowhere cannot be read: No such file"):
        call_command("update_geoip", "--file", str(tmp_path / "nowhere"))


@pytest.mark.parametrize("missing", ["GEOIP_PATH", "GEOIP_URL"])
def test_without_a_place_or_an_address_the_command_says_what_to_set(path: Path, missing: str, settings: Any) -> None:
    settings.GEOIP_URL = "https://maker.example/file"
    setattr(settings, missing, "")
    with pytest.raises(CommandError, match=f"^Set {missing} ") as error:
        call_command("update_geoip")
    assert error.value.returncode == 2


@pytest.mark.django_db
def test_the_maker_of_the_places_is_named_where_places_are_shown(
    owner_client: Client, site: Site, path: Path, fresh: bytes, settings: Any
) -> None:
    send_hit(site, ip=V4)
    link = '<a href="https://db-ip.com">IP Geolocation by DB-IP</a>'

    def shown(name: str) -> set[bool]:
        pages = (f"/shop.example/{name}/", f"/shop.example/details/{name}/")
        return {link in owner_client.get(page).content.decode() for page in pages}

    assert shown("countries") == {False}
    path.write_bytes(fresh)
    assert shown("countries") == {True}
    assert shown("browsers") == {False}
    path.unlink()
    assert shown("countries") == {False}
    settings.GEOIP_PATH = ""
    assert shown("countries") == {False}
