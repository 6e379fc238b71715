"""``ringwork config``: what is set, and where it came from."""

from __future__ import annotations

import msgspec
from cyclopts import App

from ringwork.cli.options import DEFAULTS, Options
from ringwork.kernel.config import explain as explain_settings

app = App(name="config", help="Look at the settings.")


@app.command
def show(*, explain: bool = False, options: Options = DEFAULTS) -> None:
    """Print every setting; with --explain also its origin, its bounds and what it is for.

    Example: ringwork config show --explain

    Parameters
    ----------
    explain:
        Say where each value came from and what it does.
    """
    rows = [msgspec.to_builtins(one) for one in explain_settings(options.load())]
    columns = {"key": "Setting", "value": "Value"}
    if explain:
        columns |= {"origin": "From", "type": "Type", "description": "What it is for"}
    options.table(rows, columns, title="Settings")
