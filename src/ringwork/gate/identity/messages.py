"""A request as a signature sees it, and the text that a signature is made over (RFC 9421, 2).

The components that agents sign are resolved here; the rest (``sf``, ``bs``, query parameters) by
the library ``http-message-signatures``, whose base for any message ours equals (a test holds it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, Protocol, cast

from msgspec import Struct

Headers = Sequence[tuple[bytes, bytes]]

_AUTHORITY: Final = re.compile(
    r"((?:[A-Za-z0-9._~!$&'()*+,;=\-]|%[0-9A-Fa-f]{2})+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?"
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_METHOD: Final = re.compile(r"[A-Z!#$%&'*+\-.^_`|~0-9]+")
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/\-]|%[0-9A-Fa-f]{2})*)?")
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\-]|%[0-9A-Fa-f]{2})*")
_DEFAULT_PORT: Final = {"https": 443, "http": 80}


class Unresolvable(ValueError):
    """A covered component has no value in this message."""


class HttpMessage:
    """A request: what was asked, of whom, with which fields.

    ``authority`` is what the client asked for (``Host``), ``path`` and ``query`` are as they came,
    still escaped; ``query`` is None or empty where there is none. ``body`` is checked against a
    covered ``Content-Digest`` where it is given.
    """

    __slots__ = ("authority", "body", "fields", "method", "path", "query", "scheme")

    def __init__(
        self,
        *,
        method: str,
        scheme: str = "https",
        authority: str,
        path: str,
        query: str | bytes | None = None,
        headers: Headers = (),
        body: bytes | None = None,
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.path = path
        text = query.decode("latin-1") if isinstance(query, bytes) else query
        self.query = text or None  # ASGI does not tell "/p?" from "/p"
        self.fields = headers
        self.body = body

    @property
    def url(self) -> str:
        """The absolute URL, for the library."""
        query = "" if self.query is None else f"?{self.query}"
        return f"{self.scheme}://{self.authority}{self.path}{query}"

    @property
    def headers(self) -> FieldLines:
        """The fields as text, for the library."""
        return FieldLines(self.fields)

    def field(self, name: bytes) -> bytes | None:
        """The values of one field, joined as HTTP joins them; None where it is not there."""
        found = [value.strip(b" \t") for key, value in self.fields if key.lower() == name]
        return b", ".join(found) if found else None


class FieldLines:
    """What the library reads of a mapping of fields."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Headers) -> None:
        self._fields = fields

    def items(self) -> Iterator[tuple[str, str]]:
        """Names and values, in order, repeated ones repeated."""
        return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self._fields)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.items())


class Component(Struct, frozen=True):
    """One covered component: its identifier as it stands in the base, name and parameters."""

    text: str
    name: str
    parameters: Mapping[str, object]

    @property
    def label(self) -> str:
        """How people and policies write it: without the quotes about the name."""
        return self.name + self.text[len(self.name) + 2 :]


Resolve = Callable[[HttpMessage], str]


@lru_cache(maxsize=1024)
def authority_of(scheme: str, authority: str) -> str:
    """RFC 9421, 2.2.3: lower case, without the scheme's own port."""
    found = _AUTHORITY.fullmatch(authority)
    if not found:
        raise Unresolvable("@authority")
    host, port = found[1].lower(), found[2]
    if not port or int(port) == _DEFAULT_PORT.get(scheme):
        return host
    return f"{host}:{port}"


def _method(message: HttpMessage) -> str:
    if message.method not in _METHODS and not _METHOD.fullmatch(message.method):
        raise Unresolvable("@method")
    return message.method


def _path(message: HttpMessage) -> str:
    if not _PATH.fullmatch(message.path):
        raise Unresolvable("@path")
    return message.path or "/"


def _query(message: HttpMessage) -> str:
    query = message.query or ""
    if not _QUERY.fullmatch(query):
        raise Unresolvable("@query")
    return "?" + query


def _field(name: str) -> Resolve:
    wanted = name.encode("ascii")

    def resolve(message: HttpMessage) -> str:
        found = message.field(wanted)
        if found is None:
            raise Unresolvable(name)
        value = found.decode("latin-1")
        if value and not (value.isascii() and value.replace("\t", " ").isprintable()):
            raise Unresolvable(name)
        return value

    return resolve


_DERIVED: Final[Mapping[str, Resolve]] = {
    "@authority": lambda message: authority_of(message.scheme, message.authority),
    "@method": _method,
    "@path": _path,
    "@query": _query,
}


def resolver_of(component: Component) -> Resolve | None:
    """How its value is found, or None where the library has to."""
    if component.parameters or component.name == "set-cookie":
        return None
    if component.name.startswith("@"):
        return _DERIVED.get(component.name)
    return _field(component.name)


Plan = Sequence["str | tuple[str, Resolve | Component]"]
"""The lines of a base: whole, or what is before the value and how the value is found."""


def planned(component: Component) -> tuple[str, Resolve | Component]:
    """One step of a plan."""
    return f"{component.text}: ", resolver_of(component) or component


def base_of(plan: Plan, line: str, message: HttpMessage) -> bytes:
    """The signature base (RFC 9421, 2.5). Unresolvable where a covered value is missing.

    ``line`` is the value of ``@signature-params``.
    """
    library = None
    parts = []
    for step in plan:
        if isinstance(step, str):
            parts.append(step)
            continue
        start, resolve = step
        if isinstance(resolve, Component):
            library = library or _library_resolver(message)
            value = _by_library(library, resolve)
        else:
            value = resolve(message)
        parts.append(f"{start}{value}\n")
    parts.append(f'"@signature-params": {line}')
    return "".join(parts).encode()


class _Resolver(Protocol):
    """What is used of the library's resolver."""

    def resolve(self, component_node: object) -> object: ...


def _library_resolver(message: HttpMessage) -> Callable[[object], object]:
    import http_message_signatures as library  # noqa: PLC0415  # of the extra `gate`

    made = cast("Callable[[HttpMessage], _Resolver]", library.HTTPSignatureComponentResolver)
    try:
        return made(message).resolve
    except (library.HTTPMessageSignaturesException, ValueError) as error:
        raise Unresolvable("the message") from error


def _by_library(resolve: Callable[[object], object], component: Component) -> str:
    import http_message_signatures as library  # noqa: PLC0415  # of the extra `gate`
    from http_sf.compat import Item  # noqa: PLC0415  # of the extra `gate`

    node = Item(component.name)
    node.params.update(component.parameters)
    try:
        value = resolve(node)
    except (library.HTTPMessageSignaturesException, ValueError, TypeError) as error:
        raise Unresolvable(component.label) from error
    if not isinstance(value, str) or not value.isascii() or "\n" in value or "\r" in value:
        raise Unresolvable(component.label)
    return value
