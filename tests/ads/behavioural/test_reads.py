"""What a decision says of the personal data that it read, in new events and in old ones."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.events import AuctionCleared
from ringwork.ads.model import Context
from ringwork.ads.reads import FEATURES, FeatureRead, ReadRecorder, reads_of
from ringwork.kernel.purpose import PURPOSES

READS = st.tuples(
    st.sampled_from(PURPOSES), st.sampled_from(["main", "market"]), st.sampled_from(FEATURES)
)


@given(st.lists(READS))
def test_what_was_noted_is_what_is_told(noted):
    recorder = ReadRecorder()
    for read in noted:
        recorder.note(*read)
    told = list(reads_of(recorder.bits()))
    assert len(told) == len(set(noted))
    assert {(one.purpose, one.service, one.feature) for one in told} == set(noted)


def test_the_bits_by_hand():
    """Of a purpose 16 bits: advertise from 0, measure from 16; impressions are the third."""
    recorder = ReadRecorder()
    recorder.note("measure", "main", "impressions")
    assert recorder.bits() == {"main": 1 << 18}


def test_a_bit_that_a_newer_version_wrote_is_told_by_its_number():
    assert list(reads_of({"main": 1 << 15, "market": 1 << 48})) == [
        FeatureRead("advertise", "main", "15"),
        FeatureRead("3", "market", "interests"),
    ]


@pytest.mark.parametrize("members", [5, 6, 7, 8])
def test_decisions_from_before_read_as_they_were(members):
    now = AuctionCleared(
        "native", "EUR", Context(), [], {}, "", 3, {"main": 1}, "consented", ("c",)
    )
    encoded = msgspec.msgpack.decode(msgspec.msgpack.encode(now))
    assert len(encoded) == 11
    old = msgspec.msgpack.encode(encoded[:members])
    read = msgspec.msgpack.decode(old, type=AuctionCleared)
    assert (read.reads, read.tier, read.tier_reasons) == (
        {"main": 1} if members > 7 else {},
        "",
        (),
    )
