"""Trees against the published vectors of RFC 6962's hashing and a definition-level oracle."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.consent.merkle import EMPTY_ROOT, Frontier, path_of, root_from, root_of

LEAVES = [bytes.fromhex(one) for one in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""Of the first n leaves: the reference tree of Certificate Transparency's own tests."""


@pytest.mark.parametrize("count", range(9))
def test_roots_are_those_of_certificate_transparency(count):
    assert root_of(LEAVES[:count]).hex() == ROOTS[count]


def oracle(hashes: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return sha256(b"\x00" + hashes[0]).digest()
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\x01" + oracle(hashes[:split]) + oracle(hashes[split:])).digest()


@given(st.integers(0, 70))
def test_any_size_is_the_definition_and_each_path_leads_to_its_root(count):
    hashes = [sha256(bytes([one])).digest() for one in range(count)]
    root = root_of(hashes)
    assert root == oracle(hashes)
    for position in range(count):
        path = path_of(hashes, position)
        assert root_from(hashes[position], position, count, path) == root
        assert root_from(hashes[position], position, count, [*path, bytes(32)]) is None
        for other in range(count):
            if other != position:
                assert root_from(hashes[position], other, count, path) != root
    assert root_from(bytes(32), count, count, []) is None


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40), st.integers(0, 40))
def test_a_frontier_that_was_kept_goes_on_as_if_it_never_stopped(hashes, split):
    frontier = Frontier()
    for one in hashes[:split]:
        frontier.add(one)
    again = Frontier(frontier.count, frontier.nodes)
    for one in hashes[split:]:
        again.add(one)
    assert (again.root(), again.count) == (root_of(hashes), len(hashes))
    assert Frontier().root() == EMPTY_ROOT
