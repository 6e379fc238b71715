"""Keys of requests and ads: stable, separable, and hashed as the specification says."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.model import Campaign, Context, Creative, Slot
from ringwork.ads.rank import plain
from ringwork.ads.rank.engine import warm
from ringwork.ads.rank.features import (
    AD_FIELDS,
    AD_OF_CROSS,
    AD_WIDTH,
    CONTEXT_FIELDS,
    CONTEXT_OF_CROSS,
    CONTEXT_WIDTH,
    CROSS_COUNT,
    CROSSES,
    FEATURES,
    ad_keys,
    ad_values,
    context_keys,
    context_values,
    key,
)
from ringwork.kernel.money import Money

int64 = st.integers(-(2**63), 2**63 - 1)


def test_a_request_is_told_by_its_place_and_surroundings():
    context = Context(
        site="news.example",
        placement_id="top",
        categories=("IAB1", "IAB2"),
        region="PRT-11",
        device_type="phone",
        hour=7,
    )
    slot = Slot(id="1", format="banner", sizes=((300, 250), (320, 50)))
    assert dict(zip(CONTEXT_FIELDS, context_values(context, slot), strict=True)) == {
        "place": "news.example",
        "placement": "top",
        "category": "IAB1",
        "country": "PRT",
        "region": "PRT-11",
        "device": "phone",
        "hour": "7",
        "format": "banner",
        "size": "300x250",
        "device_hour": "phone 7",
    }


def test_an_app_is_a_place_and_what_is_missing_is_empty():
    values = context_values(Context(app="com.example"), Slot(id="1", format="video"))
    told = dict(zip(CONTEXT_FIELDS, values, strict=True))
    assert told["place"] == "com.example"
    assert told["category"] == told["region"] == told["size"] == ""


def test_an_ad_is_told_by_what_it_is_and_whose():
    campaign = Campaign(
        id="c",
        advertiser_id="adv",
        name="C",
        pricing="cpc",
        bid_nanos=1,
        budget=Money.of_nanos("EUR", 10),
    )
    creative = Creative(
        id="c.1",
        campaign_id="c",
        name="n",
        format="banner",
        width=300,
        height=250,
        landing_url="https://a.example/",
        categories=["IAB9"],
    )
    assert ad_values(creative, campaign) == ("c.1", "c", "adv", "IAB9", "banner 300x250")


def test_keys_are_the_same_in_another_process():
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "from ringwork.ads.rank.features import key; print(key('place', 'ä.example'))",
        ],
        check=True,
        capture_output=True,
        env={"PYTHONHASHSEED": "7"},
        timeout=60,
    )
    assert int(told.stdout) == key("place", "ä.example")


def test_the_same_text_in_two_fields_has_two_keys():
    assert key("ad", "x") != key("campaign", "x")
    assert key("region", "PRT") != key("country", "PRT")


def test_rows_end_with_the_halves_of_the_crosses():
    context = context_keys([f"c{n}" for n in range(len(CONTEXT_FIELDS))])
    ads = ad_keys([[f"a{n}" for n in range(len(AD_FIELDS))], ["x"] * len(AD_FIELDS)])
    assert context.shape == (CONTEXT_WIDTH,)
    assert ads.shape == (2, AD_WIDTH)
    assert context.dtype == ads.dtype == np.int64
    for column, (ad_field, context_field) in enumerate(CROSSES):
        assert context[len(CONTEXT_FIELDS) + column] == context[CONTEXT_OF_CROSS[column]]
        assert ads[0, len(AD_FIELDS) + column] == ads[0, AD_OF_CROSS[column]]
        assert CONTEXT_FIELDS[CONTEXT_OF_CROSS[column]] == context_field
        assert AD_FIELDS[AD_OF_CROSS[column]] == ad_field
    assert CROSS_COUNT == len(CROSSES) <= 6
    assert 1 + len(CONTEXT_FIELDS) + len(AD_FIELDS) + len(CROSSES) == FEATURES


def test_no_ads_are_no_rows():
    assert ad_keys([]).shape == (0, AD_WIDTH)


@pytest.mark.parametrize("values", [[], ["x"] * (len(CONTEXT_FIELDS) + 1)])
def test_the_wrong_number_of_values_is_refused(values):
    with pytest.raises(ValueError, match="expected the values"):
        context_keys(values)


@given(int64, st.integers(0, 70), st.integers(1, 24))
def test_a_slot_is_the_specification_s_hash(value, field, bits):
    whole = (value * 0x9E3779B97F4A7C15 + field * 0xC2B2AE3D27D4EB4F) % 2**64
    expected = (whole >> 40) % 2**bits
    assert warm().slot(value, field, 2**bits - 1) == expected
    assert plain.slot(value, field, 2**bits - 1) == expected
