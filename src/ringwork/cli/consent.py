"""``ringwork consent``: what a consent signal says, what people decided, and the proof of it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from ringwork.cli.consent_ledger import app as ledger
from ringwork.cli.options import DEFAULTS, Options
from ringwork.consent.errors import SignalError
from ringwork.consent.explain import TITLES, explain, kind_of, pointed
from ringwork.kernel.errors import RingworkError

UNREADABLE = 1

app = App(
    name="consent",
    help="Consent: what signals say, people decided, and subscribers pay; and its proof.",
    help_format="plaintext",
)
app.command(ledger)
app.command("ringwork.cli.consent_prove:prove", name="prove")
app.command("ringwork.cli.consent_subscriptions:app", name="subscriptions")


@app.command
def decode(
    string: str,
    /,
    *,
    vendor: Annotated[int | None, Parameter()] = None,
    at: str | None = None,
    options: Options = DEFAULTS,
) -> int:
    """Explain a TC, GPP, US Privacy or additional consent string, field by field.

    Needs neither a server nor a data directory. Ends with 1 where the string cannot be read, and
    says at which character; with 0 where it can be read, whether it counts (any longer) or not.

    Example: ringwork consent decode DBABTA~1YNN

    Parameters
    ----------
    string
        The string as it came.
    vendor
        Say what a TC string permits the vendor of this id in the Global Vendor List.
    at
        Judge as of this day or time (2026-06-01, 2026-06-01T12:00:00Z) and not of now.
    """
    kind = kind_of(string)
    try:
        found = explain(string, now_ms=_ms_of(at), vendor_id=vendor)
    except SignalError as error:
        wrong = {"reason": error.reason, "bit": error.bit, "expected": error.expected}
        if options.json:
            options.show({"kind": kind, "valid": False, **wrong}, "")
        else:
            expected = f"; expected {error.expected}" if error.expected else ""
            told = f"{TITLES[kind]}, which cannot be read: {error.reason}{expected}"
            sys.stdout.write(f"{told}\n{pointed(string, error)}\n")
        return UNREADABLE
    if options.json:
        options.show(
            {
                "kind": found.kind,
                "valid": found.valid,
                "reason": found.reason,
                "decoded": found.decoded,
                "lines": msgspec.to_builtins(found.lines),
            },
            "",
        )
        return 0
    rows = [msgspec.to_builtins(line) for line in found.lines]
    columns = {"field": "Field", "value": "Value", "meaning": "Meaning"}
    options.table(rows, columns, title=TITLES[found.kind])
    return 0


def _ms_of(at: str | None) -> int:
    """The given day or time, without a zone UTC, in ms since 1970; else now."""
    try:
        moment = datetime.now(UTC) if at is None else datetime.fromisoformat(at)
    except ValueError:
        raise RingworkError(f"--at: expected a day or time like 2026-06-01, got {at!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
