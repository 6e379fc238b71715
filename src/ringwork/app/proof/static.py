"""Walls 1 and 4: what the source itself rules out, read and never run.

*Contextual* is every module of ``ringwork.ads`` but ``behavioural``. None of them may reach history
by an import, however many modules are between (wall 4); find its way at run time, or raise its own
tier; or take, keep or return what only a grant opens (wall 1). An ask has the members that are
listed here: whoever adds one has to come by and say that it names nobody.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import ringwork
from ringwork.ads.model import Ask, Context, DurationFloor, ImageSize, Slot

Sources = Mapping[str, str]
"""Module -> its text; a package is named ``a.__init__``."""

PART: Final = "ringwork.ads"
BEHAVIOURAL: Final = "ringwork.ads.behavioural"
CLOSED: Final = (BEHAVIOURAL, "ringwork.storage", "ringwork.app", "ringwork.flow")
"""Where history is read, kept or put together: no contextual module gets there."""

DYNAMIC: Final = frozenset(
    {"getattr", "setattr", "eval", "exec", "__import__", "globals", "vars", "compile", "open"}
)
"""Built-in functions that reach what no import names."""
MODULES: Final = frozenset(
    {"importlib", "pkgutil", "runpy", "imp", "sqlite3", "sqlalchemy", "gc", "os", "io", "pathlib"}
    | {"sys", "ctypes", "inspect", "subprocess", "contextvars"}
)
ATTRIBUTES: Final = frozenset({"__import__", "__subclasses__", "__globals__"})
TIER_RAISERS: Final = frozenset({"working_for", "may_read_history", "_tier"})
"""Of ``kernel.history``: with these a module would say for itself which tier it works for."""
ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    # Members of a struct that was handed in, by names that stand beside the call.
    "ringwork.ads.creatives.assets": frozenset({"getattr"}),
    "ringwork.ads.creatives.check": frozenset({"getattr"}),
    "ringwork.ads.exchange.outbound": frozenset({"getattr"}),
    "ringwork.ads.holdout": frozenset({"getattr"}),
    "ringwork.ads.projections.counts": frozenset({"getattr"}),
    "ringwork.ads.projections.history": frozenset({"getattr"}),
    "ringwork.ads.rules": frozenset({"getattr"}),
    "ringwork.ads.traffic.filter": frozenset({"getattr", "setattr"}),
    # Whether numba is installed; the simulator of markets, which serves nobody.
    "ringwork.ads.market.kernel": frozenset({"importlib"}),
    # Buffers in memory, and the size of an object.
    "ringwork.ads.creatives.bundle": frozenset({"io"}),
    "ringwork.ads.reports.csv_text": frozenset({"io"}),
    "ringwork.ads.outcomes": frozenset({"sys"}),
    # The type of the engine that queries of state.db are handed.
    "ringwork.ads.http_api": frozenset({"sqlalchemy"}),
}
"""What was looked at by hand; anything new has to stand here."""
PROJECTIONS: Final = "ringwork.ads.projections"
"""Tables of state.db, over connections that they are handed: here SQL may be written."""

PERSONAL: Final = frozenset(
    f"ringwork.kernel.{one}"
    for one in (
        *("purpose.Grant", "purpose.GrantVerifier", "purpose.Terms"),
        *("history.History", "history.HistoryReader"),
        *("history.HistoryEvent", "history.HistoryImpression"),
    )
)
"""Types that hold, or open, what a person did; ``behavioural``'s own are behind wall 4 as well."""
VIEWERS: Final = frozenset({"ringwork.kernel.viewer.Viewer", "ringwork.kernel.viewer.PersonId"})
UNTYPED: Final = frozenset({"ringwork.ads.rank.prefetch", "ringwork.ads.retrieval.scan_kernel"})
"""Kernels whose types are numba's; they are handed arrays of numbers."""
EDGE: Final = frozenset(
    {"http_lanes", "http_native", "http_vast", "viewers"},
)
"""The protocols: they read whom a request is for, for ``consent`` to decide on."""
MEMBERS: Final[Mapping[type, frozenset[str]]] = {
    Ask: frozenset(
        {"request_id", "source", "context", "slots", "visit", "charge_bid", "supply_chain"}
    ),
    Context: frozenset(
        {"site", "app", "publisher_id", "placement_id", "categories", "region", "device_type"}
        | {"hour", "blocked_categories", "blocked_domains", "key_values", "blocked_advertisers"}
    ),
    Slot: frozenset(
        {"id", "format", "sizes", "floor_nanos", "rule", "mimes", "min_duration_s"}
        | {"max_duration_s", "blocked_attributes", "hold_s", "needs", "protocols", "images"}
        | {"measures", "ratios", "durations_s", "nanos_per_second", "duration_floors"}
        | {"allowed_categories", "allowed_domains", "languages", "blocked_apps", "deal_id"}
        | {"charge", "group", "slate_ppm", "distinct", "quantity_ppm"}
    ),
    ImageSize: frozenset({"width", "height", "least_width", "least_height"}),
    DurationFloor: frozenset({"min_s", "max_s", "floor_nanos"}),
}
"""All that an ask can hold: where an ad would be seen, never by whom."""


