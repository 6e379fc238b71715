"""``ringwork consent``: what people decided, and the proof of it."""

from __future__ import annotations

from cyclopts import App

from ringwork.cli.consent_ledger import app as ledger

app = App(name="consent", help="What people decided, and the proof of it.")
app.command(ledger)
