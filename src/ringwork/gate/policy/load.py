"""A policy from YAML or TOML. What is wrong is named with file, line, key and what may be there."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

import msgspec
from msgspec import inspect

from ringwork.gate.policy.formula import Formula, parse_formula
from ringwork.gate.policy.model import Policy, Rule, ScoreLimit
from ringwork.kernel.errors import Fault, Refused

BYTES_MAX: Final = 1_000_000
WORK_MAX: Final = 20_000_000
"""Iterations of a challenge on average: some ten seconds of a desktop, a minute of a phone."""
RESERVED: Final = frozenset({"challenge", "ladder", "probes"})
"""Names in the reasons of decisions that are no rule's."""
_AT: Final = re.compile(r"^(.*?)(?: - at `([^`]*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
Path = tuple[str | int, ...]


def parse_policy(text: bytes, *, where: str) -> Policy:
    """A policy from its text: TOML where ``where`` ends so, else YAML.

    Raises Refused (policy-invalid), whose errors point at what is wrong.
    """
    if len(text) > BYTES_MAX:
        raise _refused(f"{where}: expected at most {BYTES_MAX} bytes, got {len(text)}")
    lines: Mapping[Path, int] = {}
    try:
        if where.endswith(".toml"):
            found: Any = tomllib.loads(text.decode())
        else:
            lines, found = _yaml(text)
    except (ValueError, RecursionError) as error:  # of both readers
        raise _refused(f"{where}: {str(error) or 'nested too deeply'}") from None
    try:
        policy = msgspec.convert(found, Policy)
    except msgspec.ValidationError as error:
        raise _wrong(str(error), found, lines, where) from None
    faults = list(_faults(policy))
    if faults:
        raise _refused(
            "; ".join(f"{_place(where, lines, path)}: {detail}" for path, detail in faults[:20]),
            [Fault(_pointer(path), detail) for path, detail in faults[:100]],
        )
    return policy


def preset(name: str) -> Policy:
    """A packaged policy. Refused (policy-invalid) with the names there are."""
    found = presets()
    if name not in found:
        raise _refused(f"expected one of {', '.join(found)}; got {name!r}")
    return parse_policy(found[name], where=f"{name}.yaml")


def presets() -> Mapping[str, bytes]:
    """The packaged policies by name."""
    folder = files("ringwork.gate.policy") / "presets"
    return {
        one.name.removesuffix(".yaml"): one.read_bytes()
        for one in sorted(folder.iterdir(), key=lambda one: one.name)
        if one.name.endswith(".yaml")
    }


def digest_of(policy: Policy) -> str:
    """SHA-256 of what a policy says, whatever its file looked like: every decision carries it."""
    return hashlib.sha256(msgspec.json.encode(policy, order="deterministic")).hexdigest()


def quota_of(rule: Rule) -> Formula | None:
    """The formula of a rule's limit; None for a number."""
    units = rule.limit.maximum if isinstance(rule.limit, ScoreLimit) else rule.limit.limit
    return parse_formula(units) if isinstance(units, str) else None


def _faults(policy: Policy) -> Iterator[tuple[Path, str]]:
    """What every member's type cannot say."""
    yield from _rule_faults(policy)
    yield from _response_faults(policy)
    for name in ("account", "app", "ad_account", "device", "visit", "tier", "ja4"):
        source = getattr(policy.identity, name)
        if source and not re.fullmatch(r"(header|cookie):[A-Za-z0-9!#$%&'*+.^_`|~-]+", source):
            yield ("identity", name), f"expected header:NAME or cookie:NAME, got {source!r}"
    if policy.trust.hops is not None and policy.trust.proxies:
        yield ("trust",), "expected either `proxies` or `hops`, got both"


def _rule_faults(policy: Policy) -> Iterator[tuple[Path, str]]:
    seen: set[str] = set()
    for number, rule in enumerate(policy.rules):
        at: Path = ("rules", number)
        if rule.name in seen:
            yield (*at, "name"), f"expected a name of its own, got {rule.name!r} again"
        seen.add(rule.name)
        if rule.name in RESERVED:
            yield (*at, "name"), f"{rule.name!r} is what the gate calls a part of itself"
        if rule.evidence is not None and policy.ladder is None:
            yield (*at, "evidence"), "expected a `ladder` that judges it"
        if len(set(rule.key)) < len(rule.key):
            yield (*at, "key"), f"expected each part once, got {', '.join(rule.key)}"
        try:
            quota_of(rule)
        except ValueError as error:
            yield (*at, "limit"), str(error)
        if rule.over.profile == "meta" and rule.over.meta is None:
            yield (*at, "over"), "profile meta: expected `meta` with the code to answer"


def _response_faults(policy: Policy) -> Iterator[tuple[Path, str]]:
    asked = policy.challenge
    if (work := asked.cost * 16 ** len(asked.prefix)) > WORK_MAX:
        yield ("challenge",), f"expected cost x 16^digits up to {WORK_MAX}, got {work}"
    if policy.ladder is not None:
        budgets = [
            getattr(policy.ladder, rung) for rung in ("slow", "challenge", "degrade", "block")
        ]
        there = [one for one in budgets if one]
        if there != sorted(there, reverse=True):
            yield ("ladder",), f"expected budgets that do not grow with the rung, got {budgets}"


# ---- where it stands, and what may -------------------------------------------------------------


def _yaml(text: bytes) -> tuple[dict[Path, int], Any]:
    """Lines by path, and what the text says. ValueError with the line where it is no YAML."""
    import yaml  # type: ignore[import-untyped] # noqa: PLC0415 # an extra

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        found = yaml.load(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f"line {mark.line + 1}: "
        raise ValueError(f"{line}{getattr(error, 'problem', None) or 'not YAML'}") from None
    lines: dict[Path, int] = {}
    _mark(node, (), lines)
    return lines, {} if found is None else found


def _mark(node: Any, path: Path, lines: dict[Path, int]) -> None:
    if node is None or path in lines or len(path) > 20:
        return
    lines[path] = node.start_mark.line + 1
    if node.id == "mapping":
        for key, value in node.value:
            _mark(value, (*path, key.value), lines)
            lines[(*path, key.value)] = key.start_mark.line + 1
    elif node.id == "sequence":
        for number, value in enumerate(node.value):
            _mark(value, (*path, number), lines)


def _wrong(message: str, found: Any, lines: Mapping[Path, int], where: str) -> Refused:
    match = _AT.match(message)
    assert match is not None
    detail, shown = match[1], match[2] or "$"
    path: Path = tuple(
        name or (int(number) if number.isdigit() else number)
        for name, number in _STEP.findall(shown)
    )
    if unknown := re.search(r"unknown field `(\w+)`", detail):
        allowed = _allowed(path, found)
        path = (*path, unknown[1])
        detail = f"not a member here; expected {', '.join(allowed)}"
    elif allowed := _allowed(path, found):
        detail = f"{detail}; expected one of {', '.join(allowed)}"
    return _refused(f"{_place(where, lines, path)}: {detail}", [Fault(_pointer(path), detail)])


def _allowed(path: Path, given: Any) -> list[str]:
    """Members of the struct, or values of the choice, that stands at a path of what was given."""
    found: list[inspect.Type] = [inspect.type_info(Policy)]
    is_kind = False
    for step in path:
        is_kind = step == "kind"
        if not is_kind:
            found = [inner for one in found for inner in _inside(one, step)]
            given = given[step]
    if isinstance(given, dict) and not is_kind and "kind" in given:
        found = [one for one in found if getattr(one, "tag", None) == given["kind"]]
    names: dict[str, None] = {}
    for one in found:
        if isinstance(one, inspect.StructType):
            members = [field.encode_name for field in one.fields]
            names |= dict.fromkeys([str(one.tag)] if is_kind else members)
            if one.tag_field and not is_kind:
                names[one.tag_field] = None
        elif isinstance(one, inspect.LiteralType):
            names |= dict.fromkeys(map(str, one.values))
    return list(names)


def _inside(one: inspect.Type, step: str | int) -> list[inspect.Type]:
    if isinstance(one, inspect.StructType):
        return [part for field in one.fields if field.encode_name == step for part in _flat(field)]
    if isinstance(one, inspect.VarTupleType):
        return _parts(one.item_type)
    return []


def _flat(field: inspect.Field) -> list[inspect.Type]:
    return _parts(field.type)


def _parts(one: inspect.Type) -> list[inspect.Type]:
    if isinstance(one, inspect.UnionType):
        return [part for inner in one.types for part in _parts(inner)]
    return _parts(one.type) if isinstance(one, inspect.Metadata) else [one]


def _place(where: str, lines: Mapping[Path, int], path: Path) -> str:
    shown = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path)
    for length in range(len(path), -1, -1):
        if path[:length] in lines:
            return f"{where}, line {lines[path[:length]]}, {shown.lstrip('.') or 'the policy'}"
    return f"{where}, {shown.lstrip('.') or 'the policy'}"


def _pointer(path: Path) -> str:
    return "".join(f"/{one}" for one in path)


def _refused(detail: str, faults: list[Fault] | None = None) -> Refused:
    return Refused(
        "policy-invalid", detail, errors=faults or (), status=422, title="The policy is not valid"
    )
