"""``ringwork fairness``: tables, checks, simulation, reports and the audit of HEC delivery."""

from __future__ import annotations

from cyclopts import App

app = App(
    name="fairness",
    help="Housing, employment and credit ads: measure, steer, prove.",
    help_format="plaintext",
)
app.command("ringwork.cli.fairness_serve:serve", name="serve")
app.command("ringwork.cli.fairness_audit:audit", name="audit")
app.command("ringwork.cli.fairness_audit:report", name="report")
app.command("ringwork.cli.fairness_audit:dossier", name="dossier")
app.command("ringwork.cli.fairness_audit:budget", name="budget")
app.command("ringwork.cli.fairness_log:app", name="log")
app.command("ringwork.cli.fairness_tables:app", name="tables")
app.command("ringwork.cli.fairness_infer:infer", name="infer")
app.command("ringwork.cli.fairness_check:check", name="check")
app.command("ringwork.cli.fairness_check:scan", name="scan")
app.command("ringwork.cli.fairness_check:detector", name="detector")
app.command("ringwork.cli.fairness_bench:bench", name="bench")
app.command("ringwork.cli.fairness_bench:train", name="train")
