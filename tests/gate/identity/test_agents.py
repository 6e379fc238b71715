"""Web Bot Auth: a refusal for every rule of the profile, and what no field can do."""

import asyncio
import base64
import hashlib

import http_message_signatures as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.identity.agents import (
    AgentVerdict,
    HttpMessage,
    StaticKeys,
    accept_signature,
    answer_status,
)
from ringwork.gate.identity.messages import base_of, planned
from ringwork.gate.identity.nonces import MemoryNonces
from ringwork.gate.identity.signatures import read_any, read_plain
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import Refused
from tests.gate.identity.signing import (
    AGENT,
    DIRECTORY,
    KEY,
    NOW_S,
    ORIGIN,
    OTHER,
    Key,
    Signed,
    jwks,
    request,
    verifier,
)


def judged(signed=None, *, message=None, sensitive=False, **policy):
    found = verifier(**policy).verify(
        message or (signed or Signed()).message(), sensitive=sensitive
    )
    return found.status, found.reason


def test_a_signed_request_is_its_agents():
    found = verifier().verify(Signed().message())
    assert found == AgentVerdict(
        "verified", "", DIRECTORY, KEY.keyid,
        ("@authority", "@method", "@path", 'signature-agent;key="sig1"'), "sig1", DIRECTORY,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["ed25519", "p256", "rsa2048"])
@pytest.mark.parametrize("with_alg", [False, True])
def test_the_algorithm_follows_from_the_key(kind, with_alg):
    key = Key(kind)
    name = {"ed25519": "ed25519", "p256": "ecdsa-p256-sha256", "rsa2048": "rsa-pss-sha512"}[kind]
    keys = StaticKeys({ORIGIN: jwks(key)})
    signed = Signed(key=key, keyid=key.keyid, alg=name if with_alg else None)
    assert judged(signed, keys=keys) == ("verified", "")
    octets = base64.b64encode(b"\0" * 64)
    broken = [*signed.fields()[:2], (b"signature", b"sig1=:%s:" % octets), *signed.fields()[3:]]
    assert judged(message=request(headers=broken), keys=keys) == ("invalid", "signature")


def test_no_signature_says_nothing():
    assert judged(message=request()) == ("absent", "no-signature")
    claim = [(b"signature-agent", f'sig1="{ORIGIN}"'.encode())]
    assert judged(message=request(headers=claim)) == ("absent", "no-signature")


