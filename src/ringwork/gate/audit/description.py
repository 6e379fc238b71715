"""An OpenAPI description (3.0 and 3.1), as far as an audit looks at it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import Refused

METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "query")
BYTES_MAX: Final = 20_000_000
DEPTH_MAX: Final = 12
"""Schemas inside schemas that are looked into."""
PAGE_NAMES: Final = frozenset(
    {"limit", "page_size", "pagesize", "per_page", "perpage", "count", "first", "size", "top"}
)
PERSONAL: Final = re.compile(
    r"(^|_)(e?mail|phone|mobile|msisdn|address|street|birth|dob|gender|sex|location|lat|lng|"
    r"first_?name|last_?name|full_?name|surname|username|contact|friends?|followers?)(_|$)"
)
PEOPLE: Final = re.compile(
    r"user|person|people|profile|member|account|friend|follower|contact|customer|subscriber"
)


class Operation(Struct, kw_only=True):
    """One operation, with its references resolved as far as they are looked at."""

    path: str
    method: str
    pointer: str
    parameters: Sequence[Mapping[str, Any]]
    body_names: frozenset[str]
    """Members of the request's body."""
    answer_names: frozenset[str]
    """Members of the answers that tell something, at any depth."""
    lists: bool
    """Whether an answer holds an array of objects."""
    page_max: int | None
    """Entries of one answer at most, where that is said."""
    statuses: frozenset[str]
    is_open: bool
    """Nobody has to say who they are."""

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", f"{self.method}-{self.path}".lower()).strip("-")[:60]

    @property
    def route(self) -> str:
        return re.sub(r"\{[^}]*\}", "*", self.path)

    @property
    def is_about_people(self) -> bool:
        return bool(PEOPLE.search(self.path.lower())) or self.tells_personal

    @property
    def tells_personal(self) -> bool:
        return any(PERSONAL.search(words_of(one)) for one in self.answer_names)


def read_document(description: bytes, where: str) -> Mapping[str, Any]:
    """The description. Refused (openapi-invalid) for what is none."""
    if len(description) > BYTES_MAX:
        raise refused(f"{where}: expected at most {BYTES_MAX} bytes, got {len(description)}")
    try:
        found = msgspec.json.decode(description)
    except (msgspec.DecodeError, RecursionError) as error:
        raise refused(f"{where}: expected JSON: {str(error) or 'nested too deeply'}") from None
    version = found.get("openapi") if isinstance(found, dict) else None
    if not isinstance(version, str) or not version.startswith("3."):
        raise refused(f"{where}: expected an OpenAPI description of version 3, got {version!r}")
    if not isinstance(found.get("paths"), dict):
        raise refused(f"{where}: expected `paths`, an object")
    return dict(found)


def operations_of(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Its operations, as they stand in it."""
    for path, item in document["paths"].items():
        if not isinstance(item, dict):
            continue
        shared = _listed(document, item.get("parameters"))
        for method in METHODS:
            described = item.get(method)
            if isinstance(described, dict):
                yield _operation(document, str(path), method, described, shared)


def _operation(
    document: Mapping[str, Any],
    path: str,
    method: str,
    described: Mapping[str, Any],
    shared: Sequence[Mapping[str, Any]],
) -> Operation:
    own = _listed(document, described.get("parameters"))
    named = {f"{one.get('in')} {one.get('name')}": one for one in (*shared, *own)}
    answers: dict[str, None] = {}
    arrays: list[Mapping[str, Any]] = []
    responses = described.get("responses")
    responses = responses if isinstance(responses, dict) else {}
    for status, response in responses.items():
        if str(status).startswith("2") or status == "default":
            for schema in _schemas(document, response):
                _collect(document, schema, answers, arrays, 0)
    asked: dict[str, None] = {}
    for schema in _schemas(document, described.get("requestBody")):
        _collect(document, schema, asked, [], 0)
    security = described.get("security", document.get("security"))
    escaped = path.replace("~", "~0").replace("/", "~1")
    return Operation(
        path=path,
        method=method,
        pointer=f"/paths/{escaped}/{method}",
        parameters=list(named.values()),
        body_names=frozenset(asked),
        answer_names=frozenset(answers),
        lists=bool(arrays),
        page_max=_page_max(list(named.values()), arrays),
        statuses=frozenset(map(str, responses)),
        is_open=not isinstance(security, list) or not security or {} in security,
    )


def _page_max(
    parameters: Sequence[Mapping[str, Any]], arrays: Sequence[Mapping[str, Any]]
) -> int | None:
    """By a parameter's maximum, or by all arrays' own."""
    for one in parameters:
        schema = one.get("schema")
        if str(one.get("name", "")).lower() in PAGE_NAMES and isinstance(schema, dict):
            found = schema.get("maximum", schema.get("exclusiveMaximum"))
            if isinstance(found, int):
                return found
    own = [one.get("maxItems") for one in arrays]
    whole = [one for one in own if isinstance(one, int)]
    return max(whole) if whole and len(whole) == len(own) else None


def _schemas(document: Mapping[str, Any], holder: object) -> Iterator[Mapping[str, Any]]:
    holder = _resolved(document, holder)
    content = holder.get("content")
    for media in content.values() if isinstance(content, dict) else ():
        if isinstance(media, dict):
            yield _resolved(document, media.get("schema"))


def _collect(
    document: Mapping[str, Any],
    schema: Mapping[str, Any],
    names: dict[str, None],
    arrays: list[Mapping[str, Any]],
    depth: int,
) -> None:
    """Members at any depth, and arrays of objects. A schema in itself ends at DEPTH_MAX."""
    if depth > DEPTH_MAX or len(names) > 2000:
        return
    properties = schema.get("properties")
    inner: list[object] = []
    if isinstance(properties, dict):
        names |= dict.fromkeys(map(str, properties))
        inner += properties.values()
    items = _resolved(document, schema.get("items"))
    if items:
        if items.get("properties") or items.get("type") == "object":
            arrays.append(schema)
        inner.append(items)
    for several in ("allOf", "anyOf", "oneOf"):
        listed = schema.get(several)
        inner += listed if isinstance(listed, list) else []
    for one in inner:
        _collect(document, _resolved(document, one), names, arrays, depth + 1)


def _listed(document: Mapping[str, Any], several: object) -> list[Mapping[str, Any]]:
    return [_resolved(document, one) for one in several] if isinstance(several, list) else []


def _resolved(document: Mapping[str, Any], one: object) -> Mapping[str, Any]:
    """What a reference inside the document leads to; nothing for any other."""
    for _ in range(DEPTH_MAX):
        if not isinstance(one, dict):
            return {}
        reference = one.get("$ref")
        if not isinstance(reference, str):
            return one
        one = document if reference.startswith("#/") else None
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            one = one.get(name) if isinstance(one, dict) else None
    return {}


def is_sequential(parameter: Mapping[str, Any]) -> bool:
    """Whether a parameter is a number that can be counted up."""
    schema = parameter.get("schema")
    return isinstance(schema, dict) and schema.get("type") in ("integer", ["integer"])


def words_of(name: str) -> str:
    """``phoneNumber`` and ``Phone-Number`` as ``phone_number``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[-.\s]", "_", name).lower()


def refused(detail: str) -> Refused:
    """What is no description."""
    return Refused("openapi-invalid", detail, status=422, title="Not an OpenAPI description")
