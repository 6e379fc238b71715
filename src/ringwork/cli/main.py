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
    LogCorrupt,
    Refused,
    RingworkError,
    SealBroken,
    StorageFull,
    Unavailable,
)

OK: Final = 0
VIOLATIONS: Final = 1
USAGE: Final = 2
CORRUPT: Final = 3
BUSY: Final = 4
INTERRUPTED: Final = 130

# A path that the user named wrongly, not a disk that fails.
_WRONG_PATHS: Final = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)

COMMANDS: Final = {
    "serve": ("serve:serve", "Start the platform and serve until Ctrl-C."),
    "demo": ("demo:demo", "Start the platform with a simulated world on it."),
    "keys": ("keys:app", "Make, list and revoke API keys."),
    "ads": ("ads:app", "Advertisers, campaigns, creatives, publishers, placements."),
    "consent": ("consent:app", "Consent: what signals say, people decided, and subscribers pay."),
    "fairness": ("fairness:app", "Housing, employment and credit ads: measure, steer, prove."),
    "gate": ("gate:app", "Anti-scraping: limits, contacts, log analysis, simulation."),
    "log": ("log:app", "Check, export and salvage the event log."),
    "trace": ("trace:trace", "Show what a request caused, as a tree."),
    "access": (
        "access:access",
        "Print what the log holds about a subject, unsealed.",
    ),
    "erase": ("erase:erase", "Delete a subject's keys, and prove that nothing can be read."),
    "config": ("config:app", "Look at the settings."),
    "verify": ("verify:verify", "Check the nine promises on a data directory."),
    "bench": ("bench:bench", "Measure the goals beside their peers (needs the source tree)."),
}
"""Name -> (where it is, below this package; summary for the list of commands)."""


def command_line(*, is_listing: bool) -> App:
    """The parser. Commands are imported when they are called.

    The summaries are given only where the commands are listed: cyclopts would show them in place of
    a command's own help.
    """
    app = App(
        name="ringwork",
        help="An ad platform with the constraints built in: one auction, one log, exact money.",
        version=__version__,
        help_format="plaintext",
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for name, (target, summary) in COMMANDS.items():
        help_text = summary if is_listing else None
        app.command(f"ringwork.cli.{target}", name=name, help=help_text)
    return app


def main(tokens: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(tokens))


def run(tokens: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    given = options_last(list(sys.argv[1:] if tokens is None else tokens))
    app = command_line(is_listing=not given or given[0].startswith("-"))
    try:
        result = app(given, exit_on_error=False, print_error=True)
        sys.stdout.flush()
    except CycloptsError:
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: not our failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise  # a mistake of ours, with all that helps to find it
        print(f"ringwork: {_told(error)}", file=sys.stderr)
        return code
    return result if isinstance(result, int) else OK


def options_last(tokens: list[str]) -> list[str]:
    """Options of every command may stand before it too: ``ringwork --json verify``."""
    end = 0
    while end < len(tokens):
        name, _, value = tokens[end].partition("=")
        if name == "--json":
            end += 1
        elif name in ("--data", "--config"):
            end += 1 if value else 2
        else:
            break
    command, separator, rest = tokens[end:], [], []
    if "--" in command:
        at = command.index("--")
        command, separator, rest = command[:at], ["--"], command[at + 1 :]
    return [*command, *tokens[:end], *separator, *rest]


def exit_code_of(error: Exception) -> int | None:
    """Which of the exit codes an error ends with; None for one that nobody raised on purpose."""
    match error:
        case LogCorrupt() | SealBroken() | StorageFull():
            return CORRUPT
        case Busy() | Unavailable() | ConnectionError():
            return BUSY
        case RingworkError():
            return USAGE
        case OSError():
            return USAGE if isinstance(error, _WRONG_PATHS) else CORRUPT
    return CORRUPT if _database_error(error) else None


def _database_error(error: Exception) -> Exception | None:
    """SQLite's own error, also where SQLAlchemy wraps it, without loading either."""
    sqlite3 = sys.modules.get("sqlite3")
    cause = getattr(error, "orig", error)
    return cause if sqlite3 is not None and isinstance(cause, sqlite3.DatabaseError) else None


def _told(error: Exception) -> str:
    if isinstance(error, Refused):
        return error.detail
    damaged = _database_error(error)
    return str(error) if damaged is None else f"a database of the store cannot be read: {damaged}"
