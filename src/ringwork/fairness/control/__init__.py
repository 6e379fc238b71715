"""Controllers of delivery: from what a release says to how an ad's bids shift."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from ringwork.fairness.control.model import Controller

CONTROLLERS: Final[Mapping[str, str]] = {
    "dual": "Dual",
    "multiplier": "Multiplier",
    "pid": "Pid",
    "celis": "Celis",
    "mirror": "Mirror",
    "split": "Split",
    "rl": "Learned",
    "oracle": "Oracle",
}
"""Name, which is the module's too, and class. The oracle sees true groups: for the bench only."""


def make_controller(name: str, **gains: Any) -> Controller:
    """A controller by name; ``gains`` are its constructor's.

    ValueError for a name that is none, TypeError for a gain that it has not.
    """
    if name not in CONTROLLERS:
        raise ValueError(f"controller: expected one of {', '.join(CONTROLLERS)}, got {name!r}")
    module = importlib.import_module(f"{__name__}.{name}")
    return cast("Controller", getattr(module, CONTROLLERS[name])(**gains))
