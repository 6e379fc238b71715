"""The hot endpoints of ads, on the fast lane: exchange, tag, beacons.

Every handler is a decode, one call of the flow and an encode. A beacon's genuineness is its token;
asking for ads takes a key with the scope ``ads:request``, except over loopback and from the pages
of a publisher's registered origins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from msgspec import Struct

from ringwork.ads import openrtb
from ringwork.ads.billing import Billing, Outcome
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.exchange.outbound import PassedOn
from ringwork.ads.exchange.signals import passed_of_bid, passed_of_page
from ringwork.ads.geo import Locate
from ringwork.ads.http_native import AdRequest, NativeAds, PersonOfLink
from ringwork.ads.landing import with_rwclid
from ringwork.ads.markup import Markup
from ringwork.ads.model import Answered, Ask, DeviceType, Measure, Publisher
from ringwork.ads.openrtb import BidderTerms, NoBid, Notice
from ringwork.ads.openrtb.reasons import DSA, NOTHING_ELIGIBLE
from ringwork.ads.service import Ads
from ringwork.ads.shown import Shown
from ringwork.ads.tokens import Claim
from ringwork.ads.traffic import Networks, Sender, hints_of, read_agent, sender_of
from ringwork.ads.viewers import viewer_of_bid
from ringwork.kernel.errors import NotFound, Refused
from ringwork.kernel.ports import Clock
from ringwork.kernel.viewer import Viewer
from ringwork.web.auth import require
from ringwork.web.keys import ApiKeys
from ringwork.web.lane import Exchange, Lane, Reply, problem_reply
from ringwork.web.strict import check_json


class Serve(Protocol):
    """Sells the slots of an ask."""

    def __call__(
        self,
        ask: Ask,
        viewer: Viewer,
        *,
        tmax_ms: int | None = None,
        passed_on: PassedOn | None = None,
        is_test: bool = False,
    ) -> Awaitable[Answered]:
        """What was sold for whom; ``tmax_ms`` and ``passed_on`` are for outside bidders."""
        ...


RecordImpression = Callable[[str, Sender | None], Awaitable[Outcome | None]]
RecordMeasured = Callable[[str, Measure, Sender | None], Awaitable[Outcome | None]]
RecordClick = Callable[[str, Sender | None], Awaitable[Claim | None]]
RecordNotice = Callable[[str, Notice], Awaitable[bool]]
"""Keeps what an exchange tells of a bid, once per bid and kind; False for a forged token."""

OPENRTB_VERSION: Final = (b"x-openrtb-version", b"2.6")
TEST_BEACON: Final = "test"
"""What beacons of a test request carry: they are answered and record nothing."""
SCRIPT_MAX_AGE_S: Final = 3600

_JSON: Final = (b"content-type", b"application/json")
_NOT_KEPT: Final = (b"cache-control", b"no-store")
_SCRIPT: Final = (
    (b"content-type", b"text/javascript; charset=utf-8"),
    (b"cache-control", b"public, max-age=%d" % SCRIPT_MAX_AGE_S),
)
_EMPTY: Final = Reply(204, b"", (_NOT_KEPT,))


class AdLanes:
    """The handlers and what they share."""

    def __init__(
        self,
        *,
        ads: Ads,
        billing: Billing,
        catalogue: Catalogue,
        keys: ApiKeys,
        clock: Clock,
        markup: Markup,
        terms: BidderTerms,
        flow: AdFlow,
        tag: bytes,
        adapter: bytes,
        proxies: Networks,
        locate: Locate,
        person_of_link: PersonOfLink,
    ) -> None:
        """``tag``: the script for publishers' pages; ``adapter``: the module for a Prebid.js build.

        ``proxies``: our own, in front of us.
        """
        self._ads = ads
        self._billing = billing
        self._catalogue = catalogue
        self._keys = keys
        self._clock = clock
        self._markup = markup
        self._terms = terms
        self._flow = flow
        self._shown = Shown(markup)
        self._native = NativeAds(catalogue, markup, self._shown, person_of_link)
        self._tag = tag
        self._adapter = adapter
        self._proxies = proxies
        self._locate = locate

    def lanes(self) -> Sequence[Lane]:
        """Every hot endpoint of the part."""
        return (
            Lane(
                path="/openrtb2/auction",
                methods=("POST", "OPTIONS"),
                handle=self.auction,
                error_form=self._refusal,
            ),
            Lane(
                path="/v1/ads/request",
                methods=("POST", "OPTIONS"),
                handle=self.native,
                error_form=self._refusal,
            ),
            Lane(path="/b/", methods=("GET",), handle=self.beacon),
            Lane(path="/v/", methods=("GET",), handle=self.viewable),
            Lane(path="/w/", methods=("GET",), handle=self.viewed),
            Lane(path="/c/", methods=("GET",), handle=self.click),
            Lane(path="/n/", methods=("GET",), handle=self.won),
            Lane(path="/l/", methods=("GET",), handle=self.lost),
            Lane(path="/ringwork.js", methods=("GET",), handle=self.tag),
            Lane(path="/ringworkBidAdapter.js", methods=("GET",), handle=self.adapter),
        )

    async def auction(self, exchange: Exchange) -> Reply:
        """An exchange asks for bids: 200 with bids, 204 with the reason in a header, or 400.

        So does a page of a publisher's registered origins, whose own auction Prebid.js runs.
        """
        if exchange.origin or exchange.method == "OPTIONS":
            return await self._page_auction(exchange)
        self._require_key(exchange)
        check_json(exchange.content_type, b"", required=False)
        warnings: list[str] = []
        request = openrtb.decode(exchange.body, warnings)
        # The headers of an exchange's own request are no viewer's.
        return await self._auction(exchange, request, viewer_of_bid(request), warnings)

    async def _page_auction(self, exchange: Exchange) -> Reply:
        """The same for a browser, which names the origin of its page."""
        if exchange.method == "OPTIONS":
            return self._native.preflight(exchange.origin)
        check_json(exchange.content_type, b"", required=False)
        warnings: list[str] = []
        request = openrtb.decode(exchange.body, warnings)
        publisher = self._publisher_at(request, exchange.origin)
        if exchange.authorization or publisher is None:
            self._require_key(exchange)
        viewer = viewer_of_bid(request, exchange.headers, publisher)
        reply = await self._auction(exchange, request, viewer, warnings)
        headers = (*reply.headers, *self._native.cors(exchange.origin))
        return Reply(reply.status, reply.body, headers)

    def _publisher_at(self, request: openrtb.BidRequest, origin: bytes) -> Publisher | None:
        """The publisher that the request names, where the page of that origin is one of its own."""
        id = request.site.publisher.id if request.site and request.site.publisher else None
        publisher = self._catalogue.publishers.get(id or "")
        if publisher is None or origin.decode("latin-1") not in publisher.origins:
            return None
        return publisher

    async def _auction(
        self,
        exchange: Exchange,
        request: openrtb.BidRequest,
        viewer: Viewer,
        warnings: list[str],
    ) -> Reply:
        now_us = self._clock.wall_us()
        ask = openrtb.to_ask(
            request,
            self._terms,
            request_id=exchange.request_id,
            now_us=now_us,
            deals=self._ads.index.deals,
        )
        if isinstance(ask, NoBid):
            return _no_bid(request, ask)
        # Whatever came together is read before the first of it is decided: with the same code and
        # objects at hand throughout, many at once cost an eighth less each (decision 0004).
        await asyncio.sleep(0)
        outside = self._flow.asks_outside
        answered = await self._flow.serve(
            ask,
            viewer,
            tmax_ms=request.tmax or None,
            passed_on=passed_of_bid(request, viewer.signals) if outside else None,
            is_test=bool(request.test),
        )
        served = answered.served
        if not served:
            return _no_bid(request, NOTHING_ELIGIBLE)
        body = openrtb.to_response(
            request,
            served,
            terms=self._terms,
            markup=self._markup,
            shown=self._shown,
            now_us=now_us,
            warnings=warnings,
        )
        if body is None:
            return _no_bid(request, DSA)
        return Reply(200, body, (_JSON, OPENRTB_VERSION))

    async def native(self, exchange: Exchange) -> Reply:
        """A publisher's page or server asks for the ad of one of its placements."""
        if exchange.method == "OPTIONS":
            return self._native.preflight(exchange.origin)
        check_json(exchange.content_type, b"", required=False)
        wanted = self._native.decode(exchange.body)
        surroundings = self._surroundings(exchange, wanted[0])
        privileged = exchange.authorization != b""
        if privileged or not self._native.is_at_home(exchange.origin, wanted):
            self._require_key(exchange)
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
        outside = self._flow.asks_outside
        passed_on = passed_of_page(wanted[0].signals, viewer.signals) if outside else None
        answered = await self._flow.serve(ask, viewer, passed_on=passed_on)
        body = self._native.answer(ask, answered, with_prices=privileged)
        return Reply(200, body, (_JSON, _NOT_KEPT, *self._native.cors(exchange.origin)))

    def _refusal(self, refused: Refused, exchange: Exchange) -> Reply:
        """A refusal that a page of a registered origin may read."""
        reply = problem_reply(refused, exchange)
        return Reply(
            reply.status, reply.body, (*reply.headers, *self._native.cors(exchange.origin))
        )

    async def beacon(self, exchange: Exchange) -> Reply:
        """An impression was shown: 204 for genuine first, repeated and late ones, else 404."""
        token = exchange.token
        if token == TEST_BEACON:
            return _EMPTY
        if await self._flow.impression(token, self._sender(exchange)) is None:
            raise NotFound("no such beacon")
        return _EMPTY

    async def viewable(self, exchange: Exchange) -> Reply:
        """An impression was viewable (MRC: half of it for a second, of a video for two)."""
        return await self._measured(exchange, "viewable")

    async def viewed(self, exchange: Exchange) -> Reply:
        """A video or audio ad was played to its end."""
        return await self._measured(exchange, "view")

    async def _measured(self, exchange: Exchange, measure: Measure) -> Reply:
        token = exchange.token
        if token == TEST_BEACON:
            return _EMPTY
        if await self._flow.measured(token, measure, self._sender(exchange)) is None:
            raise NotFound("no such beacon")
        return _EMPTY

    async def won(self, exchange: Exchange) -> Reply:
        """An exchange says that a bid has won (``nurl``): it counts nothing. 204, or 404."""
        return await self._notice(exchange, openrtb.read_notice("won", exchange.query))

    async def lost(self, exchange: Exchange) -> Reply:
        """An exchange says that a bid has lost (``lurl``), and why. 204, or 404."""
        return await self._notice(exchange, openrtb.read_notice("lost", exchange.query))

    async def _notice(self, exchange: Exchange, notice: Notice) -> Reply:
        if not await self._flow.notice(exchange.token, notice):
            raise NotFound("no such bid")
        return _EMPTY

    async def click(self, exchange: Exchange) -> Reply:
        """A click: 302 to the creative's own landing page, with the token for its conversion."""
        token = exchange.token
        if token == TEST_BEACON:
            return _EMPTY
        claim = await self._flow.click(token, self._sender(exchange))
        creative = None if claim is None else self._catalogue.creatives.get(claim.ad_id)
        if claim is None or creative is None:
            raise NotFound("no such click")
        url = with_rwclid(creative.landing_url, self._billing.conversion_token(claim))
        return Reply(302, b"", ((b"location", url.encode()), _NOT_KEPT))

    async def tag(self, exchange: Exchange) -> Reply:
        """The script that fills a publisher's placements."""
        return Reply(200, self._tag, _SCRIPT)

    async def adapter(self, exchange: Exchange) -> Reply:
        """The module by which a Prebid.js build asks us; its page does not load it from here."""
        return Reply(200, self._adapter, _SCRIPT)

    def _surroundings(self, exchange: Exchange, request: AdRequest) -> tuple[DeviceType, str]:
        """(kind of device, region): as the publisher says, else as a page's own request shows.

        Address and agent are looked at here and kept nowhere. A server that asks for a page with a
        key speaks for itself, not for a viewer.
        """
        device, region = request.device_type, request.region or ""
        if exchange.authorization or exchange.is_local:
            return device, region
        if device == "other":
            device = read_agent(*hints_of(exchange.headers)).device_type
        if not region:
            region = self._locate(exchange.client) or ""
        return device, region

    def _sender(self, exchange: Exchange) -> Sender | None:
        """Who sends a beacon; an exchange's billing notice is a server's."""
        return sender_of(
            exchange.headers,
            exchange.client,
            proxies=self._proxies,
            by_server=exchange.query.startswith(b"price="),
        )

    def _require_key(self, exchange: Exchange) -> None:
        """401 or 403 without a key that may ask for ads; loopback may without one."""
        given = exchange.authorization
        if exchange.is_local and not given:
            return
        kind, _, token = given.decode("latin-1").partition(" ")
        principal = self._keys.principal(token) if kind.lower() == "bearer" else None
        require(principal, "ads:request")


class AdFlow(Struct, frozen=True, kw_only=True):
    """What the flow does with a request and its beacons."""

    serve: Serve
    impression: RecordImpression
    measured: RecordMeasured
    click: RecordClick
    notice: RecordNotice
    asks_outside: bool = False
    """Whether outside bidders are configured, who are told what else a request says."""


def _no_bid(request: openrtb.BidRequest, no_bid: NoBid) -> Reply:
    reason = (openrtb.NO_BID_HEADER.encode(), no_bid.reason.encode())
    body = openrtb.explain_no_bid(request, no_bid)
    if body is None:
        return Reply(204, b"", (reason, OPENRTB_VERSION))
    return Reply(200, body, (_JSON, reason, OPENRTB_VERSION))
