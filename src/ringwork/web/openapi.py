"""The OpenAPI 3.1 document.

Generated from the types that decode, corrected where the framework is not exact.

Component schemas come from msgspec itself (so bounds and ``additionalProperties`` are those of the
decoder), refusals are problem+json, and the fast lane's operations are merged in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Litestar
from litestar.params import PathParameter
from msgspec import Struct

from ringwork.web.problems import MEDIA_TYPE, Problem

UUID_PATTERN: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
UuidText = Annotated[str, PathParameter(pattern=UUID_PATTERN)]
"""An id in canonical text, as a path parameter."""

_REF: Final = "#/components/schemas/{name}"
_METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})

_SAME_SIGN: Final = [
    {"properties": {"units": {"minimum": 0}, "nanos": {"minimum": 0}}},
    {"properties": {"units": {"maximum": 0}, "nanos": {"maximum": 0}}},
]
"""What Money's type cannot say: units and nanos agree in sign."""

_REFUSALS: Final[Mapping[str, str]] = {
    "400": "The request cannot be read",
    "401": "No valid credentials",
    "403": "The role lacks the scope",
    "404": "Not found",
    "409": "Refused by a rule",
    "413": "The body is too large",
    "415": "The media type is not taken",
    "422": "Not valid",
    "503": "Not now; see Retry-After",
}


def described(answer: type[Struct], *, key: Literal["required", "optional"] | None = None) -> Any:
    """A handler's ``opt``: the struct it answers with, and whether it takes an Idempotency-Key.

    For handlers whose answer is bytes that were encoded before they were stored.
    """
    return {"answer": answer, "key": key}


def document(
    litestar: Litestar, types: Iterable[type[Struct]], extra_paths: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole document; ``types`` are the structs whose schemas msgspec writes."""
    schema: dict[str, Any] = litestar.openapi_schema.to_schema()
    _, components = msgspec.json.schema_components([*types, Problem], ref_template=_REF)
    schema.setdefault("components", {}).setdefault("schemas", {}).update(components)
    if "Money" in components:
        schema["components"]["schemas"]["Money"]["anyOf"] = _SAME_SIGN
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"key": []}]
    options = _options(litestar)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS:
                _correct(operation, options.get((path, method), {}))
    schema["paths"].update(extra_paths)
    return schema


def _options(litestar: Litestar) -> dict[tuple[str, str], Mapping[str, Any]]:
    """(path, method) -> the ``opt`` of its handler."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for route in litestar.routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in getattr(handler, "http_methods", ()):
                found[route.path_format, method.lower()] = handler.opt
    return found


def _correct(operation: dict[str, Any], option: Mapping[str, Any]) -> None:
    responses = {
        status: response
        for status, response in operation.get("responses", {}).items()
        if status < "400"
    }
    answer = option.get("answer")
    if answer is not None:
        content = {"application/json": {"schema": {"$ref": _REF.format(name=answer.__name__)}}}
        responses = {
            status: {"description": text, "content": content}
            for status, text in (("200", "As it was already"), ("201", "Done"))
        }
    if option.get("key"):
        operation.setdefault("parameters", []).append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": option["key"] == "required",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
    if option.get("open"):
        operation["security"] = []
    for status, text in _REFUSALS.items():
        responses[status] = problem_response(text)
    responses["default"] = problem_response("Any other refusal")
    operation["responses"] = responses


def problem_response(text: str) -> dict[str, Any]:
    """A refusal in the document."""
    return {
        "description": text,
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}},
    }
