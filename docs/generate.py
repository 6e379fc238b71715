"""Write the reference pages from the code, so that they are complete.

HTTP, commands, events, settings, metrics, problems, and the figures in benchmarks/results.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from cyclopts import App

from ringwork.ads.http import SLUGS as ADS_SLUGS
from ringwork.ads.http_reports import SLUGS as REPORT_SLUGS
from ringwork.app.compose import create
from ringwork.app.ledger_http import SLUGS as LEDGER_SLUGS
from ringwork.app.memory import EVENTS
from ringwork.app.settings import Settings
from ringwork.cli.main import COMMANDS
from ringwork.consent.choice.http import SLUGS as CHOICE_SLUGS
from ringwork.consent.http import SLUGS as CONSENT_SLUGS
from ringwork.consent.subscriptions.http import SLUGS as SUBSCRIPTION_SLUGS
from ringwork.fairness.slugs import SLUGS as FAIRNESS_SLUGS
from ringwork.gate.slugs import SLUGS as GATE_SLUGS
from ringwork.kernel.setting import settings_of
from ringwork.web.keys import ROLES, SCOPES
from ringwork.web.metrics import NAMES
from ringwork.web.problems import SLUGS

HERE = Path(__file__).parent
REFERENCE = HERE / "reference"
RESULTS = HERE.parent / "benchmarks" / "results" / "foundation.json"
NOTE = "This page is written by `make docs` from the code."
METHODS = ("get", "post", "patch", "delete", "put")


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; bars and line breaks in cells are escaped."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell(one) for one in line) + " |" for line in lines)


def cell(value: object) -> str:
    """One cell."""
    return str(value).replace("|", "\\|").replace("\n", " ")


def document() -> dict[str, Any]:
    """The OpenAPI document of the application."""
    with tempfile.TemporaryDirectory() as folder:
        app = create(Settings(data=folder))
        try:
            found: dict[str, Any] = msgspec.json.decode(app.document())
        finally:
            app.platform.close()
    return found


def http() -> str:
    """Every endpoint with what it is for."""
    rows = []
    for path, operations in sorted(document()["paths"].items()):
        for method in METHODS:
            operation = operations.get(method)
            if operation is not None:
                text = operation.get("description") or operation.get("summary", "")
                rows.append((f"`{method.upper()} {path}`", text, key_of(operation)))
    roles = table(
        ("Scope", "Allows", "Roles"),
        (
            (f"`{scope}`", text, ", ".join(role for role in ROLES if scope in ROLES[role]))
            for scope, text in SCOPES.items()
        ),
    )
    return f"""# HTTP

{NOTE} The same as OpenAPI 3.1, with every schema, stands at `/openapi.json` of a running server;
the console, `/metrics` and `/openapi.json` itself are not listed.

Send an API key as `Authorization: Bearer rw_...`; `ringwork keys create --role ROLE` makes one. Bodies are
JSON, decoded strictly; refusals are [problem details](problems.md).

{table(("Endpoint", "What it does", "Idempotency-Key"), rows)}

## Scopes and roles

{roles}

## Durability

Answers of commands, sold ads and beacons are sent after the disk has them. Relaxed is only the event
`answer_timed`, which bills nothing: at most the last batch of it is lost with the power.
"""


def key_of(operation: Mapping[str, Any]) -> str:
    """Whether the operation takes an idempotency key."""
    for parameter in operation.get("parameters", []):
        if parameter["name"] == "Idempotency-Key":
            return "required" if parameter["required"] else "optional"
    return ""


def events() -> str:
    """Every event type with its members, personal ones marked."""
    parts = []
    for event in sorted(EVENTS, key=lambda one: one.TYPE):
        members = table(
            ("Member", "Type"),
            (
                (f"`{field.name}`", f"`{type_name(field.type)}`")
                for field in msgspec.structs.fields(event)
            ),
        )
        personal = ", ".join(f"`{name}`" for name in event.PERSONAL) or "none"
        parts.append(
            f"## `{event.TYPE}`\n\n{doc(event)}\n\nVersion {event.VERSION}. "
            f"Personal members: {personal}. Kept {event.RETENTION}.\n\n{members}"
        )
    joined = "\n\n".join(parts)
    return f"""# Events

{NOTE} Every event has the envelope `id, ts_us, type, version, request_id, cause_id, tenant, subject,
purpose`; below are the payloads. Members are appended, never edited; a changed meaning is a new version.

