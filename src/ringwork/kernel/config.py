"""Settings from defaults, a TOML file, the environment and flags, in this order.

Each value is kept with its origin. ``RINGWORK_HTTP__PORT=9000`` sets ``http.port``. What cannot be
used names the file and line (or the variable), the key, what came and what is allowed; an unknown
key names the nearest one that exists.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.setting import Setting, settings_of

ENVIRONMENT_PREFIX: Final = "RINGWORK_"

_LACKS: Final = "Object missing required field"
"""How msgspec begins what it says of a missing member."""
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


class _Given(Struct):
    """Dotted key -> value and -> origin, later sources over earlier ones."""

    known: dict[str, Setting]
    values: dict[str, object]
    origins: dict[str, str]

    def set(self, key: str, value: object, origin: str) -> None:
        if key not in self.known:
            raise ConfigurationError(f"{origin}: {_unknown(key, self.known)}")
        self.values[key] = value
        self.origins[key] = origin


def load(
    kind: type[T],
    *,
    toml: str | None,
    toml_name: str,
    environment: Mapping[str, str],
    flags: Mapping[str, object],
) -> Loaded[T]:
    """Merge the sources over the defaults of ``kind``; ``flags`` has dotted keys.

    ``toml_name`` is what errors call the text of ``toml``. Raises ConfigurationError.
    """
    given = _Given({setting.key: setting for setting in settings_of(kind)}, {}, {})
    if toml is not None:
        for key, value, line in _read(toml, toml_name):
            given.set(key, value, f"{toml_name}:{line}")
    for name, text in sorted(environment.items()):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in _NOT_SETTINGS:
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            setting = given.known.get(key)
            given.set(key, text if setting is None else setting.read(text), f"environment {name}")
    for key, value in flags.items():
        given.set(key, value, "flag")
    try:
        settings = msgspec.convert(_nested(given.values), kind, strict=True)
    except msgspec.ValidationError as error:
        raise _invalid(error, given) from None
    return Loaded(settings, given.origins)


def explain(loaded: Loaded[T]) -> Iterator[Explained]:
    """Every setting with its value, origin and purpose, in the order of the tree."""
    for setting in settings_of(type(loaded.settings)):
        value: object = loaded.settings
        for part in setting.key.split("."):
            value = getattr(value, part, None)
        origin = loaded.origins.get(setting.key, "default")
        yield Explained(setting.key, value, origin, setting.description, setting.allowed)


def _read(toml: str, name: str) -> Iterator[tuple[str, object, int]]:
    """(dotted key, value, the line its value ends on) in the order of the file.

    ``tomllib`` keeps no lines. The first beginning of the file that is TOML and has a key ends with
    the line that sets it, however it is written there.
    """
    try:
        whole = dict(_flat(tomllib.loads(toml)))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: not TOML: {error}") from None
    seen: set[str] = set()
    lines = toml.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            begun = dict(_flat(tomllib.loads("".join(lines[:number]))))
        except tomllib.TOMLDecodeError:
            continue  # inside a value of several lines
        for key in begun:
            if key not in seen:
                seen.add(key)
                yield key, whole[key], number


def _flat(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _nested(values: Mapping[str, object]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for key, value in values.items():
        *parents, name = key.split(".")
        at = tree
        for parent in parents:
            below = at.setdefault(parent, {})
            assert isinstance(below, dict), "a known key is never also a table"
            at = below
        at[name] = value
    return tree


def _unknown(key: str, known: Mapping[str, Setting]) -> str:
    inside = [name for name in known if name.startswith(f"{key}.")]
    if inside:
        return f"{key!r} holds settings and is none itself; there are {', '.join(inside)}"
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    return f"there is no setting {key!r}" + (f"; did you mean {near[0]}?" if near else "")


def _invalid(error: msgspec.ValidationError, given: _Given) -> ConfigurationError:
    text, _, path = str(error).partition(" - at `$.")
    place = path.rstrip("`")
    key = place.partition("[")[0]
    if key in given.values:
        came = msgspec.json.encode(given.values[key]).decode()
        told = f"{key} = {came}, expected {given.known[key].allowed}"
        if place != key:  # an item of a list is named, and shown with its list
            told = f"{place}: {text}: {told}"
        return ConfigurationError(f"{given.origins[key]}: {told}")
    if not text.startswith(_LACKS):  # what no member may be said to be wrong alone
        origin = next((place for name, place in given.origins.items() if name.startswith(key)), key)
        return ConfigurationError(f"{origin}: {key}: {text}")
    # A table that lacks a member has no place of its own: name that of a member that is there.
    origin = next(place for name, place in given.origins.items() if name.startswith(f"{key}."))
    missing = text.rpartition("field `")[2].rstrip("`")
    return ConfigurationError(f"{origin}: {key}.{missing} has no default and has to be set too")
