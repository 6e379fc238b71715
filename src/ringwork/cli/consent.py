"""``ringwork consent``: what people chose, and what some of them pay."""

from __future__ import annotations

from cyclopts import App

app = App(name="consent", help="Consent signals, and subscriptions without ads.")
app.command("ringwork.cli.consent_subscriptions:app", name="subscriptions")
