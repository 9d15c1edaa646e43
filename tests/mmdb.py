"""Writes small MMDB files, after https://maxmind.github.io/MaxMind-DB/."""

import ipaddress
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

START_OF_METADATA = b"\xab\xcd\xefMaxMind.com"
EMPTY = -1
TEXT, MAP, LIST, UINT16, UINT32, UINT64 = 2, 7, 11, 5, 6, 9


def write_mmdb(path: Path, places: Mapping[str, Any], database_type: str = "Test-City", ip_version: int = 6) -> Path:
    """Write a file that has a record for each network; give its path."""
    data = b""
    # A node has a place for each bit: the number of a node, EMPTY, or a record's offset as a tuple.
    nodes: list[list[Any]] = [[EMPTY, EMPTY]]
    for network, record in places.items():
        bits = _bits(network, ip_version)
        node = 0
        for bit in bits[:-1]:
            if nodes[node][bit] == EMPTY:
                nodes.append([EMPTY, EMPTY])
                nodes[node][bit] = len(nodes) - 1
            node = nodes[node][bit]
        nodes[node][bits[-1]] = (len(data),)
        data += _encoded(record)
    tree = b"".join(struct.pack(">II", *(_pointer(place, len(nodes)) for place in node)) for node in nodes)
    metadata = {
        "node_count": (UINT32, len(nodes)),
        "record_size": (UINT16, 32),
        "ip_version": (UINT16, ip_version),
        "database_type": database_type,
        "languages": ["en"],
        "binary_format_major_version": (UINT16, 2),
        "binary_format_minor_version": (UINT16, 0),
        "build_epoch": (UINT64, 1_780_000_000),
        "description": {"en": "For tests"},
    }
    path.write_bytes(tree + bytes(16) + data + START_OF_METADATA + _encoded(metadata))
    return path


def _bits(network: str, ip_version: int) -> list[int]:
    known = ipaddress.ip_network(network)
    bits = [int(bit) for bit in f"{int(known.network_address):0{known.max_prefixlen}b}"[: known.prefixlen]]
    # IPv4 lies at the beginning of IPv6.
    return [0] * 96 + bits if ip_version > known.version else bits


def _pointer(place: Any, nodes: int) -> int:
    if place == EMPTY:
        return nodes
    return nodes + 16 + place[0] if isinstance(place, tuple) else int(place)


def _encoded(value: Any) -> bytes:
    if isinstance(value, str):
        content = value.encode()
        return _control(TEXT, len(content)) + content
    if isinstance(value, dict):
        return _control(MAP, len(value)) + b"".join(_encoded(key) + _encoded(value[key]) for key in value)
    if isinstance(value, list):
        return _control(LIST, len(value)) + b"".join(map(_encoded, value))
    kind, number = value
    content = number.to_bytes(8, "big").lstrip(b"\0")
    return _control(kind, len(content)) + content


def _control(kind: int, size: int) -> bytes:
    first = kind << 5 if kind < 8 else 0
    extended = bytes([kind - 7]) if kind >= 8 else b""
    if size < 29:
        return bytes([first | size]) + extended
    assert size < 29 + 256
    return bytes([first | 29]) + extended + bytes([size - 29])
