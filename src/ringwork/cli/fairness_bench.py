"""``ringwork fairness bench`` and ``train``: controllers judged on the truth of invented worlds."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting
from ringwork.kernel.errors import ConfigurationError, RingworkError

if TYPE_CHECKING:
    from ringwork.fairness.bench.model import Make
    from ringwork.fairness.bench.simulator import Outcome
    from ringwork.fairness.bench.table import Run, Score
    from ringwork.fairness.control.model import Controller
    from ringwork.fairness.control.rl import Policy

ADS_MAX: Final = 10_000
SEEDS_MAX: Final = 100
LOG_BYTES_MAX: Final = 1 << 30
CONTROLLERS: Final = "none,multiplier,pid,mirror,celis,split,dual,oracle"


def bench(  # noqa: PLR0913 - one parameter per option
    *,
    world: str = "standard",
    seeds: int = 1,
    controllers: str = CONTROLLERS,
    ads: int = 40,
    sigma: float = 4.0,
    plot: Path | None = None,
    policy: Path | None = None,
    transitions: Path | None = None,
    options: Options = DEFAULTS,
) -> None:
    """Run controllers in an auction simulator and judge them on the truth.

    Each controller meets the same opportunities. A table per attribute says which share of ads
    came within 5 % and 10 %: in truth, by the proxy, and with the proxy's blur taken out; the last
    two are what a report would say. Cost, people reached and a linear programme's bound follow.

    Example: ringwork fairness bench --world drift --seeds 2 --controllers none,dual,pid

    Parameters
    ----------
    world
        A packaged world, or a FILE.py with make(seed) -> World. The file is run: trust it first.
    seeds
        How many worlds, of seeds 1, 2, ...; gains were chosen on others (101 to 103).
    controllers
        Names, with commas; none is always there. rl takes --policy.
    ads
        At most so many ads a world.
    sigma
        Noise of the releases, as in plans.
    plot
        Write the frontier, coverage against cost, to this SVG file.
    policy
        A policy of ringwork fairness train, for rl.
    transitions
        Write the visits of the behaviour policy to this file, for ringwork fairness train.
    """
    for name, given, most in (("seeds", seeds, SEEDS_MAX), ("ads", ads, ADS_MAX)):
        if not 1 <= given <= most:
            raise ConfigurationError(f"--{name}: expected 1 to {most:,}, got {given}")
    if not 0 < sigma <= 1_000:
        raise ConfigurationError(f"--sigma: expected more than 0 and at most 1000, got {sigma}")
    make = _maker(world)
    wanted = _controllers(controllers, policy)
    if transitions is not None:
        _explored(make, seeds, ads, sigma, transitions)
    scores = _scores(make, wanted, seeds, ads, sigma)
    if options.json:
        for name, found in scores.items():
            options.show({"world": world, "controller": name, "sigma": sigma, "score": found}, "")
    else:
        _print(options, world, scores)
    if plot is not None:
        _write(plot, _plotted(world, scores).encode())


def train(
    *, log: Path, out: Path | None = None, folds: int = 2, options: Options = DEFAULTS
) -> None:
    """Fit a policy to logged visits and say what it would gain.

    Fitted Q iteration, offline. Flights are split in two: the policy is fitted on one half and
    valued on the other, beside each constant action; the behaviour policy's value by the same
    method stands beside what it really got. What counts is the bench: run rl beside dual.

    Example: ringwork fairness train --log visits.jsonl --out policy.json

    Parameters
    ----------
    log
        What ringwork fairness bench --transitions wrote.
    out
        Write the policy, fitted on all flights, to this file.
    folds
        How often flights are split, each time anew.
    """
    from ringwork.fairness.bench.learning import ablation  # noqa: PLC0415  # needs numpy
    from ringwork.fairness.control import fitted  # noqa: PLC0415

    if not 1 <= folds <= 20:
        raise ConfigurationError(f"--folds: expected 1 to 20, got {folds}")
    visits = _visits(log)
    with counting() as progress:
        progress("fitting, visits", len(visits))
        try:
            found = ablation(visits, folds=folds)
        except ValueError as error:
            raise RingworkError(f"{log}: {error}") from error
        if out is not None:
            _write(out, msgspec.json.encode(fitted.fit(fitted.transitions(visits))))
    options.table(
        [
            {
                "policy": one.policy,
                "value": round(one.value, 4),
                "error": round(one.error, 4),
                "realised": None if one.realised is None else round(one.realised, 4),
            }
            for one in found
        ],
        {
            "policy": "Policy",
            "value": "Value (off-policy)",
            "error": "Standard error",
            "realised": "Realised",
        },
        title=f"{len(visits):,} visits; 0 is best: minus missed reduction, minus value lost",
    )


def _maker(world: str) -> Make:
    from ringwork.fairness.bench import worlds  # noqa: PLC0415  # needs numpy

    if world in worlds.RECIPES:
        return worlds.maker(world)
    if not world.endswith(".py"):
        raise ConfigurationError(
            f"--world: expected {', '.join(worlds.RECIPES)} or a FILE.py, got {world!r}"
        )
    if not Path(world).is_file():
        raise ConfigurationError(f"--world: {world} is no file")
    try:
        found = runpy.run_path(world).get("make")
    except Exception as error:  # whatever a stranger's file raises; said, not hidden
        raise ConfigurationError(f"--world: {world}: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise ConfigurationError(f"--world: {world} has no make(seed)")
    return _checked(world, found)


def _checked(file: str, make: Callable[[int], Any]) -> Make:
    from ringwork.fairness.bench.model import World  # noqa: PLC0415  # needs numpy

    def checked(seed: int) -> World:
        try:
            made = make(seed)
        except Exception as error:  # as above
            raise ConfigurationError(f"{file}: {type(error).__name__}: {error}") from error
        if not isinstance(made, World):
            raise ConfigurationError(
                f"{file}: expected make(seed) to give a World, got {type(made).__name__}"
            )
        return made

    return checked


def _controllers(names: str, policy: Path | None) -> dict[str, Controller | None]:
    from ringwork.fairness.control import CONTROLLERS as known  # noqa: N811, PLC0415
    from ringwork.fairness.control import make_controller  # noqa: PLC0415

    wanted = list(dict.fromkeys(["none", *(name.strip() for name in names.split(","))]))
    found: dict[str, Controller | None] = {}
    for name in wanted:
        if name != "none" and name not in known:
            raise ConfigurationError(
                f"--controllers: expected any of none, {', '.join(known)}, got {name!r}"
            )
        if name == "rl":
            if policy is None:
                raise ConfigurationError("--controllers rl: expected --policy FILE")
            found[name] = make_controller(name, policy=_policy(policy))
        else:
            found[name] = None if name == "none" else make_controller(name)
    return found


def _policy(file: Path) -> Policy:
    from ringwork.fairness.control.rl import Policy  # noqa: PLC0415  # needs numpy

    try:
        return msgspec.json.decode(file.read_bytes(), type=Policy)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"--policy: {file}: {error}") from error


def _visits(file: Path) -> list[Any]:
    from ringwork.fairness.control.rl import ACTIONS, FEATURES, Visit  # noqa: PLC0415

    try:
        size = file.stat().st_size
        if size > LOG_BYTES_MAX:
            raise RingworkError(f"{file}: expected at most {LOG_BYTES_MAX:,} bytes, got {size:,}")
        visits = msgspec.json.Decoder(Visit).decode_lines(file.read_bytes())
    except (OSError, msgspec.MsgspecError) as error:
        raise RingworkError(f"{file}: {error}") from error
    for line, one in enumerate(visits, 1):
        if len(one.state) != len(FEATURES) or not 0 <= one.action < len(ACTIONS):
            raise RingworkError(
                f"{file}: line {line}: expected {len(FEATURES)} features and an action below "
                f"{len(ACTIONS)}, got {len(one.state)} and {one.action}"
            )
    return visits


def _explored(make: Make, seeds: int, ads: int, sigma: float, file: Path) -> None:
    from ringwork.fairness.bench.contest import TUNING_SEEDS, explored  # noqa: PLC0415
    from ringwork.fairness.bench.simulator import Privacy  # noqa: PLC0415

    with counting() as progress:
        visits = explored(
            make,
            range(TUNING_SEEDS[0], TUNING_SEEDS[0] + seeds),
            Privacy(sigma=sigma),
            ads=ads,
            progress=_ticks(progress, "exploring, flights"),
        )
    _write(file, msgspec.json.Encoder().encode_lines(visits))


def _ticks(progress: Callable[[str, int], None], what: str) -> Callable[[], None]:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        progress(what, done)

    return tick


def _scores(
    make: Make, wanted: Mapping[str, Controller | None], seeds: int, ads: int, sigma: float
) -> dict[str, Score]:
    from ringwork.fairness.bench.contest import market, played  # noqa: PLC0415
    from ringwork.fairness.bench.simulator import Privacy  # noqa: PLC0415
    from ringwork.fairness.bench.table import Run, score  # noqa: PLC0415

    runs: dict[str, list[Run]] = {name: [] for name in wanted}
    with counting() as progress:
        tick = _ticks(progress, "flights")
        for seed in range(1, seeds + 1):
            where = market(make, seed, ads=ads)
            found: dict[str, list[Outcome]] = played(
                where, wanted, Privacy(sigma=sigma), progress=tick
            )
            for name, outcomes in found.items():
                runs[name].append(
                    Run(world=where.world, outcomes=outcomes, uncontrolled=found["none"])
                )
        scores = {}
        for done, (name, of) in enumerate(runs.items()):
            progress("scored, controllers", done)
            scores[name] = score(of, bounds=name != "none", oracle=runs.get("oracle"))
    return scores


def _print(options: Options, world: str, scores: Mapping[str, Score]) -> None:
    first = next(iter(scores.values()))
    attributes = list(dict.fromkeys(one.attribute for one in first.coverage))
    for attribute in attributes:
        rows = [_coverage_row(name, found, attribute) for name, found in scores.items()]
        heads = {key: key for key in rows[0]} | {"controller": "Controller"}
        options.table(rows, heads, title=f"{world}: {attribute}, share of ads within")
        sys.stdout.write("\n")
    sys.stdout.write("Each cell: truth; what a report says [proxy, de-attenuated, expected].\n\n")
    costs = [_cost_row(name, found) for name, found in scores.items()]
    options.table(
        costs,
        {
            "controller": "Controller",
            "cost": "Cost",
            "spend": "Spend",
            "bound": "Over LP",
            "oracle": "Over oracle",
            "impressions": "Impressions",
            "people": "People",
            "cost_1000": "Cost/1,000 people",
            "kept": "Under-served kept",
            "worst": "Worst group",
            "levelling": "Levelling",
        },
        title="Cost per value, people reached: times no control",
    )
    sys.stdout.write("\n")
    reach = [
        {"controller": name, **{group: f"{ratio:.2f}" for group, ratio in found.reach.items()}}
        for name, found in scores.items()
    ]
    heads = {key: key for key in reach[0]} | {"controller": "Controller"}
    options.table(reach, heads, title="People reached by group, times no control")


def _coverage_row(name: str, found: Score, attribute: str) -> dict[str, object]:
    row: dict[str, object] = {"controller": name}
    for one in found.coverage:
        if one.attribute == attribute:
            twins = (one.proxy, one.deattenuated, one.expected)
            said = "" if twins[0] is None else f" [{', '.join(map(_share, twins))}]"
            if attribute != "race" and twins[0] is not None:
                said = f" [{_share(twins[0])}]"
            key = f"{one.threshold:.0%}, >= {one.minimum:,}"
            row[key] = f"{_share(one.truth)}{said}"
    return row


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _cost_row(name: str, found: Score) -> dict[str, object]:
    over = None
    if found.bound is not None and found.bound_cost is not None:
        over = found.bound_cost / found.bound
    cells = {
        "cost": found.cost,
        "spend": found.spend,
        "bound": over,
        "oracle": found.oracle,
        "impressions": found.impressions,
        "people": found.people,
        "cost_1000": found.cost_per_1000_people,
        "worst": found.worst_group,
        "levelling": found.levelling,
    }
    row: dict[str, object] = {
        key: "-" if value is None else f"{value:.3f}" for key, value in cells.items()
    }
    return row | {"controller": name, "kept": _share(found.under_served_kept)}


def _plotted(world: str, scores: Mapping[str, Score]) -> str:
    from ringwork.fairness.bench.plot import frontier  # noqa: PLC0415  # needs numpy

    points = {}
    for name, found in scores.items():
        at = next(
            one
            for one in found.coverage
            if (one.attribute, one.minimum, one.threshold) == ("race", 300, 0.05)
        )
        if at.truth is not None:
            points[name] = (found.cost, at.truth)
    return frontier(
        points,
        title=f"World {world}: fairness against cost",
        across="cost per value, times no control",
        up="ads of 300 impressions or more within 5 % by race, in truth",
    )


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise RingworkError(f"{file}: cannot be written: {error.strerror}") from error
