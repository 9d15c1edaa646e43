"""Fetches a fresh file of places and puts it in the old one's place, if it is any good."""

import base64
import datetime as dt
import gzip
import http.client
import ipaddress
import os
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

from tracking.places import Credit, UnreadableError, credit_for, open_mmdb

SECONDS = 60
# The largest files of the kind have some 200 MB. What unpacks to more is a mistake, or a trap.
MOST_BYTES = 2 * 1024**3
GZIP = b"\x1f\x8b"


class FetchError(Exception):
    """The file was not replaced; the message says why, and repeats no password."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """`credit` is what the file's licence wants shown, None if its maker is not known here."""

    type: str
    built_on: dt.date
    bytes: int
    credit: Credit | None


def fetch(url: str, path: Path, today: dt.date) -> Fetched:
    """Download the file to `path`. Raise FetchError.

    {month} in the address stands for the month of `today`, such as 2026-03; a user and password before the host are
    sent as HTTP's basic authentication, to that host only.
    """
    address = urlsplit(url.replace("{month}", f"{today:%Y-%m}"))
    if not _is_safe(address):
        raise FetchError("The address must begin with https://.")
    host = address.netloc.rpartition("@")[2]
    request = urllib.request.Request(address._replace(netloc=host).geturl())
    if address.username:
        known = f"{unquote(address.username)}:{unquote(address.password or '')}"
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(known.encode()).decode()}")
    try:
        with tempfile.TemporaryFile() as received:
            with urllib.request.build_opener(SafeRedirects).open(request, timeout=SECONDS) as answer:
                _copy(answer, received)
            return install(received, path)
    except urllib.error.HTTPError as error:
        raise FetchError(f"{host} answered {error.code}.") from None
    except (http.client.HTTPException, urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise FetchError(f"{host} could not be reached, or broke off: {type(error).__name__}.") from None


def install(received: IO[bytes], path: Path) -> Fetched:
    """Put a file, which may be packed by gzip and in a tar, at `path`, in one step. Raise FetchError."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".geoip-") as folder:
            fresh = Path(folder, path.name)
            with _unpacked(received) as content, fresh.open("wb") as file:
                _copy(content, file)
                os.fsync(file.fileno())
            reader, size = open_mmdb(str(fresh)), fresh.stat().st_size
            fresh.replace(path)
    except UnreadableError as error:
        raise FetchError(f"What came {error} The old file stays.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        raise FetchError("What came is packed, but damaged. The old file stays.") from error
    except OSError as error:
        raise FetchError(f"{path} cannot be written: {error.strerror}.") from error
    made = reader.metadata()
    built_on = dt.datetime.fromtimestamp(made.build_epoch, dt.UTC).date()
    return Fetched(made.database_type, built_on, size, credit_for(made.database_type))


class SafeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not _is_safe(urlsplit(newurl)):
            raise FetchError("The server points to an address that does not begin with https://.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_safe(address: SplitResult) -> bool:
    try:
        host = address.hostname or ""
        is_proper = bool(host) and (address.port or True)
    except ValueError:
        return False
    return bool(is_proper) and (address.scheme == "https" or (address.scheme == "http" and _is_loopback(host)))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _unpacked(received: IO[bytes]) -> Iterator[IO[bytes]]:
    received.seek(0)
    if tarfile.is_tarfile(received):
        received.seek(0)
        with tarfile.open(fileobj=received) as archive:
            files = [member for member in archive if member.isfile() and member.name.endswith(".mmdb")]
            member = archive.extractfile(files[0]) if files else None
            if member is None:
                raise FetchError("What came is an archive without an .mmdb file. The old file stays.")
            yield member
        return
    received.seek(0)
    is_gzip = received.read(2) == GZIP
    received.seek(0)
    if is_gzip:
        with gzip.open(received) as content:
            yield cast("IO[bytes]", content)
    else:
        yield received


def _copy(source: IO[bytes], target: Any) -> None:
    size = 0
    while chunk := source.read(1024 * 1024):
        size += len(chunk)
        if size > MOST_BYTES:
            raise FetchError(f"The file is larger than {MOST_BYTES // 1024**3} GB. The old file stays.")
        target.write(chunk)
    target.flush()
