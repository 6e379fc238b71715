"""Every pricing has words, also where a page only lists it."""

from typing import get_args

import pytest

from ringwork.ads.model import Campaign, Pricing
from ringwork.console.pricings import PRICED_PER, per_one
from ringwork.console.views.campaigns import bid_text
from ringwork.kernel.money import Money


def test_every_pricing_has_words():
    assert set(PRICED_PER) == set(get_args(Pricing))
    assert per_one("cpm") == "an impression"
    assert per_one("vcpm") == "a viewable impression"
    assert per_one("of a later version") == "an impression"


@pytest.mark.parametrize("pricing", get_args(Pricing))
def test_what_a_campaign_bids_is_said(pricing):
    campaign = Campaign(
        id="c", advertiser_id="a", name="C", pricing=pricing, bid_nanos=2_000_000,
        budget=Money("EUR", 10, 0),
    )  # fmt: skip
    assert bid_text(campaign).endswith(per_one(pricing))
