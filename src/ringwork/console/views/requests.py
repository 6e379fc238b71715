"""The requests: which one is it, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

from msgspec import Struct, structs

from ringwork.console.facts import RequestLine, RequestsFacts, Search
from ringwork.console.format import count, percent, plural, second, stamp
from ringwork.console.pages import Bold, Page, say

OUTCOMES: Final = {
    "sold": "sold",
    "billed": "billed",
    "clicked": "clicked",
    "unsold": "not sold",
}
_TAGS: Final = {"sold": "open", "billed": "good", "clicked": "good", "unsold": "off"}


class RequestRow(Struct, frozen=True, kw_only=True):
    """An ad request in a table."""

    request_id: str
    href: str
    ts_us: int
    source: str
    place: str
    placement: str
    formats: str
    won: str
    price_nanos: int | None
    currency: str
    outcome: str
    tag: str


class RequestsBody(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    search: Search
    asked: bool
    rows: list[RequestRow]
    older_href: str


def request_href(request_id: str) -> str:
    """The trace of a request."""
    return f"/console/requests/{quote(request_id, safe='')}"


def requests(facts: RequestsFacts, search: Search) -> Page:
    """The page from its facts and the form that asked for them."""
    rows = [_row(line, facts.names) for line in facts.lines]
    asked = bool(search.id or search.campaign or search.placement or search.outcome)
    body = RequestsBody(
        search=search, asked=asked, rows=rows, older_href=_older(search, facts.older)
    )
    return Page(
        name="requests",
        title="Requests",
        question="Which request is it, and what became of it?",
        answer=say(*_answer(facts.lines, asked=asked, more=bool(facts.older))),
        now_us=facts.now_us,
        body=body,
        notes=(f"as of {stamp(facts.now_us)}", "newest first"),
        command="ringwork log export --out ./export",
    )


def _row(line: RequestLine, names: Mapping[str, str]) -> RequestRow:
    won = ", ".join(dict.fromkeys(names.get(id, id) for id in line.campaigns))
    return RequestRow(
        request_id=line.request_id,
        href=request_href(line.request_id),
        ts_us=line.ts_us,
        source=line.source,
        place=line.place,
        placement=line.placement,
        formats=line.formats,
        won=won,
        price_nanos=line.price_nanos if line.sold else None,
        currency=line.currency,
        outcome=OUTCOMES[line.outcome],
        tag=_TAGS[line.outcome],
    )


def _older(search: Search, before: int) -> str:
    if not before:
        return ""
    asked = structs.asdict(structs.replace(search, before=before))
    return "/console/requests?" + urlencode({name: value for name, value in asked.items() if value})


def _answer(lines: Sequence[RequestLine], *, asked: bool, more: bool) -> list[str | Bold]:
    if not lines:
        return ["No request fits." if asked else "No ad has been asked for yet."]
    sold = sum(line.sold > 0 for line in lines)
    head = (
        f"The latest {plural(len(lines), 'request')}"
        if more or not asked
        else plural(len(lines), "request")
    )
    span = f"{second(lines[-1].ts_us)} to {second(lines[0].ts_us)} UTC"
    return [
        head,
        f" from {span}: ",
        Bold(f"{count(sold)} sold something"),
        f" ({percent(sold, len(lines))}).",
    ]
