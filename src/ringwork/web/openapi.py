"""The OpenAPI 3.1 document.

Generated from the types that decode, corrected where the framework is not exact.

Component schemas come from msgspec itself (so bounds and ``additionalProperties`` are those of the
decoder), refusals are problem+json, and the fast lane's operations are merged in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from litestar import Litestar
from msgspec import Struct

from ringwork.web.problems import MEDIA_TYPE, Problem

_REF: Final = "#/components/schemas/{name}"
_METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})

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


def document(
    litestar: Litestar, types: Iterable[type[Struct]], extra_paths: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole document; ``types`` are the structs whose schemas msgspec writes."""
    schema: dict[str, Any] = litestar.openapi_schema.to_schema()
    _, components = msgspec.json.schema_components([*types, Problem], ref_template=_REF)
    schema.setdefault("components", {}).setdefault("schemas", {}).update(components)
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"key": []}]
    schema["paths"].update(extra_paths)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS and path not in extra_paths:
                _correct(operation)
    return schema


def _correct(operation: dict[str, Any]) -> None:
    responses = {
        status: response
        for status, response in operation.get("responses", {}).items()
        if status < "400"
    }
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
