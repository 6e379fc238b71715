"""Friction and recall: against guards whose answer is known beforehand."""

import numpy as np
import pytest

from ringwork.gate.sim.deployed import Answer, Matches, Open
from ringwork.gate.sim.metrics import Friction, clopper_pearson
from ringwork.gate.sim.protocol import SyncRequest
from ringwork.gate.sim.rules import DEPLOYED, make_of
from ringwork.gate.sim.run import Arena
from ringwork.gate.sim.world import GONE, JOINER, build
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused
from tests.gate.sim.worlds import Mute, small


def felt(guard: type[Open], mode: str = "everyone") -> Friction:
    return Arena(small(mode), lambda _m, d, c, _e: guard(d, c), "test", seed=1).friction()


class OnFirstBooks(Open):
    """Lets everybody wait who registers in the month."""

    wait_s = 3.0

    def sync(self, request: SyncRequest) -> Answer:
        if small().status[request.account] == JOINER:
            return Answer("wait", retry_after_s=self.wait_s)
        return self.answer(request)


class Soon(OnFirstBooks):
    wait_s = 1.5


class Half(Open):
    """Names every other match, and says nothing about it."""

    def sync(self, request: SyncRequest) -> Answer:
        found = self.answer(request)
        kept = found.matches.numbers % 2 == 0
        return Answer("ok", Matches(found.matches.numbers[kept], found.matches.accounts[kept]))


@pytest.mark.parametrize("rules", DEPLOYED)
@pytest.mark.parametrize("mode", ["everyone", "mutual"])
def test_deployed_rules_hurt_nobody_and_tell_all(rules: str, mode: str) -> None:
    found = Arena(small(mode), make_of(rules), rules, seed=1).friction()
    assert found.touched == found.starved == 0
    assert found.recall == 1.0
    assert found.expected > 10_000
    assert found.rate_bound == clopper_pearson(0, found.user_months) > 0.001


def test_who_is_made_to_wait_is_counted_once_with_the_cause() -> None:
    found = felt(OnFirstBooks)
    joining = int((small().status == JOINER).sum())
    assert found.touched == joining
    assert found.by_cause == {"first book": joining}
    assert found.user_months == int((small().status != GONE).sum())


def test_two_seconds_are_no_friction() -> None:
    assert felt(Soon).touched == 0


def test_what_is_held_back_in_silence_is_seen() -> None:
    assert felt(Mute).recall == 0.0
    half = felt(Half)
    assert half.touched == 0
    assert half.recall == pytest.approx(0.5, abs=0.03)
    assert half.starved > 0.9 * half.user_months


def test_mutual_expects_mutual_contacts_and_those_who_chose_everyone() -> None:
    """By brute force over sets, for the people who added nobody and have all been here."""
    everyone, mutual = felt(Mute).expected, felt(Mute, "mutual").expected
    world = small("mutual")
    books = [set(world.accounts_of(world.books.row(one)).tolist()) for one in range(world.people)]
    now = sum(
        world.findable[contact] == 2 or (world.findable[contact] == 1 and one in books[contact])
        for one in range(world.people)
        if world.status[one] != GONE
        for contact in books[one] - {-1, one}
    )
    # Pairs that came to be in the last day, and those who moved, are left out; joiners come in.
    assert 0.95 * now < mutual < 1.06 * now
    assert mutual < everyone


def test_friction_needs_books() -> None:
    world = build(SeededEntropy(1), users=1_000, mode="mutual", with_books=False)
    with pytest.raises(Refused, match="a world with books"):
        Arena(world, make_of("none"), "none", seed=1).friction()


def test_accounts_that_wait_come_back_when_they_were_told_to() -> None:
    seen: dict[int, list[float]] = {}

    class Once(Open):
        """Refuses each account's first request for an hour."""

        def sync(self, request: SyncRequest) -> Answer:
            times = seen.setdefault(request.account, [])
            times.append(self.now_s())
            return Answer("wait", retry_after_s=3_600) if len(times) == 1 else self.answer(request)

    felt(Once)
    waits = np.array([times[1] - times[0] for times in seen.values() if len(times) > 1])
    assert (waits <= 3_600 + 1e-3).all()
    assert (np.abs(waits - 3_600) < 1e-3).mean() > 0.5
