"""From a report's words to one SQL statement: checked, and only what is asked for.

What a caller writes goes into parameters; what is written into the SQL is our own words and
integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from ringwork.ads.reports import facts
from ringwork.ads.reports.facts import Range
from ringwork.ads.reports.vocabulary import (
    DIMENSIONS,
    RANGE_MAX_DAYS,
    RATIOS,
    SUMS,
    Dimension,
    ReportQuery,
)
from ringwork.ads.reports.zones import Spell, local_time, offset_text, spells, zone_of
from ringwork.kernel.errors import Conflict, Fault

_DAY_US: Final = 86_400_000_000
_OF_AUCTIONS: Final = ("requests", "slots", "sold")
_CATALOGUE: Final[Mapping[str, tuple[Dimension, tuple[Dimension, ...]]]] = {
    "campaigns": ("campaign", ("advertiser", "priority")),
    "creatives": ("creative", ("size",)),
    "placements": ("placement", ("site",)),
}
"""Table of the catalogue -> the dimension that it is joined by, those that it gives."""
_TIMES: Final[Mapping[Dimension, str]] = {
    "month": "strftime({local}, '%Y-%m')",
    "day": "strftime({local}, '%Y-%m-%d')",
    "hour": "strftime({local}, '%Y-%m-%dT%H') || {offset}",
    "hour_of_day": "strftime({local}, '%H')",
}


class Compiled(Struct, frozen=True):
    """A statement, what it is given, and what its columns are.

    Rows are: whether it is the totals' row (it comes first), the least and the greatest currency of
    the money in it, the dimensions, the sums.
    """

    sql: str
    parameters: list[object]
    dimensions: tuple[Dimension, ...]
    sums: tuple[str, ...]


def compile_query(query: ReportQuery) -> Compiled:
    """The statement of a report. Conflict ``rule-violated`` names what cannot be."""
    faults = list(_faults(query))
    if faults:
        text = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults)
        raise Conflict("rule-violated", text, errors=faults)
    zone = zone_of(query.time_zone)
    sums = _sums_of(query)
    named = {*query.dimensions, *query.filters}
    parts = _parts(query, sums, named)
    spelled = spells(zone, query.from_us, query.until_us)
    wanted = {name: _expression(name, spelled) for name in DIMENSIONS if name in named}
    parameters: list[object] = []
    where = [_filter(wanted[name], query.filters[name], parameters) for name in query.filters]
    selected = [f"{wanted[name]} AS {name}" for name in query.dimensions]
    added = [f"CAST(coalesce(sum({_added(one)}), 0) AS HUGEINT) AS {one}" for one in sums]
    money = _money(sums)
    by = ", ".join(f'"{name}"' for name in query.dimensions)
    grouped = f"GROUPING SETS (({by}), ())" if by else "()"
    is_total = f"grouping({by}) > 0" if by else "true"
    sql = f"""WITH {parts}
SELECT {is_total} AS is_total,
    min(currency) FILTER ({money}), max(currency) FILTER ({money}),
    {", ".join([*(f'"{name}"' for name in query.dimensions), *added])}
FROM (SELECT {", ".join([*selected, *_facts(query)])} FROM known
    {"WHERE " + " AND ".join(where) if where else ""})
