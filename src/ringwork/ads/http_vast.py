"""The ad tag of video and audio players: ``GET /vast/{placement}`` answers a VAST document.

The same question and the same auction as ``POST /v1/ads/request``, in the form that players ask:
a URL in, XML out. A placement with several slots is a pod, its ads in ``sequence``; nothing sold is
a document without an ad, as the standard has it (VAST 4.2, 2.3.2). A player asks from a page of the
publisher's registered origins, a server with a key.

Query: ``url`` of the page, ``visit``, ``region``, ``device_type``, ``category`` (repeatable),
``kv_<key>`` (repeatable), ``person`` or ``link``, and the signals of consent: ``gdpr``,
``gdpr_consent``, ``gpp``, ``gpp_sid``, ``us_privacy``, ``coppa``, ``lmt``, ``dnt``. A macro that
the player did not fill in is as if it were not there, and so is whatever else stands there, such as
a cache-buster.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.creatives.vast import children, read
from ringwork.ads.exchange.signals import passed_of_page
from ringwork.ads.geo import Locate
from ringwork.ads.http_lanes import Serve
from ringwork.ads.http_native import AdRequest, NativeAds
from ringwork.ads.model import DeviceType, Placement
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
SECTIONS_MAX: Final = 20
"""Section ids of a GPP string that a request may name."""
EMPTY: Final = '<?xml version="1.0" encoding="UTF-8"?><VAST version="4.2"/>'

_PLAIN: Final = frozenset({"visit", "region", "device_type", "person", "link"})
_KEY_VALUE: Final = "kv_"
_SIGNALS: Final = {
    "gdpr": "gdpr", "gdpr_consent": "tc", "gpp": "gpp", "gpp_sid": "gpp_sid",
    "us_privacy": "us_privacy", "coppa": "coppa", "lmt": "lmt", "dnt": "dnt",
}  # fmt: skip
"""Parameters by the names that tags give them (IAB Tech Lab, URL passing), as ``PageSignals``."""
_TEXTS: Final = frozenset({"tc", "gpp", "us_privacy"})
_SECTION: Final = re.compile(r"-1|[0-9]{1,4}")
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
        serve: Serve,
        asks_outside: bool = False,
        keys: ApiKeys,
        clock: Clock,
        locate: Locate,
    ) -> None:
        self._catalogue = catalogue
        self._native = native
        self._shown = shown
        self._serve = serve
        self._asks_outside = asks_outside
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
        surroundings = self._surroundings(exchange, wanted[0])
        now_us = self._clock.wall_us()
        viewer = self._native.to_viewer(
            wanted,
            by_server=privileged or not exchange.origin,
            headers=exchange.headers,
            region=surroundings[1],
            now_us=now_us,
        )
        ask = self._native.to_ask(
            wanted, request_id=exchange.request_id, now_us=now_us, surroundings=surroundings
        )
        outside = self._asks_outside
        passed_on = passed_of_page(wanted[0].signals, viewer.signals) if outside else None
        answered = await self._serve(ask, viewer, passed_on=passed_on)
        document = document_of([self._shown.video(one) for one in answered.served])
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
    members: dict[str, object] = {"placement": placement_id, **_read(pairs)}
    try:
        return msgspec.convert(members, AdRequest)
    except msgspec.ValidationError as error:
        raise invalid(error) from None


def _read(pairs: Sequence[tuple[str, str]]) -> dict[str, object]:
    """The parameters as members of an ``AdRequest``."""
    body: dict[str, object] = {}
    page: dict[str, object] = {}
    categories: list[str] = []
    signals: dict[str, object] = {}
    key_values: dict[str, list[str]] = {}
    for name, value in pairs:
        if _UNFILLED.fullmatch(value):
            continue
        if name in _PLAIN:
            body[name] = value
        elif name in _SIGNALS:
            _add_signal(signals, _SIGNALS[name], value)
        elif name == "url":
            page["url"] = value
        elif name == "category":
            categories.append(value)
        elif name.startswith(_KEY_VALUE):
            key_values.setdefault(name.removeprefix(_KEY_VALUE), []).append(value)
    page["categories"] = categories
    return {**body, "page": page, "key_values": key_values, "signals": signals or None}


def _add_signal(signals: dict[str, object], name: str, value: str) -> None:
    """Read a signal of consent; one that is none is not given, which never permits more."""
    if name == "gpp_sid":
        ids = [int(one) for one in value.split(",") if _SECTION.fullmatch(one)]
        signals[name] = ids[:SECTIONS_MAX]
    elif name in _TEXTS:
        signals[name] = value
    elif value in ("0", "1"):
        signals[name] = int(value)


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
