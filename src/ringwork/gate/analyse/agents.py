"""What a user agent says about itself. It is a claim: nothing here allows anything."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ringwork.gate.analyse import words


class Agent(NamedTuple):
    """``claims`` is the name of the machine that the agent says it is, empty for none."""

    value: int
    claims: str
    is_scanner: bool


NAME_MAX: Final = 60

_LOOKED_AT: Final = 1024
_SCANNER: Final = re.compile("|".join(re.escape(one) for one in words.SCANNERS).encode(), re.I)
_MACHINE: Final = re.compile(
    rb"bot\b|bot[/_-]|crawl|spider|slurp|scrap|archiver|fetch|feed|rss|monitor|preview|validator|"
    rb"https?://|[\w.-]+@[\w-]+\.\w|"
    rb"^(?:curl|wget|python|java|ruby|perl|php|go-http|okhttp|apache-http|libwww|lwp|axios|node|"
    rb"scrapy|guzzle|httpx|aiohttp|chef client|postman|insomnia|http_client|winhttp)\b",
    re.IGNORECASE,
)
"""Words of machines, an address to complain to, or a library's default."""
_NAME: Final = re.compile(
    rb"([A-Za-z0-9._-]*(?:bot|crawler|spider|slurp|archiver|fetcher)[A-Za-z0-9._-]*)", re.IGNORECASE
)
_COMPATIBLE: Final = re.compile(rb"compatible; ([A-Za-z][A-Za-z0-9 ._-]*)")
_LINK: Final = re.compile(rb"\+?https?://[^\s;)]*")
_PRODUCT_END: Final = re.compile(rb"[/(;]| [-+]")
_BROWSER: Final = re.compile(rb"Mozilla/|Opera/")


def read(agent: bytes) -> Agent:
    """Whether an agent declares a machine, and which."""
    seen = agent[:_LOOKED_AT]
    is_scanner = _SCANNER.search(seen) is not None
    claims = ""
    if _MACHINE.search(seen) is not None or is_scanner:
        claims = _name_of(seen)
    return Agent(hash(agent), claims, is_scanner)


def _name_of(agent: bytes) -> str:
    agent = _LINK.sub(b"", agent)
    found = _NAME.search(agent)
    name = found[1] if found else b""
    if not name:
        compatible = _COMPATIBLE.search(agent)
        if compatible and not compatible[1].startswith(b"MSIE"):
            name = compatible[1]
        elif not _BROWSER.match(agent):
            name = _PRODUCT_END.split(agent, maxsplit=1)[0]
    return name[:NAME_MAX].decode("ascii", "replace").strip().partition("/")[0] or "unnamed"
