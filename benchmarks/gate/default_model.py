"""Makes the model that comes along: ``python -m benchmarks.gate.default_model``.

From invented traffic by seed, half of it logged in milliseconds and half in seconds as most logs are,
and from the staged Apache log, whose pairs of address and agent count as machines where they say so.
The bytes are always the same. Needs LightGBM and RINGWORK_TEST_DATA; a staged test holds the file
to it.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

import ringwork.gate.behave
from ringwork.gate.analyse.agents import read
from ringwork.gate.analyse.behaviour import Behaviour
from ringwork.gate.analyse.scan import scan
from ringwork.gate.behave.fit import fit, labelled
from ringwork.gate.behave.judge import REQUESTS_MIN
from ringwork.gate.behave.model import to_json
from tests.conftest import staged_folder
from tests.gate.behave.traffic import log

RECIPE = (
    "python -m benchmarks.gate.default_model: invented traffic of seeds 1 and 2, each of 1,500 "
    "people and 450 machines, and elastic_apache_logs.log"
)
SCREENS = (b"Google Web Preview", b"BingPreview")
"""They load a page in a browser because a person asked for it: nothing in what they do is a bot's."""


def apache(folder: Path) -> tuple[np.ndarray, np.ndarray, list[bytes]]:
    """Rows of the pairs with five requests or more, whether they declare a machine, and agents."""
    behaviour = Behaviour()
    with (folder / "antiscraping" / "elastic_apache_logs.log").open("rb") as file:
        scan(file, behaviour=behaviour)
    kept = np.flatnonzero(behaviour.requests() >= REQUESTS_MIN)
    agents = [behaviour.pairs[place][1] for place in kept.tolist()]
    is_bot = np.array([bool(read(one).claims) for one in agents])
    return behaviour.features()[kept], is_bot, agents


def invented(seed: int, *, in_seconds: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels of invented traffic."""
    lines, labels, _ = log(seed=seed, humans=1_500, bots=450, in_seconds=in_seconds)
    behaviour = Behaviour()
    scanner = scan(io.BytesIO(lines), behaviour=behaviour)
    names = [scanner.actors.names[number] for number, _ in behaviour.pairs]
    return labelled(behaviour.features(), names, labels)


def made(folder: Path) -> bytes:
    """The file."""
    real, is_bot, _ = apache(folder)
    parts = [(real, is_bot), invented(1, in_seconds=False), invented(2, in_seconds=True)]
    rows, labels = (np.concatenate(one) for one in zip(*parts, strict=True))
    return to_json(fit(rows, labels, alpha=0.01, seed=1, recipe=RECIPE))


if __name__ == "__main__":
    staged = staged_folder()
    assert staged is not None, "RINGWORK_TEST_DATA names no folder"
    path = Path(ringwork.gate.behave.__file__).parent / "default.json"
    path.write_bytes(made(staged))
    print(f"{path.name}: {path.stat().st_size:,} bytes")
