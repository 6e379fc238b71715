"""What exchanges tell about bids: every value or nothing, never an error."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.openrtb import Notice, read_notice
from ringwork.ads.openrtb.macros import Auctioned, audit, substitute
from tests.ads.openrtb.wire import BASE, bid, creative, request, served

TOKENS = {"impression": "imp-token", "click": "click-token", "notice": "notice-token"}


def test_a_loss():
    query = b"reason=102&price=&min=2.51&cur=EUR"
    assert read_notice("lost", query) == Notice(
        kind="lost", reason=102, min_to_win_nanos=2_510_000, currency="EUR"
    )


def test_a_win():
    query = b"price=2.5&cur=EUR&min=0.001962&reason=0"
    assert read_notice("won", query) == Notice(
        kind="won", price_nanos=2_500_000, min_to_win_nanos=1_962, currency="EUR"
    )


@pytest.mark.parametrize(
    "query",
    [
        b"", b"?", b"price=${AUCTION_PRICE}&min=AUDIT&reason=${AUCTION_LOSS}&cur=${X}",
        b"price=-1&min=NaN&reason=-1&cur=eur", b"price=1e999&min=Infinity&reason=1.5&cur=EURO",
        b"price=1000000.01&min=sNaN&reason=10000&cur=E1R", b"price=%ff&min=%00&reason=%D9%A1",
        b"reason=" + b"9" * 5_000, b"\xff\xfe=\x00",
    ],
)  # fmt: skip
def test_what_is_not_said_is_unknown(query):
    assert read_notice("lost", query) == Notice(kind="lost")


@given(st.binary(max_size=300), st.sampled_from(["won", "lost"]))
def test_any_query_is_a_notice(query, kind):
    notice = read_notice(kind, query)
    assert notice.kind == kind
    for nanos in (notice.price_nanos, notice.min_to_win_nanos):
        assert nanos is None or 0 <= nanos <= 10**12
    assert notice.reason is None or 0 <= notice.reason <= 9_999


def test_bids_carry_notices_where_there_is_a_token_for_them():
    found = bid(request(), served(creative(), tokens=TOKENS))
    assert found["nurl"].startswith(f"{BASE}/n/notice-token?")
    assert found["lurl"].startswith(f"{BASE}/l/notice-token?")
    assert "notice-token" not in found["adm"]
    assert "notice-token" not in found["burl"]
    without = bid(request(), served(creative()))
    assert not {"nurl", "lurl"} & without.keys()


def test_a_test_bid_carries_no_notice():
    assert not {"nurl", "lurl"} & bid(request(test=1), served(creative(), tokens=TOKENS)).keys()


def test_what_an_exchange_fills_in_comes_back():
    found = bid(request(), served(creative(), tokens=TOKENS))
    lost = Auctioned(loss=102, min_to_win_nanos=900_000, price_nanos=950_000, currency="EUR")
    query = urlsplit(substitute(found["lurl"], lost)).query
    assert read_notice("lost", query.encode()) == Notice(
        kind="lost", reason=102, price_nanos=950_000, min_to_win_nanos=900_000, currency="EUR"
    )
    won = Auctioned(price_nanos=800_000, currency="EUR")
    query = urlsplit(substitute(found["nurl"], won)).query
    assert read_notice("won", query.encode()) == Notice(
        kind="won", price_nanos=800_000, currency="EUR"
    )


def test_notices_of_an_audit_say_nothing():
    found = bid(request(), served(creative(), tokens=TOKENS))
    query = urlsplit(audit(found["lurl"])).query
    assert set(parse_qs(query)) == {"reason", "price", "min", "cur"}
    assert read_notice("lost", query.encode()) == Notice(kind="lost")
