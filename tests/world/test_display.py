"""What the demo shows: the same values in a pipe and on a terminal."""

import asyncio
import io
import time

import pytest
from rich.console import Console

from ringwork.kernel.money import Money
from ringwork.world.display import Display
from ringwork.world.drive import Tally
from ringwork.world.long_tail import ADS
from ringwork.world.pace import pace_from

LINK = "http://127.0.0.1:8080/console/sign-in?token=" + "x" * 43


def display_of(tally: Tally, last_us: int = 0) -> Display:
    pace = pace_from(time.time_ns() // 1000, last_us)
    return Display(
        tally, pace=pace, link=LINK, url="http://127.0.0.1:8080", paper="http://127.0.0.1:9"
    )


def a_tally() -> Tally:
    tally = Tally()
    tally.views, tally.filled = 2_000, 1_500
    tally.acts.update(impression=1_400, click=20, conversion=3)
    tally.spend = Money("EUR", 12, 340_000_000)
    tally.latencies_ns.extend(1_000_000 * (1 + number) for number in range(100))
    tally.refused, tally.errors, tally.skipped = 4, 5, 6
    return tally


def test_in_a_pipe_it_is_plain_lines_without_the_link(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        display = display_of(a_tally())
        display.close()
        await display.run()

    asyncio.run(main())
    out, err = capsys.readouterr()
    assert out == ""
    first, *lines = err.splitlines()
    assert first == (
        "Ringwork demo at http://127.0.0.1:8080, console http://127.0.0.1:8080/console/, "
        "a newspaper at http://127.0.0.1:9/"
    )
    assert len(lines) == 1
    for words in (
        "360 times real time", "page views 2,000 (", "75.0% filled", "spend 12.34 EUR",
        "impressions 1,400", "clicks 20", "conversions 3", "p99 100.0 ms", "unanswered 4, 5",
        "left out 6 views",
    ):  # fmt: skip
        assert words in lines[0]
    assert "token" not in err
    assert "\x1b" not in err


def test_a_world_that_has_met_real_time_says_so() -> None:
    display = display_of(Tally(), last_us=time.time_ns() // 1000 + 60_000_000)
    assert "UTC, real time" in display.line()
    assert "spend -" in display.line()


def test_on_a_terminal_the_sign_in_link_is_whole() -> None:
    shown = io.StringIO()
    Console(file=shown, width=60).print(display_of(a_tally()).table())
    together = "".join(part.strip() for part in shown.getvalue().splitlines())
    assert LINK in together.replace(" ", "")
    assert "Ctrl-C" in shown.getvalue()


def test_a_bar_shows_how_much_of_the_long_tail_is_there_until_all_is() -> None:
    def shown(ads: int) -> str:
        tally = a_tally()
        tally.ads = ads
        text = io.StringIO()
        Console(file=text, width=120, color_system="truecolor", force_terminal=True).print(
            display_of(tally).table()
        )
        return text.getvalue()

    assert "25,000 of 100,000 ads" in shown(ADS // 4)
    assert "\u2501" in shown(ADS // 4)  # of a bar
    assert "\u2501" not in shown(ADS)
