"""``ringwork gate``: limits, contact importing, analysis and simulation against scraping."""

from __future__ import annotations

from cyclopts import App

app = App(
    name="gate",
    help="Anti-scraping: limits, contact importing, log analysis, simulation.",
    help_format="plaintext",
)
app.command("ringwork.cli.gate_simulate:simulate", name="simulate")
