"""``ringwork gate``: limits, contact importing, analysis and simulation against scraping."""

from __future__ import annotations

from cyclopts import App

app = App(
    name="gate",
    help="Anti-scraping: limits, contacts, log analysis, simulation.",
    help_format="plaintext",
)
app.command("ringwork.cli.gate_audit:audit", name="audit")
app.command("ringwork.cli.gate_fit:fit", name="fit")
app.command("ringwork.cli.gate_serve:serve", name="serve")
app.command("ringwork.cli.gate_scan:scan", name="scan")
app.command("ringwork.cli.gate_simulate:simulate", name="simulate")
