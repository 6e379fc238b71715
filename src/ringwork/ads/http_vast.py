"""The ad tag of video and audio players: ``GET /vast/{placement}`` answers a VAST document.

The same question and the same auction as ``POST /v1/ads/request``, in the form that players ask:
a URL in, XML out. A placement with several slots is a pod, its ads in ``sequence``; nothing sold is
a document without an ad, as the standard has it (VAST 4.2, 2.3.2). A player asks from a page of the
publisher's registered origins, a server with a key.

Query: ``url`` of the page, ``visit``, ``region``, ``device_type``, ``category`` (repeatable), and
``kv_<key>`` (repeatable). A macro that the player did not fill in is as if it were not there, and
so is whatever else stands there, such as a cache-buster.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.creatives.vast import children, read
from ringwork.ads.geo import Locate
from ringwork.ads.http_native import AdRequest, NativeAds
from ringwork.ads.model import Ask, DeviceType, Placement, Served
from ringwork.ads.shown import Shown
from ringwork.ads.traffic import hints_of, read_agent
from ringwork.kernel.errors import Fault, Invalid, NotFound, Refused
from ringwork.kernel.ports import Clock
from ringwork.web.auth import require
from ringwork.web.keys import ApiKeys
from ringwork.web.lane import Exchange, Lane, Reply, problem_reply
from ringwork.web.strict import invalid

QUERY_MAX_BYTES: Final = 8_192
PARAMETERS_MAX: Final = 100
EMPTY: Final = '<?xml version="1.0" encoding="UTF-8"?><VAST version="4.2"/>'

_KEY_VALUE: Final = "kv_"
_UNFILLED: Final = re.compile(r"\[[A-Za-z_]+\]|\$\{[A-Za-z_:]+\}|%%[A-Za-z_]+%%|")
"""A macro as the player was given it, or nothing."""
_XML: Final = (
    (b"content-type", b"application/xml; charset=utf-8"),
    (b"cache-control", b"no-store"),
)


class VastTag:
    """The lane and what it works with."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        native: NativeAds,
        shown: Shown,
        serve: Callable[[Ask], Awaitable[list[Served]]],
        keys: ApiKeys,
        clock: Clock,
        locate: Locate,
    ) -> None:
        self._catalogue = catalogue
        self._native = native
        self._shown = shown
        self._serve = serve
        self._keys = keys
        self._clock = clock
        self._locate = locate

    def lane(self) -> Lane:
        """The endpoint."""
        return Lane(path="/vast/", methods=("GET",), handle=self.handle, error_form=self._refusal)

    async def handle(self, exchange: Exchange) -> Reply:
        """A player asks for the ads of a placement: always a document, with or without ads."""
        wanted = self._wanted(exchange)
        privileged = exchange.authorization != b""
        if privileged or not self._native.is_at_home(exchange.origin, wanted):
            self._require_key(exchange)
        ask = self._native.to_ask(
            wanted,
            request_id=exchange.request_id,
            now_us=self._clock.wall_us(),
            surroundings=self._surroundings(exchange, wanted[0]),
        )
        served = await self._serve(ask)
        document = document_of([self._shown.video(one) for one in served])
        return Reply(200, document.encode(), (*_XML, *self._native.cors(exchange.origin)))

    def _wanted(self, exchange: Exchange) -> tuple[AdRequest, Placement]:
        placement = self._catalogue.placements.get(exchange.token)
        if placement is None:
            raise NotFound(f"no placement {exchange.token!r}")
        if placement.format not in ("video", "audio"):
            fault = Fault("/placement", f"expected a video or audio place, got {placement.format}")
            raise Invalid("VAST is for video and audio", errors=(fault,))
        return request_of(placement.id, exchange.query), placement

    def _surroundings(self, exchange: Exchange, request: AdRequest) -> tuple[DeviceType, str]:
        """As the tag says, else as a player's own request shows (``http_lanes``)."""
        device, region = request.device_type, request.region or ""
        if exchange.authorization or exchange.is_local:
            return device, region
        if device == "other":
            device = read_agent(*hints_of(exchange.headers)).device_type
        return device, region or self._locate(exchange.client) or ""

    def _require_key(self, exchange: Exchange) -> None:
        given = exchange.authorization
        if exchange.is_local and not given:
            return
        kind, _, token = given.decode("latin-1").partition(" ")
        principal = self._keys.principal(token) if kind.lower() == "bearer" else None
        require(principal, "ads:request")

    def _refusal(self, refused: Refused, exchange: Exchange) -> Reply:
        reply = problem_reply(refused, exchange)
        headers = (*reply.headers, *self._native.cors(exchange.origin))
        return Reply(reply.status, reply.body, headers)


def request_of(placement_id: str, query: bytes) -> AdRequest:
    """What a tag's query asks for; Invalid names the parameter that cannot be."""
    if len(query) > QUERY_MAX_BYTES:
        raise Invalid(f"expected a query of at most {QUERY_MAX_BYTES} bytes, got {len(query)}")
    try:
        pairs = parse_qsl(query.decode("latin-1"), max_num_fields=PARAMETERS_MAX)
    except ValueError:
        raise Invalid(f"expected at most {PARAMETERS_MAX} parameters") from None
    body: dict[str, object] = {"placement": placement_id}
    page: dict[str, object] = {}
    key_values: dict[str, list[str]] = {}
    for name, value in pairs:
        if _UNFILLED.fullmatch(value):
            continue
        if name in ("visit", "region", "device_type"):
            body[name] = value
        elif name == "url":
            page["url"] = value
        elif name == "category":
            categories = page.setdefault("categories", [])
            assert isinstance(categories, list)
            categories.append(value)
        elif name.startswith(_KEY_VALUE):
            key_values.setdefault(name.removeprefix(_KEY_VALUE), []).append(value)
    try:
        return msgspec.convert({**body, "page": page, "key_values": key_values}, AdRequest)
    except msgspec.ValidationError as error:
        raise invalid(error) from None


def document_of(documents: Sequence[str]) -> str:
    """One document of those of single ads: several are a pod, in ``sequence``."""
    if not documents:
        return EMPTY
    if len(documents) == 1:
        return documents[0]
    whole = read(EMPTY)
    root = whole.documentElement
    assert root is not None, "it was written above"
    for number, text in enumerate(documents, 1):
        for ad in children(read(text), "VAST", "Ad"):
            ad.setAttribute("sequence", str(number))
            root.appendChild(whole.importNode(ad, deep=True))
    return whole.toxml(encoding="UTF-8").decode()
