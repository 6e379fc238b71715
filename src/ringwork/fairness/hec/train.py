"""The detector's weights, from labelled examples; the same on every machine, byte for byte.

Logistic regression by stochastic gradient descent with a decreasing step and L2 decay, in plain
floats: no BLAS, no exp of the machine's library. Examples are held out by the hash of their text,
so that an example stays on its side when others are added.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Final, get_args

import msgspec
import numpy as np
from msgspec import Struct

from ringwork.fairness.hec.detect import CATEGORIES, SCALE, Detector, Weights, sigmoid
from ringwork.fairness.hec.text import BUCKETS, Features
from ringwork.kernel.errors import Fault, Invalid
from ringwork.kernel.screening import AdContent, SpecialAdCategory

EPOCHS: Final = 40
STEP: Final = 4.0
DECAY: Final = 1e-3
"""L2, on the weights that an example touches."""
HELD_OUT: Final = 4
"""One example of so many is held out."""
EXAMPLES_MAX: Final = 100_000
NONE: Final = "none"
ANY: Final = "any"
"""Held for whatever category: what an advertiser notices."""
_COLUMNS: Final = ["labels", "text", "landing_title", "category"]


class Example(Struct, frozen=True, kw_only=True):
    """An ad and the special categories that it is of; none of them is an answer too."""

    labels: frozenset[SpecialAdCategory]
    content: AdContent

    @property
    def is_held_out(self) -> bool:
        """Whether it is kept for judging."""
        return sha256(b"held out " + self.content.text.encode()).digest()[0] % HELD_OUT == 0


class Judged(Struct, frozen=True, kw_only=True):
    """How a detector did on examples that it never saw, of one category."""

    category: str
    examples: int
    positives: int
    found: int
    """Positives over the threshold."""
    wrong: int
    """Others over the threshold."""

    @property
    def precision(self) -> float:
        """Of those that are held, how many are of the category; 1 where none is held."""
        held = self.found + self.wrong
        return self.found / held if held else 1.0

    @property
    def recall(self) -> float:
        """Of those of the category, how many are held; 1 where there is none."""
        return self.found / self.positives if self.positives else 1.0


def packaged_examples() -> bytes:
    """The labelled examples that come with the package."""
    return (files("ringwork.fairness") / "presets" / "detector" / "examples.tsv").read_bytes()


def parse_examples(text: bytes) -> list[Example]:
    """Tab-separated lines under the names of their columns. Raises Invalid with the line."""
    try:
        lines = csv.reader(io.StringIO(text.decode()), delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = list(lines)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _invalid(1, f"expected tab-separated UTF-8, got {error}") from None
    if not rows or rows[0] != _COLUMNS:
        raise _invalid(1, f"expected the columns {', '.join(_COLUMNS)}, got {rows[:1]}")
    if len(rows) > EXAMPLES_MAX:
        raise _invalid(EXAMPLES_MAX, f"expected at most {EXAMPLES_MAX} lines, got {len(rows)}")
    return [_example(number, row) for number, row in enumerate(rows[1:], start=2)]


def _example(number: int, row: Sequence[str]) -> Example:
    if len(row) != len(_COLUMNS):
        raise _invalid(number, f"expected {len(_COLUMNS)} columns, got {len(row)}")
    labels, text, title, category = row
    named = set() if labels == NONE else set(labels.split(","))
    if not named <= set(get_args(SpecialAdCategory)):
        raise _invalid(number, f"expected {NONE} or {', '.join(CATEGORIES)}, got {labels[:60]!r}")
    content = AdContent(
        ad_id=str(number),
        text=text,
        landing_title=title,
        categories=(category,) if category else (),
    )
    return Example(
        labels=frozenset(msgspec.convert(named, set[SpecialAdCategory])), content=content
    )


def train(examples: Sequence[Example], *, version: str = "") -> Weights:
    """Weights from all of the examples, in their order, each with its page and without.

    Of many ads nothing but the text is known, so that the text alone has to tell.
    """
    every = [one for each in examples for one in _told(each)]
    rows = [Features(one.content).found for one in every]
    biases, columns = [], []
    for category in CATEGORIES:
        labels = [1.0 if category in one.labels else 0.0 for one in every]
        bias, weights = _fitted(
            [[(at, value) for at, (value, _) in row.items()] for row in rows], labels
        )
        kept = np.clip(np.rint(np.array(weights) * SCALE), -127, 127).astype(np.int8)
        biases.append(round(bias, 6))
        columns.append(kept.tobytes())
    return Weights(version=version, biases=tuple(biases), columns=tuple(columns))


def _told(example: Example) -> Iterator[Example]:
    content = example.content
    yield example
    if content.landing_title or content.categories:
        bare = AdContent(ad_id=content.ad_id, text=content.text)
        yield Example(labels=example.labels, content=bare)


def _fitted(
    rows: Sequence[Sequence[tuple[int, float]]], labels: Sequence[float]
) -> tuple[float, list[float]]:
    bias, weights = 0.0, [0.0] * BUCKETS
    order = _shuffled(len(rows))
    for epoch in range(EPOCHS):
        step = STEP / (1.0 + epoch)
        for number in order:
            row = rows[number]
            logit = bias
            for at, value in row:
                logit += weights[at] * value
            error = sigmoid(logit) - labels[number]
            bias -= 0.1 * step * error
            for at, value in row:
                weights[at] -= step * (error * value + DECAY * weights[at])
    return bias, weights


def _shuffled(count: int) -> list[int]:
    """An order that mixes what stands together, always the same one."""
    return sorted(range(count), key=lambda one: sha256(str(one).encode()).digest())


def judge(
    detector: Detector, examples: Iterable[Example], thresholds_ppm: Sequence[int]
) -> list[Judged]:
    """Precision and recall of every category, then of ``ANY``; thresholds as in ``CATEGORIES``."""
    scored = [(one.labels, detector.scores_ppm(one.content)) for one in examples]
    judged = []
    for number, category in enumerate(CATEGORIES):
        held = [labels for labels, scores in scored if scores[number] >= thresholds_ppm[number]]
        found = sum(category in labels for labels in held)
        judged.append(
            Judged(
                category=category,
                examples=len(scored),
                positives=sum(category in labels for labels, _ in scored),
                found=found,
                wrong=len(held) - found,
            )
        )
    held = [
        labels
        for labels, scores in scored
        if any(one >= least for one, least in zip(scores, thresholds_ppm, strict=True))
    ]
    found = sum(bool(labels) for labels in held)
    any_of = Judged(
        category=ANY,
        examples=len(scored),
        positives=sum(bool(labels) for labels, _ in scored),
        found=found,
        wrong=len(held) - found,
    )
    return [*judged, any_of]


def packaged_version() -> str:
    """Of the packaged examples and lexicon: what weights from them are told apart by."""
    folder = files("ringwork.fairness") / "presets" / "detector"
    sources = [(folder / name).read_bytes() for name in ("examples.tsv", "lexicon.yaml")]
    return sha256(b"\0".join(sources)).hexdigest()[:12]


def _invalid(line: int, detail: str) -> Invalid:
    return Invalid(f"line {line}: {detail}", [Fault(f"/{line}", detail)])
