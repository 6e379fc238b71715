"""``ringwork access``: everything that the log holds about a subject, for the subject itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ringwork.app.call import call, store_of
from ringwork.cli.answer import answer_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting


def access(subject: str, /, *, out: Path | None = None, options: Options = DEFAULTS) -> int:
    """Print what the log holds about a subject, unsealed.

    Example: ringwork access person/4711 --out 4711.json

    Parameters
    ----------
    subject:
        person/ID for a person, advertiser/ID for an account contact, customer/REFERENCE for a
        conversion's customer.
    out:
        JSON file to write instead; only its owner may read it.
    """
    settings = options.settings()
    store_of(settings)
    events: list[dict[str, Any]] = []
    after: str | None = "0"
    pseudonym = ""
    with counting() as progress:
        while after is not None:
            page = answer_of(
                call(settings, "POST", "/v1/access", {"subject": subject, "after": after})
            )
            events += page["events"]
            pseudonym, after = page["subject"], page["next"]
            progress("events found", len(events))
    found = {"subject": subject, "pseudonym": pseudonym, "events": events}
    if out is not None:
        out.touch(mode=0o600)
        out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    lines = [f"{subject}: {len(events)} events name it"]
    for one in events:
        members = ", ".join(f"{name} {value}" for name, value in one["payload"].items())
        lines.append(f"  {one['seq']} {one['type']}: {members}")
    options.show(found, f"{lines[0]}, in {out}" if out is not None else "\n".join(lines))
    return 0
