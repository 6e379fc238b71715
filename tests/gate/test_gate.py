"""The gate's decision, and what a client is told of it."""

from __future__ import annotations

import json
from math import inf

import http_sf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.gate.facts import Facts, Usage
from ringwork.gate.gate import Gate
from ringwork.gate.policy.load import parse_policy, preset
from ringwork.gate.respond.answers import fields_of, refusal
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy


def gate_of(rules: str, clock: ManualClock | None = None, more: str = "") -> Gate:
    text = f"{more}\nrules:\n{rules}".encode()
    return Gate(
        parse_policy(text, where="gate.yaml"),
        clock=clock or ManualClock(),
        entropy=SeededEntropy("gate"),
    )


ACCOUNT = "  - {name: account, key: [account], limit: {kind: gcra, limit: 3, period_s: 60}}\n"
ADDRESS = "  - {name: address, key: [ip], limit: {kind: gcra, limit: 5, period_s: 60}}\n"


def test_a_request_passes_until_one_of_its_limits_refuses() -> None:
    clock = ManualClock()
    gate = gate_of(ACCOUNT + ADDRESS, clock)
    ask = Facts.of(ip="192.0.2.1", account="ann")
    assert [gate.admit(ask).action for _ in range(4)] == ["allow"] * 3 + ["block"]
    refused = gate.admit(ask)
    assert (refused.status, [one.rule for one in refused.reasons]) == (429, ["account"])
    assert 20 <= refused.retry_after_s <= 22, "a third of a minute, and a tenth of it at most"
    # What was refused used up nothing of the address that others share.
    other = Facts.of(ip="192.0.2.1", account="bob")
    assert [gate.admit(other).action for _ in range(3)] == ["allow", "allow", "block"]
    clock.advance_us(20_000_000)
    assert gate.admit(ask).action == "allow"


def test_a_rule_counts_only_who_says_who_they_are() -> None:
    gate = gate_of(ACCOUNT)
    assert all(gate.admit(Facts.of(ip="192.0.2.1")).action == "allow" for _ in range(10))


def test_rules_are_for_routes_methods_and_tiers() -> None:
    gate = gate_of(
        '  - {name: one, key: [account], match: {route: ["/p/*", "*/ads"], method: [GET], tier: free},'
        " limit: {kind: gcra, limit: 1, period_s: 60}}\n"
    )

    def passes(route: str, method: str = "GET", tier: str = "free", account: str = "") -> list[str]:
        facts = Facts.of(
            route=route, method=method, tier=tier, account=account or route + method + tier
        )
        return [gate.admit(facts).action for _ in range(2)]

    assert passes("/p/1") == passes("/act_1/ads") == ["allow", "block"]
    for free in (
        passes("/q/1"),
        passes("/p"),
        passes("/ads/x"),
        passes("/p/2", "POST"),
        passes("/p/3", tier="paid"),
    ):
        assert free == ["allow", "allow"]


def test_costs_by_method_rows_and_ids() -> None:
    gate = gate_of(
        "  - {name: points, key: [account], cost: {read: 1, write: 3, rows: 0.1, field: ids, each: 2},"
        " limit: {kind: gcra, limit: 60, period_s: 60}}\n"
    )

    def left(**facts: object) -> int:
        (limit,) = gate.admit(Facts.of(account="ann", **facts)).limits
        return limit.remaining

    assert left() == 59
    assert left(method="POST") == 56
    assert left(estimate=25) == 52, "1 + 2.5, rounded up"
    assert left(fields={"ids": ["a", "b"]}) == 47
    assert gate.admit(Facts.of(account="ann", fields={"ids": ["a"] * 50})).retry_after_s == inf


