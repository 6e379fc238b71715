"""``ringwork fairness``: tables, checks, simulation, reports and the audit of HEC delivery."""

from __future__ import annotations

from cyclopts import App

app = App(
    name="fairness",
    help="Housing, employment and credit ads: measure, steer, prove.",
    help_format="plaintext",
)
app.command("ringwork.cli.fairness_check:check", name="check")
app.command("ringwork.cli.fairness_check:scan", name="scan")
app.command("ringwork.cli.fairness_check:detector", name="detector")
