"""What attackers learn who adapt, and what that costs honest people: the simulator's own figures.

Every strategy of the suite against our contact guard, in both modes, in one invented world; beside it
what the deployed rules give away to the strongest of them. E is what an account learned in 30 days,
as a 95 % bound over the accounts of a strategy. Friction is the share of user-months with a refusal or
a wait, and, by itself, the share that was told under nine tenths of what was due: a denial that nobody
sees. The full size takes the better part of an hour.
"""

from __future__ import annotations

from typing import Final

from benchmarks.foundation.event_log import result
from ringwork.gate.sim.metrics import Enumeration, Friction
from ringwork.gate.sim.page_rules import door_of
from ringwork.gate.sim.pages import measure
from ringwork.gate.sim.protocol import Mode
from ringwork.gate.sim.rules import DEPLOYED, make_of
from ringwork.gate.sim.run import Arena, attack_names
from ringwork.gate.sim.world import build
from ringwork.kernel.entropy import SeededEntropy

SEED: Final = 1
QUICK: Final = ("leak-list", "blender-50", "sybil-ring")
STRONGEST: Final = "leak-list"


def played(mode: Mode, *, quick: bool) -> tuple[list[Enumeration], Friction, str]:
    """Our guard against all, the honest month, and what the deployed rules give away."""
    world = build(SeededEntropy(f"{SEED} world"), users=2_000 if quick else 20_000, mode=mode)
    arena = Arena(world, make_of("ringwork"), "ringwork", seed=SEED)
    found = [arena.enumerate(name) for name in (QUICK if quick else attack_names())]
    others = []
    for name in DEPLOYED:
        other = Arena(world, make_of(name), name, seed=SEED).enumerate(STRONGEST)
        others.append(f"{name} {'>= ' if other.is_exhausted else ''}{other.per_account:,.0f}")
    return found, arena.friction(), f"{STRONGEST}: {', '.join(others)}"


def rows_of(mode: Mode, goal: int, recall: float, *, quick: bool) -> list[dict[str, object]]:
    found, felt, others = played(mode, quick=quick)
    bought = [one for one in found if one.bought]
    worst = max(bought, key=lambda one: one.per_account_bound)
    scale = f"{worst.world_users:,} people; {worst.attack}; {others}"
    rows = [{
        **result(
            f"mode {mode}: accounts learned by a bought account in 30 days, best strategy",
            worst.per_account_bound, goal, "accounts", at_most=True,
        ),
        "peer": scale,
    }]  # fmt: skip
    taken = [one for one in found if not one.bought]
    if mode == "everyone" and taken:
        most = max(taken, key=lambda one: one.per_account_bound)
        rows.append({
            **result(
                "mode everyone: learned by an account that was taken over, best strategy",
                most.per_account_bound, 250, "accounts", at_most=True,
            ),
            "peer": most.attack,
        })  # fmt: skip
    months = f"{felt.user_months:,} user-months"
    rows += [
        {
            **result(
                f"mode {mode}: honest user-months refused or delayed, 95 % bound",
                100 * felt.rate_bound, 0.1, "%", at_most=True,
            ),
            "peer": months,
        },
        {
            **result(
                f"mode {mode}: honest user-months told under 90 % of what was due, 95 % bound",
                100 * felt.starved_bound, 0.1, "%", at_most=True,
            ),
            "peer": months,
        },
        {**result(f"mode {mode}: matches that honest people were told", 100 * felt.recall, recall, "%"),
         "peer": f"of {felt.expected:,}"},
    ]  # fmt: skip
    return rows


def run(quick: bool) -> list[dict[str, object]]:
    rows = rows_of("everyone", 60, 99, quick=quick) + rows_of("mutual", 6, 95, quick=quick)
    readers = 3_000 if quick else 50_000
    pages = measure(door_of("ringwork"), rules="ringwork", seed=SEED, readers=readers)
    plain = measure(door_of("account-200"), rules="account-200", seed=SEED, readers=readers)
    peer = f"one limit of 200 for all: {plain.distinct_per_account_day:,.0f}, friction {100 * plain.rate:.2f} %"
    rows += [
        {**result("distinct profiles per attacker account-day", pages.distinct_per_account_day, 200,
                  "profiles", at_most=True), "peer": peer},
        {**result("reader-days refused or challenged, 95 % bound", 100 * pages.rate_bound, 0.1, "%",
                  at_most=True), "peer": peer},
    ]  # fmt: skip
    return rows