def test_quotas_grow_with_counters_and_keep_what_was_used() -> None:
    gate = gate_of(
        '  - {name: calls, key: [ad_account], limit: {kind: gcra, limit: "4 + 2*active_ads", period_s: 3600}}\n'
    )

    def ask(ads: int) -> tuple[str, int]:
        decision = gate.admit(Facts.of(ad_account="act_1", counters={"active_ads": ads}))
        return decision.action, decision.limits[0].remaining

    assert [ask(0) for _ in range(3)] == [("allow", 3), ("allow", 2), ("allow", 1)]
    # With 18 ads the quota is 40; three quarters of it are used, and a call is a fortieth.
    assert ask(18) == ("allow", 9)
    assert [ask(18)[0] for _ in range(10)].count("allow") == 9


def test_data_limits_count_what_was_really_given() -> None:
    clock = ManualClock()
    gate = gate_of(
        "  - {name: people, key: [account], limit: {kind: distinct, limit: 5, window_s: 80}}\n"
        "  - {name: rows, key: [account], cost: {rows: 1}, limit: {kind: volume, limit: 100, period_s: 10}}\n"
        "  - {name: at-once, key: [account], limit: {kind: concurrent, limit: 1, timeout_s: 30}}\n",
        clock,
    )
    ask = Facts.of(account="ann", estimate=50)
    first = gate.admit(ask)
    assert gate.admit(ask).reasons[0].rule == "at-once"
    gate.settle(first, Usage(rows=10, entities=["x", "y"]))
    second = gate.admit(ask)
    assert [one.remaining for one in second.limits] == [3, 40, 0]
    gate.settle(second, Usage(rows=70, entities=["x", "z", "u", "v"]))
    third = gate.admit(ask)
    assert third.action == "block"
    assert {one.rule for one in third.reasons} == {"people", "rows"}
    clock.advance_us(100_000_000)
    assert gate.admit(ask).action == "allow"


def test_the_severest_of_several_answers_and_softer_ones_let_pass() -> None:
    gate = gate_of(
        "  - {name: slow, key: [account], limit: {kind: gcra, limit: 1, period_s: 60}, over: {action: slow, delay_s: 0.5}}\n"
        "  - {name: less, key: [account], limit: {kind: gcra, limit: 2, period_s: 60}, over: {action: degrade, rows_max: 5}}\n"
        "  - {name: most, key: [account], limit: {kind: gcra, limit: 4, period_s: 60}}\n"
    )
    found = [gate.admit(Facts.of(account="ann")) for _ in range(5)]
    assert [one.action for one in found] == ["allow", "slow", "degrade", "degrade", "block"]
    assert [one.status for one in found] == [200, 200, 200, 200, 429]
    assert found[1].delay_s == 0.5
    assert found[2].over is not None
    assert found[2].over.rows_max == 5
    assert [one.rule for one in found[4].reasons] == ["slow", "less", "most"]


def test_a_rule_in_shadow_is_counted_and_told_and_refuses_nobody() -> None:
    gate = gate_of(
        "  - {name: tried, shadow: true, key: [account], limit: {kind: gcra, limit: 1, period_s: 60}}\n"
    )
    found = [gate.admit(Facts.of(account="ann")) for _ in range(3)]
    assert {one.action for one in found} == {"allow"}
    assert [[(r.rule, r.is_shadow) for r in one.reasons] for one in found] == [
        [],
        [("tried", True)],
        [("tried", True)],
    ]
    assert all(not one.limits and not one.headers for one in found), "clients do not know of it"


def test_who_keeps_asking_after_a_refusal_is_refused_altogether() -> None:
    clock = ManualClock()
    gate = gate_of(ACCOUNT, clock, "probes: {limit: 10, period_s: 60, block_s: 120}")
    ask = Facts.of(account="ann")
    found = [gate.admit(ask) for _ in range(20)]
    assert [one.reasons[0].rule for one in found[3:14]] == ["account"] * 11
    assert [one.reasons[0].rule for one in found[14:]] == ["probes"] * 6
    clock.advance_us(100_000_000)
    assert gate.admit(ask).action == "block", "its limit is free again, and it is banned"
    assert gate.admit(Facts.of(account="bob")).action == "allow"
    clock.advance_us(20_000_000)
    assert gate.admit(ask).action == "allow"


