"""Supply chains: their text, and what is not bought through them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.openrtb import BidderTerms
from ringwork.ads.openrtb.supply import TEXT_MAX_CHARS
from ringwork.ads.openrtb.validate import SUPPLY_NODES_MAX
from tests.ads.openrtb.wire import asked, reason, refusal, request

NODE = {"asi": "exchange1.com", "sid": "1234", "hp": 1}
CHAIN = {"ver": "1.0", "complete": 1, "nodes": [NODE]}


def chained(**members) -> dict:
    return request(source={"schain": {**CHAIN, **members}})


def test_the_text_of_the_standard_s_example():
    """SupplyChain object, section on implementations without OpenRTB: two nodes in its text form."""
    nodes = [
        {**NODE, "rid": "bid-request-1", "name": "publisher", "domain": "publisher.com"},
        {"asi": "exchange2.com", "sid": "abcd", "hp": 1, "rid": "bid-request-2",
         "name": "intermediary", "domain": "intermediary.com"},
    ]  # fmt: skip
    assert asked(chained(nodes=nodes)).supply_chain == (
        "1.0,1!exchange1.com,1234,1,bid-request-1,publisher,publisher.com"
        "!exchange2.com,abcd,1,bid-request-2,intermediary,intermediary.com"
    )


def test_what_is_missing_stays_empty_and_the_rest_is_encoded():
    node = {"asi": "a.example", "sid": "x,y!z", "domain": "b c"}
    assert asked(chained(complete=0, nodes=[node])).supply_chain == (
        "1.0,0!a.example,x%2Cy%21z,,,,b%20c"
    )
    assert asked(request()).supply_chain == ""
    assert asked(request(source={})).supply_chain == ""
    assert asked(request(source={"schain": {}})).supply_chain == ",0"


def test_a_chain_of_2_5_is_read():
    old = request(source={"ext": {"schain": CHAIN}})
    assert asked(old).supply_chain == "1.0,1!exchange1.com,1234,1"


def test_a_chain_that_is_cut_is_not_complete():
    node = {"asi": "a" * 200, "sid": "1", "hp": 1}  # 206 characters with "!" and commas
    whole = asked(chained(nodes=[node] * 19)).supply_chain
    assert (whole[:6], whole.count("!")) == ("1.0,1!", 19)
    cut = asked(chained(nodes=[node] * 20)).supply_chain
    assert (cut[:6], cut.count("!")) == ("1.0,0!", 19)


@given(st.lists(st.fixed_dictionaries({"asi": st.text(), "sid": st.text(max_size=70)})))
def test_the_text_is_bounded_and_its_nodes_whole(nodes):
    text = asked(chained(nodes=nodes[:SUPPLY_NODES_MAX])).supply_chain
    assert len(text) <= TEXT_MAX_CHARS
    assert text.count("!") <= len(nodes)


@pytest.mark.parametrize(
    "chain",
    [None, {}, {**CHAIN, "complete": 0}, {**CHAIN, "nodes": []},
     {**CHAIN, "nodes": [NODE, {"asi": "x.example"}]}, {**CHAIN, "nodes": [{"sid": "1"}]}],
)  # fmt: skip
def test_who_buys_from_complete_chains_alone(chain):
    strict = BidderTerms(currency="EUR", complete_supply=True)
    body = request(source={"schain": chain} if chain is not None else None)
    assert reason(body, strict) == "incomplete-supply-chain"
    assert asked(body).slots
    assert asked(chained(), strict).slots


def test_a_reseller_from_which_nothing_is_bought():
    terms = BidderTerms(currency="EUR", blocked_supply=frozenset({"exchange1.com"}))
    assert reason(chained(nodes=[{**NODE, "asi": "Exchange1.com"}]), terms) == (
        "blocked-supply-chain"
    )
    assert asked(chained(nodes=[{**NODE, "asi": "exchange2.com"}]), terms).slots
    assert asked(request(), terms).slots


def test_a_chain_without_end_is_refused():
    assert refusal(chained(nodes=[NODE] * (SUPPLY_NODES_MAX + 1))) == "source.schain.nodes"
    assert refusal(chained(nodes="x")) == "source.schain.nodes"
