"""Ranges: by brute force, by their date, and from the files that operators have."""

import ipaddress
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.identity.ip import address_of
from ringwork.gate.identity.ranges import (
    AsnTable,
    MmdbAsns,
    PublishedRanges,
    RangeList,
    Ranges,
    cidr_range,
    read_iptoasn,
    read_published,
)
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import Refused

DAY_US = 86_400_000_000


def lists(clock, *rows):
    return PublishedRanges(
        [RangeList(operator, prefixes, read_us) for operator, prefixes, read_us in rows],
        clock=clock,
    )


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("192.0.2.0/24", "192.0.2.0", "192.0.2.255"), ("192.0.2.9/24", "192.0.2.0", "192.0.2.255"),
        ("192.0.2.9", "192.0.2.9", "192.0.2.9"), ("2001:db8::/127", "2001:db8::", "2001:db8::1"),
        ("::ffff:192.0.2.0/120", "192.0.2.0", "192.0.2.255"), ("::1", "127.0.0.1", "127.0.0.1"),
    ],
)  # fmt: skip
def test_a_prefix_is_its_first_and_last_address(text, first, last):
    assert cidr_range(text, "here") == (address_of(first), address_of(last))


@pytest.mark.parametrize("text", ["", "x", "1.2.3.4/33", "::2/128", "1.2.3.4/-1", "a.example"])
def test_what_is_no_prefix_is_refused_with_its_place(text):
    with pytest.raises(Refused, match="here") as refused:
        cidr_range(text, "here")
    assert refused.value.slug == "ranges-invalid"


SMALL = st.tuples(st.integers(0, 60), st.integers(0, 20), st.sampled_from("abc"))


@given(st.lists(SMALL, max_size=12))
def test_overlapping_ranges_are_found_as_by_brute_force(rows):
    known = [(first, first + length, whose) for first, length, whose in rows]
    ranges = Ranges(known)
    for address in range(90):
        meant = {whose for first, last, whose in known if first <= address <= last}
        assert ranges.find(address) == meant
        assert (address in ranges) == bool(meant)


def test_a_list_ends():
    clock = ManualClock()
    now = clock.wall_us()
    ranges = lists(
        clock, ("a", ("192.0.2.0/24",), now), ("b", ("192.0.2.128/25",), now - 6 * DAY_US)
    )
    inside = address_of("192.0.2.200")
    assert ranges.operators(inside) == {"a", "b"}
    clock.advance_us(2 * DAY_US)
    assert ranges.operators(inside) == {"a"}
    assert (ranges.is_current("a"), ranges.is_current("b"), ranges.is_current("c")) == (
        True,
        False,
        False,
    )
    clock.advance_us(6 * DAY_US)
    assert ranges.operators(inside) == frozenset()
    assert ranges.operators(address_of("198.51.100.1")) == frozenset()


def test_an_operators_lists_are_as_old_as_the_oldest():
    clock = ManualClock()
    now = clock.wall_us()
    ranges = lists(
        clock, ("a", ("192.0.2.0/24",), now), ("a", ("198.51.100.0/24",), now - 8 * DAY_US)
    )
    assert not ranges.is_current("a")


def test_a_bad_prefix_names_its_list():
    with pytest.raises(Refused, match="ranges of google"):
        lists(ManualClock(), ("google", ("66.249.64.0/99",), 0))


def test_published_lists_are_read_in_their_forms():
    google = {
        "creationTime": "x",
        "prefixes": [{"ipv4Prefix": "192.0.2.0/27"}, {"ipv6Prefix": "2001:db8::/64"}],
    }
    meant = ("192.0.2.0/27", "2001:db8::/64")
    assert read_published(json.dumps(google).encode(), where="g") == meant
    assert read_published(json.dumps(meant).encode(), where="g") == meant
    assert read_published(b"# ours\n192.0.2.0/27 # a\n\n2001:db8::/64\r\n", where="g") == meant
    assert read_published(b"", where="g") == ()
    for broken in (b"{", b"{}", b'{"prefixes": 7}', b"[7]", b'[{"other": 1}]', b"[" * 5000):
        with pytest.raises(Refused, match="g: expected"):
            read_published(broken, where="g")


IPTOASN = [
    b"1.0.0.0\t1.0.0.255\t13335\tUS\tCLOUDFLARENET\n",
    b"1.0.1.0\t1.0.3.255\t0\tNone\tNot routed\n",
    b"2001:200::\t2001:200:5ff:ffff:ffff:ffff:ffff:ffff\t2500\tJP\tWIDE-BB\n",
    b"\n",
]


def test_iptoasn_files():
    table = read_iptoasn(IPTOASN)
    asked = {
        "1.0.0.7": 13335,
        "1.0.1.7": None,
        "0.255.255.255": None,
        "2001:200::9": 2500,
        "9.9.9.9": None,
    }
    assert {text: table.find(address_of(text)) for text in asked} == asked
    assert len(table) == 2
    for line in (
        b"1.0.0.0\t1.0.0.255",
        b"x\t1.0.0.1\t7",
        b"1.0.0.9\t1.0.0.1\t7",
        b"1.0.0.0\t1.0.0.1\t-3",
    ):
        with pytest.raises(Refused, match="line 2"):
            read_iptoasn([IPTOASN[0], line])


@given(st.lists(st.integers(0, 400), unique=True, max_size=24))
def test_autonomous_systems_are_found_as_by_brute_force(edges):
    edges = sorted(edges)
    rows = [
        (first, last, at + 1)
        for at, (first, last) in enumerate(zip(edges[::2], edges[1::2], strict=False))
    ]
    table = AsnTable(rows)
    for address in range(402):
        meant = next((asn for first, last, asn in rows if first <= address <= last), None)
        assert table.find(address) == meant


class Records:
    """A reader over a dictionary, as maxminddb's behaves."""

    def __init__(self, records):
        self.records = records

    def get(self, ip_address):
        ipaddress.ip_address(ip_address)
        found = self.records.get(ip_address)
        if isinstance(found, Exception):
            raise found
        return found


def test_maxmind_records():
    asns = MmdbAsns(
        Records(
            {
                "192.0.2.1": {"autonomous_system_number": 64496}, "192.0.2.2": {"asn": "AS64497"},
                "192.0.2.3": {"asn": "none"}, "192.0.2.4": 7, "2001:db8::1": ValueError("v4 only"),
            }
        )
    )  # fmt: skip
    asked = {"192.0.2.1": 64496, "192.0.2.2": 64497, "192.0.2.3": None, "192.0.2.4": None,
             "192.0.2.5": None, "2001:db8::1": None}  # fmt: skip
    assert {text: asns.find(address_of(text)) for text in asked} == asked
