"""The generator of the demo tables: invented names and places that blur groups as real ones do.

``python -m ringwork.fairness.tables.demo_generator FOLDER`` writes the packaged files again. They
are packaged, and not made at every start, because the last bit of a logarithm differs from machine
to machine and the hash of the tables must not. ``RandomState`` is frozen by NumPy's policy (NEP 19)
and every figure is rounded to whole people, so the files come out alike all the same.

Dirichlet(4 x shares) for areas and surnames gives the proxy a confusion matrix with the diagonal
.77/.44/.52/.55 and lets it see .36 of a gap between white and Black people (specification 3), as
on labelled records. Less blur would flatter whatever is measured with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringwork.fairness.model import RACE_SIX

Floats = NDArray[np.float64]

SEED: Final = 20100450
"""Of sixty seeds the one whose blur is nearest to what was measured on labelled records."""
SHARES: Final = {
    "white": 0.62,
    "black": 0.12,
    "hispanic": 0.17,
    "api": 0.06,
    "aian": 0.007,
    "mult_other": 0.023,
}
ADULTS: Final = 10_000_000
SURNAMES, FIRST_NAMES, AREAS = 2000, 300, 400
AREA_CONCENTRATION: Final = 4.0
SURNAME_CONCENTRATION: Final = 4.0
FIRST_NAME_CONCENTRATION: Final = 12.0
"""First names say less than surnames."""
_SYLLABLES: Final = {
    "onset": "b br c ch d dr f g gl h j k l m n p pr qu r s st t v w z",
    "vowel": "a e i o u ai ea ou",
    "coda": "l m n r s t nd rk ss th x",
    "ending": "an ard el en er ey ick ing ison o old ova un wick y",
}


def tables(seed: int = SEED) -> Iterator[tuple[str, str]]:
    """(name, content) of the packaged files: CSV with a row for each name or area."""
    draws = np.random.RandomState(seed)
    shares = np.array([SHARES[group] for group in RACE_SIX.groups])
    names = _names(draws, SURNAMES + FIRST_NAMES)
    weights = draws.lognormal(0.0, 1.0, AREAS)
    mixes = draws.dirichlet(AREA_CONCENTRATION * shares, AREAS)
    codes = [f"{number:05d}" for number in range(1, AREAS + 1)]
    yield "areas.csv", _csv("zip", codes, _people(weights, mixes, shares))
    for file, rows, concentration in (
        ("surnames.csv", names[:SURNAMES], SURNAME_CONCENTRATION),
        ("first_names.csv", names[SURNAMES:], FIRST_NAME_CONCENTRATION),
    ):
        weights = 1.0 / np.arange(10.0, 10.0 + len(rows))
        mixes = draws.dirichlet(concentration * shares, len(rows))
        yield file, _csv("name", rows, _people(weights, mixes, shares))


def _people(weights: Floats, mixes: Floats, shares: Floats) -> NDArray[np.int64]:
    """[n, 6] whole people; every group adds up to its national number exactly."""
    joint = weights[:, None] * mixes
    margin = np.round(shares * ADULTS)
    exact = joint / joint.sum(axis=0) * margin
    people: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    for group in range(len(shares)):
        missing = int(margin[group]) - int(people[:, group].sum())
        order = np.argsort(people[:, group] - exact[:, group], kind="stable")
        people[order[:missing], group] += 1
    return people


def _names(draws: np.random.RandomState, count: int) -> list[str]:
    """Distinct invented names."""
    kinds = {kind: text.split() for kind, text in _SYLLABLES.items()}
    shape = ("onset", "vowel", "coda", "vowel", "onset", "ending")
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault("".join(str(draws.choice(kinds[kind])) for kind in shape).upper())
    return list(found)


def _csv(key: str, keys: list[str], people: NDArray[np.int64]) -> str:
    lines = [",".join((key, *RACE_SIX.groups))]
    lines += [
        ",".join((one, *map(str, row))) for one, row in zip(keys, people.tolist(), strict=True)
    ]
    return "\n".join(lines) + "\n"
