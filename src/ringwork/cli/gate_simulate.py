"""``ringwork gate simulate``: what attackers learn, and what honest people feel meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting
from ringwork.kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from ringwork.gate.sim.metrics import Enumeration, Friction, Pages
    from ringwork.gate.sim.world import World

Progress = Callable[[str, int], None]
PAGES: Final = "profile-pages"
BOOKS_USERS_MAX: Final = 200_000
"""Above, a world has numbers alone: 200,000 books take 2 GB."""
NANOS: Final = 10**9


def simulate(  # noqa: PLR0913 - one parameter per option
    *,
    attack: str = "all",
    days: int = 30,
    mode: Literal["everyone", "mutual"] = "everyone",
    rules: str = "none,whatsapp-2020,ndss-2021,signal-2026,ringwork",
    users: int = 20_000,
    accounts: int | None = None,
    seed: int = 1,
    readers: int = 20_000,
    options: Options = DEFAULTS,
) -> None:
    """Attack contact importers and profile pages in an invented world.

    A line for each rule set and attack: accounts learned per attacker account, with a 95 %
    bound, and the price of a thousand. A line for each rule set: how many honest people were
    refused or kept waiting in their month, with the bound that so many allow, and what they found.

    Example: ringwork gate simulate --attack leak-list --rules signal-2026

    Parameters
    ----------
    attack
        all, honest (no attack), profile-pages, or names with commas.
    days
        How long attackers go on.
    mode
        By whom people may be found who left the default.
    rules
        Names with commas: deployed ones, and ringwork.
    users
        Registered people; ten times as many numbers. Above 200,000 without address books.
    accounts
        Of the attacker, in place of the strategy's own number.
    seed
        Equal seeds give equal tables.
    readers
        People who read profile pages for a day.
    """
    from ringwork.gate.sim.world import build  # noqa: PLC0415  # needs numpy
    from ringwork.kernel.entropy import SeededEntropy  # noqa: PLC0415

    attacks, wanted = _attacks(attack), _names(rules)
    _check_rules(wanted)
    with counting() as progress:
        if attack != PAGES:
            progress("people", users)
            world = build(
                SeededEntropy(f"{seed} world"),
                users=users,
                mode=mode,
                with_books=users <= BOOKS_USERS_MAX,
            )
            found, felt = _contacts(
                world, wanted, attacks, days=days, accounts=accounts, seed=seed, progress=progress
            )
            _show_contacts(options, world, found, felt)
        if attack in ("all", PAGES):
            _show_pages(options, _pages(wanted, readers=readers, seed=seed, progress=progress))


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",")))


def _attacks(text: str) -> list[str]:
    from ringwork.gate.sim.run import attack_names  # noqa: PLC0415  # needs numpy

    if text in ("honest", PAGES):
        return []
    known = attack_names()
    wanted = list(known) if text == "all" else _names(text)
    for name in wanted:
        if name not in known:
            raise ConfigurationError(
                f"--attack: expected all, honest, {PAGES}, {', '.join(known)}; got {name!r}"
            )
    return wanted


def _check_rules(wanted: list[str]) -> None:
    from ringwork.gate.sim.page_rules import PAGE_RULES  # noqa: PLC0415  # needs numpy
    from ringwork.gate.sim.rules import RULES  # noqa: PLC0415

    for name in wanted:
        if name not in RULES and name not in PAGE_RULES:
            raise ConfigurationError(
                f"--rules: expected {', '.join(dict.fromkeys([*RULES, *PAGE_RULES]))}; got {name!r}"
            )


def _contacts(
    world: World,
    rules: list[str],
    attacks: list[str],
    *,
    days: int,
    accounts: int | None,
    seed: int,
    progress: Progress,
) -> tuple[list[Enumeration], list[Friction]]:
    from ringwork.gate.sim.rules import RULES, make_of  # noqa: PLC0415  # needs numpy
    from ringwork.gate.sim.run import Arena  # noqa: PLC0415

    found, felt = [], []
    for name in rules:
        if name not in RULES:
            continue
        arena = Arena(world, make_of(name), name, seed=seed, days=days, progress=progress)
        if world.books is not None:
            felt.append(arena.friction())
        for one in attacks:
            progress(f"{name}: {one}", 0)
            found.append(arena.enumerate(one, accounts=accounts))
    return found, felt


def _pages(rules: list[str], *, readers: int, seed: int, progress: Progress) -> list[Pages]:
    from ringwork.gate.sim.page_rules import PAGE_RULES, PLAIN, door_of  # noqa: PLC0415
    from ringwork.gate.sim.pages import measure  # noqa: PLC0415

    named = [name for name in rules if name in PAGE_RULES]
    return [
        measure(
            door_of(name),
            rules=name,
            seed=seed,
            readers=readers,
            progress=lambda count: progress("pages", count),
        )
        for name in dict.fromkeys([*PLAIN, *named])
    ]


def _show_contacts(
    options: Options, world: World, found: list[Enumeration], felt: list[Friction]
) -> None:
    if options.json:
        for one in (*felt, *found):
            options.show(msgspec.to_builtins(one), "")
        return
    scale = f"{world.users:,} people, {world.plan.size:,} numbers, mode {world.mode}"
    if found:
        _enumeration_table(options, found, scale)
    if felt:
        _friction_table(options, felt, scale)


def _enumeration_table(options: Options, found: list[Enumeration], scale: str) -> None:
    options.table(
        [
            {
                "rules": one.rules,
                "attack": one.attack,
                "accounts": one.accounts,
                "each": f"{'>= ' if one.is_exhausted else ''}{one.per_account:,.1f}",
                "bound": f"{one.per_account_bound:,.1f}",
                "luckiest": one.luckiest,
                "asked": f"{one.asked:,}",
                "price": _price(one),
                "parameters": one.parameters,
            }
            for one in found
        ],
        {
            "rules": "Rules",
            "attack": "Attack",
            "accounts": "Accounts",
            "each": "Learned each",
            "bound": "95 % bound",
            "luckiest": "Luckiest",
            "asked": "Asked",
            "price": "$ per 1,000",
            "parameters": "Parameters",
        },
        title=f"{scale}; >=: all of a list was asked for, a larger world gives more",
    )


def _price(one: Enumeration) -> str:
    if one.per_1000_low_nanos is None or one.per_1000_high_nanos is None:
        return "-"
    low, high = one.per_1000_low_nanos / NANOS, one.per_1000_high_nanos / NANOS
    return f"{low:,.4f} to {high:,.4f}"


def _friction_table(options: Options, felt: list[Friction], scale: str) -> None:
    options.table(
        [
            {
                "rules": one.rules,
                "months": one.user_months,
                "touched": one.touched,
                "rate": f"{one.rate:.3%} (at most {one.rate_bound:.3%})",
                "recall": f"{one.recall:.2%}",
                "starved": f"{one.starved} (at most {one.starved_bound:.3%})",
                "causes": ", ".join(f"{cause} {count}" for cause, count in one.by_cause.items()),
            }
            for one in felt
        ],
        {
            "rules": "Rules",
            "months": "User-months",
            "touched": "Refused or delayed",
            "rate": "Share",
            "recall": "Matches found",
            "starved": "Found under 90 %",
            "causes": "When",
        },
        title=f"Honest people; {scale}",
    )


def _show_pages(options: Options, measured: list[Pages]) -> None:
    if options.json:
        for one in measured:
            options.show(msgspec.to_builtins(one), "")
        return
    options.table(
        [
            {
                "rules": one.rules,
                "distinct": f"{one.distinct_per_account_day:,.0f}",
                "days": one.user_days,
                "touched": one.touched,
                "rate": f"{one.rate:.3%} (at most {one.rate_bound:.3%})",
            }
            for one in measured
        ],
        {
            "rules": "Rules",
            "distinct": "Profiles per bot and day",
            "days": "User-days",
            "touched": "Refused or delayed",
            "rate": "Share",
        },
        title="Profile pages",
    )
