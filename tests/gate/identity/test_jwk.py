"""Keys and their thumbprints, URLs and what they are called, cards, JA4, nonces, proofs."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.identity.cards import read_card, read_registry
from ringwork.gate.identity.ja4 import ja4_of_field, ja4_of_raw
from ringwork.gate.identity.jwk import configured_keys, public_key_of, thumbprint_of
from ringwork.gate.identity.nonces import MemoryNonces
from ringwork.gate.identity.proof import proven_keys
from ringwork.gate.identity.urls import DIRECTORY_PATH, discovery, identifier_of
from ringwork.kernel.errors import Refused
from tests.gate.identity.signing import KEY, NOW_S, OTHER, Key, jwks


def test_a_thumbprint_is_of_the_required_members_in_order():
    jwk = KEY.jwk
    text = f'{{"crv":"Ed25519","kty":"OKP","x":"{jwk["x"]}"}}'  # RFC 8037, A.3
    meant = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
    assert thumbprint_of({**jwk, "kid": "a", "d": "b", "alg": "c"}) == meant


BAD = [
    {}, {"kty": "oct", "k": "AAAA"}, {**KEY.jwk, "crv": "X25519"}, {**KEY.jwk, "x": "AAAA"}, {**KEY.jwk, "x": 7},
    {**KEY.jwk, "x": KEY.jwk["x"] + "="}, {**KEY.jwk, "x": "+" + KEY.jwk["x"][1:]}, {**KEY.jwk, "use": "enc"},
    {**KEY.jwk, "key_ops": ["sign"]}, {**KEY.jwk, "key_ops": 1}, {**KEY.jwk, "exp": "x"}, {**KEY.jwk, "nbf": True},
    {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}, {"kty": "EC", "crv": "P-521", "x": "AQ", "y": "AQ"},
    {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"kty": "RSA", "n": "A" * 2000, "e": "AQAB"},
    {"kty": "RSA", "n": "_" * 342, "e": "AQ"}, {"kty": ["OKP"]}, {"kty": None},
]  # fmt: skip


@pytest.mark.parametrize("jwk", BAD)
def test_what_cannot_verify_is_no_key(jwk):
    with pytest.raises(ValueError, match=r".+"):
        public_key_of(jwk)
    with pytest.raises(Refused, match="here, key 1"):
        configured_keys({"keys": [KEY.jwk, jwk]}, "here")


def test_rsa_keys_have_bounds_on_their_size():
    with pytest.raises(ValueError, match="bits"):
        public_key_of(Key("rsa1024").jwk)


@pytest.mark.parametrize(
    ("url", "identifier"),
    [
        ("https://a.example", "https://a.example/"), ("HTTPS://A.Example:443/", "https://a.example/"),
        ("https://a.example:8443/x?q#f", "https://a.example:8443/x"),
        ("https://a.example/%7Eb/%2f/./c/../d", "https://a.example/~b/%2F/d"),
        ("https://a.example/a/..", "https://a.example/"), ("https://a.example/../../x", "https://a.example/x"),
        ("https://a.example/a//b/", "https://a.example/a//b/"),
        ("https://[2001:DB8::1]/", "https://[2001:db8::1]/"),
    ],
)  # fmt: skip
def test_two_spellings_are_one_agent(url, identifier):
    assert identifier_of(url) == identifier
    assert identifier_of(identifier) == identifier


@pytest.mark.parametrize(
    "url",
    ["http://a.example", "a.example", "https://", "https://u@a.example", "https://a b", "https://a.example/%zz",
     "https://a.example:0x1", "https://é.example", "https://a.example/é", "https://a..b/" + "x" * 1100, "https://-a",
     "https://a.example\\@b.example/"],
)  # fmt: skip
def test_what_is_no_https_url_names_nobody(url):
    with pytest.raises(ValueError, match=r".+"):
        identifier_of(url)


@given(st.text(st.sampled_from("ab./%2eE7~:@?#[]\\-"), max_size=20))
def test_a_normalised_url_stays_as_it_is(rest):
    try:
        found = identifier_of("https://a.example" + rest)
    except ValueError:
        return
    assert identifier_of(found) == found
    assert found.startswith("https://a.example")
    assert "/../" not in found


def test_types_say_what_is_read():
    directory = discovery("https://a.example/", "directory")
    assert directory.fetch == directory.identifier == "https://a.example" + DIRECTORY_PATH
    elsewhere = discovery("https://a.example/k?v=2", "jwks_uri")
    assert (elsewhere.fetch, elsewhere.identifier) == (
        "https://a.example/k?v=2",
        "https://a.example/k",
    )
    for url, kind in (("https://a.example/x", "directory"), ("https://a.example/k#f", "jwks_uri")):
        with pytest.raises(ValueError, match="expected"):
            discovery(url, kind)


CARD = {"client_id": "https://a.example/bot", "jwks_uri": "https://a.example/k"}


def test_a_card_says_what_its_crawler_does():
    facts = {"expected-user-agent": "OurBot", "rfc9309-product-token": "ourbot", "trigger": "crawler",
             "known-urls": ["/a"], "ips_uri": "https://a.example/ips", "later": 1}  # fmt: skip
    found = read_card(json.dumps({**CARD, "web_bot_auth": facts}).encode(), CARD["client_id"])
    told = found.web_bot_auth
    assert (told.expected_user_agent, told.rfc9309_product_token) == ("OurBot", "ourbot")
    assert (told.trigger, told.known_urls, told.ips_uri) == (
        "crawler",
        ("/a",),
        "https://a.example/ips",
    )


@pytest.mark.parametrize(
    ("members", "detail"),
    [
        ({"client_id": "https://a.example/bot/"}, "client_id"), ({"jwks": {"keys": []}}, "both"),
        ({"jwks_uri": "http://a.example/k"}, "https"), ({"client_name": 7}, "expected"),
        ({"web_bot_auth": {"trigger": "person"}}, "expected"), ({"web_bot_auth": {"ips_uri": "x"}}, "https"),
    ],
)  # fmt: skip
def test_cards_that_are_none(members, detail):
    with pytest.raises(Refused, match=detail) as refused:
        read_card(json.dumps({**CARD, **members}).encode(), CARD["client_id"])
    assert refused.value.slug == "agent-card-invalid"


def test_registries_are_lines():
    text = b"# bots\nhttps://a.example/card # one\r\n\ndata:application/json,{}\n"
    assert read_registry(text) == ("https://a.example/card", "data:application/json,{}")
    for line in (b"http://a.example", b"a.example", b"https://"):
        with pytest.raises(Refused, match="line 2"):
            read_registry(b"https://a.example\n" + line)
    with pytest.raises(Refused, match="cards"):
        read_registry(b"https://a.example\n" * 10_001)
    with pytest.raises(Refused, match="bytes"):
        read_registry(b"#" * (1 << 20) + b"#")


def test_ja4_by_hand():
    ciphers = hashlib.sha256(b"1301,1302").hexdigest()[:12]
    rest = hashlib.sha256(b"000a,000d_0403,0804").hexdigest()[:12]
    assert ja4_of_raw("t13d0202h2_1301,1302_000a,000d_0403,0804") == f"t13d0202h2_{ciphers}_{rest}"
    no_algorithms = hashlib.sha256(b"000a").hexdigest()[:12]
    assert (
        ja4_of_raw("q13i000100___000a".replace("___", "__"))
        == f"q13i000100_{'0' * 12}_{no_algorithms}"
    )
    assert ja4_of_raw("t12d000000__") == "t12d000000_000000000000_000000000000"
    for broken in ("", "t13d0202h2_1301", "x13d0202h2__", "t13d0202h2_13_01_", "t14d0202h2__"):
        with pytest.raises(ValueError, match="raw form"):
            ja4_of_raw(broken)


def test_ja4_is_a_fact_from_a_trusted_proxy_only():
    value = "t13i3111h2_e8f1e7e78f70_b26ce05bbdd6"
    assert ja4_of_field(value, is_trusted=True) == value
    assert ja4_of_field(value, is_trusted=False) is None
    for other in ("", value + "x", value.upper(), "t13i3111h2_e8f1e7e78f70", value + "\n"):
        assert ja4_of_field(other, is_trusted=True) is None


USES = st.tuples(
    st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 400), st.integers(0, 120)
)


@given(st.lists(USES, max_size=40), st.integers(1, 2))
def test_nonces_are_counted_as_by_brute_force(uses, uses_max):
    nonces, seen, now = MemoryNonces(), {}, 0
    for agent, nonce, lifetime, step in uses:
        now += step
        expires = now + lifetime
        key = (agent, nonce, expires // 60)  # a signature's expiry is part of what it is
        count = seen.get(key, 0)
        meant = "fresh" if count < uses_max else "reused"
        assert nonces.record(agent, nonce, expires_s=expires, now_s=now, uses_max=uses_max) == meant
        if meant == "fresh":
            seen[key] = count + 1
    assert len(nonces) <= len(seen)


def test_one_agent_has_its_share_of_the_room_and_no_more():
    nonces = MemoryNonces(records_max=160)

    def use(agent, nonce, now_s=0):
        return nonces.record(agent, str(nonce), expires_s=now_s + 59, now_s=now_s, uses_max=1)

    assert [use("flood", n) for n in range(12)] == ["fresh"] * 10 + ["full"] * 2
    assert use("flood", 0) == "reused"  # nothing was forgotten for it
    assert use("other", 0) == "fresh"
    assert [use(f"a{n}", 0) for n in range(200)].count("fresh") == 149
    assert len(nonces) == 160
    assert use("flood", 0, now_s=120) == "fresh"
    assert len(nonces) == 1


BODY = json.dumps(jwks(KEY, OTHER)).encode()
DIGEST = "sha-256=:" + base64.b64encode(hashlib.sha256(BODY).digest()).decode() + ":"
PROOF = {"created": NOW_S - 5, "expires": NOW_S + 60, "tag": "http-message-signatures-directory"}


def proof(*keys, covered='("@authority";req "content-digest")', digest=DIGEST, **told):
    told = {**PROOF, **told}
    inputs, signatures = [], []
    for number, key in enumerate(keys):
        line = f'{covered};created={told["created"]};expires={told["expires"]};keyid="{key.keyid}";tag="{told["tag"]}"'
        base = (
            f'"@authority";req: a.example\n"content-digest": {digest}\n"@signature-params": {line}'
        )
        inputs.append(f"s{number}={line}")
        signatures.append(f"s{number}=:{base64.b64encode(key.sign(base.encode())).decode()}:")
    return [
        (b"Content-Digest", digest.encode()), (b"signature-input", ", ".join(inputs).encode()),
        (b"signature", ", ".join(signatures).encode()),
    ]  # fmt: skip


def proven(headers, body=BODY, authority="A.example:443"):
    keys = configured_keys(jwks(KEY, OTHER), "test")
    return proven_keys(keys, headers=headers, body=body, authority=authority, now_s=NOW_S)


def test_a_directory_proves_its_keys_for_its_authority():
    assert proven(proof(KEY, OTHER)) == {KEY.keyid, OTHER.keyid}
    assert proven(proof(KEY)) == {KEY.keyid}
    assert proven(proof(Key(seed=9))) == frozenset()


@pytest.mark.parametrize(
    ("headers", "given_"),
    [
        (proof(KEY), {"authority": "b.example"}), (proof(KEY), {"body": BODY + b" "}), (proof(KEY, created=NOW_S + 1), {}),
        (proof(KEY, expires=NOW_S - 1), {}), (proof(KEY, tag="web-bot-auth"), {}),
        (proof(KEY, covered='("@authority";req)'), {}), (proof(KEY, covered='("@authority" "content-digest")'), {}),
        (proof(KEY)[1:], {}), ([], {}), ([*proof(KEY)[:2], (b"signature", b"((")], {}), (proof(KEY, created='"x"'), {}),
        (proof(KEY), {"authority": "a b"}), ([(b"content-digest", b"\xff"), *proof(KEY)[1:]], {}),
    ],
)  # fmt: skip
def test_what_proves_nothing(headers, given_):
    assert proven(headers, **given_) == frozenset()