{joined}
"""


def doc(thing: type) -> str:
    """The docstring as one paragraph."""
    return " ".join((thing.__doc__ or "").split())


def type_name(annotation: object) -> str:
    """A type as it is written."""
    return getattr(annotation, "__name__", None) or str(annotation).replace("typing.", "")


def settings() -> str:
    """Every setting with its default, bounds and purpose."""
    defaults = Settings()
    rows = []
    for one in settings_of(Settings):
        value: Any = defaults
        for name in one.key.split("."):
            value = getattr(value, name, None)
        shown = "" if value is None else f"`{value!r}`"
        allowed = one.allowed.replace("[^", "\\[^")  # which would begin a footnote
        rows.append((f"`{one.key}`", shown, allowed, one.description))
    return f"""# Settings

{NOTE} In this order, the later wins: defaults, `./ringwork.toml` (or `--config FILE`), environment
variables (`RINGWORK_HTTP__PORT=9000` sets `http.port`), flags. `ringwork config show --explain` says
where each value of yours came from.

{table(("Setting", "Default", "Allowed", "What it is for"), rows)}
"""


def metrics() -> str:
    """Every metric."""
    rows = ((f"`{name}`", text) for name, text in NAMES.items())
    return f"# Metrics\n\n{NOTE} Prometheus text at `/metrics`, scope `log:read`.\n\n{table(('Metric', 'What it says'), rows)}\n"


def problems() -> str:
    """Every problem slug."""
    listed = {
        **SLUGS, **LEDGER_SLUGS, **ADS_SLUGS, **REPORT_SLUGS,
        **CHOICE_SLUGS, **CONSENT_SLUGS, **FAIRNESS_SLUGS, **GATE_SLUGS, **SUBSCRIPTION_SLUGS,
    }  # fmt: skip
    rows = ((f"`{slug}`", status, text) for slug, (status, text) in sorted(listed.items()))
    return f"""# Problems

{NOTE} Every refusal is `application/problem+json` (RFC 9457) with
`"type": "urn:ringwork:problem:<slug>"`; programs match the slug, people read `detail`, `errors` points
into the body.

{table(("Slug", "Status", "When"), rows)}
"""


def cli() -> str:
    """Every command with its help."""
    rows = ((f"`ringwork {name}`", text) for name, text in sorted(command_texts().items()))
    return f"""# Commands

{NOTE} Every command takes `--data DIR`, `--config FILE` and `--json` (JSON lines on stdout and nothing
else), and says more with `--help`.

{table(("Command", "What it does"), rows)}

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | violations found |
| 2 | usage or configuration |
| 3 | data corrupt, or the disk failed |
| 4 | busy or unreachable |
| 130 | interrupted |
"""


def command_texts() -> dict[str, str]:
    """Full command name -> first line of its help."""
    found: dict[str, str] = {}
    for name, (target, summary) in COMMANDS.items():
        module, _, attribute = target.partition(":")
        thing = getattr(import_module(f"ringwork.cli.{module}"), attribute)
        if isinstance(thing, App):
            found.update(texts_below(name, thing))
        else:
            found[name] = summary
    return found


def texts_below(name: str, app: App) -> dict[str, str]:
    """The same of every command below one that only groups others."""
    found: dict[str, str] = {}
    for sub in app:
        if not sub.startswith("-"):
            below = texts_below(f"{name} {sub}", app[sub])
            found.update(below or {f"{name} {sub}": first_line(app[sub].help)})
    return found


def first_line(text: str | None) -> str:
    """The first line of a help text."""
    return (text or "").strip().splitlines()[0] if (text or "").strip() else ""


def benchmarks() -> str:
    """The measured figures of the last committed run."""
    if not RESULTS.exists():
        return "# Measured figures\n\nNo run is committed. `make bench` makes one.\n"
    rows = msgspec.json.decode(RESULTS.read_bytes())
    machine = next((row["measured"] for row in rows if row["goal"] == "machine"), "")
    shown = [
        (
            row["goal"],
            row["measured"],
            row["target"],
            row.get("unit", ""),
            peer(row),
            "yes" if row["ok"] else "**no**",
        )
        for row in rows
        if row["goal"] != "machine"
    ]
    heads = ("Goal", "Measured", "Target", "Unit", "Peer, same run", "Met")
    return f"""# Measured figures

{NOTE} The run is `make bench AREA=foundation`, peers side by side in it; the machine: {machine}.
Machines differ and this one is shared: read the ratios, not the absolutes.

{table(heads, shown)}
"""


def peer(row: Mapping[str, Any]) -> str:
    """The peer's figure and the ratio, where there is one."""
    shown = str(row.get("peer", ""))
    return f"{shown} (ratio {row['ratio']})" if row.get("ratio") is not None else shown


PAGES = {
    "reference/http.md": http,
    "reference/cli.md": cli,
    "reference/events.md": events,
    "reference/settings.md": settings,
    "reference/metrics.md": metrics,
    "reference/problems.md": problems,
    "benchmarks.md": benchmarks,
}


def main() -> None:
    """Write every page."""
    for name, write in PAGES.items():
        (HERE / name).write_text(write())


if __name__ == "__main__":
    main()
