from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.traffic.networks import PRIVATE, Networks, pack

# A small corner of the address space, so that networks meet, hold one another and touch.
corner = st.builds(
    lambda host, size: str(ip_network((0xCB007100 | host & -1 << 32 - size & 0xFF, size))),
    st.integers(0, 255),
    st.integers(24, 32),
)
corner6 = st.builds(
    lambda host, size: str(ip_network((0x20010DB8 << 96 | host & -1 << 128 - size & 0xFF, size))),
    st.integers(0, 255),
    st.integers(120, 128),
)


def test_an_address_is_in_the_networks_that_hold_it():
    networks = Networks.read("203.0.113.0/25  # a cloud\n\n!203.0.113.64/26\n2001:db8::/48\n")
    inside = ["203.0.113.0", "203.0.113.63", "2001:db8:0:ffff::1", "::ffff:203.0.113.5"]
    outside = ["203.0.113.64", "203.0.113.128", "203.0.112.255", "2001:db8:1::", "8.8.8.8"]
    assert all(pack(one) in networks for one in inside)
    assert not any(pack(one) in networks for one in outside)


@given(
    st.lists(corner | corner6, max_size=12),
    st.lists(corner | corner6, max_size=6),
    st.integers(0, 255),
)
def test_membership_is_that_of_every_network_looked_at(
    kept: list[str], left_out: list[str], host: int
):
    networks = Networks(kept, left_out)
    for address in (ip_address(0xCB007100 + host), ip_address((0x20010DB8 << 96) + host)):
        expected = any(address in ip_network(one) for one in kept) and not any(
            address in ip_network(one) for one in left_out
        )
        assert (address.packed in networks) is expected


@given(st.ip_addresses())
def test_an_address_is_packed_as_it_stands(address):
    mapped = getattr(address, "ipv4_mapped", None)
    assert pack(str(address)) == (mapped or address).packed


@pytest.mark.parametrize(
    "text", ["", "localhost", "1.2.3", "1.2.3.4:80", "fe80::1%eth0", "1.2\0", "é"]
)
def test_text_that_is_no_address_packs_to_nothing(text: str):
    assert pack(text) is None


@pytest.mark.parametrize("line", ["203.0.113.7/24", "cloud", "203.0.113.0/33", "!"])
def test_a_line_that_is_no_network_is_named(line: str):
    with pytest.raises(ValueError, match="line 2"):
        Networks.read(f"203.0.113.0/24\n{line}\n")


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "100.64.0.1", "192.168.1.1", "::1", "fe80::1", "fd00::1"]
)
def test_private_addresses_are_known(address: str):
    assert pack(address) in PRIVATE


def test_public_addresses_are_not_private():
    assert not any(pack(one) in PRIVATE for one in ("8.8.8.8", "100.128.0.0", "2606:4700::1"))
