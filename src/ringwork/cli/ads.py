"""``ringwork ads``: the catalogue from a terminal, its reviews and its history.

Import, model, reports and invoices are in modules of their own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5

import msgspec
from cyclopts import App, Parameter

from ringwork.app.call import call
from ringwork.cli.answer import answer_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.kernel.errors import ConfigurationError

app = App(name="ads", help="Advertisers, campaigns, creatives, publishers, sites, placements.")
app.command("ringwork.cli.ads_import:import_file", name="import")
app.command("ringwork.cli.ads_model:model", name="model")
app.command("ringwork.cli.ads_reports:report", name="report")
app.command("ringwork.cli.ads_reports:forecast", name="forecast")
app.command("ringwork.cli.ads_reports:invoice", name="invoice")

File: TypeAlias = Annotated[Path | None, Parameter(allow_leading_hyphen=True)]
"""Where a body is read from; ``-`` is stdin."""
Status: TypeAlias = Literal["draft", "review", "active", "rejected", "paused", "ended"]
Reviewed: TypeAlias = Literal["campaign", "creative"]

_COLUMNS = {
    "advertisers": {"id": "Id", "name": "Name", "domain": "Domain", "currency": "Currency"},
    "campaigns": {
        "id": "Id",
        "advertiser_id": "Advertiser",
        "pricing": "Pricing",
        "bid_nanos": "Bid, nanos",
        "budget": "Budget",
        "status": "Status",
    },
    "creatives": {"id": "Id", "campaign_id": "Campaign", "format": "Format", "status": "Status"},
    "publishers": {"id": "Id", "name": "Name", "domain": "Domain"},
    "sites": {"id": "Id", "publisher_id": "Publisher", "name": "Name", "domain": "Domain"},
    "placements": {
        "id": "Id",
        "publisher_id": "Publisher",
        "format": "Format",
        "width": "Width",
        "height": "Height",
        "floor_nanos": "Floor, nanos",
    },
}


def _noun(
    noun: str, id: str | None, create: Path | None, options: Options, **filters: str | None
) -> None:
    """List (what the filters let through), show one, or create from a file."""
    settings = options.settings()
    if create is not None:
        body = _read(create)
        # The same file sent twice is one creation: the key follows from what it says.
        key = str(uuid5(NAMESPACE_URL, msgspec.json.encode(body, order="sorted").decode()))
        made = answer_of(
            call(settings, "POST", f"/v1/{noun}", body, headers={"idempotency-key": key})
        )
        options.show(made, f"{made['id']}: created")
        return
    if id is not None:
        item = answer_of(call(settings, "GET", f"/v1/{noun}/{id}"))
        options.show(item, msgspec.json.format(msgspec.json.encode(item), indent=2).decode())
        return
    rows = _all(options, f"/v1/{noun}", noun, **filters)
    options.table(rows, _COLUMNS[noun], title=noun.capitalize())


def _all(options: Options, path: str, noun: str, **filters: str | None) -> list[dict[str, Any]]:
    """Every page of a list."""
    settings = options.settings()
    given = {name: value for name, value in filters.items() if value}
    rows: list[dict[str, Any]] = []
    after = "0"
    while after:
        query = urlencode({**given, "limit": "1000", "after": after})
        page = answer_of(call(settings, "GET", f"{path}?{query}"))
        rows += page[noun]
        after = page["next"]
    return rows


def _read(path: Path) -> Any:
    try:
        text = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return msgspec.json.decode(text)
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file") from None
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path}: not JSON: {error}") from None


@app.command
def advertisers(
    id: str | None = None, /, *, create: File = None, options: Options = DEFAULTS
) -> None:
    """List advertisers, show one, or create one from a JSON file.

    Example: ringwork ads advertisers --create advertiser.json

    Parameters
    ----------
    id:
        Show this one.
    create:
        A JSON file as POST /v1/advertisers takes it; - reads stdin.
    """
    _noun("advertisers", id, create, options)


@app.command
def campaigns(
    id: str | None = None,
    /,
    *,
    create: File = None,
    advertiser: str | None = None,
    status: Status | None = None,
    q: str | None = None,
    options: Options = DEFAULTS,
) -> None:
    """List campaigns, show one, or create one from a JSON file.

    Example: ringwork ads campaigns --status review

    Parameters
    ----------
    id:
        Show this one.
    create:
        A JSON file as POST /v1/campaigns takes it; - reads stdin.
    advertiser:
        Only those of this one.
    status:
        Only those in this status.
    q:
        Only those with this in their id or name.
    """
    _noun("campaigns", id, create, options, advertiser=advertiser, status=status, q=q)


@app.command
def creatives(
    id: str | None = None,
    /,
    *,
    create: File = None,
    campaign: str | None = None,
    status: Status | None = None,
    q: str | None = None,
    options: Options = DEFAULTS,
) -> None:
    """List creatives, show one, or create one from a JSON file.

    Example: ringwork ads creatives --json

    Parameters
    ----------
    id:
        Show this one.
    create:
        A JSON file as POST /v1/creatives takes it; - reads stdin.
    campaign:
        Only those of this one.
    status:
        Only those in this status.
    q:
        Only those with this in their id, name or title.
    """
    _noun("creatives", id, create, options, campaign=campaign, status=status, q=q)


@app.command
def publishers(
    id: str | None = None, /, *, create: File = None, options: Options = DEFAULTS
) -> None:
    """List publishers, show one, or create one from a JSON file.

    Example: ringwork ads publishers

    Parameters
    ----------
    id:
        Show this one.
    create:
        A JSON file as POST /v1/publishers takes it; - reads stdin.
    """
    _noun("publishers", id, create, options)


@app.command
def sites(id: str | None = None, /, *, create: File = None, options: Options = DEFAULTS) -> None:
    """List sites, show one, or create one from a JSON file.

    Example: ringwork ads sites

    Parameters
    ----------
    id:
        Show this one.
    create:
        A JSON file as POST /v1/sites takes it; - reads stdin.
    """
    _noun("sites", id, create, options)


@app.command
def placements(
    id: str | None = None, /, *, create: File = None, options: Options = DEFAULTS
) -> None:
    """List placements, show one, or create one from a JSON file.

    Example: ringwork ads placements article-foot

    Parameters
    ----------
    id:
        Show this one.
    create:
        A JSON file as POST /v1/placements takes it; - reads stdin.
    """
    _noun("placements", id, create, options)


@app.command
def check(file: Path, /, *, options: Options = DEFAULTS) -> None:
    """Say what is wrong with a creative, without creating it.

    Example: ringwork ads check creative.json

    Parameters
    ----------
    file:
        A JSON file as POST /v1/creatives takes it; - reads stdin.
    """
    answer = answer_of(call(options.settings(), "POST", "/v1/creatives/check", _read(file)))
    if options.json:
        options.show(answer, "")
        return
    columns = {"severity": "Severity", "pointer": "Where", "expected": "Expected", "found": "Found"}
    title = "Would be taken" if answer["accepted"] else "Would be refused"
    options.table(answer["findings"], columns, title=title)


@app.command
def review(
    what: Reviewed,
    id: str,
    decision: Literal["approve", "reject", "return"],
    /,
    *,
    reason: str = "",
    options: Options = DEFAULTS,
) -> None:
    """Approve a campaign or a creative, reject it, or return it to its author.

    Example: ringwork ads review creative blue reject --reason "the price is not the shop's"

    Parameters
    ----------
    what:
        A campaign or a creative.
    id:
        Which one.
    decision:
        What is decided.
    reason:
        Needed to reject or return: what the author has to mend.
    """
    body = {"decision": decision, "reason": reason}
    item = answer_of(call(options.settings(), "POST", f"/v1/{what}s/{id}/review", body))
    options.show(item, f"{id}: {item['status']}")


@app.command
def history(what: Reviewed, id: str, /, *, options: Options = DEFAULTS) -> None:
    """Show who changed what of a campaign or a creative, newest first.

    Example: ringwork ads history campaign hp-autumn-26

    Parameters
    ----------
    what:
        A campaign or a creative.
    id:
        Which one.
    """
    rows = _all(options, f"/v1/{what}s/{id}/history", "history")
    if options.json:
        options.table(rows, {}, title="")
        return
    columns = {"ts_us": "Time, us", "by": "By", "action": "What", "member": "Member"}
    shown = [
        {**row, "by": row["by_label"] or row["by"], **change}
        for row in rows
        for change in row["changes"] or [{}]
    ]
    options.table(shown, {**columns, "old": "Old", "new": "New", "reason": "Reason"}, title=id)
