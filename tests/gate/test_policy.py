"""Policies: what is read, what is refused and where it says so; formulas against Python's own."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.policy.formula import parse_formula
from ringwork.gate.policy.load import digest_of, parse_policy, preset, presets
from ringwork.kernel.errors import Refused

GOOD = b"""\
version: 1
rules:
  - name: account
    key: [account]
    limit: {kind: gcra, limit: "300 + 40*active_ads", period_s: 600}
  - name: page
    match: {route: "/p/*", method: [GET]}
    key: [ip, route]
    limit: {kind: distinct, limit: 200, window_s: 86400}
    over: {action: degrade, rows_max: 5}
"""


def test_a_policy_is_read_from_yaml_and_from_toml() -> None:
    policy = parse_policy(GOOD, where="gate.yaml")
    toml = b"""
version = 1
[[rules]]
name = "account"
key = ["account"]
limit = {kind = "gcra", limit = "300 + 40*active_ads", period_s = 600}
[[rules]]
name = "page"
match = {route = "/p/*", method = ["GET"]}
key = ["ip", "route"]
limit = {kind = "distinct", limit = 200, window_s = 86400}
over = {action = "degrade", rows_max = 5}
"""
    assert parse_policy(toml, where="gate.toml") == policy
    assert digest_of(policy) == digest_of(parse_policy(b"# a comment\n" + GOOD, where="x.yaml"))
    changed = parse_policy(GOOD.replace(b"200", b"201"), where="x.yaml")
    assert digest_of(policy) != digest_of(changed)


@pytest.mark.parametrize(
    ("find", "put", "says"),
    [
        (b"kind: gcra", b"kind: gcar", "line 5, rules[0].limit.kind: …gcra, score, window"),
        (b"key: [account]", b"key: [acct]", "line 4, rules[0].key[0]: …account, ad_account, app"),
        (
            b"period_s: 600",
            b"period: 600",
            "line 5, rules[0].limit.period: …expected limit, period_s, burst, kind",
        ),
        (
            b"match:",
            b"matches:",
            "line 7, rules[1].matches: not a member here; expected name, key, limit, match",
        ),
        (
            b"40*active_ads",
            b"40*(active_ads",
            "line 5, rules[0].limit: …expected ')' at character 21, got the end",
        ),
        (
            b"40*active_ads",
            b"40*system(1)",
            "line 5, rules[0].limit: expected a function among log2, min, max",
        ),
        (b"limit: 200", b"limit: 0", "line 9, rules[1].limit.limit: Expected `int` >= 1"),
        (b"name: page", b"name: account", "line 6, rules[1].name: expected a name of its own"),
        (b"version: 1", b"version: 2", "line 1, version: …expected one of 1"),
        (b"[ip, route]", b"[ip, ip]", "line 8, rules[1].key: expected each part once"),
        (b"rows_max: 5", b"profile: meta", "line 10, rules[1].over: profile meta: expected `meta`"),
        (
            b"rules:",
            b"identity: {account: x-account}\nrules:",
            "line 2, identity.account: expected header:NAME",
        ),
        (b"rules:", b"rules: [", "gate.yaml: line"),
        (
            b"rules:",
            b"trust: {hops: 1, proxies: [10.0.0.0/8]}\nrules:",
            "line 2, trust: expected either",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_what_may_stand_there(
    find: bytes, put: bytes, says: str
) -> None:
    assert find in GOOD
    with pytest.raises(Refused) as refused:
        parse_policy(GOOD.replace(find, put, 1), where="gate.yaml")
    assert refused.value.slug == "policy-invalid"
    at = 0
    for part in says.split("…"):
        at = refused.value.detail.find(part, at)
        assert at >= 0, (part, refused.value.detail)


@given(st.binary(max_size=300))
def test_no_text_does_more_than_be_refused(text: bytes) -> None:
    for where in ("gate.yaml", "gate.toml"):
        try:
            parse_policy(text, where=where)
        except Refused as refused:
            assert refused.slug == "policy-invalid"


def test_deep_and_long_policies_are_refused() -> None:
    for text in (b"[" * 100_000, b"a: &a [*a]", b"x" * 1_000_001, b"a: " * 50_000):
        with pytest.raises(Refused):
            parse_policy(text, where="gate.yaml")


def test_every_preset_is_a_policy() -> None:
    assert {"meta_marketing", "public_api", "social_graph"} <= set(presets())
    for name in presets():
        assert preset(name).rules
    with pytest.raises(Refused, match="public_api"):
        preset("nothing")


NUMBERS = st.integers(0, 1000).map(str)
NAMES = st.sampled_from(["active_ads", "unique_users"])
EXPRESSIONS = st.recursive(
    NUMBERS | NAMES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map("".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        st.tuples(inner, inner).map(lambda two: f"min({two[0]}, {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"max({two[0]},{two[1]})"),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_formula_is_arithmetic(text: str, ads: int, users: int) -> None:
    counters = {"active_ads": float(ads), "unique_users": float(users)}
    found = parse_formula(text)
    names = {"min": min, "max": max, **counters}
    assert found.value(counters) == pytest.approx(
        eval(text, {"__builtins__": {}}, names)
    )  # the oracle
    assert found.names <= set(counters)
    assert 1 <= found.quota(counters) <= 10**12


def test_the_published_quotas() -> None:
    def quota(text: str, **counters: float) -> int:
        return parse_formula(text).quota(counters)

    assert quota("300 + 40*active_ads", active_ads=3) == 420
    assert quota("20000 + 20000*log2(unique_users)", unique_users=1024) == 220_000
    assert quota("20000 + 20000*log2(unique_users)") == 20_000, "nothing is known of its users"
    assert (
        quota("min(700000, 190000 + 40*active_custom_audiences)", active_custom_audiences=10**6)
        == 700_000
    )
    assert quota("600 + 400*active_ads - 0.001*user_errors", active_ads=1, user_errors=2500) == 997
    assert quota("0 - 5") == 1, "a quota never lets nothing pass"
    assert quota("active_ads / unique_users", active_ads=5) == 1, "by zero: 0"
    assert quota("x", x=math.inf) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "1 2",
        "(1",
        "log2()",
        "log2(1, 2)",
        "min(1)",
        "1 ** 2",
        "A",
        "a.b",
        "1e9",
        "()",
        "(" * 100 + "1" + ")" * 100,
        "-" * 100 + "1",
        "1+" * 400,
    ],
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_formula(text)
