"""Substitution macros: each once, values never scanned again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.openrtb.macros import Auctioned, audit, substitute

SOLD = Auctioned(
    request_id="r1", bid_id="b1", impression_id="1", seat="ringwork", ad_id="a1",
    price_nanos=800_000, currency="EUR", bid_nanos=1_000_000, loss=0,
    min_to_win_nanos=900_000, multiplier="30.3", impression_ts_ms=1_700_000_000_000,
    discount_ppm=200_000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ID", "r1"), ("BID_ID", "b1"), ("IMP_ID", "1"), ("SEAT_ID", "ringwork"), ("AD_ID", "a1"),
        ("PRICE", "0.8"), ("CURRENCY", "EUR"), ("MBR", "0.8"), ("LOSS", "0"),
        ("MIN_TO_WIN", "0.9"), ("MULTIPLIER", "30.3"), ("IMP_TS", "1700000000000"),
        ("DISCOUNT_PCT", "20.0"), ("DISCOUNT_CPM", "0.2"),
    ],
)  # fmt: skip
def test_every_macro(name, value):
    assert substitute(f"x=${{AUCTION_{name}}}&", SOLD) == f"x={value}&"
    assert substitute(f"x=${{AUCTION_{name}}}&", Auctioned()) == "x=&"
    assert audit(f"x=${{AUCTION_{name}}}&") == "x=AUDIT&"


def test_the_specification_s_example_of_a_discount():
    bid = Auctioned(bid_nanos=10_000_000, price_nanos=8_000_000, discount_ppm=200_000)
    text = "${AUCTION_PRICE} ${AUCTION_DISCOUNT_PCT} ${AUCTION_DISCOUNT_CPM}"
    assert substitute(text, bid) == "8.0 20.0 2.0"


def test_encodings():
    assert substitute("${AUCTION_PRICE:B64}", SOLD) == "MC44"
    assert substitute("${AUCTION_PRICE:ROT13}", SOLD) == ""


def test_what_is_no_macro_stays():
    for text in ("${AUCTION_UNKNOWN}", "${CLICK_URL}", "$AUCTION_PRICE", "${AUCTION_PRICE", "a"):
        assert substitute(text, SOLD) == text


@given(st.text())
def test_what_was_put_in_is_never_scanned_again(value):
    sold = Auctioned(bid_id=value + "${AUCTION_PRICE}", price_nanos=1)
    assert substitute("<${AUCTION_BID_ID}>", sold) == f"<{value}${{AUCTION_PRICE}}>"
