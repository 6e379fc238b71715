"""Whose address: forged fields, mapped addresses, and keys that nobody rotates out of."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.identity.address import (
    Client,
    ClientAddresses,
    address_of,
    host_key,
    net_key,
    prefix_text,
    text_of,
)
from ringwork.gate.identity.special import is_public
from ringwork.kernel.errors import Refused

PROXIES = ClientAddresses(proxies=["10.0.0.0/8", "2001:db8:ff::/48"])
PEER = address_of("10.0.0.1")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("192.0.2.1", "192.0.2.1"), (" 192.0.2.1 ", "192.0.2.1"), ("192.0.2.1:8080", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"), ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"), ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"), ("::ffff:c000:201", "192.0.2.1"), ("::1", "127.0.0.1"),
    ],
)  # fmt: skip
def test_an_address_has_one_number(text, meant):
    found = address_of(text)
    assert found is not None
    assert text_of(found) == meant


@pytest.mark.parametrize(
    "text",
    ["", "unknown", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:123456",
     "[::1", "[1.2.3.4]", "::2", "::", "::192.0.2.1", "1.2.3.4\0", "é", "_hidden", "1.2.3.4,5", "1:2"],
)  # fmt: skip
def test_what_names_no_host_is_no_address(text):
    assert address_of(text) is None


@given(st.ip_addresses())
def test_parsing_agrees_with_ipaddress(given_):
    found = address_of(str(given_))
    meant = getattr(given_, "ipv4_mapped", None) or given_
    if meant.version == 6 and int(meant) < 1 << 64:
        assert found == (0x7F000001 if int(meant) == 1 else None)
        return
    assert found == int(meant)
    assert text_of(found) == str(meant)
    bits, wide = (32, 24) if meant.version == 4 else (64, 48)
    for key, length, is_wide in ((host_key(found), bits, False), (net_key(found), wide, True)):
        network = ipaddress.ip_network((int(meant), length), strict=False)
        assert key == int(network.network_address)
        if key >> 64 or meant.version == 4:
            assert prefix_text(key, wide=is_wide) == str(network)


def test_one_subscriber_has_one_key():
    first, second = address_of("2001:db8:1:2::1"), address_of("2001:db8:1:2:ffff::9")
    assert host_key(first) == host_key(second)
    assert host_key(address_of("2001:db8:1:3::1")) != host_key(first)
    assert net_key(address_of("2001:db8:1:3::1")) == net_key(first)


def client(forwarded, *, peer=PEER, by=PROXIES, envoy=None):
    found = by.client(peer, forwarded, envoy=envoy)
    return (None if found.address is None else text_of(found.address)), found.source


def test_the_right_end_counts_whatever_the_left_says():
    assert client("1.1.1.1, 198.51.100.7") == ("198.51.100.7", "forwarded")
    assert client("1.1.1.1, 198.51.100.7, 10.9.9.9") == ("198.51.100.7", "forwarded")
    assert client("1.1.1.1,::ffff:198.51.100.7,2001:db8:ff::3") == ("198.51.100.7", "forwarded")
    assert client(["1.1.1.1", "198.51.100.7"]) == ("198.51.100.7", "forwarded")


def test_a_peer_that_is_no_proxy_is_the_client():
    stranger = address_of("203.0.113.9")
    assert client("1.1.1.1", peer=stranger, envoy="1.1.1.1") == ("203.0.113.9", "peer")
    assert client("1.1.1.1", by=ClientAddresses()) == ("10.0.0.1", "peer")


def test_beyond_an_entry_that_is_no_address_nothing_is_believed():
    assert client("1.1.1.1, unknown, 10.9.9.9") == ("10.9.9.9", "forwarded")
    assert client("1.1.1.1, unknown") == ("10.0.0.1", "peer")
    assert client("") == ("10.0.0.1", "peer")
    assert client("10.1.1.1, 10.2.2.2") == ("10.1.1.1", "forwarded")


def test_exactly_so_many_hops_are_passed_over():
    two = ClientAddresses(hops=1)
    assert client("1.1.1.1, 2.2.2.2, 3.3.3.3", by=two) == ("2.2.2.2", "forwarded")
    assert client("1.1.1.1, 2.2.2.2", by=ClientAddresses(hops=0)) == ("2.2.2.2", "forwarded")
    # Fewer entries than proxies: the request came around them.
    assert client("3.3.3.3", by=two) == ("10.0.0.1", "peer")
    both = ClientAddresses(proxies=["10.0.0.0/8"], hops=0)
    assert client("1.1.1.1", by=both, peer=address_of("203.0.113.9")) == ("203.0.113.9", "peer")


def test_envoys_verdict_counts_from_a_trusted_peer_only():
    # On loopback Envoy appends its own address, which would be taken for the client.
    assert client("1.1.1.1, 172.17.0.2", envoy="198.51.100.7") == ("198.51.100.7", "envoy")
    assert client("1.1.1.1, 172.17.0.2", envoy="nonsense") == ("172.17.0.2", "forwarded")


def test_peers_without_an_address():
    assert ClientAddresses().client(None, "1.1.1.1") == Client(None, "peer")
    named = ClientAddresses(proxies=["unix", "10.0.0.0/8"])
    assert client("1.1.1.1, 10.0.0.3", peer=None, by=named) == ("1.1.1.1", "forwarded")
    assert named.client(None) == Client(None, "peer")


@pytest.mark.parametrize("given_", [{"hops": -1}, {"hops": 64}])
def test_impossible_hops(given_):
    with pytest.raises(ValueError, match="hops"):
        ClientAddresses(**given_)


def test_a_proxy_that_is_no_prefix_is_named():
    with pytest.raises(Refused, match=r"ranges-invalid: trust\.proxies.*'10\.0\.0\.0/33'"):
        ClientAddresses(proxies=["10.0.0.0/33"])


ENTRIES = st.one_of(
    st.ip_addresses().map(str), st.text(max_size=8), st.sampled_from(["10.0.0.9", "unknown", ""])
)


@given(st.lists(ENTRIES, max_size=80), st.ip_addresses(v=4).map(str))
def test_what_the_client_writes_changes_nothing(written, seen):
    """A proxy appends what it saw: whatever stands before it is the client's own writing."""
    if seen.startswith("10.") or address_of(seen) is None:
        return
    assert client(", ".join([*written, seen, "10.3.3.3"])) == (seen, "forwarded")


@given(st.text(max_size=200))
def test_no_field_is_an_error(text):
    PROXIES.client(PEER, text, envoy=text)


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "255.255.255.255", "192.0.0.8", "198.18.0.1", "203.0.113.1", "::1", "::ffff:10.0.0.1", "fe80::1",
     "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001::1", "64:ff9b::a00:1",
     "64:ff9b:1::1", "100::1", "fec0::1", "3fff::1", "5f00::1"],
)  # fmt: skip
def test_special_addresses_are_nobodys(text):
    assert not is_public(address_of(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses(text):
    assert is_public(address_of(text))


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(given_):
    found = address_of(str(given_))
    if found is not None and not given_.is_global and not str(given_).startswith("64:ff9b:"):
        assert not is_public(found)
