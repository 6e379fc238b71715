"""Sets of address ranges: the proxies in front, what operators publish, who announces a prefix.

A look-up is a bisection in a sorted array. Lists are operators' data with a date, and end: a range
that a cloud gave back last year belongs to somebody else today.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Protocol, cast

import msgspec
from msgspec import Struct

from ringwork.gate.identity.ip import V4_END, address_of, text_of
from ringwork.kernel.errors import Fault, Refused
from ringwork.kernel.ports import Clock

RANGES_MAX: Final = 2_000_000
"""All prefixes of the Internet's routing tables, and room."""
NONE: Final[frozenset[str]] = frozenset()

Row = tuple[int, int, str]
"""First and last address, and whose."""


def cidr_range(text: str, where: str) -> tuple[int, int]:
    """First and last address of a prefix, or of one address. Refused for other text.

    Bits below the prefix are passed over: published lists have them. IPv4 inside IPv6 is IPv4.
    """
    try:
        network: IPv4Network | IPv6Network = ip_network(text.strip(), strict=False)
    except ValueError as error:
        detail = (
            f"{where}: expected a prefix such as 192.0.2.0/24 or 2001:db8::/32, got {text!r:.60}"
        )
        faults = [Fault(where, "no prefix")]
        raise Refused("ranges-invalid", detail, status=422, errors=faults) from error
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 6 and first >> 32 == 0xFFFF and last >> 32 == 0xFFFF:
        return first & (V4_END - 1), last & (V4_END - 1)
    if network.version == 6 and first < 1 << 64 and first > 1:
        detail = f"{where}: {text!r:.60} lies in ::/64, which names no hosts"
        raise Refused("ranges-invalid", detail, status=422)
    if network.version == 6 and first <= 1 and last <= 1:
        return 0x7F000001, 0x7F000001  # ::1
    return (max(first, 1 << 64), last) if network.version == 6 else (first, last)


class Ranges:
    """Ranges with whose they are; they may overlap. Immutable."""

    __slots__ = ("_starts", "_whose")

    def __init__(self, rows: Iterable[Row]) -> None:
        """Refused (``ranges-invalid``) beyond ``RANGES_MAX`` rows."""
        known = list(rows)
        if len(known) > RANGES_MAX:
            raise Refused(
                "ranges-invalid", f"{len(known)} ranges, expected at most {RANGES_MAX}", status=422
            )
        self._starts, self._whose = _flat(known)

    def __contains__(self, address: int) -> bool:
        return bool(self._whose[bisect_right(self._starts, address)])

    def __len__(self) -> int:
        return sum(1 for whose in self._whose if whose)

    def find(self, address: int) -> frozenset[str]:
        """Whose ranges hold the address."""
        return self._whose[bisect_right(self._starts, address)]


def _flat(rows: Sequence[Row]) -> tuple[list[int], list[frozenset[str]]]:
    """Where ownership changes, and who owns what: ``owners[i]`` lies before ``starts[i]``."""
    edges: dict[int, list[tuple[str, int]]] = {}
    for first, last, whose in rows:
        edges.setdefault(first, []).append((whose, 1))
        edges.setdefault(last + 1, []).append((whose, -1))
    starts: list[int] = []
    owners: list[frozenset[str]] = [NONE]
    open_now: dict[str, int] = {}
    known: dict[frozenset[str], frozenset[str]] = {NONE: NONE}
    for edge in sorted(edges):
        for whose, step in edges[edge]:
            count = open_now.get(whose, 0) + step
            if count:
                open_now[whose] = count
            else:
                del open_now[whose]
        now = frozenset(open_now)
        if now != owners[-1]:
            starts.append(edge)
            owners.append(known.setdefault(now, now))
    return starts, owners


class RangeList(Struct, frozen=True):
    """What one operator published: prefixes, and when that was read."""

    operator: str
    prefixes: tuple[str, ...]
    read_us: int


MAX_AGE_S: Final = 7 * 86_400
"""Operators change their lists within days and keep the old ones up for about a week."""


class PublishedRanges:
    """Ranges by operator, each list until it is too old."""

    __slots__ = ("_ends_us", "_ranges", "_wall_us")

    def __init__(
        self, lists: Iterable[RangeList], *, clock: Clock, max_age_s: int = MAX_AGE_S
    ) -> None:
        """Refused (``ranges-invalid``) for a prefix that is none, named with its list."""
        rows: list[Row] = []
        self._ends_us: dict[str, int] = {}
        for one in lists:
            where = f"ranges of {one.operator}"
            rows += [(*cidr_range(prefix, where), one.operator) for prefix in one.prefixes]
            end_us = one.read_us + max_age_s * 1_000_000
            # Two lists of one operator: as old as the older one.
            self._ends_us[one.operator] = min(end_us, self._ends_us.get(one.operator, end_us))
        self._ranges = Ranges(rows)
        self._wall_us = clock.wall_us

    def operators(self, address: int) -> frozenset[str]:
        """Who publishes the address as his, in a list that is not too old."""
        found = self._ranges.find(address)
        if not found:
            return found
        now_us = self._wall_us()
        return frozenset(one for one in found if self._ends_us[one] >= now_us)

    def is_current(self, operator: str) -> bool:
        """Whether there is a list of the operator that is not too old."""
        return self._ends_us.get(operator, -1) >= self._wall_us()


