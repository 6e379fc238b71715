"""How a page travels: document, fragment, JSON or file, and with which headers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from litestar import Response
from litestar.response import Redirect

from ringwork.console.render import static_files
from ringwork.web.app import HttpRequest

PAGE_HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "vary": "accept, cookie, hx-request",
}

_TYPES: Final = {
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
STATIC: Final = "/console/static/"


def wants_json(request: HttpRequest) -> bool:
    """Asked for by ``?format=json``, or by an Accept header that names JSON and not HTML."""
    if request.query_params.get("format") == "json":
        return True
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept


def wants_fragment(request: HttpRequest) -> bool:
    """Htmx asks for the part it swaps in."""
    return request.headers.get("hx-request") == "true"


def address(request: HttpRequest) -> str:
    """Path and query, as links and forms on the page lead back to it."""
    query = request.scope.get("query_string", b"").decode("ascii", "replace")
    return f"{request.url.path}?{query}" if query else request.url.path


def html(text: str, *, status: int = 200) -> Response[str]:
    """A document or a fragment of one."""
    return Response(text, status_code=status, media_type="text/html", headers=dict(PAGE_HEADERS))


def json(body: bytes, *, status: int = 200) -> Response[bytes]:
    """The same page for programs."""
    return Response(
        body, status_code=status, media_type="application/json", headers=dict(PAGE_HEADERS)
    )


def moved(path: str) -> Redirect:
    """See other: what a form leads to."""
    return Redirect(path, status_code=303, headers=dict(PAGE_HEADERS))


class Assets:
    """The static files, each named by its content's hash, so that a browser may keep it."""

    def __init__(self) -> None:
        self._files = static_files()
        self._tags = {
            name: hashlib.sha256(content).hexdigest()[:16] for name, content in self._files.items()
        }
        self.addresses: Mapping[str, str] = {
            name: f"{STATIC}{name}?v={tag}" for name, tag in self._tags.items()
        }

    def answer(self, request: HttpRequest, name: str) -> Response[bytes] | None:
        """The file, or 304 where the browser has it; None for a name that is not served."""
        content = self._files.get(name)
        if content is None:
            return None
        tag = f'"{self._tags[name]}"'
        fresh = request.query_params.get("v") == self._tags[name]
        headers = {"etag": tag, "cache-control": _FOR_EVER if fresh else "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(b"", status_code=304, headers=headers)
        kind = _TYPES[name.rpartition(".")[2]]
        return Response(content, media_type=kind, headers=headers)
