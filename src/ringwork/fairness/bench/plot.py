"""The frontier as one SVG file: what coverage a controller reaches, and at which cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 720
HEIGHT: Final = 460
LEFT: Final = 64
RIGHT: Final = 28
TOP: Final = 62
BOTTOM: Final = 60
LABEL: Final = 15
"""Height of a label: two of them nearer than that are drawn apart."""

_STYLE: Final = """
svg { color-scheme: light dark; background: #fff; color: #1c1f24; font: 13px system-ui, sans-serif }
.grid { stroke: #d8dce2 } .axis { fill: #565d68 } .point { fill: #0b5cad }
.title { font-weight: 600; font-size: 15px }
@media (prefers-color-scheme: dark) {
  svg { background: #15181d; color: #e7eaee }
  .grid { stroke: #343a44 } .axis { fill: #a5adb8 } .point { fill: #6cb2ff }
}
"""


def frontier(points: Mapping[str, tuple[float, float]], *, title: str, across: str, up: str) -> str:
    """``points``: name -> (cost over none, coverage in [0, 1]). Up and to the left is better."""
    most = max([1.1, *(cost for cost, _ in points.values())])
    least = min([1.0, *(cost for cost, _ in points.values())])
    wide = most - least
    step = next((one for one in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if wide / one <= 8), wide / 8)

    def x(cost: float) -> float:
        return LEFT + (cost - least) / (wide * 1.12) * (WIDTH - LEFT - RIGHT)

    def y(coverage: float) -> float:
        return HEIGHT - BOTTOM - coverage * (HEIGHT - TOP - BOTTOM)

    told = "; ".join(
        f"{name}: cost {cost:.2f}, coverage {share:.0%}" for name, (cost, share) in points.items()
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="title desc"><style>{_STYLE}</style>'
        f'<title id="title">{escape(title)}</title><desc id="desc">{escape(told)}</desc>',
        f'<text class="title" fill="currentColor" x="{LEFT}" y="28">{escape(title)}</text>',
    ]
    for tenth in range(0, 11, 2):
        at = y(tenth / 10)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="axis" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">'
            f"{tenth * 10} %</text>"
        )
    for number in range(int(wide / step) + 1):
        cost = least + number * step
        parts.append(
            f'<text class="axis" x="{x(cost):.1f}" y="{HEIGHT - BOTTOM + 20}" '
            f'text-anchor="middle">{cost:.2f}</text>'
        )
    parts.append(
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" '
        f'text-anchor="middle">{escape(across)}</text>'
        f'<text class="axis" x="{LEFT}" y="{TOP - 14}">{escape(up)}</text>'
    )
    places = _apart([(x(cost), y(share), name) for name, (cost, share) in points.items()])
    for (name, (cost, share)), label in zip(points.items(), places, strict=True):
        end = x(cost) > WIDTH - 130
        parts.append(
            f'<circle class="point" cx="{x(cost):.1f}" cy="{y(share):.1f}" r="5"/>'
            f'<text fill="currentColor" x="{x(cost) + (-10 if end else 10):.1f}" '
            f'y="{label + 4:.1f}"{" text-anchor=" + chr(34) + "end" + chr(34) if end else ""}>'
            f"{escape(name)}</text>"
        )
    return "".join([*parts, "</svg>\n"])


def _apart(points: Sequence[tuple[float, float, str]]) -> list[float]:
    """Heights of the labels, moved until none that are side by side overlap."""
    placed: list[tuple[float, float, float]] = []
    out = [0.0] * len(points)
    for at in sorted(range(len(points)), key=lambda one: points[one][1]):
        across, height, name = points[at]
        wide = 10 + 8 * len(name)
        for other, other_height, other_wide in sorted(placed, key=lambda one: one[1]):
            is_beside = other < across + wide and across < other + other_wide
            if is_beside and abs(other_height - height) < LABEL:
                height = other_height + LABEL
        placed.append((across, height, wide))
        out[at] = height
    return out
