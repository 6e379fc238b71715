"""A progress line on stderr for work that takes longer than two seconds.

Silent in pipes and tests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting() -> Iterator[Callable[[str, int], None]]:
    """Yields ``progress(what, count)``; it shows a spinner with the count when people look on."""
    if not sys.stderr.isatty():
        yield lambda what, count: None
        return
    from rich.console import Console  # noqa: PLC0415  # only where somebody looks on
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description} {task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None)
        yield lambda what, count: shown.update(task, description=what, completed=count)
