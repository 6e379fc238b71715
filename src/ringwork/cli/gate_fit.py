"""``ringwork gate fit``: a behaviour model from a log and labels of those in it."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import measuring
from ringwork.kernel.errors import ConfigurationError, Refused

if TYPE_CHECKING:
    from ringwork.gate.behave.model import Model

LABELS: Final = {"human": False, "bot": True}
LABELS_MAX: Final = 10_000_000


def fit(
    log: Path,
    /,
    *,
    labels: Path,
    out: Path,
    actor: Literal["ip", "user", "visit"] = "ip",
    false_positives: float = 0.01,
    seed: int = 1,
    options: Options = DEFAULTS,
) -> None:
    """Train a behaviour model on a log and labels, and calibrate it.

    Needs LightGBM (pip install lightgbm); what it writes does not. A third of the people is held
    back from training, and the threshold is set by them: of fresh people at most the share that
    you ask for is above it, but for a chance of 5 %. Equal input gives an equal file.

    Example: ringwork gate fit access.log --labels labels.csv --out model.json

    Parameters
    ----------
    log
        A log file, as ringwork gate scan reads it.
    labels
        CSV with the header actor,label: names as a scan gives them (ip:192.0.2.7), human or bot.
    out
        The model, for ringwork gate scan --model.
    actor
        Whom the names mean.
    false_positives
        The share of people that may be taken for machines.
    seed
        Of the split and of the training.
    """
    from ringwork.cli.gate_scan import opened, unpacked  # noqa: PLC0415
    from ringwork.gate.analyse.behaviour import Behaviour  # noqa: PLC0415
    from ringwork.gate.analyse.scan import scan  # noqa: PLC0415
    from ringwork.gate.behave.fit import fit as trained  # noqa: PLC0415
    from ringwork.gate.behave.fit import labelled  # noqa: PLC0415
    from ringwork.gate.behave.model import to_json  # noqa: PLC0415

    known = _labels_of(labels)
    behaviour = Behaviour()
    with opened(log) as raw, measuring("reading", None):
        scanner = scan(unpacked(raw, log.name), by=actor, behaviour=behaviour)
    names = [scanner.actors.names[number] for number, _ in behaviour.pairs]
    rows, is_bot = labelled(behaviour.features(), names, known)
    recipe = f"ringwork gate fit --actor {actor} --false-positives {false_positives} --seed {seed}"
    model = trained(rows, is_bot, alpha=false_positives, seed=seed, recipe=recipe)
    try:
        out.write_bytes(to_json(model))
    except OSError as error:
        raise ConfigurationError(f"{out}: cannot be written: {error.strerror}") from None
    seen = model.calibration
    told = {
        "model": str(out),
        "people": int((~is_bot).sum()),
        "bots": int(is_bot.sum()),
        "threshold": seen.threshold,
        "false_positives_at_most": seen.alpha,
        "calibrated_on": seen.count,
    }
    options.show(
        told,
        f"{out}: made of {told['people']:,} people and {told['bots']:,} bots; above "
        f"{seen.threshold:.3f} are at most {seen.alpha:.2%} of people, by {seen.count:,} of them.",
    )


def model_of(name: str) -> Model | None:
    """``default``, ``none`` or a file. Raises Refused for one that is not valid."""
    from ringwork.gate.behave.model import BYTES_MAX, from_json  # noqa: PLC0415

    if name == "none":
        return None
    if name == "default":
        data = (files("ringwork.gate.behave") / "default.json").read_bytes()
        return from_json(data, where="default")
    try:
        with Path(name).open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(f"{name}: cannot be read: {error.strerror}") from None
    return from_json(data, where=name)


def _labels_of(path: Path) -> dict[str, bool]:
    found: dict[str, bool] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            if next(rows, None) != ["actor", "label"]:
                raise _invalid(path, 1, "expected the header actor,label")
            for row in rows:
                if len(row) != 2 or row[1] not in LABELS:
                    raise _invalid(path, rows.line_num, "expected an actor, then human or bot")
                if found.setdefault(row[0], LABELS[row[1]]) != LABELS[row[1]]:
                    raise _invalid(path, rows.line_num, "an actor that is labelled both ways")
                if len(found) > LABELS_MAX:
                    raise _invalid(path, rows.line_num, f"expected at most {LABELS_MAX:,} lines")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise _invalid(path, 0, "expected CSV in UTF-8") from None
    return found


def _invalid(path: Path, line: int, detail: str) -> Refused:
    return Refused("labels-invalid", f"{path.name}, line {line}: {detail}", status=422)
