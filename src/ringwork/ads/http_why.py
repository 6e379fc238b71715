"""The page behind "Why this ad?": ``GET /why/{impression_id}``, for the person who saw it.

Who has the impression's id has seen the ad or its answer: ids are random (RFC 9562, version 7, 74
random bits) and nothing lists them. The page is written from the record of the auction, not from
what the answer said; it says nothing of why a tier was decided, because a page's scripts could read
that (DSA, article 26(1): who, for whom, the main parameters and how to change them).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from string import Template
from typing import Final

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from ringwork.ads import projections
from ringwork.ads.events import AuctionCleared, SlotOutcome
from ringwork.ads.http_api import AdsApi
from ringwork.ads.http_outcomes import impression_id_of
from ringwork.ads.outside import bidder_of, is_external
from ringwork.ads.why import TIERS, chosen_by, read_of, told_outside
from ringwork.kernel.errors import NotFound
from ringwork.kernel.events import Recorded
from ringwork.kernel.ids import format_id
from ringwork.web.openapi import UuidText

_HEADERS: Final = {
    "cache-control": "private, max-age=300",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_OLD: Final = "From before choices were recorded with ads."


def why_routes(api: AdsApi, template: str) -> list[ControllerRouterHandler]:
    """The page; anyone may read it who knows an impression's id. ``template``: ``why.html``."""
    page = Template(template)

    @get("/why/{impression_id:str}", media_type="text/html", opt={"open": True})
    async def read_why(impression_id: UuidText) -> Response[str]:
        """Why an ad was shown, as a page for the person who saw it."""
        await api.indexed()
        text = await asyncio.to_thread(_page, api, page, impression_id_of(impression_id))
        return Response(text, media_type="text/html", headers=_HEADERS)

    return [read_why]


def _page(api: AdsApi, page: Template, impression_id: bytes) -> str:
    with api.reader.connect() as connection:
        sale = projections.sale(connection, impression_id)
        changes = (
            []
            if sale is None
            else projections.history(connection, "campaign", sale.campaign_id, limit=1)
        )
    recorded = None if sale is None else api.journal.event_at(sale.seq)
    if recorded is None or sale is None:
        raise NotFound("no ad with that id is kept")
    cleared = recorded.payload
    assert isinstance(cleared, AuctionCleared), "a sale's row names the event that decided it"
    slot = next(one for one in cleared.slots if one.impression_id == impression_id)
    is_changed = bool(changes) and changes[0].seq > sale.seq
    return page.substitute(_words(api, recorded, cleared, slot, is_changed=is_changed))


def _words(
    api: AdsApi,
    recorded: Recorded,
    cleared: AuctionCleared,
    slot: SlotOutcome,
    *,
    is_changed: bool,
) -> Mapping[str, str]:
    """The page's texts, each escaped."""
    catalogue, context = api.catalogue, cleared.context
    assert slot.impression_id is not None, "only a sold slot was found"
    outside = is_external(slot.campaign_id)
    if outside:
        name = f"an advertiser of the outside bidder {bidder_of(slot.campaign_id)}, as the ad says"
        chosen = told_outside(context)
        intro = "Its bidder offered the most for this place. It was told:"
        reads: list[str] = []
    else:
        campaign = catalogue.campaigns[slot.campaign_id]
        advertiser = catalogue.advertisers[campaign.advertiser_id]
        name = f"{advertiser.name} ({advertiser.domain})"
        chosen = chosen_by(context, campaign.targeting, cleared.reads, catalogue.audience_name)
        intro = "Its campaign asks for, and this was so:" if chosen else ""
        if chosen and is_changed:
            intro = "Its campaign was changed since. As it is now, it asks for:"
        reads = [f"{meaning} ({one.service})" for one, meaning in read_of(cleared.reads)]
    publisher = catalogue.publishers.get(context.publisher_id)
    place = context.app or context.site or "a page"
    return {
        "impression_id": format_id(slot.impression_id),
        "tier": escape(TIERS.get(cleared.tier, _OLD)),
        "behalf": escape(name),
        "payer": escape(name),
        "place": escape(place if publisher is None else f"{place}, {publisher.name}"),
        "when": f"{datetime.fromtimestamp(recorded.ts_us // 1_000_000, UTC):%-d %B %Y, %H:%M} UTC",
        "chosen": _list(intro, chosen, otherwise="The auction for this place alone."),
        "reads": _list("As you agreed:", reads, otherwise="Nothing."),
        "change": escape(_change(None if publisher is None else publisher.name)),
    }


def _list(intro: str, items: Sequence[str], *, otherwise: str) -> str:
    if not items:
        return f"<p>{escape(otherwise)}</p>"
    rows = "".join(f"<li>{escape(one)}</li>" for one in items)
    return f"<p>{escape(intro)}</p><ul>{rows}</ul>"


def _change(publisher: str | None) -> str:
    where = "the page where you saw it" if publisher is None else f"a page of {publisher}"
    return (
        f"Your choice about ads stands on {where}, behind “Ads” or “Your choice”: agreeing, "
        "refusing and taking it back are as many steps, and the next ad follows it."
    )
