"""One setting as its Struct declares it: dotted key, what it is for, what it may be."""

from __future__ import annotations

import ast
import inspect
import textwrap
import tomllib
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct
from msgspec import inspect as types


class Setting(Struct, frozen=True):
    """A leaf of a tree of settings."""

    key: str
    owner: type[Struct]
    type: types.Type

    @property
    def description(self) -> str:
        """What it is for: the text below the field, else the description in its type."""
        below = _texts(self.owner).get(self.key.rpartition(".")[2])
        schema = self.type.extra_json_schema if isinstance(self.type, types.Metadata) else None
        return below or str((schema or {}).get("description", ""))

    @property
    def allowed(self) -> str:
        """Its type and bounds, in TOML's words."""
        return _words(_plain(self.type))

    def read(self, text: str) -> object:
        """A value from the environment: text as it is, others as TOML would read them."""
        if isinstance(_plain(self.type), types.StrType | types.LiteralType):
            return text
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text  # refused where the types are checked, with what came


def settings_of(kind: type[Struct], prefix: str = "") -> Iterator[Setting]:
    """Every leaf of a tree of Structs, in order; a Struct that may be absent counts too."""
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    for field in info.fields:
        nested = _struct_in(field.type)
        if nested is None:
            yield Setting(prefix + field.name, kind, field.type)
        else:
            yield from settings_of(nested, f"{prefix}{field.name}.")


def _struct_in(info: types.Type) -> type[Struct] | None:
    members = info.types if isinstance(info, types.UnionType) else (info,)
    return next((one.cls for one in members if isinstance(one, types.StructType)), None)


def _plain(info: types.Type) -> types.Type:
    return info.type if isinstance(info, types.Metadata) else info


def _words(info: types.Type) -> str:
    match info:
        case types.BoolType():
            return "true or false"
        case types.LiteralType():
            return ", ".join(str(value) for value in info.values)
        case types.IntType() | types.FloatType():
            name = "integer" if isinstance(info, types.IntType) else "float"
            return _bounded(name, info.ge, info.le)
        case types.StrType():
            return f"string matching {info.pattern}" if info.pattern else "string"
        case types.ListType():
            return f"list of {_words(_plain(info.item_type))}"
        case types.UnionType():
            known = [one for one in info.types if not isinstance(one, types.NoneType)]
            return " or ".join(_words(_plain(one)) for one in known)
        case types.StructType():
            return f"{{{', '.join(_member(field) for field in info.fields)}}}"
    return type(info).__name__.removesuffix("Type").lower()


def _member(field: types.Field) -> str:
    return f"{field.name} = {_words(_plain(field.type))}{'' if field.required else ' (optional)'}"


def _bounded(name: str, least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f"{name} {least} to {most}"
    if least is not None:
        return f"{name} from {least}"
    return name if most is None else f"{name} up to {most}"


@lru_cache(maxsize=64)
def _texts(kind: type[Struct]) -> dict[str, str]:
    """Field -> the string literal below it, which Python itself throws away."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(value))),
            ):
                found[name] = inspect.cleandoc(value)
    return found
