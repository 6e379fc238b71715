"""Beacon tokens: genuine ones come back whole, everything else is nothing."""

import base64
import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.tokens import TOKEN_MAX_CHARS, Claim, Tokens

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
CLAIM = Claim(
    b"i" * 16, b"a" * 16, b"r" * 16, "camp", "ad", "pub", "top", "cpm", 1_500_000,
    "EUR", 1_764_158_400, 1_764_158_760,
)  # fmt: skip


def sign(tokens: Tokens, claim: Claim = CLAIM) -> str:
    return tokens.sign(claim, ["impression"])["impression"]


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_a_token_is_key_tag_and_claim():
    tokens = Tokens({7: OLD}, current=7).sign(CLAIM, ["impression", "click"])
    token = tokens["impression"]
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    encoded = msgspec.msgpack.encode(CLAIM)
    assert raw[:1] == b"\x07"
    assert raw[1:2] == b"i"
    assert raw[2:18] == hmac.new(OLD, b"\x07i" + encoded, "sha256").digest()[:16]
    assert raw[18:] == encoded
    assert token[24:] == tokens["click"][24:], "they differ in their heads alone"


def test_the_longest_claim_fits():
    longest = msgspec.structs.replace(
        CLAIM, campaign_id="c" * 64, ad_id="a" * 64, publisher_id="p" * 64, placement="t" * 64,
        price_nanos=2**53 - 1,
    )  # fmt: skip
    token = sign(Tokens({1: OLD}, current=1), longest)
    assert len(token) < 700
    assert set(token) <= set(ALPHABET)
    assert len(token) < TOKEN_MAX_CHARS


def test_a_token_is_good_for_its_own_event_only():
    tokens = Tokens({1: OLD}, current=1)
    token = sign(tokens)
    assert tokens.verify(token, "impression") == CLAIM
    assert tokens.verify(token, "click") is None
    assert tokens.verify(token, "conversion") is None


def test_keys_rotate():
    before, after = Tokens({1: OLD}, current=1), Tokens({1: OLD, 2: NEW}, current=2)
    token = sign(before)
    assert after.verify(token, "impression") == CLAIM
    assert after.verify(sign(after), "impression") == CLAIM
    assert before.verify(sign(after), "impression") is None
    assert Tokens({2: NEW}, current=2).verify(token, "impression") is None


@pytest.mark.parametrize(
    "forged",
    ["", "A", "AA", "=", "AQ==", "Ä" * 40, "A" * 100, "a b", "A" * 5000, "%2e", "../x", "\x00"],
)
def test_malformed_tokens_are_nothing(forged):
    assert Tokens({0: OLD}, current=0).verify(forged, "impression") is None


@given(st.data())
def test_any_changed_character_makes_a_token_nothing(data):
    tokens = Tokens({1: OLD, 2: NEW}, current=1)
    token = sign(tokens)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(ALPHABET))
    changed = token[:at] + other + token[at + 1 :]
    if changed != token:
        assert tokens.verify(changed, "impression") is None
    assert tokens.verify(token[:at], "impression") is None
    assert tokens.verify(token + other, "impression") is None


def test_a_token_has_one_spelling():
    tokens = Tokens({1: OLD}, current=1)
    for length in range(1, 5):
        token = sign(tokens, msgspec.structs.replace(CLAIM, placement="t" * length))
        spellings = [token[:-1] + last for last in ALPHABET]
        genuine = [one for one in spellings if tokens.verify(one, "impression")]
        assert genuine == [token]


@given(st.text(max_size=300))
def test_no_text_raises(text):
    assert Tokens({1: OLD}, current=1).verify(text, "click") is None


@pytest.mark.parametrize(
    ("keys", "current"), [({}, 1), ({1: OLD}, 2), ({256: OLD}, 256), ({1: b"short"}, 1)]
)
def test_keys_that_cannot_sign_are_refused(keys, current):
    with pytest.raises(ValueError, match="key"):
        Tokens(keys, current=current)
