"""``ringwork gate audit``: what of an interface invites scraping."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape

from ringwork.cli.options import DEFAULTS, Options
from ringwork.gate.audit.openapi import SEVERITIES, Finding
from ringwork.gate.audit.openapi import audit as audited
from ringwork.gate.policy.load import parse_policy

FOUND = 1


def audit(description: Path, /, *, policy: Path | None = None, options: Options = DEFAULTS) -> int:
    """Find the scraping vectors of an interface in its OpenAPI description.

    Needs neither a server nor a data directory. Ends with 1 where something of severity high is
    found, with 0 where nothing is.

    Example: ringwork gate audit openapi.json --policy gate.yaml

    Parameters
    ----------
    description
        An OpenAPI description, version 3, as JSON.
    policy
        Say what this policy leaves unbounded.
    """
    limits = None if policy is None else parse_policy(policy.read_bytes(), where=str(policy))
    found = audited(description.read_bytes(), where=str(description), policy=limits)
    worst = any(one.severity == "high" for one in found)
    if options.json:
        print(msgspec.json.encode({"findings": found}).decode())
    else:
        _print(found)
    return FOUND if worst else 0


def _print(found: list[Finding]) -> None:
    console = Console()
    for one in found:
        console.print(f"[bold]{one.severity:6}[/] {escape(one.operation)}  {one.rule}")
        console.print(f"       {escape(one.detail)}")
        for line in one.proposal.splitlines():
            console.print(f"       [dim]{escape(line)}[/]")
    counts = Counter(one.severity for one in found)
    told = ", ".join(f"{counts[one]} {one}" for one in SEVERITIES if counts[one])
    console.print(f"{len(found)} findings{f': {told}' if told else ''}")
