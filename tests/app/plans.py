"""Plans whose noise on who is eligible a test chooses."""

from pathlib import Path

from ringwork.fairness.plan import presets


def plan_with(folder: Path, eligible_sigma: str, *more: str) -> str:
    """The file of a plan as ``united-states`` but for that noise; "null": none.

    ``more``: lines of YAML for its top level.
    """
    text = presets()["united-states"].decode()
    path = folder / f"plan-{eligible_sigma}.yaml"
    path.write_text("\n".join([text, f"eligible_sigma: {eligible_sigma}", *more, ""]))
    return str(path)