def read_published(document: bytes, *, where: str) -> tuple[str, ...]:
    """The prefixes of a published list.

    ``{"prefixes": [{"ipv4Prefix": …}, {"ipv6Prefix": …}]}`` as Google, Bing, OpenAI and others
    publish it, a JSON list of prefixes, or text with one a line and ``#`` comments. Refused
    (``ranges-invalid``) for anything else.
    """
    text = document.decode("utf-8", "replace").strip()
    if not text.startswith(("{", "[")):
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        return tuple(line for line in lines if line)
    try:
        decoded = msgspec.json.decode(text)
        entries = decoded["prefixes"] if isinstance(decoded, dict) else decoded
        return tuple(_prefix(entry) for entry in entries)
    except (msgspec.DecodeError, KeyError, TypeError, RecursionError) as error:
        detail = f'{where}: expected {{"prefixes": [{{"ipv4Prefix": …}}]}} or a list of prefixes'
        raise Refused("ranges-invalid", detail, status=422) from error


def _prefix(entry: object) -> str:
    if isinstance(entry, str):
        return entry
    if not isinstance(entry, dict):
        raise TypeError("a prefix is text or an object")
    for name in ("ipv4Prefix", "ipv6Prefix", "ip_prefix", "ipv6_prefix", "cidr"):
        if isinstance(entry.get(name), str):
            return cast("str", entry[name])
    raise KeyError("ipv4Prefix")


class Asns(Protocol):
    """Who announces an address: its autonomous system, or None."""

    def find(self, address: int) -> int | None: ...


class AsnTable:
    """Autonomous systems of ranges that do not overlap."""

    __slots__ = ("_asns", "_ends", "_starts")

    def __init__(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Rows of first address, last address, number. Refused beyond ``RANGES_MAX`` rows."""
        known = sorted(rows)
        if len(known) > RANGES_MAX:
            raise Refused(
                "ranges-invalid", f"{len(known)} ranges, expected at most {RANGES_MAX}", status=422
            )
        self._starts = [first for first, _, _ in known]
        self._ends = [last for _, last, _ in known]
        self._asns = array("I", (asn for _, _, asn in known))

    def __len__(self) -> int:
        return len(self._starts)

    def find(self, address: int) -> int | None:
        """See ``Asns``."""
        at = bisect_right(self._starts, address) - 1
        return self._asns[at] if at >= 0 and address <= self._ends[at] else None


def read_iptoasn(lines: Iterable[bytes]) -> AsnTable:
    """iptoasn.com's files: first address, last address, number, country, name, by tabs.

    Number 0 is "not routed" and left out. Refused (``ranges-invalid``) names the line.
    """
    return AsnTable(_iptoasn_rows(lines))


def _iptoasn_rows(lines: Iterable[bytes]) -> Iterator[tuple[int, int, int]]:
    for number, line in enumerate(lines, 1):
        fields = line.rstrip(b"\r\n").split(b"\t")
        if fields == [b""]:
            continue
        try:
            asn = int(fields[2])
            first, last = (address_of(one.decode("ascii")) for one in fields[:2])
        except (ValueError, IndexError):
            asn, first, last = -1, None, None
        if asn == 0:
            continue
        if first is None or last is None or not first <= last or not 0 < asn < 1 << 32:
            detail = f"line {number}: expected first address, last address, number by tabs"
            raise Refused(
                "ranges-invalid", detail, status=422, errors=[Fault(f"line/{number}", detail)]
            )
        yield first, last, asn


class MmdbReader(Protocol):
    """What is used of ``maxminddb.Reader`` (the extra ``geo``)."""

    def get(self, ip_address: str) -> object: ...


class MmdbAsns:
    """Autonomous systems from a MaxMind-DB file that the caller opened."""

    __slots__ = ("_reader",)

    def __init__(self, reader: MmdbReader) -> None:
        self._reader = reader

    def find(self, address: int) -> int | None:
        """See ``Asns``. A broken record is no answer, and not worth a request."""
        try:
            record = self._reader.get(text_of(address))
        except (ValueError, RuntimeError):
            return None
        if not isinstance(record, Mapping):
            return None
        number = record.get("autonomous_system_number", record.get("asn"))
        if isinstance(number, str):
            number = number.removeprefix("AS")
            return int(number) if number.isdecimal() else None
        return number if isinstance(number, int) else None
