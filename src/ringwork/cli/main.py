"""Entry point: parse, run, and turn what went wrong into a sentence and an exit code.

Exit codes: 0 ok, 1 violations found, 2 usage or configuration, 3 data corrupt or disk failed, 4
busy or unreachable, 130 interrupted. Never a traceback for a user's mistake.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from ringwork import __version__
from ringwork.kernel.errors import (
    Busy,
    ConfigurationError,
    LogCorrupt,
    Refused,
    RingworkError,
    SealBroken,
    StorageFull,
)

OK: Final = 0
VIOLATIONS: Final = 1
USAGE: Final = 2
CORRUPT: Final = 3
BUSY: Final = 4
INTERRUPTED: Final = 130

app = App(
    name="ringwork",
    help="An ad platform with the constraints built in: one auction, one log, exact money.",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
)
app.command("ringwork.cli.serve:serve", name="serve")
app.command("ringwork.cli.demo:demo", name="demo")
app.command("ringwork.cli.keys:app", name="keys")
app.command("ringwork.cli.ads:app", name="ads")
app.command("ringwork.cli.log:app", name="log")
app.command("ringwork.cli.trace:trace", name="trace")
app.command("ringwork.cli.erase:erase", name="erase")
app.command("ringwork.cli.config:app", name="config")
app.command("ringwork.cli.verify:verify", name="verify")
app.command("ringwork.cli.bench:bench", name="bench")


def main(tokens: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(tokens))


def run(tokens: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        result = app(tokens, exit_on_error=False, print_error=True)
        sys.stdout.flush()
    except CycloptsError:
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: not our failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (RingworkError, OSError) as error:
        print(f"ringwork: {_told(error)}", file=sys.stderr)
        return exit_code_of(error)
    return result if isinstance(result, int) else OK


def exit_code_of(error: Exception) -> int:
    """Which of the exit codes an error ends with."""
    if isinstance(error, Busy):
        return BUSY
    if isinstance(error, LogCorrupt | SealBroken | StorageFull | OSError):
        return CORRUPT
    if isinstance(error, ConfigurationError | Refused):
        return USAGE
    return CORRUPT


def _told(error: Exception) -> str:
    return error.detail if isinstance(error, Refused) else str(error)
