"""The demo on a terminal: a live table; in a pipe a plain line every few seconds."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ringwork.world.drive import Tally
from ringwork.world.long_tail import ADS
from ringwork.world.pace import Pace

LINE_EVERY_S: Final = 5
STOCK: Final = "Long tail"
BAR_WIDTH: Final = 40


class Display:
    """Shows the tally until closed."""

    def __init__(self, tally: Tally, *, pace: Pace, link: str, url: str, paper: str) -> None:
        self._tally = tally
        self._clock = pace.clock()
        self._link = link
        self._url = url
        self._paper = paper
        self._pace = pace
        self._closed = asyncio.Event()
        self._last = (0, self._clock.monotonic_ns())

    def close(self) -> None:
        """End the display after its last state."""
        self._closed.set()

    async def run(self) -> None:
        """Show until closed."""
        if sys.stderr.isatty():
            await self._live()
        else:
            await self._lines()

    async def _live(self) -> None:
        with Live(self.table(), console=Console(stderr=True), refresh_per_second=4) as live:
            while not await self._ended(0.25):
                live.update(self.table())
            live.update(self.table())

    async def _lines(self) -> None:
        sys.stderr.write(
            f"Ringwork demo at {self._url}, console {self._url}/console/, "
            f"a newspaper at {self._paper}/\n"
        )
        while not await self._ended(LINE_EVERY_S):
            sys.stderr.write(self.line() + "\n")
        sys.stderr.write(self.line() + "\n")

    async def _ended(self, after_s: float) -> bool:
        try:
            await asyncio.wait_for(self._closed.wait(), after_s)
        except TimeoutError:
            return False
        return True

    def _values(self) -> list[tuple[str, str]]:
        tally, now_ns = self._tally, self._clock.monotonic_ns()
        views, since_ns = self._last
        rate = (tally.views - views) / max((now_ns - since_ns) / 1e9, 1e-9)
        if now_ns - since_ns > 2_000_000_000:
            self._last = (tally.views, now_ns)
        world_us = self._clock.wall_us()
        is_fast = world_us < self._pace.world_end_us
        pace = f"{self._pace.speed} times real time" if is_fast else "real time"
        filled = tally.filled / tally.views if tally.views else 0.0
        moment = datetime.fromtimestamp(world_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return [
            ("World time", f"{moment}, {pace}"),
            (STOCK, f"{tally.ads:,} of {ADS:,} ads in the market"),
            ("Page views", f"{tally.views:,} ({rate:,.0f}/s), {filled:.1%} filled"),
            ("Spend", "-" if tally.spend is None else str(tally.spend)),
            ("Impressions", f"{tally.acts['impression']:,}"),
            ("Clicks", f"{tally.acts['click']:,}"),
            ("Conversions", f"{tally.acts['conversion']:,}"),
            ("Answer time, p99", f"{tally.p99_ms:.1f} ms, as the client sees it"),
            ("Refused, unanswered", f"{tally.refused:,}, {tally.errors:,}"),
            ("Left out", f"{tally.skipped:,} views that this machine was too slow for"),
        ]

    def table(self) -> Table:
        """Where things stand, for a terminal."""
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_row("[b]Console[/b]", Text(f"{self._link} (signs in once)", overflow="fold"))
        table.add_row(
            "Newspaper", Text(f"{self._paper}/ (ads as readers chose them)", overflow="fold")
        )
        for name, value in self._values():
            table.add_row(name, value)
            if name == STOCK and self._tally.ads < ADS:
                table.add_row("", ProgressBar(ADS, self._tally.ads, width=BAR_WIDTH))
        table.add_row("", "Ctrl-C stops; the next start goes on from here.")
        return table

    def line(self) -> str:
        """Where things stand, for a pipe."""
        return ", ".join(f"{name.lower()} {value}" for name, value in self._values())
