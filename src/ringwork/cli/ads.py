"""``ringwork ads``: the catalogue from a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, TypeAlias
from uuid import NAMESPACE_URL, uuid5

import msgspec
from cyclopts import App, Parameter

from ringwork.app.call import call
from ringwork.cli.answer import answer_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.kernel.errors import ConfigurationError

app = App(name="ads", help="Advertisers, campaigns, creatives, publishers, placements.")

File: TypeAlias = Annotated[Path | None, Parameter(allow_leading_hyphen=True)]
"""Where a body is read from; ``-`` is stdin."""

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
    "placements": {
        "id": "Id",
        "publisher_id": "Publisher",
        "format": "Format",
        "width": "Width",
        "height": "Height",
        "floor_nanos": "Floor, nanos",
    },
}


def _noun(noun: str, id: str | None, create: Path | None, options: Options) -> None:
    """List, show one, or create from a file."""
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
    rows: list[dict[str, Any]] = []
    after = "0"
    while after:
        page = answer_of(call(settings, "GET", f"/v1/{noun}?limit=1000&after={after}"))
        rows += page[noun]
        after = page["next"]
    options.table(rows, _COLUMNS[noun], title=noun.capitalize())


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
    id: str | None = None, /, *, create: File = None, options: Options = DEFAULTS
) -> None:
    """List campaigns, show one, or create one from a JSON file.

    Example: ringwork ads campaigns hp-autumn-26

    Parameters
    ----------
    id:
        Show this one.
    create:
        A JSON file as POST /v1/campaigns takes it; - reads stdin.
    """
    _noun("campaigns", id, create, options)


@app.command
def creatives(
    id: str | None = None, /, *, create: File = None, options: Options = DEFAULTS
) -> None:
    """List creatives, show one, or create one from a JSON file.

    Example: ringwork ads creatives --json

    Parameters
    ----------
    id:
        Show this one.
    create:
        A JSON file as POST /v1/creatives takes it; - reads stdin.
    """
    _noun("creatives", id, create, options)


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
