"""Where the labels of a chart go, so that no two of them touch at any width from 320 px on.

Charts are fluid: x is in per cent of a width that is not known here. Labels are placed for the
narrowest plot; as each hangs from one side of its point, more width only pulls them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct, structs

NARROWEST_PX: Final = 280.0
"""The plot of a 320 px window: 288 px between the paddings, less a little for a scroll bar."""
GLYPH_PX: Final = 7.4
"""The widest common fallback face at 12 px, averaged over digits and lower case."""
LINE_PX: Final = 15.0
GAP_PX: Final = 6.0

Anchor = Literal["start", "middle", "end"]


class Label(Struct, frozen=True, kw_only=True):
    """A text at ``x`` (0 to 1 of the width) and baseline ``y`` (pixels), hanging to one side."""

    text: str
    x: float
    y: float
    anchor: Anchor = "start"
    dx: float = 0.0
    css: str = "ink"
    fixed: bool = False
    """It names the line it stands on: where there is no room it is left out, never moved."""

    def span(self, width_px: float) -> tuple[float, float]:
        """Left and right end in pixels at a width of the plot."""
        length = len(self.text) * GLYPH_PX
        at = self.x * width_px + self.dx
        left = at - {"start": 0.0, "middle": length / 2, "end": length}[self.anchor]
        return left, left + length


def touch(one: Label, other: Label, width_px: float = NARROWEST_PX) -> bool:
    """Whether two labels come nearer than a gap."""
    if abs(one.y - other.y) >= LINE_PX:
        return False
    left, right = one.span(width_px)
    other_left, other_right = other.span(width_px)
    return left < other_right + GAP_PX and other_left < right + GAP_PX


def settle(labels: Sequence[Label], *, top: float, bottom: float) -> list[Label]:
    """The labels in order of importance, each moved by whole lines to a free place.

    One that finds none between ``top`` and ``bottom`` is left out: its figure stands as text too.
    """
    placed: list[Label] = []
    steps = int((bottom - top) / LINE_PX) + 1
    for label in labels:
        reach = 0 if label.fixed else steps
        for step in sorted(range(-reach, reach + 1), key=abs):
            y = label.y + step * LINE_PX
            moved = structs.replace(label, y=y)
            if top <= y <= bottom and not any(touch(moved, other) for other in placed):
                placed.append(moved)
                break
    return placed


def axis(marks: Sequence[tuple[float, str]], y: float) -> list[Label]:
    """Labels under an axis: first and last always, those between where there is room."""
    if not marks:
        return []
    last = len(marks) - 1
    middle_out = sorted(range(1, last), key=lambda i: abs(i - last / 2))
    kept: list[tuple[int, Label]] = []
    for index in dict.fromkeys((0, last, *middle_out)):
        x, text = marks[index]
        anchor: Anchor = "start" if x < 0.02 else "end" if x > 0.98 else "middle"
        label = Label(text=text, x=x, y=y, anchor=anchor, css="")
        if not any(touch(label, other) for _, other in kept):
            kept.append((index, label))
    return [label for _, label in sorted(kept, key=lambda pair: pair[0])]
