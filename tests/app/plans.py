"""Plans for towns that are too small for a plan's noise."""

from pathlib import Path

from ringwork.fairness.plan import presets

EXACT = "null"


def plan_with(folder: Path, eligible_sigma: str, *more: str) -> str:
    """The file of a plan as ``united-states``, but for the noise on who is eligible.

    ``more``: lines of YAML for its top level.
    """
    text = presets()["united-states"].decode().replace("epsilon_max: 4.0", "epsilon_max: 4000.0")
    path = folder / f"plan-{eligible_sigma}.yaml"
    path.write_text("\n".join([text, f"eligible_sigma: {eligible_sigma}", *more, ""]))
    return str(path)