def test_a_new_policy_keeps_the_counters_of_rules_that_have_not_changed() -> None:
    gate = gate_of(ACCOUNT + ADDRESS)
    ask = Facts.of(ip="192.0.2.1", account="ann")
    before = gate.admit(ask)
    gate.admit(ask)
    gate.reload(
        parse_policy(
            ("rules:\n" + ACCOUNT + ADDRESS.replace("limit: 5", "limit: 9")).encode(),
            where="x.yaml",
        )
    )
    after = gate.admit(ask)
    assert [one.remaining for one in after.limits] == [0, 8]
    assert before.policy != after.policy
    gate.settle(before, Usage())  # of a request that began under the old one


def test_a_client_is_told_in_the_fields_of_the_draft() -> None:
    clock = ManualClock()
    gate = gate_of(
        ACCOUNT
        + "  - {name: hidden, expose: false, key: [account], limit: {kind: gcra, limit: 2, period_s: 60}}\n"
        "  - {name: bytes, key: [account], limit: {kind: volume, limit: 1000, period_s: 3600, unit: bytes}}\n",
        clock,
    )
    ask = Facts.of(account="ann")
    gate.admit(ask)
    decision = gate.admit(ask)
    fields = dict(decision.headers)
    policy = http_sf.parse(fields["ratelimit-policy"].encode(), tltype="list")
    assert policy == [
        ("account", {"q": 3, "w": 60}),
        ("bytes", {"q": 1000, "qu": "content-bytes", "w": 3600}),
    ]
    limits = http_sf.parse(fields["ratelimit"].encode(), tltype="list")
    assert limits[0] == ("account", {"r": 1, "t": 20})
    assert "retry-after" not in fields
    refused = gate.admit(ask)
    status, headers, body = refusal(refused, ask)
    assert status == 429
    assert int(dict(headers)["retry-after"]) >= 30, "of the hidden one, which is not named"
    problem = json.loads(body)
    assert problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert problem["violated-policies"] == []
    assert dict(headers)["content-type"] == "application/problem+json"


def test_a_request_larger_than_any_burst_is_not_told_to_come_back() -> None:
    gate = gate_of(
        "  - {name: rows, key: [account], cost: {rows: 1}, limit: {kind: gcra, limit: 10, period_s: 60}}\n"
    )
    ask = Facts.of(account="ann", estimate=11)
    status, headers, body = refusal(gate.admit(ask), ask)
    assert status == 400
    assert "retry-after" not in dict(headers)
    assert json.loads(body)["type"].endswith(":request-too-costly")


def test_who_names_no_tier_of_metas_is_of_the_lowest() -> None:
    gate = Gate(preset("meta_marketing"), clock=ManualClock(), entropy=SeededEntropy("meta"))
    ask = Facts.of(app="1", ad_account="act_9", method="POST", route="/v21.0/act_9/adcreatives")
    assert [gate.admit(ask).action for _ in range(21)] == ["allow"] * 20 + ["block"]


def test_metas_limits_answer_in_metas_words() -> None:
    clock = ManualClock()
    gate = Gate(preset("meta_marketing"), clock=clock, entropy=SeededEntropy("meta"))
    ask = Facts.of(
        app="1",
        ad_account="act_9",
        tier="development_access",
        method="POST",
        route="/v21.0/act_9/campaigns",
    )
    for _ in range(20):
        decision = gate.admit(ask)
        assert decision.action == "allow", "20 writes are 60 points"
    fields = dict(fields_of(decision, ask))
    assert json.loads(fields["x-ad-account-usage"]) == {
        "acc_id_util_pct": 100.0,
        "reset_time_duration": 300,
        "ads_api_access_tier": "development_access",
    }
    (business,) = json.loads(fields["x-business-use-case-usage"])["act_9"]
    assert (
        business["type"],
        business["call_count"],
        business["estimated_time_to_regain_access"],
    ) == ("ads_management", 6, 0)
    refused = gate.admit(ask)
    status, _, body = refusal(refused, ask)
    error = json.loads(body)["error"]
    assert (status, error["code"], error["error_subcode"], error["type"]) == (
        400,
        17,
        2446079,
        "OAuthException",
    )
    assert error["is_transient"] is True
    assert error["fbtrace_id"] == refused.trace_id
    clock.advance_us(299_000_000)
    assert gate.admit(ask).action == "block", "five minutes, whatever is asked meanwhile"
    clock.advance_us(1_000_000)
    assert gate.admit(ask).action == "allow"


