"""From a page model to what goes over the wire: full HTML, the fragment for htmx, or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Final, Literal
from urllib.parse import parse_qsl, urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec import Struct

from ringwork.console import charts, fairness_charts, format, plan_charts
from ringwork.console.pages import NAVIGATION, Page, Shell
from ringwork.console.views.fairness_words import named
from ringwork.console.views.life import STATES
from ringwork.kernel.money import Money

Scheme = Literal["", "light", "dark"]


class Frame(Struct, frozen=True, kw_only=True):
    """What the layout needs beside the page: who looks and how."""

    shell: Shell
    path: str
    """The address of the page with its query: where forms come back to."""
    scheme: Scheme = ""
    csrf: str = ""
    signed_in: bool = False
    """By a cookie, which a form can end; an API key has nothing to end."""
    scopes: frozenset[str] = frozenset(item.scope for _, items in NAVIGATION for item in items)
    """What the visitor may see: the navigation shows no more."""
    assets: Mapping[str, str] = {}
    """Static file -> its address with its hash."""


def environment() -> Environment:
    """The templates with the console's own filters; strict, escaped, no data marked as safe."""
    env = Environment(
        loader=PackageLoader("ringwork.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in (
        "amount",
        "chance",
        "count",
        "day",
        "duration",
        "exact",
        "factor",
        "in_words",
        "millisecond",
        "minute",
        "money",
        "percent",
        "plural",
        "price",
        "second",
        "share",
        "short_id",
        "size",
        "stamp",
        "symbol",
        "tail_id",
    ):
        env.filters[name] = getattr(format, name)
    env.filters["with_query"] = with_query
    env.filters["fairness_named"] = named
    env.filters["to_the_nano"] = _to_the_nano
    env.globals.update(
        navigation=NAVIGATION,
        states=STATES,
        sparkline=charts.sparkline,
        bar=charts.bar,
        strip=charts.strip,
        ratio_mark=charts.ratio_mark,
        corridor=tuple(map(charts.ratio_place, charts.CORRIDOR)),
        budget_bar=charts.budget_bar,
        flow_chart=charts.flow_chart,
        spend_chart=charts.spend_chart,
        plan_chart=plan_charts.plan_chart,
        difference_chart=plan_charts.difference_chart,
        pace_chart=plan_charts.pace_chart,
        series_chart=charts.series_chart,
        reach_mark=charts.reach_mark,
        interval_mark=fairness_charts.interval_mark,
        fairness_scale=fairness_charts.scale_mark,
        coverage_mark=fairness_charts.coverage_mark,
        history_chart=fairness_charts.history_chart,
        steps_chart=fairness_charts.steps_chart,
        line_key=fairness_charts.line_key,
        frontier_chart=fairness_charts.frontier_chart,
    )
    return env


def with_query(address: str, **members: str) -> str:
    """The address with these members of its query set, or removed where they are empty.

    >>> with_query("/console/?live=off&page=2", live="", format="json")
    '/console/?page=2&format=json'
    """
    path, _, query = address.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if name not in members]
    written = urlencode([*kept, *((name, value) for name, value in members.items() if value)])
    return f"{path}?{written}" if written else path


def _to_the_nano(value: Money) -> str:
    return format.exact(value.total_nanos)


class Renderer:
    """Renders pages; made once, holds the compiled templates."""

    def __init__(self) -> None:
        self._env = environment()

    def html(self, page: Page, frame: Frame, *, fragment: bool = False) -> str:
        """The whole document, or for htmx only its ``main``."""
        template = self._env.get_template("main.html" if fragment else "layout.html")
        return template.render(
            page=page, frame=frame, body=page.body, shell=frame.shell, nav=nav_name(page)
        )

    def sign_in(self, *, answer: str, token: str, scheme: Scheme, assets: Mapping[str, str]) -> str:
        """The page for who is not signed in; with ``token`` its button redeems the link."""
        return self._env.get_template("sign-in.html").render(
            answer=answer, token=token, scheme=scheme, assets=assets
        )


_CURRENT: Final = {
    "trace": "requests",
    "fairness_ad": "fairness",
    "fairness_log": "fairness",
    "campaign": "campaigns",
    "conversions": "campaigns",
    "changes": "campaigns",
    "form": "campaigns",
    "creative": "campaigns",
    "advertiser": "advertisers",
    "audience": "audiences",
    "publisher": "publishers",
    "invoice": "invoices",
    "account": "ledger",
    "transfer": "ledger",
}


def nav_name(page: Page) -> str:
    """Which entry of the navigation a page belongs to."""
    return page.entry or _CURRENT.get(page.name, page.name)


def json_of(page: Page) -> bytes:
    """The page for programs: its answer as a sentence and its model as data."""
    return msgspec.json.encode(
        {
            "page": page.name,
            "subject": page.subject,
            "question": page.question,
            "answer": page.answer.text,
            "as_of_us": page.now_us,
            "command": page.command,
            "data": page.body,
        }
    )


def static_files() -> dict[str, bytes]:
    """Every file the console serves, by its name below ``/console/static/``."""
    root = files("ringwork.console") / "static"
    names = ("console.css", "console.js", "mark.svg", "vendor/htmx.min.js")
    return {name: root.joinpath(name).read_bytes() for name in names}
