"""A page that shows one creative as it is served, for whoever reviews it.

The page has no origin (the policy's ``sandbox``): whatever the creative does, it does not reach the
management API that the page comes from. Its beacons and clicks are those of a test request, which
are answered and record nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

from ringwork.ads.markup import Markup, Urls
from ringwork.ads.model import Advertiser, Campaign, Creative, Served
from ringwork.ads.shown import Shown

POLICY: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "sandbox allow-scripts allow-popups; default-src 'none'; img-src 'self' https: data:; "
        "media-src https: data:; font-src https: data:; style-src https: 'unsafe-inline'; "
        "script-src https: 'unsafe-inline'; connect-src https:; frame-src https: data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "x-frame-options": "SAMEORIGIN",
    "cache-control": "no-store",
}
"""The page's own headers: a creative may load what it loads on a publisher's page, over TLS."""


def preview(creative: Creative, campaign: Campaign, advertiser: Advertiser) -> str:
    """The HTML page."""
    name = escape(creative.name)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Preview of {name}</title>"
        "<style>body{font:14px/1.5 system-ui,sans-serif;margin:1rem}"
        "pre{white-space:pre-wrap;overflow-wrap:anywhere}video{max-width:100%}</style></head>"
        f"<body><h1>{name}</h1><p>{escape(advertiser.domain)} to {escape(creative.landing_url)}"
        f"; nothing here is counted or charged.</p>{_body(_served(creative, campaign, advertiser))}"
        "</body></html>"
    )


def _served(creative: Creative, campaign: Campaign, advertiser: Advertiser) -> Served:
    """A sale that never was."""
    return Served(
        slot_id="preview",
        impression_id=bytes(16),
        creative=creative,
        campaign_id=campaign.id,
        advertiser_domain=advertiser.domain,
        pricing=campaign.pricing,
        price_nanos=0,
        impression_price_nanos=0,
        currency=campaign.budget.currency,
        tokens={"impression": "test", "click": "test"},
    )


def _body(served: Served) -> str:
    creative = served.creative
    markup = Markup(Urls(""))
    shown = Shown(markup)
    if creative.format == "banner":
        return shown.banner(served, pixel=False, billable=False)
    if creative.format == "native":
        return markup.card(served)
    player = _player(creative)
    document = escape(shown.video(served, billable=False))
    return f"{player}<details><summary>VAST</summary><pre>{document}</pre></details>"


def _player(creative: Creative) -> str:
    """The file in the browser's own player; what another server serves is not asked for here."""
    if creative.format == "audio" and creative.audio_url:
        return f'<audio controls src="{escape(creative.audio_url)}"></audio>'
    if creative.video_url:
        return f'<video controls src="{escape(creative.video_url)}"></video>'
    return "<p>The video is the one that the document below names.</p>"
