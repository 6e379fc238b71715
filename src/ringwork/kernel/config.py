"""Settings from defaults, a TOML file, the environment and flags, in this order.

Each value with its origin.

``RINGWORK_HTTP__PORT=9000`` sets ``http.port``. What cannot be used names the file (or variable),
the key, what came and what is allowed; an unknown key names the nearest one that exists.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import ConfigurationError

ENVIRONMENT_PREFIX: Final = "RINGWORK_"

_NOT_SETTINGS: Final = frozenset(
    {
        "RINGWORK_CONFIG",
        "RINGWORK_TEST_DATA",
        "RINGWORK_REQUIRE_DATA",
        "RINGWORK_KILL_ROUNDS",
        "RINGWORK_PURE",
    }
)
"""Read by the command line and the test suite, not settings of the server."""

T = TypeVar("T", bound=Struct)


class Loaded(Struct, Generic[T], frozen=True):
    """The settings, and dotted key -> where its value came from (absent: the default)."""

    settings: T
    origins: dict[str, str]


class Explained(Struct, frozen=True):
    """One setting for ``config show --explain``."""

    key: str
    value: object
    origin: str
    description: str
    type: str


def load(
    kind: type[T],
    *,
    toml: str | None,
    toml_name: str,
    environment: Mapping[str, str],
    flags: Mapping[str, object],
) -> Loaded[T]:
    """Merge the sources over the defaults of ``kind``. ``flags`` has dotted keys.

    ConfigurationError.
    """
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    known = {key for key, _ in _fields(kind)}
    if toml is not None:
        for key, value in _flatten(_parse(toml, toml_name)):
            _set(tree, origins, known, key, value, f"{toml_name}:{_line_of(toml, key)}")
    for name, text in sorted(environment.items()):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in _NOT_SETTINGS:
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            _set(tree, origins, known, key, _typed(text), f"environment {name}")
    for key, value in flags.items():
        _set(tree, origins, known, key, value, "flag")
    try:
        settings = msgspec.convert(tree, kind, strict=True)
    except msgspec.ValidationError as error:
        raise _invalid(error, kind, origins, tree) from None
    return Loaded(settings, origins)


def explain(loaded: Loaded[T]) -> Iterator[Explained]:
    """Every setting with its value, origin and purpose, in the order of the tree."""
    for key, field in _fields(type(loaded.settings)):
        value: object = loaded.settings
        for part in key.split("."):
            value = getattr(value, part, None)
        description, type_name = _described(field.type)
        yield Explained(key, value, loaded.origins.get(key, "default"), description, type_name)


def _fields(
    kind: type[Struct], prefix: str = ""
) -> Iterator[tuple[str, msgspec.structs.FieldInfo]]:
    for field in msgspec.structs.fields(kind):
        nested = _struct_of(field.type)
        if nested is None:
            yield prefix + field.name, field
        else:
            yield from _fields(nested, f"{prefix}{field.name}.")


def _struct_of(annotation: Any) -> type[Struct] | None:
    found = [annotation, *getattr(annotation, "__args__", ())]
    for one in found:
        if isinstance(one, type) and issubclass(one, Struct):
            return one
    return None


def _parse(toml: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: not TOML: {error}") from None


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _set(
    tree: dict[str, Any],
    origins: dict[str, str],
    known: set[str],
    key: str,
    value: object,
    origin: str,
) -> None:
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigurationError(f"{origin}: there is no setting {key!r}{hint}")
    *parents, name = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[name] = value
    origins[key] = origin


def _typed(text: str) -> object:
    """An environment value as TOML would read it, else as text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _line_of(toml: str, key: str) -> int:
    """The line that sets a dotted key, as far as plain tables go."""
    table, wanted = "", key.rpartition(".")
    for number, line in enumerate(toml.splitlines(), 1):
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        if header:
            table = header.group(1).strip()
        name = re.match(r"\s*([A-Za-z0-9_.-]+)\s*=", line)
        if name and (table, name.group(1)) == (wanted[0], wanted[2]):
            return number
        if name and not table and name.group(1) == key:
            return number
    return 1


def _invalid(
    error: msgspec.ValidationError,
    kind: type[Struct],
    origins: Mapping[str, str],
    tree: Mapping[str, Any],
) -> ConfigurationError:
    text = str(error)
    match = re.search(r" - at `\$\.([^`]+)`$", text)
    if match is None:
        return ConfigurationError(f"settings: {text}")
    key = match.group(1)
    came: Any = tree
    for part in key.split("."):
        came = came.get(part) if isinstance(came, dict) else None
    origin = origins.get(key, "settings")
    allowed = next((_described(field.type)[1] for name, field in _fields(kind) if name == key), "")
    return ConfigurationError(
        f"{origin}: {key} = {came!r}: {text[: match.start()]} (allowed: {allowed})"
    )


def _described(annotation: Any) -> tuple[str, str]:
    """(description, type in words with its bounds)."""
    info = msgspec.inspect.type_info(annotation)
    if isinstance(info, msgspec.inspect.Metadata):
        schema = info.extra_json_schema or {}
        return str(schema.get("description", "")), _type_name(info.type)
    return "", _type_name(info)


def _type_name(info: msgspec.inspect.Type) -> str:
    name = type(info).__name__.removesuffix("Type").lower()
    if isinstance(info, msgspec.inspect.LiteralType):
        return " | ".join(str(value) for value in info.values)
    if isinstance(info, msgspec.inspect.IntType):
        low, high = info.ge, info.le
        return f"{name} {low} to {high}" if low is not None and high is not None else name
    return name
