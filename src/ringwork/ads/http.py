"""The management API of ads: what it answers, refuses and consists of.

Every write goes through ``run_command``: one key, one decision, one frame. Lists are in the order
of creation. Reads from memory wait until what they show is durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.ads.http_api import AdsApi
from ringwork.ads.http_audiences import audience_routes
from ringwork.ads.http_demand import demand_routes
from ringwork.ads.http_import import import_routes
from ringwork.ads.http_outcomes import outcome_routes
from ringwork.ads.http_review import review_routes
from ringwork.ads.http_supply import supply_routes
from ringwork.ads.import_lines import LINES, Imported
from ringwork.ads.model import Audience, Campaign, Creative, Placement, Publisher, Site
from ringwork.ads.requests import (
    AdvertiserChange,
    AudienceChange,
    CampaignChange,
    CreativeChange,
    NewAdvertiser,
    NewAudience,
    NewCampaign,
    NewConversion,
    NewCreative,
    NewPlacement,
    NewPublisher,
    NewSite,
    PlacementChange,
    PublisherChange,
    ReviewDecision,
    SiteChange,
    SpecialReview,
)
from ringwork.ads.supply import SellersJson
from ringwork.ads.views import (
    Advertisers,
    AdvertiserView,
    Audiences,
    Campaigns,
    Conversion,
    CreativeCheck,
    Creatives,
    History,
    LedgerTotals,
    Placements,
    Publishers,
    Sites,
    Why,
)

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "advertiser-exists": (409, "An advertiser with that id exists with other content."),
    "campaign-exists": (409, "A campaign with that id exists with other content."),
    "creative-exists": (409, "A creative with that id exists with other content."),
    "audience-exists": (409, "An audience with that id exists with other content."),
    "publisher-exists": (409, "A publisher with that id exists with other content."),
    "site-exists": (409, "A site with that id exists with other content."),
    "placement-exists": (409, "A placement with that id exists with other content."),
    "rule-violated": (409, "A rule of the catalogue refused it; `errors` points at the members."),
    "unknown-click": (409, "The rwclid is not one that a click of this platform carried."),
    "unknown-impression": (409, "The token is not one of an impression of this platform."),
    "unseen-impression": (409, "No beacon said in time that the ad was shown."),
    "clicked-impression": (409, "Its click has the say; report with the rwclid that it carried."),
    "conversion-exists": (409, "The conversion is recorded for another impression."),
    "outside-ad": (
        409,
        "The ad is an outside bidder's, who counts conversions itself.",
    ),
    "conversion-late": (409, "The conversion came after its window; it does not count."),
    "account-exists": (409, "The ledger has an account of that id that is not the part's own."),
    "insufficient-funds": (409, "The advertiser's account has less than the budget needs."),
    "budget-below-spent": (409, "A budget cannot go below what is spent or reserved."),
    "campaign-ended": (409, "What has ended stays ended."),
    "status-refused": (409, "The status cannot follow the present one; `detail` says which can."),
    "review-required": (409, "It can go live by a reviewer's approval only."),
}
"""The part's own slugs: status, and when it is answered."""

TYPES: Final[tuple[type[Struct], ...]] = (
    NewAdvertiser, AdvertiserChange, AdvertiserView, Advertisers,
    NewCampaign, CampaignChange, Campaign, Campaigns,
    NewCreative, CreativeChange, Creative, Creatives, CreativeCheck, ReviewDecision, History,
    SpecialReview,
    NewAudience, AudienceChange, Audience, Audiences,
    NewPublisher, PublisherChange, Publisher, Publishers, NewSite, SiteChange, Site, Sites,
    NewPlacement, PlacementChange, Placement, Placements, NewConversion, Conversion, Why,
    LedgerTotals, *LINES, Imported, SellersJson,
)  # fmt: skip
"""Structs whose schemas the OpenAPI document takes from msgspec."""


def routes(api: AdsApi) -> list[ControllerRouterHandler]:
    """Every handler of the part's management API."""
    return [
        *demand_routes(api),
        *review_routes(api),
        *audience_routes(api),
        *supply_routes(api),
        *import_routes(api),
        *outcome_routes(api),
    ]
