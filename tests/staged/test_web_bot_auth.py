"""Web Bot Auth's published vectors, JWK thumbprints, JA4 values and published ranges."""

import json

import pytest

from ringwork.gate.identity.agents import AgentPolicy, AgentVerifier, HttpMessage, StaticKeys
from ringwork.gate.identity.cards import read_card, read_registry
from ringwork.gate.identity.ip import address_of
from ringwork.gate.identity.ja4 import ja4_of_field, ja4_of_raw
from ringwork.gate.identity.jwk import TEST_KEYS, thumbprint_of
from ringwork.gate.identity.ranges import PublishedRanges, RangeList
from ringwork.gate.identity.urls import read_agents
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import Refused

AGENT = "https://signature-agent.test"
REAL_S = 1_795_000_000  # November 2026


def staged(staged_data, name):
    return json.loads((staged_data / "antiscraping" / name).read_text())


def vectors(staged_data):
    names = ("web_bot_auth_architecture_v1.json", "web_bot_auth_architecture_v2.json")
    found = [one for name in names for one in staged(staged_data, name)]
    assert len(found) == 8
    return found


def verdict(one, now_s, **policy):
    fields = {name: one[key] for name, key in (
        (b"signature", "signature"), (b"signature-input", "signature_input"),
        (b"signature-agent", "signature_agent")) if key in one}  # fmt: skip
    verifier = AgentVerifier(
        keys=StaticKeys({AGENT: {"keys": [one["key"]]}}),
        clock=ManualClock(now_s * 1_000_000),
        policy=AgentPolicy(**policy),
    )
    headers = [(name, value.encode()) for name, value in fields.items()]
    return verifier.verify(
        HttpMessage(
            method="GET", authority="example.com", path="/path/to/resource", headers=headers
        )
    )


TESTING = {"test_keys": True, "require_agent": False, "max_lifetime_s": 10**10}


def test_every_vector_is_verified_at_its_time(staged_data):
    for one in vectors(staged_data):
        found = verdict(one, one["created_ms"] // 1000 + 1, **TESTING)
        assert (found.status, found.reason) == ("verified", ""), one["signature_input"]
        assert found.keyid == thumbprint_of(one["key"])
        has_agent = "signature_agent" in one
        assert (found.url is not None and found.url.startswith(AGENT)) is has_agent


def test_the_first_four_have_expired(staged_data):
    for one in vectors(staged_data)[:4]:
        found = verdict(one, REAL_S, **TESTING)
        assert (found.status, found.reason) == ("invalid", "expired")


def test_in_production_none_is_accepted(staged_data):
    """Test keys, a lifetime of a century, or an agent that is not named."""
    reasons = [verdict(one, one["created_ms"] // 1000 + 1).reason for one in vectors(staged_data)]
    assert reasons == ["agent-not-covered", "test-key"] * 2 + ["lifetime"] * 4
    for one in vectors(staged_data):
        found = verdict(one, one["created_ms"] // 1000 + 1, **{**TESTING, "test_keys": False})
        assert (found.status, found.reason) == ("invalid", "test-key")
        assert thumbprint_of(one["key"]) in TEST_KEYS


@pytest.mark.parametrize("change", ["path", "octet", "authority"])
def test_a_vector_that_was_changed_is_not_verified(staged_data, change):
    for one in vectors(staged_data):
        changed = dict(one)
        if change == "octet":
            changed["signature"] = one["signature"][:10] + "AAAA" + one["signature"][14:]
        elif change == "path":
            changed["signature_input"] = one["signature_input"].replace('"@authority"', '"@path"')
        else:
            changed["signature_input"] = one["signature_input"].replace("created=1", "created=0")
        assert verdict(changed, one["created_ms"] // 1000 + 1, **TESTING).status == "invalid"


def test_thumbprints(staged_data):
    found = staged(staged_data, "jwk_thumbprint_vectors.json")
    assert len(found) == 2
    for one in found:
        assert thumbprint_of(json.loads(one["jwk"])) == one["thumbprint"]


def test_signature_agent_fields(staged_data):
    for one in staged(staged_data, "web_bot_auth_signature_agent_v1.json"):
        members = read_agents(one["header"].encode()).members
        for entry in one["entries"]:
            found = members[entry["label"]]
            assert (found.kind, found.fault) == (entry["type"], "")
            assert found.fetch.startswith(entry["uri"])


def test_cards_and_registries(staged_data):
    for one in staged(staged_data, "web_bot_auth_signature_agent_card_v1.json"):
        document = json.dumps(one["card"]).encode()
        if one["valid"]:
            assert read_card(document, one["url"]).client_id == one["url"]
        else:
            with pytest.raises(Refused, match=one["error"]):
                read_card(document, one["url"])
    for one in staged(staged_data, "web_bot_auth_registry_v1.json"):
        assert list(read_registry(one["registry_txt"].encode())) == one["signature_agent_cards"]


def test_ja4_hashes(staged_data):
    values = [one for found in staged(staged_data, "ja4_expected.json").values() for one in found]
    assert len(values) == 156
    for one in values:
        assert ja4_of_raw(one["ja4_r"]) == one["ja4"]
        assert ja4_of_field(one["ja4"], is_trusted=True) == one["ja4"]


def test_ranges_of_operators(staged_data):
    operators = staged(staged_data, "anubis_bot_ranges.json")
    assert (len(operators), sum(len(one["cidrs"]) for one in operators)) == (26, 3713)
    clock = ManualClock()
    ranges = PublishedRanges(
        [RangeList(one["name"], tuple(one["cidrs"]), clock.wall_us()) for one in operators],
        clock=clock,
    )
    # The top address of the staged web server's log.
    assert any("google" in one for one in ranges.operators(address_of("66.249.73.135")))
    for one in operators:
        first = one["cidrs"][0].partition("/")[0]
        assert one["name"] in ranges.operators(address_of(first))
    assert not ranges.operators(address_of("46.105.14.53"))
