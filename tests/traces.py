"""Finds what must not be kept, wherever an installation keeps anything, in every shape it may have there."""

import base64
import contextlib
import hashlib
import ipaddress
import subprocess
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import redis

from tests.stack import Stack, connect

PLACES_THAT_ARE_NOT_THE_DATABASE = ("log", "queue", "dump", "redis", "answer")
DIGESTS = ("md5", "sha1", "sha256", "sha512")


def contents(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Give all that the installation keeps: its files, a dump of its database, which must be on, and its Redis."""
    for path in stack.folder.rglob("*"):
        # The queue's files and the database's log come and go.
        with contextlib.suppress(OSError):
            yield str(path.relative_to(stack.folder)), path.read_bytes()
    yield from _dump(stack)
    if url := stack.environment.get("REDIS_URL"):
        yield from _redis(url)


def _dump(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Give what pg_dump writes: what makes the tables, then the rows of each."""
    with connect(stack.folder) as database:
        found = database.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone()
        assert found
        address = ["--host", database.info.host, "--port", str(database.info.port), "--username", database.info.user]
        program = [f"{found[0]}/pg_dump", *address, database.info.dbname]
        dumped = subprocess.run(program, capture_output=True, check=True).stdout
    made, *tables = dumped.split(b"\nCOPY ")
    yield "dump", made
    for table in tables:
        yield f"dump/{table.partition(b' ')[0].decode()}", table


def _redis(url: str) -> Iterator[tuple[str, bytes]]:
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter():
            yield f"redis/{key.decode(errors='replace')}", b"\n".join([key, *_values(client, key)])


def _values(client: Any, key: bytes) -> Iterable[bytes]:
    kind = client.type(key)
    if kind == b"string":
        return [client.get(key) or b""]
    if kind == b"list":
        return client.lrange(key, 0, -1)
    if kind == b"set":
        return client.smembers(key)
    if kind == b"zset":
        return client.zrange(key, 0, -1)
    # A key may expire between two questions.
    assert kind in (b"hash", b"none"), kind
    return [part for item in client.hgetall(key).items() for part in item]


def written_forms(mark: str) -> set[bytes]:
    """The mark as text, in hex, in base64 at any place of a longer text, and hashed without a key; in lower case."""
    forms = {mark.encode(), mark.encode().hex().encode()}
    forms |= {form.lower() for form in _within_base64(mark.encode())}
    for name in DIGESTS:
        digest = hashlib.new(name, mark.encode()).digest()
        forms |= {digest.hex().encode(), base64.b64encode(digest).rstrip(b"=").lower()}
    return {form.lower() for form in forms}


def _within_base64(content: bytes) -> Iterator[bytes]:
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + content).rstrip(b"=")
        # The characters at both ends depend on what stands there.
        yield encoded[(before * 8 + 5) // 6 : (before + len(content)) * 8 // 6]


def address_forms(address: str) -> set[bytes]:
    """Every way to write an address down as text, in lower case."""
    known = ipaddress.ip_address(address)
    texts = {address, known.compressed, known.exploded, known.packed.hex(), str(int(known))}
    if isinstance(known, ipaddress.IPv4Address):
        mapped = f"{known.packed[:2].hex()}:{known.packed[2:].hex()}"
        texts |= {mapped, "-".join(address.split(".")), ".".join(reversed(address.split(".")))}
    return {form for text in texts for form in written_forms(text)}


def packed_forms(address: str, place: str) -> set[bytes]:
    """The address as its bytes.

    Four bytes stand by chance somewhere in a database's files; there they are looked for as an `inet` keeps them.
    """
    known = ipaddress.ip_address(address)
    if known.version == 6 or place.startswith(PLACES_THAT_ARE_NOT_THE_DATABASE):
        return {known.packed, known.packed[::-1]}
    return {b"\x02\x20" + known.packed}


def traces(
    stack: Stack,
    *,
    addresses: Iterable[str] = (),
    texts: Iterable[str] = (),
    answers: Iterable[tuple[str, bytes]] = (),
    kept: str,
) -> list[str]:
    """Tell in which places an address or a text stands, among them the server's answers to what was asked.

    `kept` must stand in the dump, or the search is no good.
    """
    addresses, texts = list(addresses), list(texts)
    written = {mark: written_forms(mark) for mark in texts} | {ip: address_forms(ip) for ip in addresses}
    found: list[str] = []
    is_any_good = False
    shown = ((f"answer/{request}", body) for request, body in answers)
    for place, content in chain(contents(stack), shown):
        is_any_good |= place.startswith("dump/") and kept.encode() in content
        lowered = content.lower()
        marks = {mark for mark, forms in written.items() if any(form in lowered for form in forms)}
        marks |= {ip for ip in addresses if any(form in content for form in packed_forms(ip, place))}
        found += [f"{mark[:7]}… is in {place}" for mark in sorted(marks)]
    assert is_any_good, f"{kept}, which is kept, is not in the dump"
    return found
