"""The supply chain: everyone who sells an impression on, from its publisher to the one who asks.

Source: IAB Tech Lab, SupplyChain object 1.0. Two forms: the JSON object of ``source.schain``, and
text for tags and URLs, ``ver,complete!asi,sid,hp,rid,name,domain!...``, its values percent-encoded
and commas at the end of a node left out. Reading is tolerant, as buyers have to be; ``faults`` says
what a chain lacks before anybody relies on it. ``ext`` is read past and not passed on.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

VERSION: Final = "1.0"
NODES_MAX: Final = 100
"""As many as a request may bring (``openrtb.validate``); real chains have one to five."""
SELLER_MAX_CHARS: Final = 64
"""The longest ``sid`` (OpenRTB 2.6, 3.2.25)."""
TEXT_MAX_CHARS: Final = 16_384

_DOMAIN: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")
_FIELDS_MAX: Final = 7
"""asi, sid, hp, rid, name, domain, ext."""


class BadChain(ValueError):
    """A text or an object that is no supply chain: what was expected, and what came."""


class Node(Struct, frozen=True, omit_defaults=True):
    """One who sells the impression on."""

    asi: str = ""
    """The domain of the advertising system."""
    sid: str = ""
    """The seller's account there; the ``seller_id`` of its sellers.json."""
    hp: int | None = None
    """1 where it is paid for the impression: always, in version 1.0."""
    rid: str = ""
    """The request's id there."""
    name: str = ""
    domain: str = ""


class Chain(Struct, frozen=True, kw_only=True):
    """The nodes in the order of the sale; ``complete`` where the first is the publisher's own."""

    complete: int
    nodes: tuple[Node, ...]
    ver: str = VERSION

    def extended(self, node: Node) -> Chain:
        """The chain with one more who sells."""
        return replace(self, nodes=(*self.nodes, node))


class _Read(Struct, gc=False):
    complete: int | None = None
    nodes: list[dict[str, object]] | None = None
    ver: str | None = None


_reader: Final = msgspec.json.Decoder(_Read)
_encoder: Final = msgspec.json.Encoder()


def faults(chain: Chain) -> list[str]:
    """What keeps a buyer from following the chain; empty for a good one.

    >>> faults(Chain(complete=1, nodes=(Node("exchange.example", "pub-1", 1),)))
    []
    """
    found = []
    if chain.ver != VERSION:
        found.append(f"ver must be {VERSION}, got {chain.ver[:16]!r}")
    if chain.complete not in (0, 1):
        found.append(f"complete must be 0 or 1, got {chain.complete}")
    if not 1 <= len(chain.nodes) <= NODES_MAX:
        found.append(f"nodes must be 1 to {NODES_MAX}, got {len(chain.nodes)}")
    for number, node in enumerate(chain.nodes):
        found += [f"nodes[{number}].{problem}" for problem in _node_faults(node)]
    return found


def is_complete(chain: Chain) -> bool:
    """Whether the chain says that it begins at the publisher, and can be followed."""
    return chain.complete == 1 and not faults(chain)


def to_text(chain: Chain) -> str:
    """The chain in one line, for a URL or a log.

    >>> to_text(
    ...     Chain(complete=1, nodes=(Node("exchange.example", "pub 1", 1, domain="n.example"),))
    ... )
    '1.0,1!exchange.example,pub%201,1,,,n.example'
    """
    return "!".join([f"{_quoted(chain.ver)},{chain.complete}", *map(_node_text, chain.nodes)])


def parse_text(text: str) -> Chain:
    """The chain in a line; BadChain for anything else."""
    if len(text) > TEXT_MAX_CHARS:
        raise BadChain(f"expected at most {TEXT_MAX_CHARS} characters, got {len(text)}")
    head, *nodes = text.split("!")
    ver, _, complete = head.partition(",")
    if complete not in ("0", "1"):
        raise BadChain(f"expected VERSION,0 or VERSION,1 at the start, got {head[:32]!r}")
    if len(nodes) > NODES_MAX:
        raise BadChain(f"expected at most {NODES_MAX} nodes, got {len(nodes)}")
    return Chain(
        complete=int(complete), nodes=tuple(_node_of(one) for one in nodes), ver=unquote(ver)
    )


def to_json(chain: Chain) -> bytes:
    """The object for ``source.schain``; what is not known is left out."""
    return _encoder.encode(chain)


def parse_json(body: bytes) -> Chain:
    """The chain in an object, its unknown members read past; BadChain for anything else."""
    try:
        found = _reader.decode(body)
        nodes = [_as_node(one) for one in found.nodes or ()]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadChain(f"expected a supply chain: {error}") from None
    if len(nodes) > NODES_MAX:
        raise BadChain(f"expected at most {NODES_MAX} nodes, got {len(nodes)}")
    if found.complete is None:
        raise BadChain("expected complete to be 0 or 1, got none")
    return Chain(complete=found.complete, nodes=tuple(nodes), ver=found.ver or "")


def _as_node(members: dict[str, object]) -> Node:
    """A member that is null is absent; a seller's number is taken for its text, as buyers do."""
    given = {name: value for name, value in members.items() if value is not None}
    if isinstance(given.get("sid"), int):
        given["sid"] = str(given["sid"])
    return msgspec.convert(given, Node)


def _node_faults(node: Node) -> list[str]:
    found = []
    if not _DOMAIN.fullmatch(node.asi.lower()):
        found.append(f"asi must be a domain, got {node.asi[:64]!r}")
    if not 1 <= len(node.sid) <= SELLER_MAX_CHARS:
        found.append(f"sid must have 1 to {SELLER_MAX_CHARS} characters, got {len(node.sid)}")
    if node.hp != 1:
        found.append(f"hp must be 1 in version {VERSION}, got {node.hp}")
    if node.domain and not _DOMAIN.fullmatch(node.domain.lower()):
        found.append(f"domain must be one, got {node.domain[:64]!r}")
    return found


def _node_text(node: Node) -> str:
    hp = "" if node.hp is None else str(node.hp)
    parts = (_quoted(node.asi), _quoted(node.sid), hp, *map(_quoted, _rest(node)))
    return ",".join(parts).rstrip(",")


def _rest(node: Node) -> tuple[str, str, str]:
    return node.rid, node.name, node.domain


def _node_of(text: str) -> Node:
    parts = [unquote(one) for one in text.split(",")]
    if len(parts) > _FIELDS_MAX:
        raise BadChain(f"expected at most {_FIELDS_MAX} values in a node, got {len(parts)}")
    asi, sid, hp, rid, name, domain = (parts + [""] * 6)[:6]
    if hp and not (hp.isascii() and hp.isdigit() and len(hp) == 1):
        raise BadChain(f"expected hp to be a digit, got {hp[:16]!r}")
    return Node(asi, sid, int(hp) if hp else None, rid, name, domain)


def _quoted(text: str) -> str:
    return quote(text, safe="")
