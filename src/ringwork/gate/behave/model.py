"""Gradient-boosted trees as data: a JSON file that a person can read and a bad one that is refused.

A tree is five lists by node: ``feature`` (-1 for a leaf), ``threshold`` (at most it goes left),
``left``, ``right`` and ``value``: of a leaf what it adds to the score, of an inner node the mean of
what lies under it, which explains a score. Children come after their parents, so every walk ends.
"""

from __future__ import annotations

from itertools import pairwise
from math import isfinite
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.gate.analyse.features import FEATURES
from ringwork.kernel.errors import Refused

VERSION: Final = 1
BYTES_MAX: Final = 16 << 20
TREES_MAX: Final = 2_000
NODES_MAX: Final = 4_095
BINS: Final = 10
"""Of each feature, for drift: tenths of what the model was made on."""


class Tree(Struct, frozen=True, forbid_unknown_fields=True):
    """One tree, as lists by node; node 0 is the root."""

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]


class Calibration(Struct, frozen=True, forbid_unknown_fields=True):
    """Above ``threshold`` somebody is taken for a machine.

    Of fresh people at most a share ``alpha`` is, but for a chance of ``delta`` (3.11).
    """

    threshold: float
    alpha: float
    delta: float
    order: int
    """The threshold is the so-many-th largest score of ``count`` people."""
    count: int


class Reference(Struct, frozen=True, forbid_unknown_fields=True):
    """How a feature was spread: the inner edges of bins and the share in each."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]


class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """Trees, the threshold and what traffic looked like when they were made."""

    version: int
    features: tuple[str, ...]
    recipe: str
    """How to make it again."""
    trees: tuple[Tree, ...]
    calibration: Calibration
    reference: tuple[Reference, ...]


def to_json(model: Model) -> bytes:
    """The file; equal models give equal bytes."""
    return msgspec.json.encode(model) + b"\n"


def from_json(data: bytes, *, where: str = "model") -> Model:
    """Reads and checks a model. Raises Refused (``model-invalid``) that names the place."""
    if len(data) > BYTES_MAX:
        raise _refused(where, f"expected at most {BYTES_MAX:,} bytes, got {len(data):,}")
    try:
        model = msgspec.json.decode(data, type=Model)
    except msgspec.DecodeError as error:
        raise _refused(where, str(error)) from None
    if model.version != VERSION:
        raise _refused(where, f"version: expected {VERSION}, got {model.version}")
    if model.features != FEATURES:
        raise _refused(where, "features: expected those of this version, in their order")
    if not 1 <= len(model.trees) <= TREES_MAX:
        raise _refused(where, f"trees: expected 1 to {TREES_MAX:,}, got {len(model.trees):,}")
    for number, tree in enumerate(model.trees):
        fault = _fault_of(tree)
        if fault:
            raise _refused(where, f"trees[{number}]: {fault}")
    fault = _fault_of_calibration(model.calibration) or _fault_of_reference(model.reference)
    if fault:
        raise _refused(where, fault)
    return model


def _fault_of(tree: Tree) -> str:
    size = len(tree.feature)
    if not 1 <= size <= NODES_MAX:
        return f"expected 1 to {NODES_MAX:,} nodes, got {size:,}"
    if {len(tree.threshold), len(tree.left), len(tree.right), len(tree.value)} != {size}:
        return "expected five lists of equal length"
    for node, (feature, left, right) in enumerate(
        zip(tree.feature, tree.left, tree.right, strict=True)
    ):
        if not -1 <= feature < len(FEATURES):
            return f"feature[{node}]: expected -1 to {len(FEATURES) - 1}, got {feature}"
        if feature >= 0 and not (node < left < size and node < right < size):
            return f"node {node}: expected children after it and before {size}"
    if not all(map(isfinite, (*tree.threshold, *tree.value))):
        return "expected finite numbers"
    return ""


def _fault_of_calibration(found: Calibration) -> str:
    if not (0 < found.alpha < 1 and 0 < found.delta < 1 and 1 <= found.order <= found.count):
        return "calibration: expected alpha and delta in (0, 1), order in 1..count"
    if not 0 <= found.threshold <= 1:
        return f"calibration.threshold: expected 0 to 1, got {found.threshold}"
    return ""


def _fault_of_reference(found: tuple[Reference, ...]) -> str:
    if len(found) != len(FEATURES):
        return f"reference: expected {len(FEATURES)}, got {len(found)}"
    for name, one in zip(FEATURES, found, strict=True):
        if len(one.shares) != len(one.edges) + 1 or len(one.edges) >= BINS:
            return f"reference of {name}: expected one share more than edges"
        if any(second <= first for first, second in pairwise(one.edges)):
            return f"reference of {name}: expected edges that ascend"
    return ""


def _refused(where: str, detail: str) -> Refused:
    return Refused("model-invalid", f"{where}: {detail}", status=422)