REFUSALS = {
    "target-not-covered": Signed(covered=("@method", "@path", AGENT)),
    "agent-not-covered": Signed(covered=("@authority",)),
    "created-missing": Signed(created=None),
    "expires-missing": Signed(expires=None),
    "keyid-missing": Signed(keyid=None),
    "tag": Signed(tag=None),
    "keyid-form": Signed(keyid="test-key-ed25519"),
    "lifetime": Signed(created=NOW_S - 1, expires=NOW_S + 86_400),
    "expired": Signed(created=NOW_S - 60, expires=NOW_S - 1),
    "created-in-future": Signed(created=NOW_S + 6),
    "algorithm": Signed(alg="hmac-sha256"),
    "malformed": Signed(created=f"{NOW_S}"),
    "nonce-form": Signed(nonce=""),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_every_rule_has_its_refusal(reason):
    assert judged(REFUSALS[reason]) == ("invalid", reason)


def test_a_missing_tag_is_not_ours_where_no_agent_is_named():
    assert judged(Signed(tag="other", covered=("@authority",), agent=None)) == ("absent", "tag")
    assert judged(Signed(tag="web-bot-auth2")) == ("invalid", "tag")


def test_an_algorithm_that_is_not_the_keys_is_refused():
    assert judged(Signed(alg="rsa-pss-sha512")) == ("invalid", "algorithm")


def test_either_component_binds_the_target():
    signed = Signed(covered=("@target-uri", AGENT))
    signed.values["@target-uri"] = "https://shop.example/p/17?a=1"
    assert judged(signed) == ("verified", "")


def test_an_empty_query_is_none():
    signed = Signed(covered=("@target-uri", "@query", AGENT))
    signed.values |= {"@target-uri": "https://shop.example/p/17", "@query": "?"}
    for query in (None, "", b""):
        assert judged(message=signed.message(query=query)) == ("verified", "")


def test_what_is_remembered_is_bounded():
    one = verifier(uses_max=None)
    for number in range(9000):
        fields = [
            (b"signature-input", b'a=("x%d");tag="web-bot-auth"' % number),
            (b"signature", b"a=:AA==:"),
        ]
        one.verify(request(headers=fields))
    assert len(one._newer) + len(one._older) <= 8192
    long = [
        (b"signature-input", b'a=("%s");tag="web-bot-auth"' % (b"x" * 3000)),
        (b"signature", b"a=:AA==:"),
    ]
    before = len(one._newer)
    one.verify(request(headers=long))
    assert len(one._newer) == before


def test_lifetime_and_both_times_at_their_edges():
    day = Signed(created=NOW_S, expires=NOW_S + 86_400)
    assert judged(day) == ("verified", "")
    assert judged(Signed(created=NOW_S + 5)) == ("verified", "")
    assert judged(Signed(created=NOW_S - 9, expires=NOW_S)) == ("verified", "")
    assert judged(Signed(created=NOW_S, expires=NOW_S)) == ("invalid", "lifetime")


AGENT_FIELDS = {
    f'sig1="{ORIGIN}/"': ("verified", ""),
    f'sig1="{ORIGIN}";type=directory': ("verified", ""),
    'sig1="HTTPS://Signer.Example:443"': ("verified", ""),
    'sig1="http://signer.example"': ("invalid", "agent-url"),
    f'sig1="{ORIGIN}/agent"': ("invalid", "agent-url"),
    f'sig1="{ORIGIN}?x"': ("invalid", "agent-url"),
    'sig1="https://user@signer.example"': ("invalid", "agent-url"),
    'sig1="https://signer.example:99999"': ("invalid", "agent-url"),
    'sig1="https://"': ("invalid", "agent-url"),
    "sig1=17": ("invalid", "agent-url"),
    f'sig1="{ORIGIN}";type=dns': ("unverified", "agent-type"),
    f'sig1="{ORIGIN}";type="directory"': ("unverified", "agent-type"),
    f'sig1="{ORIGIN}/keys.json";type=jwks_uri': ("unverified", "agent-unknown"),
    'sig1="https://other.example"': ("unverified", "agent-unknown"),
}


@pytest.mark.parametrize("field", AGENT_FIELDS)
def test_the_agents_own_member_decides_where_keys_are(field):
    assert judged(Signed(agent=field)) == AGENT_FIELDS[field]


def test_a_key_counts_only_for_the_url_that_publishes_it():
    keys = StaticKeys({ORIGIN: jwks(KEY), "https://victim.example": jwks(OTHER)})
    signed = Signed(agent='sig1="https://victim.example"')  # signed with KEY, which is known
    assert judged(signed, keys=keys) == ("unverified", "key-unknown")


def test_a_signature_is_attributed_to_the_member_it_covers_only():
    both = 'sig1="https://victim.example", sig2="https://signer.example"'
    keys = StaticKeys({ORIGIN: jwks(KEY), "https://victim.example": jwks(KEY)})
    # An intermediary gave another label; the member's key is signed, the label is not.
    found = verifier(keys=keys).verify(
        Signed(agent=both, covered=("@authority", ("signature-agent", "sig2"))).message()
    )
    assert (found.status, found.url) == ("verified", DIRECTORY)
    unnamed = Signed(agent=both, covered=("@authority", ("signature-agent", "sig3")))
    assert judged(unnamed, keys=keys) == ("invalid", "agent-not-covered")
    two = ("@authority", ("signature-agent", "a"), ("signature-agent", "b"))
    unclear = Signed(agent=f'a="{ORIGIN}", b="{ORIGIN}"', covered=two)
    assert judged(unclear, keys=keys) == ("invalid", "agent-not-covered")


def test_the_bare_text_of_earlier_drafts_may_be_read():
    bare = Signed(agent=f'"{ORIGIN}"', covered=("@authority", "signature-agent"))
    assert judged(bare) == ("verified", "")
    assert judged(bare, legacy_agent=False) == ("invalid", "agent-not-covered")
    whole = Signed(covered=("@authority", "signature-agent"))  # a dictionary, its member not named
    assert judged(whole) == ("invalid", "agent-not-covered")


def test_without_an_agent_a_held_key_is_all_that_is_known():
    signed = Signed(agent=None, covered=("@authority",))
    assert judged(signed) == ("invalid", "agent-not-covered")
    found = verifier(require_agent=False).verify(signed.message())
    assert (found.status, found.url, found.keyid) == ("verified", None, KEY.keyid)
    stranger = Signed(agent=None, covered=("@authority",), key=OTHER, keyid=OTHER.keyid)
    assert judged(stranger, require_agent=False) == ("unverified", "key-unknown")


def test_keys_are_good_between_their_own_times():
    for members, expected in (
        ({"nbf": NOW_S - 1, "exp": NOW_S + 1}, ("verified", "")),
        ({"exp": NOW_S - 1}, ("invalid", "key-expired")),
        ({"nbf": NOW_S + 1}, ("invalid", "key-not-yet-valid")),
    ):
        assert judged(keys=StaticKeys({ORIGIN: jwks(KEY, **members)})) == expected


def test_policies_may_require_more():
    assert judged(require=("@authority", "@method")) == ("verified", "")
    assert judged(require=("@query",)) == ("invalid", "required-not-covered")
    assert judged(require_nonce=True) == ("invalid", "nonce-missing")


def test_a_sensitive_route_wants_the_whole_request_covered_and_a_nonce():
    every = ("@authority", "@method", "@path", "@query", AGENT)
    assert judged(sensitive=True) == ("invalid", "not-bound-to-request")
    assert judged(Signed(covered=every), sensitive=True) == ("invalid", "nonce-missing")
    assert judged(Signed(covered=every, nonce="n1"), sensitive=True) == ("verified", "")
    target = Signed(covered=("@method", "@target-uri", AGENT), nonce="n1")
    target.values["@target-uri"] = "https://shop.example/p/17?a=1"
    assert judged(target, sensitive=True) == ("verified", "")
    body = Signed(covered=every, nonce="n1").message(body=b"{}")
    assert judged(message=body, sensitive=True) == ("invalid", "not-bound-to-request")


def test_a_covered_digest_is_that_of_the_body():
    digest = base64.b64encode(hashlib.sha256(b"{}").digest()).decode()
    signed = Signed(covered=("@authority", "content-digest", AGENT))
    signed.values["content-digest"] = f"sha-256=:{digest}:"
    fields = [*signed.fields(), (b"Content-Digest", f"sha-256=:{digest}:".encode())]
    assert judged(message=request(headers=fields, body=b"{}")) == ("verified", "")
    assert judged(message=request(headers=fields, body=b"{ }")) == ("invalid", "digest")
    weak = "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"
    signed.values["content-digest"] = weak
    fields = [*signed.fields(), (b"content-digest", weak.encode())]
    assert judged(message=request(headers=fields, body=b"")) == ("invalid", "digest")


def test_a_covered_field_that_is_not_there_is_refused():
    signed = Signed(covered=("@authority", "x-purpose", AGENT))
    assert judged(signed) == ("invalid", "component-missing")
    signed.values["x-purpose"] = "index"
    with_it = request(headers=[*signed.fields(), (b"X-Purpose", b" index ")])
    assert judged(message=with_it) == ("verified", "")


def test_a_nonce_is_used_once():
    clock, found = ManualClock(), []
    one = verifier(clock=clock)
    found += [one.verify(Signed(nonce="abc").message()).status for _ in range(2)]
    found.append(one.verify(Signed(nonce="xyz").message()).status)
    # The same nonce under another signature is the same nonce.
    found.append(one.verify(Signed(nonce="abc", created=NOW_S - 9).message()).status)
    assert found == ["verified", "replayed", "verified", "replayed"]
    clock.advance_us(291 * 1_000_000)
    late = one.verify(Signed(nonce="abc").message())
    assert (late.status, late.reason) == ("invalid", "expired")


def test_a_nonce_of_one_agent_is_none_of_anothers():
    keys = StaticKeys({ORIGIN: jwks(KEY), "https://other.example": jwks(OTHER)})
    one = verifier(keys=keys)
    theirs = Signed(nonce="x", key=OTHER, keyid=OTHER.keyid, agent='sig1="https://other.example"')
    assert one.verify(Signed(nonce="x").message()).status == "verified"
    assert one.verify(theirs.message()).status == "verified"


def test_a_broken_signature_uses_up_no_nonce():
    one = verifier()
    assert one.verify(Signed(nonce="n").message(path="/p/18")).reason == "signature"
    assert one.verify(Signed(nonce="n").message()).status == "verified"


def test_uses_may_be_more_or_not_counted():
    twice, free = verifier(uses_max=2), verifier(uses_max=None)
    told = [twice.verify(Signed(nonce="n").message()).status for _ in range(3)]
    assert told == ["verified", "verified", "replayed"]
    assert {free.verify(Signed(nonce="n").message()).status for _ in range(3)} == {"verified"}


def test_where_a_use_cannot_be_recorded_nothing_is_verified():
    one = verifier(nonces=MemoryNonces(records_max=16))  # one for each agent
    assert one.verify(Signed(nonce="a").message()).status == "verified"
    found = one.verify(Signed(nonce="b").message())
    assert (found.status, found.reason) == ("unverified", "nonces-full")


def test_a_clock_set_back_does_not_bring_a_used_nonce_back():
    clock = ManualClock()
    one = verifier(clock=clock)
    assert one.verify(Signed(nonce="a").message()).status == "verified"
    clock.set_wall_us((NOW_S + 3600) * 1_000_000)
    later = Signed(nonce="z", created=NOW_S + 3599, expires=NOW_S + 3700)
    assert one.verify(later.message()).status == "verified"
    clock.set_wall_us(NOW_S * 1_000_000)
    found = one.verify(Signed(nonce="a").message())
    assert (found.status, found.reason) == ("unverified", "nonces-forgotten")


def joined(*signed: Signed, extra=()) -> HttpMessage:
    """One request with the signatures of several."""
    values: dict[bytes, list[bytes]] = {}
    for one in signed:
        for name, value in one.fields():
            values.setdefault(name, []).append(value)
    fields = [(name, b", ".join(dict.fromkeys(found))) for name, found in values.items()]
    return request(headers=[*fields, *extra])


def test_each_of_several_signatures_is_judged_by_itself():
    agents = f'sig1="{ORIGIN}", sig2="https://other.example"'
    ours = Signed(agent=agents)
    theirs = Signed(
        agent=agents, label="sig2", covered=("@authority", ("signature-agent", "sig2")),
        key=OTHER, keyid=OTHER.keyid,
    )  # fmt: skip
    one = verifier()
    assert [found.status for found in one.verify_all(joined(theirs, ours))] == [
        "unverified",
        "verified",
    ]
    assert one.verify(joined(theirs, ours)).url == DIRECTORY
    both = StaticKeys({ORIGIN: jwks(KEY), "https://other.example": jwks(OTHER)})
    found = verifier(keys=both).verify_all(joined(theirs, ours))
    assert [one.url.split("/")[2] for one in found] == ["other.example", "signer.example"]


@pytest.mark.parametrize(
    "foreign", ["x=1", "x=()", "x=(1);tag=2", 'x=("@authority");created=1;tag="o"']
)
def test_a_foreign_broken_label_neither_sinks_ours_nor_is_accepted(foreign):
    name, value = Signed().fields()[1]
    fields = [field for field in Signed().fields() if field[0] != name]
    mixed = request(headers=[(name, f"{foreign}, ".encode() + value), *fields])
    found = verifier().verify_all(mixed)
    assert [(one.status, one.label) for one in found] == [("verified", "sig1")]


def test_a_signature_without_its_octets_is_malformed_alone():
    name, value = Signed().fields()[1]
    alone = [(name, value + b", sig9=" + value[5:]), *Signed().fields()[2:]]
    found = verifier().verify_all(request(headers=alone))
    assert [one.status for one in found] == ["verified", "invalid"]


def test_no_more_than_eight_signatures_are_examined():
    many = [Signed(label=f"s{n}", agent=f'sig1="{ORIGIN}"') for n in range(20)]
    found = verifier().verify_all(joined(*many))
    assert [one.status for one in found] == ["verified"] * 8


def test_fields_beyond_sixteen_kilobytes_are_not_read():
    long = [*Signed().fields()[:2], (b"signature", b"a" * 17_000)]
    assert judged(message=request(headers=long)) == ("invalid", "too-large")


MALFORMED = [
    ([(b"signature-input", b"sig1=()")], "malformed"),
    ([(b"signature", b"sig1=:AA==:")], "malformed"),
    ([(b"signature-input", b"((("), (b"signature", b"sig1=:AA==:")], "malformed"),
    ([(b"signature-input", b"a=1, a=2"), (b"signature", b"a=:AA==:")], "malformed"),
    ([(b"signature-input", b"\xff\x00"), (b"signature", b"\xfe")], "malformed"),
    ([*Signed().fields()[:3], (b"signature-agent", b'sig1="https://x')], "malformed"),
    ([*Signed().fields()[:3], (b"signature-agent", b", ".join(b'a%d="https://x"' % n for n in range(9)))], "malformed"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "reason"), MALFORMED)
def test_malformed_fields_are_a_status(fields, reason):
    found = verifier().verify(request(headers=fields))
    assert (found.status, found.reason) == ("invalid", reason)
    assert answer_status(found, wanted=False) == 400


def test_answers_are_those_of_the_draft():
    one = verifier()
    fresh, again = (one.verify(Signed(nonce="n").message()) for _ in range(2))
    assert (answer_status(fresh, wanted=True), answer_status(again, wanted=False)) == (None, 429)
    absent = one.verify(request())
    assert (answer_status(absent, wanted=False), answer_status(absent, wanted=True)) == (None, 403)
    assert accept_signature(one.policy) == (
        b'sig1=("@authority" "signature-agent";key="sig1");created;expires;keyid;tag="web-bot-auth"'
    )
    assert b'"@method" "@path" "@query"' in accept_signature(one.policy, sensitive=True)
    assert b";nonce;" in accept_signature(one.policy, sensitive=True)


def test_static_keys_need_no_waiting():
    assert asyncio.run(verifier().resolve(Signed().message())).status == "verified"
    stranger = Signed(agent='sig1="https://other.example"').message()
    assert asyncio.run(verifier().resolve(stranger)).reason == "agent-unknown"


@pytest.mark.parametrize(
    ("url", "keys"),
    [("http://a.example", jwks(KEY)), ("nothing", jwks(KEY)), (ORIGIN, {"keys": [{"kty": "oct"}]}),
     (ORIGIN, b"{"), (ORIGIN, {"keys": 1}), (ORIGIN, {"keys": [KEY.jwk] * 33}), (ORIGIN, 7)],
)  # fmt: skip
def test_configured_keys_that_are_none_are_named(url, keys):
    with pytest.raises(Refused) as refused:
        StaticKeys({url: keys})
    assert refused.value.slug == "agent-keys-invalid"
    assert url in refused.value.detail


# ---- properties


def changed(message: HttpMessage, where: int, how: int) -> HttpMessage | None:
    """One octet of one covered part changed; None where that changes nothing that is signed."""
    fields = [list(field) for field in message.fields]
    parts = ["method", "authority", "path", "created", "signature", "agent"]
    part = parts[where % len(parts)]
    if part == "method":
        return request(method=["POST", "HEAD", "PUT", "GETT"][how % 4], headers=message.fields)
    if part == "authority":
        return request(
            authority=["shop.example:8443", "shop2.example", "example"][how % 3],
            headers=message.fields,
        )
    if part == "path":
        return request(
            path=["/p/18", "/p/17/", "/P/17", "/", "/p/%2F17"][how % 5], headers=message.fields
        )
    name = {"created": b"signature-input", "signature": b"signature", "agent": b"signature-agent"}[
        part
    ]
    field = next(one for one in fields if one[0] == name)
    octets = bytearray(field[1])
    at = 5 + how % (len(octets) - 6)
    octets[at] ^= 1 << (how >> 8) % 7
    field[1] = bytes(octets)
    return request(headers=[tuple(one) for one in fields])


@given(st.integers(0, 5), st.integers(0, 1 << 20))
def test_any_single_change_of_what_is_covered_is_not_verified(where, how):
    message = Signed().message()
    found = verifier().verify(changed(message, where, how))
    assert found.status in ("invalid", "unverified", "absent")
    assert found.url is None


OURS = st.sampled_from(
    [b"signature", b"signature-input", b"signature-agent", b"Signature", b"host"]
)
PIECES = st.sampled_from(
    [b"sig1", b"=", b"(", b")", b'"@authority"', b'"', b";", b"created=1764158390", b"expires=1764158690",
     b"keyid=", KEY.keyid.encode(), b'tag="web-bot-auth"', b", ", b":AAAA:", b"?1", b"\\", b"\xff", b" ",
     b'"signature-agent";key="sig1"', b'"@query-param";name="a"', b'"x";sf', b'"x";bs', b"9" * 16,
     b'"https://signer.example"', b";type=cimd", b"@1", b'%"x"', b"\t", b'"@target-uri"', b";req"]
)  # fmt: skip
VALUES = st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=14).map(b"".join))