@cache
def installed() -> Sources:
    """The package that runs, as it is installed."""
    root = Path(ringwork.__file__).parent
    return {
        ".".join(("ringwork", *path.relative_to(root).with_suffix("").parts)): path.read_text(
            encoding="utf-8"
        )
        for path in sorted(root.rglob("*.py"))
    }


def contextual(sources: Sources) -> list[str]:
    """The modules of the part that may know nobody."""
    return [one for one in sources if one.startswith(f"{PART}.") and not _lies_in(one, BEHAVIOURAL)]


# ---- wall 4: imports, and what is reached without them ------------------------------------------


def static_findings(sources: Sources) -> list[str]:
    """Everything wall 4 objects to, one sentence each."""
    found = [*_imports_found(sources)]
    for module in contextual(sources):
        means = means_of(sources[module]) - ALLOWED.get(module, frozenset())
        if _lies_in(module, PROJECTIONS):
            means -= {"sqlalchemy"}
        found += [f"{module}: {one}" for one in sorted(means)]
    return found


@cache
def means_of(source: str) -> frozenset[str]:
    """By what a module could reach what it does not import."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in DYNAMIC | TIER_RAISERS:
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES | TIER_RAISERS:
            found.add(node.attr)
        elif isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").partition(".")[0]} & MODULES
            found |= {one.name for one in node.names} & TIER_RAISERS
    return frozenset(found)


def _imports_found(sources: Sources) -> Iterator[str]:
    """From every contextual module that gets to a closed one, the shortest way."""
    importers: dict[str, list[str]] = {}
    for module in sorted(sources):
        for target in sorted(_imported(module, sources)):
            importers.setdefault(target, []).append(module)
    queue = [one for one in sorted(sources) if any(_lies_in(one, closed) for closed in CLOSED)]
    ways = {one: one for one in queue}
    for one in queue:  # grows while it is walked
        for importer in importers.get(one, ()):
            if importer not in ways:
                ways[importer] = f"{importer} -> {ways[one]}"
                queue.append(importer)
    for module in contextual(sources):
        if module in ways:
            yield ways[module]


@cache
def _names_imported(source: str) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return frozenset(name for name in names if name.startswith("ringwork"))


def _imported(module: str, sources: Sources) -> set[str]:
    """Modules of ours that a module imports, and the packages that are run on the way there."""
    found: set[str] = set()
    for name in _names_imported(sources[module]):
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            prefix = ".".join(parts[:end])
            found |= {prefix, f"{prefix}.__init__"} & sources.keys()
    return found


def _lies_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


# ---- wall 1: types ------------------------------------------------------------------------------


def type_findings(sources: Sources, members: Mapping[type, frozenset[str]] = MEMBERS) -> list[str]:
    """Everything wall 1 objects to, one sentence each."""
    found = [*_struct_findings(members)]
    for module in contextual(sources):
        is_edge = module.removeprefix(f"{PART}.").partition(".")[0] in EDGE
        closed = PERSONAL if is_edge else PERSONAL | VIEWERS
        found += [
            f"{module}: may take, keep or return {name}"
            for name in sorted(_names_imported(sources[module]))
            if name in closed or _lies_in(name, BEHAVIOURAL)
        ]
        if module not in UNTYPED:
            found += [f"{module}: {what}" for what in anything_taken(sources[module])]
    return found


@cache
def anything_taken(source: str) -> tuple[str, ...]:
    """Parameters that take anything, a person's history too."""
    return tuple(_anything_taken(source))


def _anything_taken(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        given = node.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        for one in [*arguments, *filter(None, (given.vararg, given.kwarg))]:
            if one.arg in ("self", "cls", "_"):
                continue
            if one.annotation is None or "Any" in ast.unparse(one.annotation).split("."):
                yield f"{node.name}({one.arg}) takes anything"


def _struct_findings(members: Mapping[type, frozenset[str]]) -> Iterator[str]:
    for struct, known in members.items():
        fields = set(struct.__struct_fields__)  # type: ignore[attr-defined]  # a msgspec Struct
        for name in sorted(fields - known):
            yield f"{struct.__name__}.{name}: not among the members that were looked at"
        if not struct.__struct_config__.frozen:  # type: ignore[attr-defined]  # likewise
            yield f"{struct.__name__}: can be changed after it was made"
