"""Profile pages: plain limits give the figures that the specification measured for them."""

import pytest

from ringwork.gate.sim.page_rules import Unguarded, Verdict, door_of
from ringwork.gate.sim.pages import GateDoor, Visit, measure
from ringwork.kernel.errors import Refused

READERS = 3_000


@pytest.mark.parametrize("rules", ["none", "address-60"])
def test_bots_at_a_persons_pace_pass_what_counts_requests(rules: str) -> None:
    found = measure(door_of(rules), rules=rules, seed=1, readers=READERS, bots=4)
    assert found.distinct_per_account_day == pytest.approx(9_900, rel=0.02)
    assert found.touched == 0


def test_a_flat_limit_holds_bots_and_hurts_two_in_a_hundred() -> None:
    found = measure(door_of("account-200"), rules="account-200", seed=1, readers=READERS, bots=4)
    assert found.distinct_per_account_day == 200
    assert found.rate == pytest.approx(0.022, abs=0.008)
    assert found.rate < found.rate_bound
    assert found.bot_account_days == 4


def test_a_second_day_has_another_allowance() -> None:
    found = measure(door_of("account-200"), rules="x", seed=1, readers=50, bots=2, days=2)
    assert found.distinct_per_account_day == pytest.approx(200, abs=20)
    assert found.user_days == 100


def test_who_is_blocked_reads_nothing_and_slows_down() -> None:
    class Closed(Unguarded):
        def __init__(self) -> None:
            self.asked = 0

        def admit(self, visit: Visit) -> Verdict:
            self.asked += visit.account.startswith("bot")
            return Verdict("challenge")

    door = Closed()
    found = measure(lambda _c, _e: door, rules="closed", seed=1, readers=20, bots=1)
    assert found.distinct_per_account_day == 0
    assert found.touched == 20
    assert door.asked == found.challenges < 60


def test_equal_seeds_give_equal_figures() -> None:
    one, other, third = (
        measure(door_of("account-200"), rules="x", seed=seed, readers=500, bots=1)
        for seed in (1, 1, 2)
    )
    assert one == other != third


def test_the_gate_is_asked_with_its_own_facts() -> None:
    calls = []

    class Gate:
        def admit(self, facts: object) -> Verdict:
            calls.append(("admit", facts))
            return Verdict()

        def settle(self, decision: object, usage: object) -> None:
            calls.append(("settle", usage))

    door = GateDoor(Gate(), dict, dict)
    visit = Visit("a", 167772161, 7)
    door.settle(door.admit(visit), visit)
    assert calls == [
        (
            "admit",
            {"method": "GET", "route": "/p/*", "path": "/p/7", "ip": 167772161, "account": "a"},
        ),
        ("settle", {"rows": 1, "entities": [7], "bytes": 4_096, "status": 200}),
    ]


@pytest.mark.parametrize("change", [{"readers": 0}, {"bots": 1_001}])
def test_what_cannot_be_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(Refused, match="expected 1 to"):
        measure(door_of("none"), rules="none", seed=1, **change)
    with pytest.raises(Refused, match="account-200"):
        door_of("none of these")