@given(st.lists(st.tuples(OURS, VALUES), max_size=5), st.text(max_size=12), st.text(max_size=12))
def test_no_field_causes_anything_but_a_status(fields, authority, path):
    message = request(headers=fields, authority=authority, path=path)
    found = verifier(require_agent=False).verify(message)
    assert found.status in ("absent", "invalid", "unverified")
    assert found.url is None


@given(st.lists(PIECES, min_size=1, max_size=10), st.integers(0, 400))
def test_a_damaged_signature_input_is_a_status(pieces, at):
    name, value = Signed().fields()[1]
    damaged = value[: at % len(value)] + b"".join(pieces) + value[at % len(value) :]
    fields = [(name, damaged), *Signed().fields()[2:]]
    found = verifier().verify(request(headers=fields))
    if found.status == "verified":  # white space, or another's signature beside ours
        assert (found.label, found.keyid, found.covered) == (
            "sig1", KEY.keyid, ("@authority", "@method", "@path", 'signature-agent;key="sig1"'),
        )  # fmt: skip


NAMES = st.sampled_from(["@authority", "@method", "@path", "@query", "@target-uri", "x-a", "x-b"])
TEXTS = st.text(
    st.sampled_from([chr(c) for c in range(32, 127) if chr(c) not in '"\\']), max_size=12
)