def test_addresses_are_counted_by_who_can_have_them() -> None:
    one = Facts.of(ip="192.0.2.77")
    assert Facts.of(ip=0xC000024D) == Facts.of(ip="::ffff:192.0.2.77") == one
    assert one.net == Facts.of(ip="192.0.2.1").net != Facts.of(ip="192.0.3.1").net
    # Whoever has one address of a /64 has all of them.
    assert Facts.of(ip="2001:db8:1:2:3:4:5:6").ip == Facts.of(ip="2001:db8:1:2::9").ip
    assert Facts.of(ip="2001:db8:1:2::9").ip != Facts.of(ip="2001:db8:1:3::9").ip
    assert Facts.of(ip="2001:db8:1:2::9").net == Facts.of(ip="2001:db8:1:3::9").net
    assert Facts.of().ip == Facts.of(ip="").ip == 0


@pytest.mark.parametrize("ip", ["1.2.3", "1.2.3.4.5", "x", -1, 2**128])
def test_what_is_no_address_is_refused(ip: int | str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Facts.of(ip=ip)


TWICE = (
    "  - {name: account, key: [account], cost: {read: 1, write: 3}, limit: {kind: gcra, limit: 6, period_s: 60}}\n"
    "  - {name: page, key: [account, route], limit: {kind: gcra, limit: 2, period_s: 30}}\n"
    '  - {name: people, key: [account], match: {route: "/p/*"}, limit: {kind: distinct, limit: 4, window_s: 80}}\n'
    "  - {name: rows, key: [app], cost: {rows: 1}, limit: {kind: volume, limit: 30, period_s: 60}}\n"
    "  - {name: soft, key: [ip], limit: {kind: gcra, limit: 9, period_s: 60}, over: {action: slow, delay_s: 0.1}}\n"
)
SHADOW = "  - {name: watched, shadow: true, expose: false, key: [account], limit: {kind: gcra, limit: 1000000, period_s: 1}}\n"
ASKS = st.lists(
    st.tuples(
        st.sampled_from(["", "ann", "bob"]),
        st.sampled_from(["", "app"]),
        st.sampled_from(["/p/1", "/p/2", "/q"]),
        st.sampled_from(["GET", "POST"]),
        st.integers(0, 8),
        st.sampled_from([0, 0, 1_000_000, 20_000_000]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(ASKS)
def test_the_quick_way_decides_as_the_general_way(
    asks: list[tuple[str, str, str, str, int, int]],
) -> None:
    """A rule in shadow beside them sends every request the general way, and changes nothing else."""
    clocks = ManualClock(), ManualClock()
    quick, general = gate_of(TWICE, clocks[0]), gate_of(TWICE + SHADOW, clocks[1])
    for number, (account, app, route, method, rows, step_us) in enumerate(asks):
        for clock in clocks:
            clock.advance_us(step_us)
        facts = Facts.of(
            account=account,
            app=app,
            route=route,
            method=method,
            estimate=rows,
            ip=f"192.0.2.{number % 2}",
        )
        one, other = quick.admit(facts), general.admit(facts)
        assert (one.action, one.status, one.limits, one.headers) == (
            other.action,
            other.status,
            other.limits,
            other.headers,
        )
        assert (list(one.reasons), one.retry_after_s) == (
            list(other.reasons),
            pytest.approx(other.retry_after_s, rel=0.1),
        )
        usage = Usage(rows=rows // 2, entities=[number % 7])
        quick.settle(one, usage)
        general.settle(other, usage)
