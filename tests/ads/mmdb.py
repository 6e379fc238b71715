"""A writer of small MaxMind-DB files (format 2.0), for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

Node = list["Node | int | None"]
"""Two branches: a node, the place of a record in the data section, or nothing."""


def write(records: Mapping[str, object], *, ip_version: int = 6) -> bytes:
    """A file that gives, for an address, the record of the most specific network that holds it."""
    data, root = b"", Node([None, None])
    for network in sorted(map(ip_network, records), key=lambda one: one.prefixlen):
        at = len(data)
        data += encoded(records[str(network)])
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        if network.version == 4 and ip_version == 6:
            bits = "0" * 96 + bits
        _insert(root, bits, at)
    nodes: list[Node] = [root]
    for node in nodes:  # grows while it is read: breadth first
        nodes += [branch for branch in node if isinstance(branch, list)]
    number = {id(node): index for index, node in enumerate(nodes)}
    tree = b""
    for node in nodes:
        for branch in node:
            if isinstance(branch, list):
                value = number[id(branch)]
            else:
                value = len(nodes) if branch is None else len(nodes) + 16 + branch
            tree += value.to_bytes(3, "big")
    about = {
        "node_count": _uint(6, 4, len(nodes)),
        "record_size": _uint(5, 2, 24),
        "ip_version": _uint(5, 2, ip_version),
        "database_type": "Test",
        "languages": ["en"],
        "binary_format_major_version": _uint(5, 2, 2),
        "binary_format_minor_version": _uint(5, 2, 0),
        "build_epoch": _uint(9, 8, 1_764_158_400),
        "description": {"en": "Test"},
    }
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + encoded(about)


def _insert(node: Node, bits: str, record: int) -> None:
    for position, bit in enumerate(bits):
        side = int(bit)
        if position == len(bits) - 1:
            node[side] = record
            return
        branch = node[side]
        if not isinstance(branch, list):  # what was there holds for both halves
            branch = node[side] = [branch, branch]
        node = branch


def encoded(value: object) -> bytes:
    """A value of the data section: text, whole number, list or map; bytes are encoded already."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        text = value.encode()
        return _head(2, len(text)) + text
    if isinstance(value, int):
        return _uint(6, 4, value)
    if isinstance(value, list):
        return _head(11, len(value)) + b"".join(map(encoded, value))
    assert isinstance(value, dict)
    members = (encoded(key) + encoded(member) for key, member in value.items())
    return _head(7, len(value)) + b"".join(members)


def _uint(kind: int, size: int, value: int) -> bytes:
    """Readers insist on the width of every member of the metadata: 5, 6, 9 are 16, 32, 64 bits."""
    return _head(kind, size) + value.to_bytes(size, "big")


def _head(kind: int, size: int) -> bytes:
    first = (kind if kind < 8 else 0) << 5
    more = b"" if kind < 8 else bytes((kind - 7,))
    if size < 29:
        return bytes((first | size,)) + more
    assert size < 29 + 256, "tests need no longer ones"
    return bytes((first | 29,)) + more + bytes((size - 29,))
