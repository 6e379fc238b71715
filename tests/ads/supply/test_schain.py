"""Supply chains: the standard's examples, both forms, and what is wrong with a chain."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.supply.schain import (
    NODES_MAX,
    BadChain,
    Chain,
    Node,
    faults,
    is_complete,
    parse_json,
    parse_text,
    to_json,
    to_text,
)

# The IAB's example of a request that went through two sellers, in both forms.
TEXT = (
    "1.0,1!exchange1.com,1234,1,bid-request-1,publisher,publisher.com"
    "!exchange2.com,abcd,1,bid-request2,intermediary,intermediary.com"
)
OBJECT = {
    "complete": 1,
    "ver": "1.0",
    "nodes": [
        {
            "asi": "exchange1.com", "sid": "1234", "hp": 1, "rid": "bid-request-1",
            "name": "publisher", "domain": "publisher.com",
        },
        {
            "asi": "exchange2.com", "sid": "abcd", "hp": 1, "rid": "bid-request2",
            "name": "intermediary", "domain": "intermediary.com",
        },
    ],
}  # fmt: skip


def test_both_forms_say_the_same() -> None:
    chain = parse_text(TEXT)
    assert chain == parse_json(json.dumps(OBJECT).encode())
    assert to_text(chain) == TEXT
    assert json.loads(to_json(chain)) == OBJECT
    assert is_complete(chain)


def test_what_is_optional_may_be_missing_or_empty() -> None:
    chain = parse_text("1.0,0!exchange1.com,1234,1,,,!exchange2.com,abcd,1")
    assert chain.nodes == (Node("exchange1.com", "1234", 1), Node("exchange2.com", "abcd", 1))
    assert to_text(chain) == "1.0,0!exchange1.com,1234,1!exchange2.com,abcd,1"
    assert not is_complete(chain)
    assert faults(chain) == []


def test_values_are_percent_encoded_and_an_extension_is_read_past() -> None:
    chain = parse_text("1.0,1!e.example,a%2Cb%21,1,,Caf%C3%A9,,%7B%7D")
    assert chain.nodes == (Node("e.example", "a,b!", 1, name="Café"),)


def test_nulls_numbers_and_unknown_members_are_tolerated() -> None:
    body = (
        b'{"complete":1,"ver":"1.0","nodes":[{"asi":"e.example","sid":7,"hp":1,"rid":null,"x":[]}]}'
    )
    assert parse_json(body).nodes == (Node("e.example", "7", 1),)


@pytest.mark.parametrize(
    "text", ["", "1.0", "1.0,2!a.example,1,1", "!a.example,1,1", "1.0,1!a,b,c,d,e,f,g,h",
             "1.0,1!a.example,1,x", "1.0,1" + "!a.example,1,1" * (NODES_MAX + 1), "1.0,1!" + "a" * 20_000],
)  # fmt: skip
def test_a_text_that_is_no_chain_is_refused(text) -> None:
    with pytest.raises(BadChain, match="expected"):
        parse_text(text)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"complete":"1"}', b'{"complete":1,"nodes":[1]}', b"\xff",
     b'{"complete":1,"nodes":[{"asi":1}]}', b'{"complete":1,"nodes":' + b"[" * 5000,
     b'{"complete":1,"nodes":[' + b"{}," * NODES_MAX + b"{}]}"],
)  # fmt: skip
def test_bytes_that_are_no_chain_are_refused(body) -> None:
    with pytest.raises(BadChain, match="expected"):
        parse_json(body)


@pytest.mark.parametrize(
    ("chain", "fault"),
    [
        (Chain(complete=1, nodes=()), "nodes must be 1 to 100, got 0"),
        (Chain(complete=2, nodes=(Node("e.example", "1", 1),)), "complete must be 0 or 1, got 2"),
        (Chain(complete=1, nodes=(Node("e.example", "1", 1),), ver="2.0"), "ver must be 1.0"),
        (Chain(complete=1, nodes=(Node("", "1", 1),)), "nodes[0].asi must be a domain"),
        (Chain(complete=1, nodes=(Node("e.example", "", 1),)), "nodes[0].sid must have 1 to 64"),
        (Chain(complete=1, nodes=(Node("e.example", "1" * 65, 1),)), "got 65"),
        (Chain(complete=1, nodes=(Node("e.example", "1", 0),)), "hp must be 1"),
        (Chain(complete=1, nodes=(Node("e.example", "1"),)), "hp must be 1 in version 1.0, got None"),
        (Chain(complete=1, nodes=(Node("e.example", "1", 1, domain="a b"),)), "domain must be one"),
    ],
)  # fmt: skip
def test_what_a_chain_lacks_is_named_and_it_is_not_complete(chain, fault) -> None:
    (found,) = faults(chain)
    assert fault in found
    assert not is_complete(chain)


VALUES = st.text(max_size=8)
NODES = st.builds(Node, VALUES, VALUES, st.none() | st.integers(0, 9), VALUES, VALUES, VALUES)
CHAINS = st.builds(
    Chain, complete=st.integers(0, 1), nodes=st.lists(NODES, max_size=3).map(tuple), ver=VALUES
)


@given(CHAINS)
def test_every_chain_survives_both_forms(chain) -> None:
    assert parse_text(to_text(chain)) == chain
    assert parse_json(to_json(chain)) == chain


@given(CHAINS)
def test_another_seller_is_put_at_the_end(chain) -> None:
    longer = chain.extended(Node("us.example", "pub", 1))
    assert longer.nodes[:-1] == chain.nodes
    assert longer.nodes[-1].asi == "us.example"