GROUP BY {grouped}
HAVING is_total OR {" OR ".join(f"sum({_added(one)}) <> 0" for one in sums)}
ORDER BY is_total DESC{"".join(f", {one}" for one in _order(query))}
LIMIT {query.limit + 2}"""  # noqa: S608  # words of ours, integers, and placeholders
    return Compiled(sql, parameters, tuple(query.dimensions), sums)


def _faults(query: ReportQuery) -> Iterator[Fault]:
    """What is not a word of reports, is said twice, or is out of bounds."""
    yield from _unknown("/dimensions", query.dimensions, DIMENSIONS)
    yield from _unknown("/measures", query.measures, {**SUMS, **RATIOS})
    if not query.measures:
        yield Fault("/measures", "at least one is needed")
    for name in query.filters:
        if name not in DIMENSIONS:
            yield Fault(f"/filters/{name}", _among(name, DIMENSIONS))
    if query.until_us <= query.from_us:
        yield Fault("/until_us", "must be later than from_us")
    elif query.until_us - query.from_us > RANGE_MAX_DAYS * _DAY_US:
        yield Fault("/until_us", f"at most {RANGE_MAX_DAYS} days after from_us")
    ordered = query.order_by.removeprefix("-")
    allowed = [*query.dimensions, *(one for one in query.measures if one in SUMS)]
    if ordered and ordered not in allowed:
        yield Fault("/order_by", f"{ordered!r} is not a dimension or a sum of this report")


def _unknown(pointer: str, given: Sequence[str], known: Iterable[str]) -> Iterator[Fault]:
    allowed = list(known)
    for position, name in enumerate(given):
        if name not in allowed:
            yield Fault(f"{pointer}/{position}", _among(name, allowed))
        elif name in given[:position]:
            yield Fault(f"{pointer}/{position}", f"{name!r} is said twice")


def _among(name: str, known: Iterable[str]) -> str:
    return f"expected one of {', '.join(known)}, got {name!r}"


def _sums_of(query: ReportQuery) -> tuple[str, ...]:
    """The sums that the measures are made of, each once, in the order of the vocabulary."""
    needed: set[str] = set()
    for measure in query.measures:
        if measure in RATIOS:
            above, _, below = RATIOS[measure]
            needed |= {above, below}
        else:
            needed.add(measure)
    return tuple(name for name in SUMS if name in needed)


def _parts(query: ReportQuery, sums: Sequence[str], named: set[Dimension]) -> str:
    """The common table expressions: facts, their sales, the catalogue, and all of it joined."""
    span = Range(query.from_us, query.until_us)
    types = {one for name in sums for one in facts.TYPES_OF[name]}
    branches, tables = [], []
    if any(name in _OF_AUCTIONS for name in sums):
        branches.append(facts.auctions(span))
    if types and facts.needs_sales(types, named):
        tables.append(f"sales AS ({facts.sales(span.since(facts.lookback_s(types)))})")
        tables.append(f"outcomes AS ({facts.outcomes(types, span)})")
        branches.append(_with_sales())
    elif types:
        branches.append(facts.outcomes(types, span))
    tables.append(f"facts AS ({' UNION ALL BY NAME '.join([*branches, _nothing()])})")
    joined, joins = "SELECT facts.*", ""
    for table, (key, given) in _CATALOGUE.items():
        if not named.isdisjoint(given):
            tables.append(f"{table} AS ({facts.CATALOGUE[table]})")
            joined += "".join(f", {table}.{name}" for name in given)
            joins += f" LEFT JOIN {table} ON facts.{key} = {table}.{key}"
    tables.append(f"known AS ({joined} FROM facts{joins})")
    return ",\n".join(tables)


_OWN: Final = (
    "campaign", "creative", "pricing", "publisher", "placement", "domain", "format", "deal",
    "source", "region", "device", "reason", "currency", "impression_id",
)  # fmt: skip
"""Texts that stand in the facts themselves."""
_EARNED: Final = "coalesce(spend_nanos, 0) - coalesce(fees_nanos, 0)"
_MADE: Final[Mapping[str, str]] = {"earnings_nanos": _EARNED}
"""Sums that follow from others of the same fact."""


def _nothing() -> str:
    """No fact, with every column: what the other branches leave out has its type from here."""
    texts = [f"CAST(NULL AS VARCHAR) AS {name}" for name in _OWN]
    sums = [f"CAST(NULL AS BIGINT) AS {name}" for name in SUMS if name not in _MADE]
    return f"SELECT CAST(0 AS BIGINT) AS ts_us, {', '.join([*texts, *sums])} WHERE false"


def _with_sales() -> str:
    """Outcomes with what their sales say where they do not say it themselves."""
    both = ("publisher", "campaign", "creative", "placement", "pricing", "currency")
    merged = ", ".join(
        f"coalesce(nullif(outcomes.{one}, ''), sales.{one}) AS {one}" for one in both
    )
    other = ("source", "region", "device", "domain", "format", "deal")
    return f"""SELECT outcomes.* EXCLUDE ({", ".join(both)}), {merged},
    {", ".join(f"sales.{one}" for one in other)}
FROM outcomes LEFT JOIN sales ON outcomes.impression_id = sales.impression_id"""  # noqa: S608  # column names of ours


def _expression(name: Dimension, spelled: list[Spell]) -> str:
    time = _TIMES.get(name)
    if time is not None:
        return time.format(local=local_time(spelled), offset=offset_text(spelled))
    return f"coalesce({name}, '')"


def _filter(expression: str, values: Sequence[str], parameters: list[object]) -> str:
    parameters += values
    return f"{expression} IN ({', '.join('?' for _ in values)})"


def _added(name: str) -> str:
    return _MADE.get(name, name)


def _money(sums: Sequence[str]) -> str:
    """SQL that a fact moves money that the report adds up."""
    moved = {"value_nanos", "spend_nanos", "fees_nanos"}.intersection(sums)
    if "earnings_nanos" in sums:
        moved |= {"spend_nanos", "fees_nanos"}
    return " OR ".join(f"coalesce({name}, 0) <> 0" for name in sorted(moved)) or "false"


def _facts(query: ReportQuery) -> list[str]:
    """The columns that are summed, and the currency where it is no dimension of the report."""
    columns = [name for name in SUMS if name not in _MADE]
    return columns if "currency" in query.dimensions else ["currency", *columns]


def _order(query: ReportQuery) -> Iterator[str]:
    """By what is asked, then by the dimensions, so that equal logs give equal rows."""
    wanted = query.order_by.removeprefix("-")
    if wanted:
        yield f'"{wanted}" {"DESC" if query.order_by.startswith("-") else "ASC"}'
    for name in query.dimensions:
        if name != wanted:
            yield f'"{name}" ASC'