PARAMETERS = ("created", "expires", "keyid", "nonce", "algorithm", "tag")
INTEGERS = st.integers(-(10**15) + 1, 10**15 - 1)
TOLD = st.fixed_dictionaries(
    {"created": INTEGERS, "tag": TEXTS, "expires": INTEGERS, "keyid": TEXTS},
    optional={"nonce": TEXTS, "alg": TEXTS},
)


@given(st.lists(NAMES, min_size=1, unique=True), TOLD, st.binary(min_size=1, max_size=80))
def test_the_plain_form_is_read_as_the_parser_reads_it(names, parameters, octets):
    items = " ".join(f'"{name}"' for name in names) + ' "signature-agent";key="sig1"'
    told = "".join(
        f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
        for name, value in parameters.items()
    )
    inputs = f"sig1=({items}){told}".encode()
    signatures = b"sig1=:" + base64.b64encode(octets) + b":"
    plain, (any_,) = read_plain(inputs, signatures), read_any(inputs, signatures)
    assert plain is not None
    for name in ("label", "items", "line", "octets", "covered"):
        assert getattr(plain, name) == getattr(any_, name)
    for name in PARAMETERS:
        meant = parameters.get("alg" if name == "algorithm" else name)
        assert getattr(plain, name) == getattr(any_, name) == meant


