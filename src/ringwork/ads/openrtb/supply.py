"""The supply chain of a request: as text for the log, and what of it is not bought from.

Source: IAB Tech Lab, SupplyChain object 1.0, with the text form of its section on non-OpenRTB
implementations: ``ver,complete!asi,sid,hp,rid,name,domain!...``, values percent-encoded.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from ringwork.ads.openrtb import reasons
from ringwork.ads.openrtb.reasons import NoBid
from ringwork.ads.openrtb.structs import BidRequest, SupplyChain, SupplyChainNode
from ringwork.ads.openrtb.terms import BidderTerms

TEXT_MAX_CHARS: Final = 4_000
"""Of the chain in the log; a longer one is cut at a node, and is then not complete any more."""
_COMPLETE_CHARS: Final = 2


def refusal(request: BidRequest, terms: BidderTerms) -> NoBid | None:
    """Why nothing is bought through the chain of ``request``."""
    chain = request.source.schain if request.source is not None else None
    if terms.complete_supply and not is_complete(chain):
        return reasons.INCOMPLETE_SUPPLY
    if chain is not None and any(
        _domain(node) in terms.blocked_supply for node in chain.nodes or ()
    ):
        return reasons.BLOCKED_SUPPLY
    return None


def is_complete(chain: SupplyChain | None) -> bool:
    """Whether it says so and every node names its system and its seller there."""
    return (
        chain is not None
        and chain.complete == 1
        and bool(chain.nodes)
        and all(node.asi and node.sid for node in chain.nodes or ())
    )


def text_of(request: BidRequest) -> str:
    """The chain as text; empty where there is none."""
    chain = request.source.schain if request.source is not None else None
    if chain is None:
        return ""
    version, nodes = _part(chain.ver), ""
    complete = chain.complete or 0
    for node in chain.nodes or ():
        longer = f"{nodes}!{_node(node)}"
        if len(version) + len(longer) + _COMPLETE_CHARS > TEXT_MAX_CHARS:
            complete = 0
            break
        nodes = longer
    return f"{version},{complete}{nodes}"


def _domain(node: SupplyChainNode) -> str:
    return (node.asi or "").lower()


def _node(node: SupplyChainNode) -> str:
    hp = "" if node.hp is None else str(node.hp)
    parts = (_part(node.asi), _part(node.sid), hp, *map(_part, (node.rid, node.name, node.domain)))
    return ",".join(parts).rstrip(",")


def _part(text: str | None) -> str:
    return quote(text or "", safe="")