@given(
    st.lists(
        st.one_of(
            PIECES,
            st.sampled_from(
                [
                    b'sig1=("@authority")',
                    b";created=1",
                    b";created=1",
                    b";created=01",
                    b";expires=-0",
                    b';tag="x"',
                    b';tag="\\""',
                    b";c",
                ]
            ),
        ),
        max_size=8,
    ).map(b"".join)
)
def test_what_only_looks_plain_is_left_to_the_parser(inputs):
    plain = read_plain(inputs, b"sig1=:AAAA:")
    if plain is not None:
        (found,) = read_any(inputs, b"sig1=:AAAA:")
        for name in ("line", "items", "covered", *PARAMETERS):
            assert getattr(plain, name) == getattr(found, name)


PATHS = st.lists(
    st.sampled_from(["a", "%2F", ".", "..", "B~", "%C3%A9", "!$&'()*+,;=:@"]), max_size=4
)


@given(
    st.sampled_from(["GET", "POST", "OPTIONS"]),
    st.sampled_from(
        ["shop.example", "Shop.Example:443", "shop.example:8080", "[2001:db8::1]:443", "a:080"]
    ),
    PATHS,
    st.one_of(st.none(), st.sampled_from(["", "a=1", "a=1&b=%20", "a?b/c"])),
    st.lists(
        st.sampled_from(
            [
                "@authority",
                "@method",
                "@path",
                "@query",
                "@target-uri",
                "x-a",
                "@scheme",
                "@request-target",
            ]
        ),
        min_size=1,
        unique=True,
    ),
    st.lists(st.sampled_from([b"", b"v", b"  two words\t", b"a, b"]), min_size=1, max_size=2),
    st.sampled_from(["http", "https"]),
)
def test_bases_equal_the_librarys(method, authority, path, query, names, values, scheme):
    fields = [(b"X-A", value) for value in values]
    message = request(
        method=method, scheme=scheme, authority=authority, path="/" + "/".join(path) if path else "",
        query=query, headers=fields,
    )  # fmt: skip
    inputs = f"s=({' '.join(chr(34) + name + chr(34) for name in names)});created=1"
    (ours,) = read_any(inputs.encode(), b"s=:AAAA:")
    handler = library.HTTPMessageVerifier(
        signature_algorithm=library.algorithms.ED25519, key_resolver=None
    )
    (_, node, _), = handler._get_sig_inputs_and_signatures(  # the library's own reading of the fields
        request(headers=[(b"signature-input", inputs.encode()), (b"signature", b"s=:AAAA:")])
    )  # fmt: skip
    expected, _, _ = handler._build_signature_base(
        message, covered_component_ids=list(node), signature_params=dict(node.params)
    )
    assert base_of([planned(one) for one in ours.covered], ours.line, message) == expected.encode()
